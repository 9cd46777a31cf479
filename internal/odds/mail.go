package odds

import (
	"context"
	"time"

	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/store"
)

// SpendMail takes a mail with a code out of what may be sent for an account, in the transaction of
// its challenge in which b was locked. What unknown devices ask for leaves the owner's own
// untouched: that of a known device, and of a known network. g is the guess that will answer it.
// It returns a *ratelimit.LimitedError if nothing is left.
func (l *Budgets) SpendMail(ctx context.Context, tx *store.DB, b Budget, g Guess, from origin.Origin) error {
	d := l.newEntry(b.Name, store.EntrySend, g.Challenge, from)
	d.DeviceID = g.Device
	return b.add(ctx, tx, d, b.mailAvailableAt)
}

// mailAvailableAt is from when something may be sent; in the past, or zero, if now.
func (b Budget) mailAvailableAt(d store.BudgetEntry) time.Time {
	if d.DeviceID != "" {
		return later(b.availableAt(hour, ratelimit.KnownMailsPerHour, sameSource(d)), b.availableAt(day, ratelimit.KnownMailsPerDay, sameSource(d)))
	}
	if d.Network == "" { // it may be everybody's
		return b.availableAt(day, ratelimit.MailsNewNetworksPerDay, unknownSources(d))
	}
	most := int64(ratelimit.MailsPerDay)
	if n, _ := b.count(day, sameSource(d)); n == 0 {
		most = ratelimit.MailsNewNetworksPerDay
	}
	return later(b.availableAt(hour, ratelimit.MailsPerNetworkHour, sameSource(d)), b.availableAt(day, most, unknownSources(d)))
}
