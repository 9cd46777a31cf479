package store

import (
	"context"
	"slices"
	"time"
)

// FailedPasswords is how often something was wrong.
type FailedPasswords struct {
	Failures int64
	LastAt   time.Time // the last time
}

// GetFailedPasswords is the one of this name, and how much was used of each of the windows, in one statement. None is
// one of 0.
func (db *DB) GetFailedPasswords(ctx context.Context, name string, windows []CounterKey) (w FailedPasswords, used []int64, err error) {
	each, args := matchWindows(windows, name)
	query := `SELECT '' AS kind, subject, CAST(0 AS BIGINT) AS window_ms, last_at AS ends_at, failures AS used
		FROM failed_passwords WHERE subject = $1`
	if each != "" {
		query += `
		UNION ALL SELECT kind, subject, window_ms, ends_at, used FROM rate_limit_counters WHERE ` + each
	}
	used = make([]int64, len(windows))
	rows, err := db.read.QueryContext(ctx, query, args...)
	if err != nil {
		return w, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var c CounterKey
		var n int64
		if err := rows.Scan(&c.Kind, &c.Subject, &c.Window, (*Time)(&c.EndsAt), &n); err != nil {
			return w, nil, err
		}
		if c.Kind == "" {
			w = FailedPasswords{Failures: n, LastAt: c.EndsAt}
		} else if i := slices.IndexFunc(windows, c.is); i >= 0 {
			used[i] = n
		}
	}
	return w, used, rows.Err()
}

// CountFailedPassword counts one more; if the last was not after since, it is the first.
func (db *DB) CountFailedPassword(ctx context.Context, name string, since, now time.Time) error {
	_, err := db.change(ctx, `INSERT INTO failed_passwords (subject, failures, last_at) VALUES ($1, 1, $3)
		ON CONFLICT (subject) DO UPDATE
		SET failures = CASE WHEN failed_passwords.last_at > $2 THEN failed_passwords.failures + 1 ELSE 1 END,
		last_at = $3`, name, since, now)
	return err
}

// DeleteFailedPasswords removes the one of this name.
func (db *DB) DeleteFailedPasswords(ctx context.Context, name string) error {
	_, err := db.change(ctx, `DELETE FROM failed_passwords WHERE subject = $1`, name)
	return err
}
