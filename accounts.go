package twostep

import (
	"context"
	"errors"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/store"
)

var (
	// ErrAccountExists is returned if an account with this address exists already.
	ErrAccountExists = account.ErrExists
	// ErrAccountNotFound is returned if there is no account with this address, or no decision with this trace.
	ErrAccountNotFound = account.ErrUnknown
	// ErrLastOperator is returned if nobody would be left who can change roles.
	ErrLastOperator = account.ErrLastOperator
)

// AccountParams describes an account for Server.CreateAccount.
type AccountParams struct {
	Email      string // the address people sign in with
	Name       string // of the person, for pages and emails
	GivenName  string // for apps that want the parts of a name; "" if not known
	FamilyName string // "" if not known
	Password   string // at least 8 characters, and not a common password
	Operator   bool   // Role is RoleOperator
	Role       string // what the person may do on the operators' pages: "" nothing, or RoleOperator and so on
}

// Roles of accounts on the operators' pages (/admin).
const (
	RoleOperator = store.RoleOperator // everything
	RoleHelpdesk = store.RoleHelpdesk // finds and helps people without a role
	RoleAuditor  = store.RoleAuditor  // reads and exports
)

// CreateAccount creates an account with a password that you choose. For people use Invite, so that nobody else knows
// their password. CreateAccount returns ErrAccountExists if the address has an account, or an error that says what is
// wrong with the address, the name or the password.
func (s *Server) CreateAccount(ctx context.Context, a AccountParams) error {
	return s.services.Accounts.Create(ctx, account.NewAccount(a))
}

// Invite creates an invitation and returns its link, which works once and for 7 days. On that page the invited person
// chooses a password. Treat the link as a secret: it gives the account to anyone who opens it. Invite returns
// ErrAccountExists if the address has an account.
func (s *Server) Invite(ctx context.Context, email, name string, operator bool) (link string, err error) {
	return s.InvitePerson(ctx, AccountParams{Email: email, Name: name, Operator: operator})
}

// InvitePerson is Invite with all names of a person. The password of a must be empty.
func (s *Server) InvitePerson(ctx context.Context, a AccountParams) (link string, err error) {
	if a.Password != "" {
		return "", errors.New("twostep: invite: the invited person chooses the password")
	}
	token, err := s.services.Accounts.Invite(ctx, account.NewAccount(a))
	if err != nil {
		return "", err
	}
	return s.services.Accounts.Settings.PublicURL + "/join#" + token, nil
}

// Disable ends all sessions, tokens and trusted devices of an account. Nobody can sign in to it until Enable. Disable
// returns ErrAccountNotFound if there is no such account.
func (s *Server) Disable(ctx context.Context, email string) error {
	return s.services.Accounts.Disable(ctx, email)
}

// Enable allows sign-ins to a disabled account again. It restores no sessions and no trusted devices, so the next
// sign-in needs both steps. Enable returns ErrAccountNotFound if there is no such account.
func (s *Server) Enable(ctx context.Context, email string) error {
	return s.services.Accounts.Enable(ctx, email)
}

// SetGroups replaces the groups of an account, which decide which apps the person may use. A group is any printable
// text of up to 128 characters without a comma. The change takes effect with the next request to a host behind a proxy,
// and when an app next refreshes its tokens. SetGroups returns ErrAccountNotFound if there is no such account, or an
// error that names the invalid group.
func (s *Server) SetGroups(ctx context.Context, email string, groups []string) error {
	return s.services.Accounts.SetGroups(ctx, email, groups)
}

// SetRole replaces the role of an account, and tells its owner by email. "" removes it. It takes effect with the next
// request. SetRole returns ErrAccountNotFound if there is no such account, ErrLastOperator if no enabled operator would
// be left and force is false, or an error if the role is unknown.
func (s *Server) SetRole(ctx context.Context, email, role string, force bool) error {
	return s.services.Accounts.ChangeRole(ctx, email, account.RoleChange{Role: role, Force: force})
}

// RevokeTrust ends trust in all devices of an account, so the next sign-in on each needs both steps. Sessions continue.
// RevokeTrust returns ErrAccountNotFound if there is no such account.
func (s *Server) RevokeTrust(ctx context.Context, email string) error {
	return s.services.Accounts.ForgetDevices(ctx, email)
}

// ResetSiteGuesses resets the site-wide guessing alarm, so that new browsers no longer need a longer code because of
// it. The wrong codes of each account still count for that account.
func (s *Server) ResetSiteGuesses(ctx context.Context) error {
	return s.services.Budgets.ResetSiteAlarm(ctx)
}

// InvalidateAfterRestore ends every session, token, link, code and trusted device that exists now. Call it after you
// have restored the database from a backup: what ended after the backup would be valid again.
func (s *Server) InvalidateAfterRestore(ctx context.Context) error {
	return s.services.SignIns.InvalidateAll(ctx)
}
