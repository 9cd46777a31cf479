package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// FailedPasswords is the number of wrong passwords in a row for one subject.
type FailedPasswords struct {
	Failures int64
	LastAt   time.Time // the last wrong password
}

// GetFailedPasswords returns the failures of a subject, 0 if there are none.
func (db *DB) GetFailedPasswords(ctx context.Context, subject string) (f FailedPasswords, err error) {
	err = found(db.read.QueryRowContext(ctx, `SELECT failures, last_at FROM failed_passwords WHERE subject = $1`, subject).
		Scan(&f.Failures, (*Time)(&f.LastAt)))
	if errors.Is(err, ErrNotFound) {
		return FailedPasswords{}, nil
	}
	return f, err
}

// CountFailedPassword counts one failure. It is exact under concurrency. The count starts at 1 if the last failure was
// not after since. latest[n] is the latest time at which the last of n failures may have been; the last of them is for
// all higher n. CountFailedPassword returns ErrNotFound, and counts nothing, if the last failure was later, unless it
// was after now: then the clock was set back.
func (db *DB) CountFailedPassword(ctx context.Context, subject string, since, now time.Time, latest []time.Time) error {
	query := `INSERT INTO failed_passwords (subject, failures, last_at) VALUES ($1, 1, $3)
		ON CONFLICT (subject) DO UPDATE
		SET failures = CASE WHEN failed_passwords.last_at > $2 THEN failed_passwords.failures + 1 ELSE 1 END,
		last_at = $3
		WHERE failed_passwords.last_at > $3 OR failed_passwords.last_at <= CASE failed_passwords.failures`
	args := []any{subject, since, now}
	for n, at := range latest {
		args = append(args, at)
		if n == len(latest)-1 {
			query += fmt.Sprintf(" ELSE CAST($%d AS BIGINT) END", len(args))
		} else {
			query += fmt.Sprintf(" WHEN %d THEN CAST($%d AS BIGINT)", n, len(args))
		}
	}
	return db.must(ctx, query, args...)
}

// DeleteFailedPasswords resets the failures of a subject.
func (db *DB) DeleteFailedPasswords(ctx context.Context, subject string) error {
	_, err := db.change(ctx, `DELETE FROM failed_passwords WHERE subject = $1`, subject)
	return err
}
