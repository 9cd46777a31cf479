package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/fairqueue"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// CorrectPassword is a password that was right. It counts as a wrong one until it is settled, and until Release no
// other password of the same name and source is compared, so that those entered at the same time are not refused.
type CorrectPassword struct {
	Account store.Account

	accounts *Accounts
	slot     seal.HashSlot
	attempt  ratelimit.PasswordAttempt
	settled  bool
}

// Settle gives back what was counted for the password, in the transaction of what it leads to. Call it last in the
// transaction. It does nothing once such a transaction is committed.
func (p *CorrectPassword) Settle(ctx context.Context, tx *store.DB) error {
	if p.settled {
		return nil
	}
	if err := p.accounts.Limits.SettlePassword(ctx, tx, p.attempt, true); err != nil {
		return err
	}
	tx.AfterCommit(func() { p.settled = true })
	return nil
}

// Release settles the password if no transaction has, also if the client has gone.
func (p *CorrectPassword) Release(ctx context.Context) error {
	defer p.slot.Release()
	if p.settled {
		return nil
	}
	ctx, cancel := uncancelled(ctx)
	defer cancel()
	return p.accounts.Store.Tx(ctx, func(tx *store.DB) error { return p.Settle(ctx, tx) })
}

// VerifyPassword returns the account if the password is correct; the caller must then call Release. It returns
// ErrCredentials if the password is wrong and, after the same work, if the account is unknown, disabled or has no
// password (ASVS 6.3.8). It returns an error that wraps ratelimit.ErrLimited, without comparing anything, after too many
// failures (NIST SP 800-63B-4 3.2.2).
func (a *Accounts) VerifyPassword(ctx context.Context, email, password string, by ratelimit.PasswordSource,
	from origin.Origin) (*CorrectPassword, error) {
	name := email
	address, notAddress := ParseEmail(email)
	if notAddress == nil {
		name = address
	}
	if err := a.Limits.RecentlyRefused(name, by); err != nil {
		return nil, err // recorded a moment ago
	}
	slot, err := a.Passwords.Reserve(ctx, a.passwordWork(name, by, from))
	if err != nil {
		return nil, err
	}
	release := slot.Release
	defer func() { release() }()
	account, err := a.findByAddress(ctx, address, notAddress)
	if err != nil {
		return nil, err
	}
	known := account.ID != "" && account.DisabledAt.IsZero()
	failed := audit.Event{Kind: audit.PasswordRejected, Account: account.ID, Email: account.Email,
		Actor: audit.Anonymous(), Reason: rejection(account)}
	if account.ID == "" {
		failed.Target = a.unknownName(name)
	}
	// From here on the client may go: the attempt is counted, compared and recorded.
	ctx, cancel := uncancelled(ctx)
	defer cancel()
	attempt, err := a.Limits.ChargePassword(ctx, name, by)
	if errors.Is(err, ratelimit.ErrLimited) {
		e := audit.Event{Account: account.ID, Email: account.Email, Actor: audit.Anonymous(), Target: failed.Target,
			Reason: "password"}
		refused := a.Refused(ctx, err, e, from)
		a.Limits.RememberRefused(name, by, refused)
		return nil, refused
	}
	if err != nil {
		return nil, err
	}
	same, stale, err := a.comparePassword(slot, account, password)
	if err != nil {
		return nil, err
	}
	if !same || !known {
		slot.Yield()
		return nil, a.reject(ctx, attempt, failed, from)
	}
	if by.Device == "" {
		slot.Refund() // a quota bounds these; known browsers have none
	}
	if stale {
		if err := a.rehash(ctx, slot, account, password); err != nil {
			return nil, err
		}
	}
	release = slot.Yield
	return &CorrectPassword{Account: account, accounts: a, slot: slot, attempt: attempt}, nil
}

// reject records a wrong password in one transaction, and returns ErrCredentials.
func (a *Accounts) reject(ctx context.Context, attempt ratelimit.PasswordAttempt, e audit.Event,
	from origin.Origin) error {
	e.Result = audit.Failure
	err := a.Store.Tx(ctx, func(tx *store.DB) error {
		if err := a.Event(ctx, tx, e, from); err != nil {
			return err
		}
		return a.Limits.SettlePassword(ctx, tx, attempt, false)
	})
	if err != nil {
		return fmt.Errorf("account: wrong password: %w", err)
	}
	return ErrCredentials
}

