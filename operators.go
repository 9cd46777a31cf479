package twostep

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/directory"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/seal"
)

// By is the operator who makes a change. Each change is recorded as an event, and the person gets an email that says
// what was changed, when and by whom.
type By struct {
	// Account is the ID of the operator's account, for the events; "": Options.Operator.
	Account string
	// Name is how emails name the operator; "": Options.Operator or Account.
	Name string
	// Language is the language of the emails, a BCP 47 tag; "": English.
	Language string
	// Force allows to disable or delete the last active operator, and to take the role from them.
	Force bool
}

func (s *Server) by(by By) account.By {
	b := s.services.Accounts.OperatorBy(by.Language)
	if b.Name = by.Name; by.Account != "" {
		b.Actor = audit.Actor{Type: audit.TypeOperator, ID: by.Account}
	}
	b.From = origin.Origin{Language: by.Language}
	return b
}

// In the methods below, who is the email address or the ID of an account. They return ErrAccountNotFound if there is no
// such account.

type (
	// AccountQuery selects accounts for Server.ListAccounts.
	AccountQuery = directory.Query
	// AccountState is the state of an account: "active", "disabled" or "frozen". With "invited", a list has the people who
	// were invited and have not joined yet; they have no ID.
	AccountState = directory.State
	// AccountMethods restricts a list by what accounts have set up: "email", or "other" for something beside email.
	AccountMethods = directory.Methods
	// AccountSort is the order of a list: "email", "created" or "last-sign-in".
	AccountSort = directory.Sort
	// AccountPage is a part of a list of accounts.
	AccountPage = directory.Page
	// AccountEntry is an account in a list.
	AccountEntry = directory.Entry
	// AccountDetails is an account with what an operator needs to help its owner.
	AccountDetails = directory.Details
	// AccountExport is all data of a person that is stored and can be read.
	AccountExport = directory.Export
	// Invitation is an invitation as operators see it.
	Invitation = account.Invitation
	// InvitationErrors says who cannot be invited, by the index in the list.
	InvitationErrors = account.InvitationErrors
	// AccountNames are the names of a person.
	AccountNames = account.Names
)

// ListAccounts lists the accounts that q selects. It returns an error that wraps ErrAccountQuery if a field of q has a
// value that it cannot have.
func (s *Server) ListAccounts(ctx context.Context, q AccountQuery) (AccountPage, error) {
	return s.directory.List(ctx, q)
}

// ShowAccount returns what an operator needs to help the owner of an account, without any secret.
func (s *Server) ShowAccount(ctx context.Context, who string) (AccountDetails, error) {
	return s.directory.Describe(ctx, who)
}

// ExportAccount returns all data of a person, for example because they ask for it, without any secret, and records that
// it was exported.
func (s *Server) ExportAccount(ctx context.Context, by By, who string) (AccountExport, error) {
	return s.directory.Export(ctx, s.by(by), who)
}

// Disable ends all sessions, tokens and trusted devices of an account. Nobody can sign in to it until Enable. Disable
// returns ErrAccountDisabled if the account is disabled already, and ErrLastOperator.
func (s *Server) Disable(ctx context.Context, by By, who string) error {
	return s.services.Accounts.Disable(ctx, s.by(by), who, by.Force)
}

// Enable allows sign-ins to a disabled account again. It restores no sessions and no trusted devices, so the next
// sign-in needs both steps. Enable returns ErrAccountEnabled if the account is not disabled.
func (s *Server) Enable(ctx context.Context, by By, who string) error {
	return s.services.Accounts.Enable(ctx, s.by(by), who)
}

// DeleteAccount deletes an account with everything that describes the person. docs/reference/data.md says what stays. It
// returns ErrLastOperator.
func (s *Server) DeleteAccount(ctx context.Context, by By, who string) error {
	return s.services.Accounts.Delete(ctx, s.by(by), who, by.Force)
}

// RenameAccount replaces the names of a person. It returns an error that says which name is not valid.
func (s *Server) RenameAccount(ctx context.Context, by By, who string, names AccountNames) error {
	return s.services.Accounts.Rename(ctx, s.by(by), who, names)
}

// SetGroups replaces the groups of an account, which decide which apps the person may use. A group is any printable
// text of up to 128 characters without a comma. The change takes effect with the next request to a host behind a proxy,
// and when an app next refreshes its tokens. SetGroups returns an error that names the invalid group.
func (s *Server) SetGroups(ctx context.Context, by By, who string, groups []string) error {
	return s.services.Accounts.SetGroups(ctx, s.by(by), who, nil, groups)
}

// SetRole replaces the role of an account on the operators' pages: RoleOperator and so on; "" removes it. It takes effect
// with the next request. SetRole returns ErrLastOperator, or an error if the role is unknown.
func (s *Server) SetRole(ctx context.Context, by By, who, role string) error {
	return s.services.Accounts.ChangeRole(ctx, s.by(by), who, nil, role, by.Force)
}

// SendPasswordReset sends the person a link to choose a new password. It returns ErrAccountDisabled or ErrAccountFrozen.
func (s *Server) SendPasswordReset(ctx context.Context, by By, who string) error {
	return s.services.Accounts.SendPasswordReset(ctx, s.by(by), who)
}

// EndSession ends one session of an account. It returns ErrSessionNotFound if the account has no such session.
func (s *Server) EndSession(ctx context.Context, by By, who, session string) error {
	return s.services.Sessions.EndBy(ctx, s.by(by), who, session)
}

