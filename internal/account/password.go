package account

import (
	"context"
	"errors"
	"fmt"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// CheckPassword finds the account whose password this is. A name that is not known,
// has no password or is disabled costs the same work as one that is, and gets the
// same ErrCredentials. So do those who try too often: *WaitError, and nothing is compared.
func (r *Registry) CheckPassword(ctx context.Context, email, password string, by Guesser) (store.Account, error) {
	var a store.Account
	name := email
	address, err := ParseEmail(email)
	if err == nil {
		name = address
		a, err = r.Store.AccountByEmail(ctx, address)
	}
	if err != nil && !errors.Is(err, ErrEmail) && !errors.Is(err, store.ErrNotFound) {
		return a, fmt.Errorf("account: password: %w", err)
	}
	known := err == nil && a.DisabledAt == 0
	tries := r.tries(name, by)
	failed := audit.Event{Kind: audit.PasswordRejected, Actor: audit.Anonymous(), Account: a.ID, Reason: why(a)}
	if a.ID == "" {
		failed.Target = r.unknownName(name)
	}
	before, err := r.mayTry(ctx, tries, by)
	if errors.Is(err, ErrWait) {
		return store.Account{}, r.Refused(ctx, err, audit.Event{Account: a.ID, Target: failed.Target, Reason: "passwords"}, by.From)
	}
	if err != nil {
		return store.Account{}, err
	}
	same, stale, err := r.samePassword(ctx, r.passwords(by), a, password)
	if err != nil {
		return store.Account{}, err
	}
	if !same || !known {
		if err := r.wrong(ctx, tries, by); err != nil {
			return store.Account{}, err
		}
		if err := r.Failure(ctx, failed, by.From); err != nil {
			return store.Account{}, err
		}
		return store.Account{}, ErrCredentials
	}
	if before > 0 {
		if err := r.Store.Forgive(ctx, tries); err != nil {
			return store.Account{}, fmt.Errorf("account: tries: %w", err)
		}
	}
	if stale {
		return a, r.rehash(ctx, a, password)
	}
	return a, nil
}

// unknownName is how events name what was typed and is no account: the same for the same name, and
// a keyed hash, since people type their password in its place.
func (r *Registry) unknownName(typed string) string {
	return audit.Target("name", r.Keyed("name "+typed))
}

// why says why a password is not good for an account.
func why(a store.Account) string {
	switch {
	case a.ID == "":
		return "unknown account"
	case a.DisabledAt != 0:
		return "account disabled"
	}
	return "wrong password"
}

// SamePassword compares, and says whether the hash is of yesterday's cost. An account
// without a password, or no account at all, does the work and says no.
func (r *Registry) SamePassword(ctx context.Context, a store.Account, password string) (same, stale bool, err error) {
	return r.samePassword(ctx, r.Passwords, a, password)
}

// passwords compute the password of somebody. A flood of strangers keeps nobody waiting in
// a browser that their account knows.
func (r *Registry) passwords(by Guesser) *seal.Passwords {
	if by.Device != "" && r.Known != nil {
		return r.Known
	}
	return r.Passwords
}

func (r *Registry) samePassword(ctx context.Context, p *seal.Passwords, a store.Account, password string) (same, stale bool, err error) {
	var hash string
	if len(a.Password) > 0 {
		plain, err := r.Keys.Open("password "+a.ID, a.Password)
		if err != nil {
			return false, false, fmt.Errorf("account: password of %s: %w", a.ID, err)
		}
		hash = string(plain)
	}
	return p.Same(ctx, hash, password)
}

// rehash brings an old hash up to date.
func (r *Registry) rehash(ctx context.Context, a store.Account, password string) error {
	fresh, err := r.Passwords.Hash(ctx, password)
	if errors.Is(err, seal.ErrBusy) {
		return nil // the next sign-in will do it
	}
	if err == nil {
		err = r.Store.Rehash(ctx, a.ID, a.Password, r.Keys.Seal("password "+a.ID, []byte(fresh)))
	}
	if err != nil {
		return fmt.Errorf("account: rehash: %w", err)
	}
	return nil
}

// SealPassword checks a new password for the account and hashes it. seal.Err….
func (r *Registry) SealPassword(ctx context.Context, a store.Account, password string) ([]byte, error) {
	if err := seal.Acceptable(password, a.Email, a.Name, r.Settings.Site); err != nil {
		return nil, err
	}
	hash, err := r.Passwords.Hash(ctx, password)
	if err != nil {
		return nil, err
	}
	return r.Keys.Seal("password "+a.ID, []byte(hash)), nil
}

// Forgot sends a link to set a new password, if the address has an account; what the
// caller sees, and the work done, is the same if not. ErrEmail, *WaitError.
func (r *Registry) Forgot(ctx context.Context, email string, from From) error {
	address, err := ParseEmail(email)
	if err != nil {
		return err
	}
	a, err := r.Store.AccountByEmail(ctx, address)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("account: forgot: %w", err)
	}
	l := store.Link{Purpose: store.Reset, Email: address, Account: a.ID, Epoch: a.Epoch}
	e := audit.Event{Kind: audit.PasswordResetRequested, Actor: audit.Anonymous(), Account: a.ID}
	if err != nil || a.DisabledAt != 0 {
		e.Result, e.Reason = audit.Failure, why(a)
		if a.ID == "" {
			e.Target = r.unknownName(address)
		}
		return r.mailLink(ctx, linkMail{store.Link{Purpose: store.Decoy, Email: address}, nobody, e}, from)
	}
	return r.mailLink(ctx, linkMail{l, resetMail, e}, from)
}

// Reset sets a new password by a link from Forgot. It ends every session and every
// sign-in, tells the owner, and does not sign in: both steps are still to be taken. What
// somebody with the old password has used up of the mails and the pairs of app codes of today
// counts no more, or they would keep the owner out with a password that is void.
// ErrLink, seal.Err….
func (r *Registry) Reset(ctx context.Context, token, password string, from From) error {
	l, err := r.link(ctx, token, store.Reset)
	if err != nil {
		return err
	}
	a, err := r.Store.Account(ctx, l.Account)
	if errors.Is(err, store.ErrNotFound) || err == nil && (a.Epoch != l.Epoch || a.DisabledAt != 0) {
		return ErrLink
	}
	if err != nil {
		return fmt.Errorf("account: reset: %w", err)
	}
	sealed, err := r.SealPassword(ctx, a, password)
	if err != nil {
		return err
	}
	now := store.Millis(r.Now())
	err = r.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.UseLink(ctx, l.Token, now); err != nil {
			return err
		}
		if err := tx.SetPassword(ctx, a.ID, a.Epoch, sealed, now); err != nil {
			return err
		}
		if err := tx.RemoveShares(ctx, a.ID); err != nil {
			return err
		}
		if err := r.EndTrust(ctx, tx, a, trust.EndedPassword, ""); err != nil {
			return err
		}
		return r.Tell(ctx, tx, Notice{Event: audit.Event{Kind: audit.PasswordReset}, Words: "changed", Account: a}, from)
	})
	if errors.Is(err, store.ErrNotFound) {
		return ErrLink
	}
	if err != nil {
		return fmt.Errorf("account: reset: %w", err)
	}
	r.Wake()
	return nil
}
