package twostep

import (
	"context"

	"twostep.example/twostep/internal/account"
)

var (
	// ErrAccountExists says that there is an account with this address already.
	ErrAccountExists = account.ErrExists
	// ErrAccountNotFound says that there is no account with this address, or no decision with this trace.
	ErrAccountNotFound = account.ErrUnknown
)

// AccountParams describes an account for Server.CreateAccount.
type AccountParams struct {
	Email    string // the address people sign in with
	Name     string // what pages and mails call the person
	Password string // at least 8 characters; common passwords are refused
	Operator bool   // runs this server
}

// CreateAccount creates an account whose password is known. For people, Invite is better: nobody but them ever sees
// their password. CreateAccount returns ErrAccountExists if the address has an account, or an error that says what is
// wrong with the address, the name or the password.
func (s *Server) CreateAccount(ctx context.Context, a AccountParams) error {
	return s.services.Accounts.Create(ctx, account.NewAccount(a))
}

// Invite creates an invitation and returns a link. On its page the invited person chooses a password. The link works
// once, for seven days. Invite returns ErrAccountExists if the address has an account.
func (s *Server) Invite(ctx context.Context, email, name string, operator bool) (link string, err error) {
	token, err := s.services.Accounts.Invite(ctx, email, name, operator)
	if err != nil {
		return "", err
	}
	return s.services.Accounts.Settings.PublicURL + "/join#" + token, nil
}

// Disable ends all sessions, tokens and trusted devices of an account, and lets nobody sign in to it until Enable.
// Disable returns ErrAccountNotFound if there is no such account.
func (s *Server) Disable(ctx context.Context, email string) error {
	return s.services.Accounts.Disable(ctx, email)
}

// Enable lets people sign in to a disabled account again. What Disable ended stays ended: the next sign-in needs both
// steps. Enable returns ErrAccountNotFound if there is no such account.
func (s *Server) Enable(ctx context.Context, email string) error {
	return s.services.Accounts.Enable(ctx, email)
}

// SetGroups replaces the groups of an account, by which apps decide who may use them. A group is 1 to 32 lower-case
// letters, digits, dots, dashes and underscores. The change counts from the next request to a host behind a proxy and
// from the next refresh of an app's tokens. SetGroups returns ErrAccountNotFound if there is no such account, or an
// error that names a wrong group.
func (s *Server) SetGroups(ctx context.Context, email string, groups []string) error {
	return s.services.Accounts.SetGroups(ctx, email, groups)
}

// RevokeTrust ends trust in all devices of an account: the next sign-in on each needs both steps. Sessions go on.
// RevokeTrust returns ErrAccountNotFound if there is no such account.
func (s *Server) RevokeTrust(ctx context.Context, email string) error {
	return s.services.Accounts.ForgetDevices(ctx, email)
}

// ResetSiteGuesses resets the site-wide guessing alarm: new browsers no longer need a longer code because of wrong
// codes on the whole site. The wrong codes of each account still count for that account.
func (s *Server) ResetSiteGuesses(ctx context.Context) error {
	return s.services.Budgets.ResetSiteAlarm(ctx)
}

// InvalidateAfterRestore ends every session, token, link, code and trusted device of before now. Call it after the
// database was restored from a backup, because what has been ended since the backup would be valid again.
func (s *Server) InvalidateAfterRestore(ctx context.Context) error {
	return s.services.SignIns.InvalidateAll(ctx)
}
