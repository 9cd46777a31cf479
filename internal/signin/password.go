package signin

import (
	"context"
	"errors"
	"fmt"

	"twostep/internal/seal"
	"twostep/internal/store"
)

// checkPassword finds the account whose password this is. A name that is not known,
// has no password or is disabled costs the same work as one that is, and gets the
// same ErrCredentials.
func (e *Engine) checkPassword(ctx context.Context, email, password string) (store.Account, error) {
	var a store.Account
	address, err := ParseEmail(email)
	if err == nil {
		a, err = e.Store.AccountByEmail(ctx, address)
	}
	if err != nil && !errors.Is(err, ErrEmail) && !errors.Is(err, store.ErrNotFound) {
		return a, fmt.Errorf("signin: password: %w", err)
	}
	known := err == nil && a.DisabledAt == 0
	same, stale, err := e.samePassword(ctx, a, password)
	if err != nil {
		return store.Account{}, err
	}
	if !same || !known {
		e.Log.Info("password not correct", "account", a.ID)
		return store.Account{}, ErrCredentials
	}
	if stale {
		return a, e.rehash(ctx, a, password)
	}
	return a, nil
}

// samePassword compares, and says whether the hash is of yesterday's cost. An account
// without a password, or no account at all, does the work and says no.
func (e *Engine) samePassword(ctx context.Context, a store.Account, password string) (same, stale bool, err error) {
	var hash string
	if len(a.Password) > 0 {
		plain, err := e.Keys.Open("password "+a.ID, a.Password)
		if err != nil {
			return false, false, fmt.Errorf("signin: password of %s: %w", a.ID, err)
		}
		hash = string(plain)
	}
	return e.Passwords.Same(ctx, hash, password)
}

// rehash brings an old hash up to date.
func (e *Engine) rehash(ctx context.Context, a store.Account, password string) error {
	fresh, err := e.Passwords.Hash(ctx, password)
	if errors.Is(err, seal.ErrBusy) {
		return nil // the next sign-in will do it
	}
	if err == nil {
		err = e.Store.Rehash(ctx, a.ID, a.Password, e.Keys.Seal("password "+a.ID, []byte(fresh)))
	}
	if err != nil {
		return fmt.Errorf("signin: rehash: %w", err)
	}
	return nil
}

// sealPassword checks a new password for the account and hashes it. seal.Err….
func (e *Engine) sealPassword(ctx context.Context, a store.Account, password string) ([]byte, error) {
	if err := seal.Acceptable(password, a.Email, a.Name, e.Settings.Site); err != nil {
		return nil, err
	}
	hash, err := e.Passwords.Hash(ctx, password)
	if err != nil {
		return nil, err
	}
	return e.Keys.Seal("password "+a.ID, []byte(hash)), nil
}

// Forgot sends a link to set a new password, if the address has an account; what the
// caller sees, and the work done, is the same if not. ErrEmail, *WaitError.
func (e *Engine) Forgot(ctx context.Context, email string, from From) error {
	address, err := ParseEmail(email)
	if err != nil {
		return err
	}
	a, err := e.Store.AccountByEmail(ctx, address)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("signin: forgot: %w", err)
	}
	l := store.Link{Purpose: store.Reset, Email: address, Account: a.ID, Epoch: a.Epoch}
	if err != nil || a.DisabledAt != 0 {
		return e.mailLink(ctx, store.Link{Purpose: store.Decoy, Email: address}, nobody, from)
	}
	return e.mailLink(ctx, l, resetMail, from)
}

// Reset sets a new password by a link from Forgot. It ends every session and every
// sign-in, tells the owner, and does not sign in: both steps are still to be taken.
// ErrLink, seal.Err….
func (e *Engine) Reset(ctx context.Context, token, password string, from From) error {
	l, err := e.link(ctx, token, store.Reset)
	if err != nil {
		return err
	}
	a, err := e.Store.Account(ctx, l.Account)
	if errors.Is(err, store.ErrNotFound) || err == nil && (a.Epoch != l.Epoch || a.DisabledAt != 0) {
		return ErrLink
	}
	if err != nil {
		return fmt.Errorf("signin: reset: %w", err)
	}
	sealed, err := e.sealPassword(ctx, a, password)
	if err != nil {
		return err
	}
	now := store.Millis(e.Now())
	err = e.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.UseLink(ctx, l.Token, now); err != nil {
			return err
		}
		if err := tx.SetPassword(ctx, a.ID, a.Epoch, sealed, now); err != nil {
			return err
		}
		return e.tell(ctx, tx, notice{kind: passwordReset, words: "changed", account: a}, from)
	})
	if errors.Is(err, store.ErrNotFound) {
		return ErrLink
	}
	if err != nil {
		return fmt.Errorf("signin: reset: %w", err)
	}
	e.Wake()
	return nil
}

// ChangePassword sets a new password for somebody who is in and knows the current
// one. Every other session ends; this one goes on under the new token it returns.
// ErrStepUp, ErrCredentials, *WaitError, ErrNoSession, seal.Err….
func (e *Engine) ChangePassword(ctx context.Context, who Session, current, password string, from From) (session string, err error) {
	a, err := e.Store.Account(ctx, who.Account.ID)
	if err != nil {
		return "", fmt.Errorf("signin: change password: %w", err)
	}
	if !who.Fresh(e.Now()) {
		return "", ErrStepUp
	}
	if err := e.spendPassword(ctx, who); err != nil {
		return "", err
	}
	same, _, err := e.samePassword(ctx, a, current)
	if err != nil {
		return "", err
	}
	if !same {
		return "", ErrCredentials
	}
	sealed, err := e.sealPassword(ctx, a, password)
	if err != nil {
		return "", err
	}
	err = e.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.SetPassword(ctx, a.ID, who.epoch, sealed, 0); err != nil {
			return endedMeanwhile(err)
		}
		if session, err = e.carryOn(ctx, tx, who, from); err != nil {
			return err
		}
		return e.tell(ctx, tx, notice{kind: passwordChanged, words: "changed", account: a}, from)
	})
	if errors.Is(err, ErrNoSession) {
		return "", err
	}
	if err != nil {
		return "", fmt.Errorf("signin: change password: %w", err)
	}
	e.Wake()
	return session, nil
}
