// Package ratelimit limits how often something may be done: quotas in fixed windows, and backoff after wrong
// passwords. No limit is permanent.
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

// ErrLimited is returned if something is done too early or too often. A *LimitedError wraps it and has the time of the
// next attempt.
var ErrLimited = errors.New("too many attempts")

// LimitedError wraps ErrLimited with the time at which to try again.
type LimitedError struct{ RetryAt time.Time }

func (e *LimitedError) Error() string { return ErrLimited.Error() }

// Unwrap returns ErrLimited.
func (e *LimitedError) Unwrap() error { return ErrLimited }

// Limiter counts in the database, so that all servers share the counts.
type Limiter struct {
	Store *store.DB
	Keys  *seal.KeyRing
	Now   func() time.Time
	Log   *slog.Logger
}

// Quota is a limit on the use of something in one window of time.
type Quota struct {
	Kind          string // what is limited
	Subject       string // who is limited: an id or a keyed hash; "" for the whole site
	Window        time.Duration
	Amount, Limit int64 // Limit 0 means no limit
}

// Spend takes the amounts from all quotas, in the transaction of the act that they limit. It returns a
// *LimitedError with the end of the window if one would be exceeded.
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

// windowEnd returns the end of the window that contains now.
func windowEnd(now time.Time, window time.Duration) time.Time {
	return now.Truncate(window).Add(window)
}

// PerHour returns a quota of limit per hour, with the amount 1.
func PerHour(kind, subject string, limit int64) Quota {
	return Quota{kind, subject, time.Hour, 1, limit}
}

// PerDay returns a quota of limit per day (UTC), with the amount 1.
func PerDay(kind, subject string, limit int64) Quota {
	return Quota{kind, subject, 24 * time.Hour, 1, limit}
}

// PerNetwork returns a quota of limit per hour for a network, with the amount 1. All requests with an unknown
// network share one quota, which is UnknownNetworkFactor times as large.
func PerNetwork(kind, network string, limit int64) Quota {
	if network == "" {
		limit *= UnknownNetworkFactor
	}
	return PerHour(kind, network, limit)
}