// EndSessions ends all sessions of an account, and trust in all of its devices.
func (s *Server) EndSessions(ctx context.Context, by By, who string) error {
	return s.services.Sessions.EndAllBy(ctx, s.by(by), who)
}

// ForgetDevice ends trust in one device of an account, so the next sign-in on it needs both steps. Sessions continue. It
// returns ErrDeviceNotFound if the account does not trust the device.
func (s *Server) ForgetDevice(ctx context.Context, by By, who, device string) error {
	return s.services.Devices.ForgetBy(ctx, s.by(by), who, device)
}

// RevokeTrust ends trust in all devices of an account, so the next sign-in on each needs both steps. Sessions continue.
func (s *Server) RevokeTrust(ctx context.Context, by By, who string) error {
	return s.services.Devices.ForgetAllBy(ctx, s.by(by), who)
}

// RemoveMethod removes a verification method of an account and ends its sessions and trusted devices. The email to the
// person has a link that undoes it. RemoveMethod returns ErrMethodNotFound and ErrAccountFrozen.
func (s *Server) RemoveMethod(ctx context.Context, by By, who, method string) error {
	return s.services.Enrollments.RemoveBy(ctx, s.by(by), who, method)
}

// ResetMethods removes all verification methods of an account, so that codes by email work again, and ends its sessions
// and trusted devices. It returns ErrMethodNotFound if there is none, and ErrAccountFrozen.
func (s *Server) ResetMethods(ctx context.Context, by By, who string) error {
	return s.services.Enrollments.ResetBy(ctx, s.by(by), who)
}

// ProposeEmail sends a link to a new email address of an account. The address changes when somebody opens the link and
// confirms. It returns ErrAccountExists if the address has an account, ErrAccountDisabled and ErrAccountFrozen.
func (s *Server) ProposeEmail(ctx context.Context, by By, who, email string) error {
	return s.services.Enrollments.ProposeEmail(ctx, s.by(by), who, email)
}

// EndFreeze ends the freeze of an account and keeps the change that somebody wanted to undo. Make sure first that you
// talk to the owner. It returns ErrAccountNotFrozen.
func (s *Server) EndFreeze(ctx context.Context, by By, who string) error {
	return s.services.Enrollments.EndFreeze(ctx, s.by(by), who)
}

// SendInvitations sends each of the people a link to choose a password. It invites all of them or nobody: it returns
// InvitationErrors if somebody cannot be invited. The passwords must be empty.
func (s *Server) SendInvitations(ctx context.Context, by By, people []AccountParams) error {
	list, err := invited(by, people)
	if err != nil {
		return err
	}
	return s.services.Accounts.SendInvitations(ctx, s.by(by), list)
}

// CheckInvitations returns InvitationErrors if somebody cannot be invited. It sends nothing.
func (s *Server) CheckInvitations(ctx context.Context, people []AccountParams) error {
	list, err := invited(By{}, people)
	if err != nil {
		return err
	}
	return s.services.Accounts.CheckInvitations(ctx, s.by(By{}), list)
}

func invited(by By, people []AccountParams) (list []account.NewAccount, err error) {
	for _, p := range people {
		if p.Password != "" {
			return nil, errInvitedPassword
		}
		list = append(list, p.newAccount(by.Language))
	}
	return list, nil
}

// ListInvitations lists up to limit invitations, newest first, after the last one of the previous page (nil: from the
// start). Those that were used or have expired are in the list for another day.
func (s *Server) ListInvitations(ctx context.Context, after *Invitation, limit int) ([]Invitation, error) {
	var at account.InvitationCursor
	if after != nil {
		at = after.Cursor()
	}
	return s.services.Accounts.ListInvitations(ctx, at, limit)
}

// ResendInvitation sends a new link to an invited address; the old one stops working. It returns ErrNoInvitation, and
// ErrAccountExists if the address has an account.
func (s *Server) ResendInvitation(ctx context.Context, by By, email string) error {
	return s.services.Accounts.ResendInvitation(ctx, s.by(by), email)
}

// RevokeInvitation ends the invitation of an address. It returns ErrNoInvitation.
func (s *Server) RevokeInvitation(ctx context.Context, by By, email string) error {
	return s.services.Accounts.RevokeInvitation(ctx, s.by(by), email)
}

// SendTest sends a short text to an email address or a phone number at once, with the mail server or the gateways of the
// options, so that an operator sees whether it works. It returns an error if the options have none for the channel, and
// the error of the sender.
func (s *Server) SendTest(ctx context.Context, channel delivery.Channel, to string) error {
	send := s.options.Senders[channel]
	if send == nil {
		return fmt.Errorf("twostep: test: there is no sender for %s", channel)
	}
	text := s.options.Site + ": test message, " + s.now().In(s.options.Location).Format(time.RFC1123Z)
	m := delivery.Message{ID: rand.Text(), Channel: channel, To: to, Subject: text, Text: text + "\n", Language: "en"}
	return send(ctx, m)
}

// Now returns the time by the clock of the server.
func (s *Server) Now() time.Time { return s.now() }

// ServerIsRunning reports whether another process serves people with the database, and sends the emails of the outbox.
// known is false for PostgreSQL, where it cannot tell.
func (s *Server) ServerIsRunning() (running, known bool) { return s.store.IsServed() }

// AddKey puts a new key in front of a key file (Options.KeyFile). A Server that opens it afterwards encrypts with the new
// key, and decrypts with all of them. AddKey replaces the file; the new one belongs to the user of the process.
func AddKey(keyFile string) error { return seal.AddKey(keyFile) }
