package ledger

import (
	"context"
	"time"

	"twostep/internal/account"
	"twostep/internal/limit"
	"twostep/internal/store"
)

// near marks what somebody sent who was in a network in which the account has taken both
// steps, and in a browser that is not known.
const near = "near"

// Send takes a mail with a code out of what may be sent for an account, in the transaction
// of its challenge. What strangers ask for leaves the owner's own untouched: that of a known
// browser, and of a known network. The guess is the one that will answer it. *account.WaitError.
func (l *Ledgers) Send(ctx context.Context, tx *store.DB, g Guess, from account.From) error {
	b, err := l.hold(ctx, tx, g.Ledger)
	if err != nil {
		return err
	}
	d := l.debit(b.Name, store.Send, g.Challenge, from)
	if d.Device = g.Device; g.Device == "" && b.proven(d.Network) {
		d.Device = near
	}
	until := b.maySend(d)
	if b.now.Before(until) {
		return &account.WaitError{Until: until}
	}
	return tx.AddDebit(ctx, d)
}

// proven reports whether both steps were taken from a network lately.
func (b book) proven(network string) bool {
	n, _ := b.count(limit.Month, func(d store.Debit) bool { return d.Kind == store.Proof && d.Network == network })
	return n > 0
}

// maySend is from when something may be sent; in the past, or zero, if now.
func (b book) maySend(d store.Debit) (until time.Time) {
	own := func(one store.Debit) bool {
		return one.Kind == store.Send && one.Device == d.Device && (one.Network == d.Network || d.Device != "" && d.Device != near)
	}
	beyond := func(window time.Duration, most int64, such func(store.Debit) bool) {
		if n, oldest := b.count(window, such); n >= most {
			again := oldest.Add(window)
			if latest := b.now.Add(window); again.After(latest) { // the clock was set back
				again = latest
			}
			if again.After(until) {
				until = again
			}
		}
	}
	if d.Device != "" {
		beyond(time.Hour, limit.KnownSendsHour, own)
		beyond(24*time.Hour, limit.KnownSendsDay, own)
		return until
	}
	beyond(time.Hour, limit.SendsPerNetwork, own)
	most := int64(limit.SendsPerDay)
	if n, _ := b.count(24*time.Hour, own); n == 0 {
		most = limit.SendsBeyond
	}
	beyond(24*time.Hour, most, func(one store.Debit) bool { return one.Kind == store.Send && one.Device == "" })
	return until
}
