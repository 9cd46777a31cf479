package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// SiteGuesses is a kind of counter that DeleteExpired keeps until Cutoffs.Guesses, like "text_budget". It deletes all
// others at Cutoffs.Ended.
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

// CounterKey is one window of a counter.
type CounterKey struct {
	Counter
	EndsAt time.Time
}

// is reports whether two keys identify the same window.
func (k CounterKey) is(other CounterKey) bool {
	return k.Counter == other.Counter && Time(k.EndsAt).millis() == Time(other.EndsAt).millis()
}

// CounterChange adds Amount, which may be negative, to one window of a counter.
type CounterChange struct {
	CounterKey
	Amount int64
}

// AddToCounters makes all changes, in one statement and in this order, and returns how much of each window is used
// then. The windows must differ.
func (db *DB) AddToCounters(ctx context.Context, changes ...CounterChange) (used []int64, err error) {
	values := make([]string, len(changes))
	var args []any
	for i, c := range changes {
		k := len(args)
		values[i] = fmt.Sprintf("($%d, $%d, $%d, $%d, $%d)", k+1, k+2, k+3, k+4, k+5)
		args = append(args, c.Kind, c.Subject, c.Window, c.EndsAt, c.Amount)
	}
	used = make([]int64, len(changes))
	rows, err := db.write.QueryContext(ctx, `INSERT INTO rate_limit_counters (kind, subject, window_ms, ends_at, used)
			VALUES `+strings.Join(values, ", ")+`
		ON CONFLICT (kind, subject, window_ms, ends_at) DO UPDATE SET used = rate_limit_counters.used + excluded.used
		RETURNING kind, subject, window_ms, ends_at, used`, args...)
	if err != nil {
		return nil, conflict(err)
	}
	defer rows.Close()
	for rows.Next() {
		var k CounterKey
		var n int64
		if err := rows.Scan(&k.Kind, &k.Subject, &k.Window, (*Time)(&k.EndsAt), &n); err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(changes, func(c CounterChange) bool { return c.is(k) }); i >= 0 {
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
