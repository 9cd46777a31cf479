package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// SiteGuesses is the kind of counter that DeleteExpired keeps until Cutoffs.Guesses. It deletes all others at
// Cutoffs.Ended.
const SiteGuesses = "site_guesses"

// Counter identifies a rate limit counter.
type Counter struct {
	Kind    string // what is counted
	Subject string // an id or a keyed hash; "" for the whole site
	Window  int64  // length of the window, milliseconds
}

// SpendQuota takes n out of limit in the window that ends at ends. It is exact under concurrency. It returns
// ErrNotFound if less than n is left.
func (db *DB) SpendQuota(ctx context.Context, c Counter, ends time.Time, n, limit int64) error {
	if n > limit {
		return ErrNotFound
	}
	return db.must(ctx, `INSERT INTO rate_limit_counters (kind, subject, window_ms, ends_at, used)
			VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (kind, subject, window_ms, ends_at) DO UPDATE SET used = rate_limit_counters.used + $5
		WHERE rate_limit_counters.used + $5 <= $6`, c.Kind, c.Subject, c.Window, ends, n, limit)
}

// AddToCounter adds n, which may be negative, to the window that ends at ends.
func (db *DB) AddToCounter(ctx context.Context, c Counter, ends time.Time, n int64) error {
	_, err := db.change(ctx, `INSERT INTO rate_limit_counters (kind, subject, window_ms, ends_at, used)
			VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (kind, subject, window_ms, ends_at) DO UPDATE SET used = rate_limit_counters.used + $5`,
		c.Kind, c.Subject, c.Window, ends, n)
	return err
}

// CounterKey is one window of a counter.
type CounterKey struct {
	Counter
	EndsAt time.Time
}

// is reports whether two keys identify the same window.
func (k CounterKey) is(other CounterKey) bool {
	return k.Counter == other.Counter && Time(k.EndsAt).millis() == Time(other.EndsAt).millis()
}

// AddToCounters adds n to several windows, in one statement and in this order, and returns how much of each is used
// then.
func (db *DB) AddToCounters(ctx context.Context, windows []CounterKey, n int64) (used []int64, err error) {
	values := make([]string, len(windows))
	args := []any{n}
	for i, w := range windows {
		k := len(args)
		values[i] = fmt.Sprintf("($%d, $%d, $%d, $%d, $1)", k+1, k+2, k+3, k+4)
		args = append(args, w.Kind, w.Subject, w.Window, w.EndsAt)
	}
	used = make([]int64, len(windows))
	rows, err := db.write.QueryContext(ctx, `INSERT INTO rate_limit_counters (kind, subject, window_ms, ends_at, used)
			VALUES `+strings.Join(values, ", ")+`
		ON CONFLICT (kind, subject, window_ms, ends_at) DO UPDATE SET used = rate_limit_counters.used + $1
		RETURNING kind, subject, window_ms, ends_at, used`, args...)
	if err != nil {
		return nil, conflict(err)
	}
	defer rows.Close()
	for rows.Next() {
		var c CounterKey
		var n int64
		if err := rows.Scan(&c.Kind, &c.Subject, &c.Window, (*Time)(&c.EndsAt), &n); err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(windows, c.is); i >= 0 {
			used[i] = n
		}
	}
	return used, conflict(classify(rows.Err()))
}

// DeleteCounterWindows deletes the windows of a counter that end after since.
func (db *DB) DeleteCounterWindows(ctx context.Context, c Counter, since time.Time) error {
	_, err := db.change(ctx, `DELETE FROM rate_limit_counters WHERE kind = $1 AND subject = $2 AND window_ms = $3
			AND ends_at > $4`,
		c.Kind, c.Subject, c.Window, since)
	return err
}

// CounterWindow is the amount used in one window.
type CounterWindow struct {
	EndsAt time.Time
	Used   int64
}

// ListCounterWindows lists the windows of a counter that end after since, oldest first.
func (db *DB) ListCounterWindows(ctx context.Context, c Counter, since time.Time) ([]CounterWindow, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT ends_at, used FROM rate_limit_counters
		WHERE kind = $1 AND subject = $2 AND window_ms = $3 AND ends_at > $4
		ORDER BY ends_at`, c.Kind, c.Subject, c.Window, since)
	return all(rows, err, func(s scanner) (w CounterWindow, err error) {
		err = s.Scan((*Time)(&w.EndsAt), &w.Used)
		return w, err
	})
}
