package ledger

import (
	"context"
	"time"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/limit"
	"twostep.example/twostep/internal/store"
)

// SpendMail takes a mail with a code out of what may be sent for an account, in the transaction
// of its challenge. What strangers ask for leaves the owner's own untouched: that of a known
// browser, and of a known network. The guess is the one that will answer it. *account.WaitError.
func (l *Budgets) SpendMail(ctx context.Context, tx *store.DB, g Guess, from account.Origin) error {
	b, err := l.lock(ctx, tx, g.Budget)
	if err != nil {
		return err
	}
	d := l.newEntry(b.Name, store.Send, g.Challenge, from)
	d.Device = g.Device
	return b.add(ctx, tx, d, b.mailAvailableAt)
}

// mailAvailableAt is from when something may be sent; in the past, or zero, if now.
func (b budget) mailAvailableAt(d store.Debit) time.Time {
	if d.Device != "" {
		return later(b.availableAt(hour, limit.KnownMailsPerHour, sameSource(d)), b.availableAt(day, limit.KnownMailsPerDay, sameSource(d)))
	}
	if d.Network == "" { // it may be everybody's
		return b.availableAt(day, limit.MailsNewNetworksPerDay, unknownSources(d))
	}
	most := int64(limit.MailsPerDay)
	if n, _ := b.count(day, sameSource(d)); n == 0 {
		most = limit.MailsNewNetworksPerDay
	}
	return later(b.availableAt(hour, limit.MailsPerNetworkHour, sameSource(d)), b.availableAt(day, most, unknownSources(d)))
}
