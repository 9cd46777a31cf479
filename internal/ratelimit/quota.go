// Package ratelimit bounds how often something may be done: quotas in fixed windows, and
// backoff after wrong passwords. It never locks anything for good.
package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store"
)

// ErrLimited says that something was asked too early or too often; a *LimitedError says until
// when.
var ErrLimited = errors.New("too early")

// LimitedError is an ErrLimited that knows when to come back.
type LimitedError struct{ RetryAt time.Time }

func (e *LimitedError) Error() string { return ErrLimited.Error() }

// Unwrap is ErrLimited.
func (e *LimitedError) Unwrap() error { return ErrLimited }

// Limiter counts in the database, so that all servers share one count.
type Limiter struct {
	Store *store.DB
	Keys  *seal.KeyRing
	Now   func() time.Time
	Log   *slog.Logger
}

// Quota is how much of something may be used in one window of time.
type Quota struct {
	Kind          string // of what
	Subject       string // whose: an id or a keyed hash; "" for the whole site
	Window        time.Duration
	Amount, Limit int64 // Limit 0: there is no limit
}

// Spend takes from all the quotas, in the transaction of what they are for. It returns a
// *LimitedError if one is used up, with the time at which its next window begins.
func (l *Limiter) Spend(ctx context.Context, tx *store.DB, quotas ...Quota) error {
	for _, q := range quotas {
		if q.Limit == 0 {
			continue
		}
		ends := windowEnd(l.Now(), q.Window)
		err := tx.SpendQuota(ctx, counter(q.Kind, q.Subject, q.Window), ends, q.Amount, q.Limit)
		if errors.Is(err, store.ErrNotFound) {
			l.Log.Warn("quota used up", "kind", q.Kind, "subject", q.Subject)
			return &LimitedError{RetryAt: ends}
		}
		if err != nil {
			return fmt.Errorf("ratelimit: quota: %w", err)
		}
	}
	return nil
}

func counter(kind, subject string, window time.Duration) store.Counter {
	return store.Counter{Kind: kind, Subject: subject, Window: window.Milliseconds()}
}

// windowEnd is the end of the window in which now is.
func windowEnd(now time.Time, window time.Duration) time.Time {
	return now.Truncate(window).Add(window)
}

// PerHour is a quota of limit in an hour, of which one is taken.
func PerHour(kind, subject string, limit int64) Quota {
	return Quota{kind, subject, time.Hour, 1, limit}
}

// PerDay is a quota of limit in a day (UTC), of which one is taken.
func PerDay(kind, subject string, limit int64) Quota {
	return Quota{kind, subject, 24 * time.Hour, 1, limit}
}

// PerNetwork is the quota of a network in an hour. All requests whose network is unknown share
// one, which is as large as that of UnknownNetworkFactor networks.
func PerNetwork(kind, network string, most int64) Quota {
	if network == "" {
		most *= UnknownNetworkFactor
	}
	return PerHour(kind, network, most)
}
