package twostep

import (
	"context"
	"errors"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/device"
	"twostep.example/twostep/internal/directory"
	"twostep.example/twostep/internal/enroll"
	"twostep.example/twostep/internal/session"
)

var (
	// ErrAccountExists is returned if an account with this address exists already.
	ErrAccountExists = account.ErrExists
	// ErrAccountNotFound is returned if there is no account with this address or ID, or no decision with this trace.
	ErrAccountNotFound = account.ErrUnknown
	// ErrAccountDisabled is returned if the account is disabled, and ErrAccountEnabled by Enable if it is not.
	ErrAccountDisabled = account.ErrDisabled
	ErrAccountEnabled  = account.ErrEnabled
	// ErrAccountFrozen is returned if a requested undo waits to take effect, see EndFreeze.
	ErrAccountFrozen = account.ErrFrozen
	// ErrAccountNotFrozen is returned by EndFreeze if the account is not frozen.
	ErrAccountNotFrozen = account.ErrNotFrozen
	// ErrLastOperator is returned by SetRole, Disable and DeleteAccount if no active operator would be left, unless
	// By.Force is set.
	ErrLastOperator = account.ErrLastOperator
	// ErrNoInvitation is returned if the address has no invitation that was not used.
	ErrNoInvitation = account.ErrNoInvitation
	// ErrSessionNotFound is returned by EndSession if the account has no such session.
	ErrSessionNotFound = session.ErrNoSession
	// ErrDeviceNotFound is returned by ForgetDevice if the account does not trust the device.
	ErrDeviceNotFound = device.ErrNoDevice
	// ErrMethodNotFound is returned by RemoveMethod and ResetMethods if there is nothing to remove.
	ErrMethodNotFound = enroll.ErrNoFactor
	// ErrAccountQuery is returned by ListAccounts if a field of the query has a value that it cannot have.
	ErrAccountQuery = directory.ErrQuery

	errInvitedPassword = errors.New("twostep: invite: the invited person chooses the password")
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
	Groups     []string
}

func (a AccountParams) newAccount(language string) account.NewAccount {
	return account.NewAccount{
		Email: a.Email, Name: a.Name, GivenName: a.GivenName, FamilyName: a.FamilyName, Password: a.Password,
		Operator: a.Operator, Role: a.Role, Groups: a.Groups, Language: language,
	}
}

// Roles of accounts on the operators' pages (/admin).
const (
	RoleOperator = account.RoleOperator // everything
	RoleHelpdesk = account.RoleHelpdesk // finds and helps people without a role
	RoleAuditor  = account.RoleAuditor  // reads and exports
)

// CreateAccount creates an account with a password that you choose. For people use Invite, so that nobody else knows
// their password. CreateAccount returns ErrAccountExists if the address has an account, or an error that says what is
// wrong with the address, the name or the password.
func (s *Server) CreateAccount(ctx context.Context, a AccountParams) error {
	return s.services.Accounts.Create(ctx, a.newAccount(""))
}

// Invite creates an invitation and returns its link, which works once and for 7 days. On that page the invited person
// chooses a password. An earlier invitation of the address stops working. Treat the link as a secret: it gives the account to anyone who opens it. Invite returns
// ErrAccountExists if the address has an account.
func (s *Server) Invite(ctx context.Context, email, name string, operator bool) (link string, err error) {
	return s.InvitePerson(ctx, AccountParams{Email: email, Name: name, Operator: operator})
}

// InvitePerson is Invite with all names of a person. The password of a must be empty.
func (s *Server) InvitePerson(ctx context.Context, a AccountParams) (link string, err error) {
	return s.InvitePersonBy(ctx, By{}, a)
}

// InvitePersonBy is InvitePerson with the operator who invites.
func (s *Server) InvitePersonBy(ctx context.Context, by By, a AccountParams) (link string, err error) {
	if a.Password != "" {
		return "", errInvitedPassword
	}
	token, err := s.services.Accounts.Invite(ctx, s.by(by), a.newAccount(by.Language))
	if err != nil {
		return "", err
	}
	return s.services.Accounts.Settings.PublicURL + "/join#" + token, nil
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