// VerifyFormerPassword checks the password that the account had before a change at the time changedAt: the one before
// the first change of the last store.FormerPasswordTTL, and the present one if it has not changed since changedAt.
// present reports that it was the present one. The limits are those of VerifyPassword. It returns ErrCredentials if the
// password is wrong, and an error that wraps ratelimit.ErrLimited after too many failures.
func (a *Accounts) VerifyFormerPassword(ctx context.Context, account store.Account, changedAt time.Time,
	password string, from origin.Origin) (present bool, err error) {
	by := ratelimit.PasswordSource{Networks: from.Networks()}
	if err := a.Limits.RecentlyRefused(account.Email, by); err != nil {
		return false, err
	}
	slot, err := a.Passwords.Reserve(ctx, a.passwordWork(account.Email, by, from))
	if err != nil {
		return false, err
	}
	defer slot.Release()
	ctx, cancel := uncancelled(ctx)
	defer cancel()
	attempt, err := a.Limits.ChargePassword(ctx, account.Email, by)
	if errors.Is(err, ratelimit.ErrLimited) {
		e := audit.Event{Account: account.ID, Email: account.Email, Actor: audit.Anonymous(), Reason: "undo"}
		refused := a.Refused(ctx, err, e, from)
		a.Limits.RememberRefused(account.Email, by, refused)
		return false, refused
	}
	if err != nil {
		return false, err
	}
	former := account
	former.PasswordHash = nil
	if !account.FormerPasswordUntil.Before(a.Now()) {
		former.PasswordHash = account.FormerPasswordHash
	}
	same, _, err := a.comparePassword(slot, former, password)
	if err == nil && !account.PasswordChangedAt.After(changedAt) {
		present, _, err = a.comparePassword(slot, account, password)
	}
	if err != nil {
		return false, err
	}
	if !same && !present {
		e := audit.Event{Kind: audit.PasswordRejected, Account: account.ID, Email: account.Email,
			Actor: audit.Anonymous(), Reason: "undo"}
		return false, a.reject(ctx, attempt, e, from)
	}
	right := CorrectPassword{accounts: a, slot: slot, attempt: attempt}
	return present, right.Release(ctx)
}

// findByAddress returns the account with this address, or one without an ID if there is none or the text is no address.
func (a *Accounts) findByAddress(ctx context.Context, address string, notAddress error) (store.Account, error) {
	if notAddress != nil {
		return store.Account{}, nil
	}
	account, err := a.Store.FindAccountByEmail(ctx, address)
	if errors.Is(err, store.ErrNotFound) {
		return store.Account{}, nil
	}
	if err != nil {
		return store.Account{}, fmt.Errorf("account: password: %w", err)
	}
	return account, nil
}

// passwordTimeout limits the work on one password once it has begun.
const passwordTimeout = 10 * time.Second

// uncancelled returns a context that does not end when the client goes. It ends after passwordTimeout, or at the time
// limit of the request: otherwise a request that has waited in the queue would take twice as long.
func uncancelled(ctx context.Context) (context.Context, context.CancelFunc) {
	ends := time.Now().Add(passwordTimeout)
	if limit, ok := ctx.Deadline(); ok && limit.Before(ends) {
		ends = limit
	}
	return context.WithDeadline(context.WithoutCancel(ctx), ends)
}

// passwordWork returns for whom a password is compared. A browser that the account knows waits for nobody else's; any
// other browser waits with those of its networks, and with those that try the same name for one slot.
func (a *Accounts) passwordWork(name string, by ratelimit.PasswordSource, from origin.Origin) fairqueue.Request {
	if by.Device != "" {
		device := "device " + by.Device
		return fairqueue.Request{Member: true, One: device, Parties: []fairqueue.Party{{Name: device}}}
	}
	return fairqueue.Request{One: "name " + a.Keys.Pseudonym("name "+name), Parties: from.Parties()}
}

// ownWork returns that a password is hashed for somebody who is signed in or has opened a link from an email.
func ownWork(account store.Account) fairqueue.Request {
	name := "account " + account.ID
	return fairqueue.Request{Member: true, One: name, Parties: []fairqueue.Party{{Name: name}}}
}

// unknownName returns how events name a text that is no account: as a keyed hash, because people sometimes enter their
// password in the wrong field. The same text has the same hash.
func (a *Accounts) unknownName(typed string) string {
	return audit.Target("name", a.Keys.Pseudonym("name "+typed))
}

// rejection returns why a password was rejected, for the audit log.
func rejection(account store.Account) string {
	switch {
	case account.ID == "":
		return "unknown account"
	case !account.DisabledAt.IsZero():
		return "disabled account"
	}
	return "wrong password"
}

// ComparePassword reports whether the password is correct, and whether its hash has outdated parameters. For an account
// without a password, or the zero Account, it does the same work and reports false.
func (a *Accounts) ComparePassword(ctx context.Context, account store.Account,
	password string) (same, stale bool, err error) {
	slot, err := a.Passwords.Reserve(ctx, ownWork(account))
	if err != nil {
		return false, false, err
	}
	defer slot.Release()
	return a.comparePassword(slot, account, password)
}

