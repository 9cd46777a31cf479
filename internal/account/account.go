package signin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"twostep/internal/seal"
	"twostep/internal/store"
)

// maxEmail is the longest address that SMTP carries (RFC 5321, 4.5.3.1.3, without the brackets).
const maxEmail = 254

// ParseEmail returns the one canonical form of an address: a plain local part in
// ASCII, lower case, and the domain in its ASCII form. Two addresses that reach the
// same mailbox in practice are the same account; nothing else is folded together, so
// that no look-alike letter of another script leads to somebody else. ErrEmail.
func ParseEmail(typed string) (string, error) {
	typed = strings.TrimSpace(typed)
	local, domain, ok := strings.Cut(typed, "@")
	if !ok || len(typed) > maxEmail || len(local) > 64 || !dotAtom(local) {
		return "", ErrEmail
	}
	// Only ASCII is lowered by us; the Kelvin sign and its like are for IDNA to judge.
	domain, err := idna.Lookup.ToASCII(domain)
	if err != nil || !hostName(domain) {
		return "", ErrEmail
	}
	email := lowerASCII(local) + "@" + domain
	if len(email) > maxEmail {
		return "", ErrEmail
	}
	return email, nil
}

// dotAtom reports whether s is one (RFC 5322, 3.2.3), in ASCII.
func dotAtom(s string) bool {
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" {
			return false
		}
		for _, r := range atom {
			if !alphanumeric(r) && !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r) {
				return false
			}
		}
	}
	return true
}

// hostName reports whether s is a name of at least two labels, the last not a number.
func hostName(s string) bool {
	labels := strings.Split(s, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' || strings.ContainsFunc(l, func(r rune) bool { return !alphanumeric(r) && r != '-' }) {
			return false
		}
	}
	last := labels[len(labels)-1]
	return len(labels) > 1 && strings.ContainsFunc(last, func(r rune) bool { return r < '0' || r > '9' })
}

func alphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// parseName checks the name of a person: 1 to 64 characters that can be seen. ErrName.
func parseName(typed string) (string, error) {
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

// AddAccount adds an account with a password that is known beforehand.
// ErrEmail, ErrName, ErrExists, seal.Err….
func (e *Engine) AddAccount(ctx context.Context, n NewAccount) error {
	row, err := e.drawUp(ctx, n)
	if err != nil {
		return err
	}
	return e.add(ctx, e.Store, row, From{})
}

// drawUp checks everything about a new account and hashes its password.
func (e *Engine) drawUp(ctx context.Context, n NewAccount) (store.Account, error) {
	email, err := ParseEmail(n.Email)
	if err != nil {
		return store.Account{}, err
	}
	name, err := parseName(n.Name)
	if err != nil {
		return store.Account{}, err
	}
	row := store.Account{
		ID: newID(), Email: email, Name: name, Operator: n.Operator, Epoch: 1, CreatedAt: store.Millis(e.Now()),
	}
	row.Password, err = e.sealPassword(ctx, row, n.Password)
	return row, err
}

func (e *Engine) add(ctx context.Context, db *store.DB, row store.Account, from From) error {
	err := db.Tx(ctx, func(tx *store.DB) error {
		if err := tx.AddAccount(ctx, row); err != nil {
			return err
		}
		return e.event(ctx, tx, store.Event{Kind: accountAdded, Account: row.ID}, from)
	})
	if errors.Is(err, store.ErrConflict) {
		return ErrExists
	}
	return err
}

// Invite makes an invitation for an address without an account and returns its
// token. Only an operator may call it. ErrEmail, ErrName, ErrExists.
func (e *Engine) Invite(ctx context.Context, email, name string, operator bool) (token string, err error) {
	if email, err = ParseEmail(email); err != nil {
		return "", err
	}
	if name != "" {
		if name, err = parseName(name); err != nil {
			return "", err
		}
	}
	switch _, err := e.Store.AccountByEmail(ctx, email); {
	case err == nil:
		return "", ErrExists
	case !errors.Is(err, store.ErrNotFound):
		return "", fmt.Errorf("signin: invite: %w", err)
	}
	now := e.Now()
	token = seal.LinkToken()
	return token, e.Store.AddLink(ctx, store.Link{
		Token: seal.Hash(token), Purpose: store.Invite, Email: email, Name: name, Operator: operator,
		MadeAt: store.Millis(now), EndsAt: store.Millis(now.Add(inviteLife)),
	})
}

// SignUpOpen says whether anybody may make an account.
func (e *Engine) SignUpOpen() bool { return e.Settings.SignUp == "open" }

// SignUp sends a mail with a link to somebody who wants an account, or one that says
// that there is one already; what the caller sees is the same. ErrSignUpClosed,
// ErrEmail, ErrName, *WaitError.
func (e *Engine) SignUp(ctx context.Context, email, name string, from From) error {
	if !e.SignUpOpen() {
		return ErrSignUpClosed
	}
	email, err := ParseEmail(email)
	if err != nil {
		return err
	}
	if name, err = parseName(name); err != nil {
		return err
	}
	l := store.Link{Purpose: store.SignUp, Email: email, Name: name}
	words := signUpMail
	switch _, err := e.Store.AccountByEmail(ctx, email); {
	case err == nil:
		l.Purpose, words = store.Exists, existsMail
	case !errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("signin: sign up: %w", err)
	}
	return e.mailLink(ctx, l, words, from)
}

// Join makes the account of an invitation or a sign-up; name may be "" to keep the
// one that stands in it. It does not sign in. ErrLink, ErrName, seal.Err….
func (e *Engine) Join(ctx context.Context, token, name, password string, from From) error {
	l, err := e.link(ctx, token, store.Invite, store.SignUp)
	if err != nil {
		return err
	}
	if strings.TrimSpace(name) == "" {
		name = l.Name
	}
	row, err := e.drawUp(ctx, NewAccount{Email: l.Email, Name: name, Password: password, Operator: l.Operator})
	if err != nil {
		return err
	}
	err = e.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.UseLink(ctx, l.Token, store.Millis(e.Now())); err != nil {
			return err
		}
		return e.add(ctx, tx, row, from)
	})
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, ErrExists) {
		return ErrLink
	}
	return err
}
