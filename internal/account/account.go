// Package account is the accounts: addresses, passwords, mailed links, and what an owner is notified of.
// It knows no attempt and no session: a change that ends them raises the account's epoch, which they
// carry.
package account

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store"
)

// Accounts are all accounts.
type Accounts struct {
	Store                *store.DB
	Keys                 *seal.KeyRing
	Passwords            *seal.PasswordHasher
	KnownDevicePasswords *seal.PasswordHasher // for browsers that the account knows; nil: Passwords
	Limits               *ratelimit.Limiter
	Now                  func() time.Time
	Log                  *slog.Logger
	Settings             Settings
	// Put adds a message to the outbox within a transaction, to be sent until then.
	Enqueue func(ctx context.Context, tx *store.DB, m delivery.Message, until time.Time) error
	// Wake tells the outbox that such a transaction was committed.
	NotifyOutbox func()
	// Operator is the actor of the events of Create, Disable and so on. Zero: a program.
	Operator audit.Actor
	Events   *audit.Log // nil: one that remembers nothing
}

// Settings are the owner's choices.
type Settings struct {
	Site      string         // the name people see
	PublicURL string         // every link starts with it; no slash at the end
	SignUp    string         // "open", "invited" or "closed"
	Location  *time.Location // the zone in which mails tell the time
}

// validateName checks the name of a person: 1 to 64 characters that can be seen. ErrName.
func validateName(typed string) (string, error) {
	name := strings.Join(strings.Fields(typed), " ")
	n := utf8.RuneCountInString(name)
	hidden := strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
	if n == 0 || n > 64 || hidden || !utf8.ValidString(name) {
		return "", ErrName
	}
	return name, nil
}

// NewAccount is a login to be.
type NewAccount struct {
	Email    string
	Name     string
	Password string
	Operator bool
}

// Create adds an account with a password that is known beforehand.
// ErrEmail, ErrName, ErrExists, seal.Err….
func (a *Accounts) Create(ctx context.Context, n NewAccount) error {
	row, err := a.newRow(ctx, n)
	if err != nil {
		return err
	}
	e := audit.Event{Kind: audit.AccountCreated, Actor: a.OperatorActor(), Account: row.ID}
	return a.create(ctx, a.Store, row, e, origin.Origin{})
}

// newRow checks everything about a new account and hashes its password.
func (a *Accounts) newRow(ctx context.Context, n NewAccount) (store.Account, error) {
	email, err := ParseEmail(n.Email)
	if err != nil {
		return store.Account{}, err
	}
	name, err := validateName(n.Name)
	if err != nil {
		return store.Account{}, err
	}
	row := store.Account{
		ID: rand.Text(), Email: email, Name: name, Operator: n.Operator, Epoch: 1, CreatedAt: a.Now(),
	}
	row.PasswordHash, err = a.HashPassword(ctx, row, n.Password)
	return row, err
}

// create adds an account, and records e about it. ErrExists.
func (a *Accounts) create(ctx context.Context, db *store.DB, row store.Account, e audit.Event,
	from origin.Origin) error {
	err := db.Tx(ctx, func(tx *store.DB) error {
		if err := tx.CreateAccount(ctx, row); err != nil {
			return err
		}
		return a.Event(ctx, tx, e, from)
	})
	if errors.Is(err, store.ErrConflict) {
		return ErrExists
	}
	return err
}

// Invite makes an invitation for an address without an account and returns its
// token. Only an operator may call it. ErrEmail, ErrName, ErrExists.
func (a *Accounts) Invite(ctx context.Context, email, name string, operator bool) (token string, err error) {
	if email, err = ParseEmail(email); err != nil {
		return "", err
	}
	if name != "" {
		if name, err = validateName(name); err != nil {
			return "", err
		}
	}
	switch _, err := a.Store.FindAccountByEmail(ctx, email); {
	case err == nil:
		return "", ErrExists
	case !errors.Is(err, store.ErrNotFound):
		return "", fmt.Errorf("account: invite: %w", err)
	}
	now := a.Now()
	token = seal.NewLinkToken()
	l := store.EmailLink{
		TokenHash: seal.HashToken(token), Purpose: store.LinkInvite, Email: email, Name: name, Operator: operator,
		CreatedAt: now, ExpiresAt: now.Add(inviteTTL),
	}
	return token, a.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.CreateEmailLink(ctx, l); err != nil {
			return err
		}
		e := audit.Event{Kind: audit.AccountInvited, Actor: a.OperatorActor(), Target: linkTarget(l)}
		return a.Event(ctx, tx, e, origin.Origin{})
	})
}

// SignUpOpen says whether anybody may make an account.
func (a *Accounts) SignUpOpen() bool { return a.Settings.SignUp == "open" }

// SignUp sends a mail with a link to somebody who wants an account, or one that says
// that there is one already; what the caller sees is the same. ErrSignUpClosed,
// ErrEmail, ErrName, *WaitError.
func (a *Accounts) SignUp(ctx context.Context, email, name string, from origin.Origin) error {
	if !a.SignUpOpen() {
		return ErrSignUpClosed
	}
	email, err := ParseEmail(email)
	if err != nil {
		return err
	}
	if name, err = validateName(name); err != nil {
		return err
	}
	l := store.EmailLink{Purpose: store.LinkSignUp, Email: email, Name: name}
	e := audit.Event{Kind: audit.SignUpRequested, Actor: audit.Anonymous(), Target: a.unknownName(email)}
	words := signUpMail
	switch account, err := a.Store.FindAccountByEmail(ctx, email); {
	case err == nil:
		l.Purpose, words = store.LinkAccountExists, existsMail
		e.Account, e.Target = account.ID, ""
	case !errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("account: sign up: %w", err)
	}
	return a.sendLink(ctx, linkMail{l, words, e}, from)
}

// Join makes the account of an invitation or a sign-up; name may be "" to keep the
// one that stands in it. It does not sign in. ErrLink, ErrName, seal.Err….
func (a *Accounts) Join(ctx context.Context, token, name, password string, from origin.Origin) error {
	l, err := a.findLink(ctx, token, store.LinkInvite, store.LinkSignUp)
	if err != nil {
		return err
	}
	if strings.TrimSpace(name) == "" {
		name = l.Name
	}
	row, err := a.newRow(ctx, NewAccount{Email: l.Email, Name: name, Password: password, Operator: l.Operator})
	if err != nil {
		return err
	}
	err = a.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.UseEmailLink(ctx, l.TokenHash, a.Now()); err != nil {
			return err
		}
		e := audit.Event{Kind: audit.AccountCreated, Account: row.ID, Target: linkTarget(l)}
		return a.create(ctx, tx, row, e, from)
	})
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, ErrExists) {
		return ErrLink
	}
	return err
}
