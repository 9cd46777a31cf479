package odds

import (
	"context"
	"time"

	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/store"
)

// SpendMail counts an email with a code for an account, in the transaction of its challenge, which has
// locked b. g is the guess that will answer it. Emails that unknown devices request are counted apart from
// those of each known device and of known networks, so that they cannot use those up. It returns a
// *ratelimit.LimitedError if no email may be sent now.
func (bs *Budgets) SpendMail(ctx context.Context, tx *store.DB, b Budget, g Guess, from origin.Origin) error {
	e := bs.newEntry(b.Name, store.EntrySend, g.Challenge, from)
	e.DeviceID = g.Device
	return b.add(ctx, tx, e, b.mailAvailableAt)
}

// mailAvailableAt returns when the email of e may be sent: zero or a time in the past means now.
func (b Budget) mailAvailableAt(e store.BudgetEntry) time.Time {
	own, unknown := sameSource(e), unknownSources(e)
	if e.DeviceID != "" || e.KnownNetwork {
		return later(
			b.availableAt(hour, ratelimit.KnownMailsPerHour, own),
			b.availableAt(day, ratelimit.KnownMailsPerDay, own))
	}
	if e.Network == "" { // an unknown network may be shared by all clients
		return b.availableAt(day, ratelimit.MailsNewNetworksPerDay, unknown)
	}
	limit := int64(ratelimit.MailsPerDay)
	if n, _ := b.count(day, own); n == 0 {
		limit = ratelimit.MailsNewNetworksPerDay
	}
	return later(
		b.availableAt(hour, ratelimit.MailsPerNetworkHour, own),
		b.availableAt(day, limit, unknown))
}
