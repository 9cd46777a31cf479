package account

import (
	"context"
	"errors"
	"fmt"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// VerifyPassword finds the account whose password this is. A name that is not known,
// has no password or is disabled costs the same work as one that is, and gets the
// same ErrCredentials. So do those who try too often: *WaitError, and nothing is compared.
func (r *Accounts) VerifyPassword(ctx context.Context, email, password string, by ratelimit.PasswordSource, from origin.Origin) (store.Account, error) {
	var a store.Account
	name := email
	address, err := ParseEmail(email)
	if err == nil {
		name = address
		a, err = r.Store.FindAccountByEmail(ctx, address)
	}
	if err != nil && !errors.Is(err, ErrEmail) && !errors.Is(err, store.ErrNotFound) {
		return a, fmt.Errorf("account: password: %w", err)
	}
	known := err == nil && a.DisabledAt.IsZero()
	attempt, err := r.Limits.CheckPassword(ctx, name, by)
	failed := audit.Event{Kind: audit.PasswordRejected, Account: a.ID, Actor: audit.Anonymous(), Reason: rejection(a)}
	if a.ID == "" {
		failed.Target = r.unknownName(name)
	}
	if errors.Is(err, ratelimit.ErrLimited) {
		e := audit.Event{Account: a.ID, Actor: audit.Anonymous(), Target: failed.Target, Reason: "password"}
		return store.Account{}, r.Refused(ctx, err, e, from)
	}
	if err != nil {
		return store.Account{}, err
	}
	same, stale, err := r.comparePassword(ctx, r.hasherFor(by), a, password)
	if err != nil {
		return store.Account{}, err
	}
	if !same || !known {
		if err := r.Limits.RecordPasswordFailure(ctx, attempt); err != nil {
			return store.Account{}, err
		}
		if err := r.Failure(ctx, failed, from); err != nil {
			return store.Account{}, err
		}
		return store.Account{}, ErrCredentials
	}
	if err := r.Limits.ResetPasswordFailures(ctx, attempt); err != nil {
		return store.Account{}, err
	}
	if stale {
		return a, r.rehash(ctx, a, password)
	}
	return a, nil
}

// unknownName is how events name what was typed and is no account: the same for the same name, and
// a keyed hash, since people type their password in its place.
func (r *Accounts) unknownName(typed string) string {
	return audit.Target("name", r.Keys.Pseudonym("name "+typed))
}

// rejection is why a password was rejected, for the audit log.
func rejection(a store.Account) string {
	switch {
	case a.ID == "":
		return "unknown account"
	case !a.DisabledAt.IsZero():
		return "disabled account"
	}
	return "wrong password"
}

// ComparePassword compares, and says whether the hash is of yesterday's cost. An account
// without a password, or no account at all, does the work and says no.
func (r *Accounts) ComparePassword(ctx context.Context, a store.Account, password string) (same, stale bool, err error) {
	return r.comparePassword(ctx, r.Passwords, a, password)
}

// hasherFor compute the password of somebody. A flood of strangers keeps nobody waiting in
// a browser that their account knows.
func (r *Accounts) hasherFor(by ratelimit.PasswordSource) *seal.PasswordHasher {
	if by.Device != "" && r.KnownDevicePasswords != nil {
		return r.KnownDevicePasswords
	}
	return r.Passwords
}

func (r *Accounts) comparePassword(ctx context.Context, p *seal.PasswordHasher, a store.Account, password string) (same, stale bool, err error) {
	var hash string
	if len(a.PasswordHash) > 0 {
		plain, err := r.Keys.Open("password "+a.ID, a.PasswordHash)
		if err != nil {
			return false, false, fmt.Errorf("account: password of %s: %w", a.ID, err)
		}
		hash = string(plain)
	}
	return p.Verify(ctx, hash, password)
}

// rehash brings an old hash up to date.
func (r *Accounts) rehash(ctx context.Context, a store.Account, password string) error {
	fresh, err := r.Passwords.Hash(ctx, password)
	if errors.Is(err, seal.ErrHashQueueFull) {
		return nil // the next sign-in will do it
	}
	if err == nil {
		err = r.Store.ReplacePasswordHash(ctx, a.ID, a.PasswordHash, r.Keys.Seal("password "+a.ID, []byte(fresh)))
	}
	if err != nil {
		return fmt.Errorf("account: rehash: %w", err)
	}
	return nil
}

// HashPassword checks a new password for the account and hashes it. seal.Err….
func (r *Accounts) HashPassword(ctx context.Context, a store.Account, password string) ([]byte, error) {
	if err := seal.CheckNewPassword(password, a.Email, a.Name, r.Settings.Site); err != nil {
		return nil, err
	}
	hash, err := r.Passwords.Hash(ctx, password)
	if err != nil {
		return nil, err
	}
	return r.Keys.Seal("password "+a.ID, []byte(hash)), nil
}

// RequestPasswordReset sends a link to set a new password, if the address has an account; what the
// caller sees, and the work done, is the same if not. ErrEmail, *WaitError.
func (r *Accounts) RequestPasswordReset(ctx context.Context, email string, from origin.Origin) error {
	address, err := ParseEmail(email)
	if err != nil {
		return err
	}
	a, err := r.Store.FindAccountByEmail(ctx, address)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("account: forgot: %w", err)
	}
	l := store.EmailLink{Purpose: store.LinkReset, Email: address, AccountID: a.ID, Epoch: a.Epoch}
	e := audit.Event{Kind: audit.PasswordResetRequested, Actor: audit.Anonymous(), Account: a.ID}
	if err != nil || !a.DisabledAt.IsZero() {
		e.Result, e.Reason = audit.Failure, rejection(a)
		if a.ID == "" {
			e.Target = r.unknownName(address)
		}
		return r.sendLink(ctx, linkMail{store.EmailLink{Purpose: store.LinkDecoy, Email: address}, noMail, e}, from)
	}
	return r.sendLink(ctx, linkMail{l, resetMail, e}, from)
}

