package twostep

import (
	"context"

	"twostep.example/twostep/internal/account"
)

// ErrExists says that the address has an account.
var ErrExists = account.ErrExists

// NewAccount is an account to be.
type NewAccount struct {
	Email    string
	Name     string
	Password string
	Operator bool
}

// AddAccount adds an account whose password is known. For people, Invite is better:
// nobody but them ever sees their password. ErrExists.
func (s *Server) AddAccount(ctx context.Context, a NewAccount) error {
	return s.services.Accounts.Create(ctx, account.NewAccount(a))
}

// Invite makes an invitation and returns the link on which the invited person chooses
// a password; it works once, for seven days. ErrExists.
func (s *Server) Invite(ctx context.Context, email, name string, operator bool) (link string, err error) {
	token, err := s.services.Accounts.Invite(ctx, email, name, operator)
	if err != nil {
		return "", err
	}
	return s.services.Accounts.Settings.PublicURL + "/join#" + token, nil
}

// ErrUnknown says that the address has no account.
var ErrUnknown = account.ErrUnknown

// Disable shuts an account, or opens it again if on is false: whoever is in is out at once,
// and no browser is trusted any more. ErrUnknown.
func (s *Server) Disable(ctx context.Context, email string, on bool) error {
	return s.services.Accounts.Disable(ctx, email, on)
}

// SetGroups replaces the groups of an account, by which apps decide who may use them. They
// count from the next request to a host on, and at the next refresh of an app. ErrUnknown, or what is wrong with a name.
func (s *Server) SetGroups(ctx context.Context, email string, groups []string) error {
	return s.services.Accounts.SetGroups(ctx, email, groups)
}

// Distrust ends trust in all browsers of an account. ErrUnknown.
func (s *Server) Distrust(ctx context.Context, email string) error {
	return s.services.Accounts.ForgetDevices(ctx, email)
}

// ForgetGuesses lets what strangers have guessed on the whole site count no more: a browser that is
// new to its account needs no longer code because of it. What was guessed at each account stays.
func (s *Server) ForgetGuesses(ctx context.Context) error {
	return s.services.Budgets.ResetSiteAlarm(ctx)
}

// Restored makes everything void that was let in, sent or trusted before now. Call it after
// the database was brought back from a backup.
func (s *Server) Restored(ctx context.Context) error { return s.services.SignIns.InvalidateAll(ctx) }
