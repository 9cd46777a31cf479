// Package ratelimit limits how often something may be done: quotas in fixed windows, and backoff after wrong
// passwords. No limit is permanent.
package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
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

	passwords recent
}

// Quota is a limit on the use of something in one window of time.
type Quota struct {
	Kind          string // what is limited
	Subject       string // who is limited: an id or a keyed hash; "" for the whole site
	Window        time.Duration
	Amount, Limit int64 // Limit 0 means no limit
}

// giveBackTimeout limits how long Spend waits for the database to give back what it has taken too much.
const giveBackTimeout = 5 * time.Second

// Spend takes the amounts from all quotas, in the transaction of the act that they limit. It takes nothing and returns
// a *LimitedError with the end of the window if one would be exceeded.
func (l *Limiter) Spend(ctx context.Context, tx *store.DB, quotas ...Quota) error {
	var windows []store.CounterChange
	var limits []int64
	for _, q := range quotas {
		if q.Limit != 0 {
			key := store.CounterKey{Counter: counter(q.Kind, q.Subject, q.Window), EndsAt: windowEnd(l.Now(), q.Window)}
			windows, limits = append(windows, store.CounterChange{CounterKey: key, Amount: q.Amount}), append(limits, q.Limit)
		}
	}
	if len(windows) == 0 {
		return nil
	}
	used, err := tx.AddToCounters(ctx, windows...)
	if err != nil {
		return fmt.Errorf("ratelimit: quota: %w", err)
	}
	for i, w := range windows {
		if used[i] <= limits[i] {
			continue
		}
		l.Log.Warn("quota used up", "kind", w.Kind, "subject", w.Subject)
		// Also if the client has gone: otherwise it could use up what it shares with others, beyond its own limit.
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), giveBackTimeout)
		defer stop()
		if _, err := tx.AddToCounters(ctx, giveBack(windows)...); err != nil {
			return fmt.Errorf("ratelimit: quota: %w", err)
		}
		return &LimitedError{RetryAt: w.EndsAt}
	}
	return nil
}

// giveBack returns the changes that undo all changes.
func giveBack(changes []store.CounterChange) []store.CounterChange {
	back := slices.Clone(changes)
	for i := range back {
		back[i].Amount = -back[i].Amount
	}
	return back
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
