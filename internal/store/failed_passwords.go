package store

import (
	"context"
	"slices"
	"time"
)

// FailedPasswords is the number of wrong passwords in a row for one subject.
type FailedPasswords struct {
	Failures int64
	LastAt   time.Time // the last wrong password
}

// GetFailedPasswords returns the failures of a subject, 0 if there are none, and how much of each window is used, in
// one statement.
func (db *DB) GetFailedPasswords(ctx context.Context, subject string,
	windows []CounterKey) (f FailedPasswords, used []int64, err error) {
	each, args := matchWindows(windows, subject)
	query := `SELECT '' AS kind, subject, CAST(0 AS BIGINT) AS window_ms, last_at AS ends_at, failures AS used
		FROM failed_passwords WHERE subject = $1`
	if each != "" {
		query += `
		UNION ALL SELECT kind, subject, window_ms, ends_at, used FROM rate_limit_counters WHERE ` + each
	}
	used = make([]int64, len(windows))
	rows, err := db.read.QueryContext(ctx, query, args...)
	if err != nil {
		return f, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var c CounterKey
		var n int64
		if err := rows.Scan(&c.Kind, &c.Subject, &c.Window, (*Time)(&c.EndsAt), &n); err != nil {
			return f, nil, err
		}
		if c.Kind == "" {
			f = FailedPasswords{Failures: n, LastAt: c.EndsAt}
		} else if i := slices.IndexFunc(windows, c.is); i >= 0 {
			used[i] = n
		}
	}
	return f, used, rows.Err()
}

// CountFailedPassword counts one failure. The count starts at 1 if the last failure was not after since.
func (db *DB) CountFailedPassword(ctx context.Context, subject string, since, now time.Time) error {
	_, err := db.change(ctx, `INSERT INTO failed_passwords (subject, failures, last_at) VALUES ($1, 1, $3)
		ON CONFLICT (subject) DO UPDATE
		SET failures = CASE WHEN failed_passwords.last_at > $2 THEN failed_passwords.failures + 1 ELSE 1 END,
		last_at = $3`, subject, since, now)
	return err
}

// DeleteFailedPasswords resets the failures of a subject.
func (db *DB) DeleteFailedPasswords(ctx context.Context, subject string) error {
	_, err := db.change(ctx, `DELETE FROM failed_passwords WHERE subject = $1`, subject)
	return err
}