func (a *Accounts) comparePassword(
	slot seal.HashSlot, account store.Account, password string,
) (same, stale bool, err error) {
	var hash string
	if len(account.PasswordHash) > 0 {
		plain, err := a.Keys.Open("password "+account.ID, account.PasswordHash)
		if err != nil {
			return false, false, fmt.Errorf("account: password of %s: %w", account.ID, err)
		}
		hash = string(plain)
	}
	return slot.Verify(hash, password)
}

// rehash replaces a hash with outdated parameters.
func (a *Accounts) rehash(ctx context.Context, slot seal.HashSlot, account store.Account, password string) error {
	fresh, err := slot.Hash(password)
	if err == nil {
		err = a.Store.ReplacePasswordHash(ctx, account.ID, account.PasswordHash, a.Keys.Seal("password "+account.ID,
			[]byte(fresh)))
	}
	if err != nil {
		return fmt.Errorf("account: rehash: %w", err)
	}
	return nil
}

// HashPassword checks a new password for the account and returns its sealed hash. It returns an error of
// seal.CheckNewPassword if the password is not accepted, and fairqueue.ErrFull if the server is too busy.
func (a *Accounts) HashPassword(ctx context.Context, account store.Account, password string) ([]byte, error) {
	if err := seal.CheckNewPassword(password, account.Email, account.Name, account.GivenName, account.FamilyName,
		a.Settings.Site); err != nil {
		return nil, err
	}
	hash, err := a.Passwords.Hash(ctx, ownWork(account), password)
	if err != nil {
		return nil, err
	}
	return a.Keys.Seal("password "+account.ID, []byte(hash)), nil
}

// RequestPasswordReset sends a link to choose a new password if the address has an account. The caller cannot tell
// whether it has, and the work is the same (ASVS 6.3.8). It returns ErrEmail, or an error that wraps
// ratelimit.ErrLimited if the network requests too many links.
func (a *Accounts) RequestPasswordReset(ctx context.Context, email, linkQuery string, from origin.Origin) error {
	address, err := ParseEmail(email)
	if err != nil {
		return err
	}
	account, err := a.Store.FindAccountByEmail(ctx, address)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("account: request password reset: %w", err)
	}
	l := store.EmailLink{Purpose: store.LinkReset, Email: address, AccountID: account.ID, Epoch: account.Epoch}
	e := audit.Event{Kind: audit.PasswordResetRequested, Actor: audit.Anonymous(), Account: account.ID}
	if err != nil || !account.DisabledAt.IsZero() {
		e.Result, e.Reason = audit.Failure, rejection(account)
		if account.ID == "" {
			e.Target = a.unknownName(address)
		}
		decoy := store.EmailLink{Purpose: store.LinkDecoy, Email: address}
		return a.sendLink(ctx, linkMail{link: decoy, template: noMail, event: e}, from)
	}
	return a.sendLink(ctx, linkMail{link: l, query: linkQuery, template: resetMail, event: e}, from)
}

// ResetPassword sets a new password with a link from RequestPasswordReset. It ends every attempt, session and trust of
// the account and notifies the account holder. It does not sign in: both steps are still required. Today's limits of
// messages and of pairs of app codes start again, because someone with the old password may have used them up. It
// returns ErrLink, ErrFrozen, or an error of seal.CheckNewPassword.
func (a *Accounts) ResetPassword(ctx context.Context, token, password string, from origin.Origin) error {
	l, account, err := a.findReset(ctx, token)
	if err != nil {
		return err
	}
	sealed, err := a.HashPassword(ctx, account, password)
	if err != nil {
		return err
	}
	now := a.Now()
	err = a.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.UseEmailLink(ctx, l.TokenHash, now); err != nil {
			return err
		}
		if err := tx.SetPassword(ctx, account.ID, account.Epoch, sealed, now, now); err != nil {
			return err
		}
		if err := tx.DeleteShareEntries(ctx, account.ID); err != nil {
			return err
		}
		if err := a.EndTrust(ctx, tx, account.Ref(), trust.RevokedPasswordChanged, ""); err != nil {
			return err
		}
		n := Notification{Event: audit.Event{Kind: audit.PasswordReset}, Template: "changed", Account: account}
		return a.NotifyOwner(ctx, tx, n, from)
	})
	if errors.Is(err, store.ErrNotFound) {
		return ErrLink
	}
	if err != nil {
		return fmt.Errorf("account: reset: %w", err)
	}
	a.NotifyOutbox()
	return nil
}