// ResetPassword sets a new password by a link from Forgot. It ends every session and every
// sign-in, tells the owner, and does not sign in: both steps are still to be taken. What
// somebody with the old password has used up of the mails and the pairs of app codes of today
// counts no more, or they would keep the owner out with a password that is void.
// ErrLink, seal.Err….
func (r *Accounts) ResetPassword(ctx context.Context, token, password string, from origin.Origin) error {
	l, err := r.findLink(ctx, token, store.LinkReset)
	if err != nil {
		return err
	}
	a, err := r.Store.GetAccount(ctx, l.AccountID)
	if errors.Is(err, store.ErrNotFound) || err == nil && (a.Epoch != l.Epoch || !a.DisabledAt.IsZero()) {
		return ErrLink
	}
	if err != nil {
		return fmt.Errorf("account: reset: %w", err)
	}
	sealed, err := r.HashPassword(ctx, a, password)
	if err != nil {
		return err
	}
	now := r.Now()
	err = r.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.UseEmailLink(ctx, l.TokenHash, now); err != nil {
			return err
		}
		if err := tx.SetPassword(ctx, a.ID, a.Epoch, sealed, now); err != nil {
			return err
		}
		if err := tx.DeleteShareEntries(ctx, a.ID); err != nil {
			return err
		}
		if err := r.EndTrust(ctx, tx, a.Ref(), trust.RevokedPasswordChanged, ""); err != nil {
			return err
		}
		return r.NotifyOwner(ctx, tx, Notification{Event: audit.Event{Kind: audit.PasswordReset}, Template: "changed", Account: a}, from)
	})
	if errors.Is(err, store.ErrNotFound) {
		return ErrLink
	}
	if err != nil {
		return fmt.Errorf("account: reset: %w", err)
	}
	r.NotifyOutbox()
	return nil
}
