// Package account manages accounts, their passwords, the links that are sent by email, and the notifications of account
// holders. It does not use attempts or sessions: a change that must end them raises the epoch of the account, which
// they carry.
package account

import (
	"cmp"
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

// Accounts is the account service.
type Accounts struct {
	Store     *store.DB
	Keys      *seal.KeyRing
	Passwords *seal.PasswordHasher
	Limits    *ratelimit.Limiter
	Now       func() time.Time
	Log       *slog.Logger
	Settings  Settings
	// Enqueue adds a message to the outbox in the transaction tx. It is not sent after until.
	Enqueue func(ctx context.Context, tx *store.DB, m delivery.Message, until time.Time) error
	// NotifyOutbox tells the outbox that a transaction with a message was committed.
	NotifyOutbox func()
	// Operator is the actor of the events of Create, Invite, Disable and other operator functions. Zero: the
	// embedding program.
	Operator audit.Actor
	Events   *audit.Log // nil: a new Log for each event, which does not remember exceeded limits
}

// Settings are the settings of the site.
type Settings struct {
	Site      string         // the name that people see
	PublicURL string         // the start of every link, without a slash at the end
	SignUp    string         // "open", "invited" or "closed"
	Location  *time.Location // the time zone of the times in emails
	Local     bool           // messages stay in the inbox of this machine
}

// validateName trims the name of a person. It returns ErrName unless the name has 1 to 64 printable characters.
func validateName(typed string) (string, error) {
	name := strings.Join(strings.Fields(typed), " ")
	n := utf8.RuneCountInString(name)
	hidden := strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
	if n == 0 || n > 64 || hidden || !utf8.ValidString(name) {
		return "", ErrName
	}
	return name, nil
}

// Names are the names of a person.
type Names = store.Names

// validateNames trims the names of a person. It returns ErrName, ErrGivenName or ErrFamilyName if one is not valid.
// Only Name is required.
func validateNames(n store.Names) (valid store.Names, err error) {
	if valid.Name, err = validateName(n.Name); err != nil {
		return n, err
	}
	return validateParts(valid, n)
}

// validateParts sets the trimmed given and family name of n in valid.
func validateParts(valid, n store.Names) (store.Names, error) {
	for _, part := range []struct {
		to    *string
		typed string
		err   error
	}{{&valid.GivenName, n.GivenName, ErrGivenName}, {&valid.FamilyName, n.FamilyName, ErrFamilyName}} {
		if strings.TrimSpace(part.typed) == "" {
			continue
		}
		var err error
		if *part.to, err = validateName(part.typed); err != nil {
			return n, part.err
		}
	}
	return valid, nil
}

// ChangeNames changes the names of a person. Apps see them in the next token and at the next request. The old names are
// not recorded. It returns ErrName, ErrGivenName or ErrFamilyName, or a *ratelimit.LimitedError after too many changes.
func (a *Accounts) ChangeNames(ctx context.Context, account store.AccountRef, n store.Names, from origin.Origin) error {
	n, err := validateNames(n)
	if err != nil {
		return err
	}
	err = a.Store.Tx(ctx, func(tx *store.DB) error {
		quota := ratelimit.PerHour("name_changes_account", account.ID, ratelimit.NameChangesPerHour)
		if err := a.Limits.Spend(ctx, tx, quota); err != nil {
			return err
		}
		if err := tx.SetNames(ctx, account.ID, n, a.Now()); err != nil {
			return err
		}
		return a.Event(ctx, tx, audit.Event{Kind: audit.NameChanged, Account: account.ID}, from)
	})
	if err != nil {
		return fmt.Errorf("account: change names: %w", err)
	}
	return nil
}

// NewAccount describes an account to create.
type NewAccount struct {
	Email      string
	Name       string
	GivenName  string // "": not known
	FamilyName string // "": not known
	Password   string // "" for Invite
	Operator   bool   // Role is operator
	Role       string // see ValidateRole
	Groups     []string
	Language   string // of the mail with the invitation, a BCP 47 tag; "": English
}

// role returns the role of the new account.
func (n NewAccount) role() string {
	if n.Operator {
		return store.RoleOperator
	}
	return n.Role
}

func (n NewAccount) names() store.Names {
	return store.Names{Name: n.Name, GivenName: n.GivenName, FamilyName: n.FamilyName}
}

// Create creates an account with the given password. It returns ErrEmail, ErrName, ErrGivenName, ErrFamilyName,
// ErrRole, ErrExists, an error of ValidateGroup, or an error of seal.CheckNewPassword.
func (a *Accounts) Create(ctx context.Context, n NewAccount) error {
	row, err := a.newRow(ctx, n)
	if err != nil {
		return err
	}
	e := audit.Event{
		Kind: audit.AccountCreated, Actor: a.OperatorActor(), Account: row.ID, Reason: rights(row.Role, row.Groups),
	}
	return a.create(ctx, a.Store, row, e, origin.Origin{})
}

// newRow validates a new account and hashes its password.
func (a *Accounts) newRow(ctx context.Context, n NewAccount) (store.Account, error) {
	email, err := a.ParseNewEmail(n.Email)
	if err != nil {
		return store.Account{}, err
	}
	names, err := validateNames(n.names())
	err = cmp.Or(err, ValidateRole(n.role()))
	if err != nil {
		return store.Account{}, err
	}
	row := store.Account{
		ID: rand.Text(), Email: email, Name: names.Name, GivenName: names.GivenName, FamilyName: names.FamilyName,
		Role: n.role(), Epoch: 1, CreatedAt: a.Now(), ProfileChangedAt: a.Now(),
	}
	if row.Groups, err = joinGroups(n.Groups); err != nil {
		return store.Account{}, err
	}
	row.PasswordHash, err = a.HashPassword(ctx, row, n.Password)
	return row, err
}

// create inserts an account and records e. It returns ErrExists if the address has an account.
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

// SignUpOpen reports whether anybody may create an account.
func (a *Accounts) SignUpOpen() bool { return a.Settings.SignUp == "open" }

// SignUp sends an email with a link to create an account; linkQuery is its query, with the ? before it. If the address
// has an account the email says so instead; the caller cannot tell the difference (ASVS 6.3.8). It returns
// ErrSignUpClosed, ErrEmail or ErrName, or an error that wraps ratelimit.ErrLimited if the network requests too many
// links.
func (a *Accounts) SignUp(ctx context.Context, email, name, linkQuery string, from origin.Origin) error {
	if !a.SignUpOpen() {
		return ErrSignUpClosed
	}
	email, err := a.ParseNewEmail(email)
	if err != nil {
		return err
	}
	if name, err = validateName(name); err != nil {
		return err
	}
	l := store.EmailLink{Purpose: store.LinkSignUp, Email: email, Names: store.Names{Name: name}}
	e := audit.Event{Kind: audit.SignUpRequested, Actor: audit.Anonymous(), Target: a.unknownName(email)}
	template := signUpMail
	switch account, err := a.Store.FindAccountByEmail(ctx, email); {
	case err == nil:
		l.Purpose, template = store.LinkAccountExists, existsMail
		e.Account, e.Target = account.ID, ""
	case !errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("account: sign up: %w", err)
	}
	return a.sendLink(ctx, linkMail{link: l, query: linkQuery, template: template, event: e}, from)
}

// Join creates the account of an invitation or a sign-up. If name is "" the account has the name of the link. Join does
// not sign in. It returns ErrLink, ErrName, or an error of seal.CheckNewPassword.
func (a *Accounts) Join(ctx context.Context, token, name, password string, from origin.Origin) error {
	l, err := a.findLink(ctx, token, store.LinkInvite, store.LinkSignUp)
	if err != nil {
		return err
	}
	if strings.TrimSpace(name) == "" {
		name = l.Name
	}
	row, err := a.newRow(ctx, NewAccount{
		Email: l.Email, Name: name, GivenName: l.GivenName, FamilyName: l.FamilyName, Password: password,
		Role: l.Role, Groups: SplitGroups(l.Groups),
	})
	if err != nil {
		return err
	}
	err = a.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.UseEmailLink(ctx, l.TokenHash, a.Now()); err != nil {
			return err
		}
		e := audit.Event{Kind: audit.AccountCreated, Account: row.ID, Target: LinkTarget(l), Reason: rights(l.Role, l.Groups)}
		return a.create(ctx, tx, row, e, from)
	})
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, ErrExists) {
		return ErrLink
	}
	return err
}
