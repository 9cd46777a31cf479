package ledger

import (
	"context"
	"time"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/limit"
	"twostep.example/twostep/internal/store"
)

// Send takes a mail with a code out of what may be sent for an account, in the transaction
// of its challenge. What strangers ask for leaves the owner's own untouched: that of a known
// browser, and of a known network. The guess is the one that will answer it. *account.WaitError.
func (l *Ledgers) Send(ctx context.Context, tx *store.DB, g Guess, from account.From) error {
	b, err := l.hold(ctx, tx, g.Ledger)
	if err != nil {
		return err
	}
	d := l.debit(b.Name, store.Send, g.Challenge, from)
	d.Device = g.Device
	return b.add(ctx, tx, d, b.maySend)
}

// maySend is from when something may be sent; in the past, or zero, if now.
func (b book) maySend(d store.Debit) time.Time {
	if d.Device != "" {
		return later(b.beyond(hour, limit.KnownSendsHour, own(d)), b.beyond(day, limit.KnownSendsDay, own(d)))
	}
	if d.Network == "" { // it may be everybody's
		return b.beyond(day, limit.SendsBeyond, strangers(d))
	}
	most := int64(limit.SendsPerDay)
	if n, _ := b.count(day, own(d)); n == 0 {
		most = limit.SendsBeyond
	}
	return later(b.beyond(hour, limit.SendsPerNetwork, own(d)), b.beyond(day, most, strangers(d)))
}
