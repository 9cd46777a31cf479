package store

import (
	"context"
	"errors"
)

// Wait is how often something was wrong.
type Wait struct {
	Wrong int64
	At    int64 // the last time
}

// Wait is the one of this name; none is one of 0.
func (db *DB) Wait(ctx context.Context, name string) (w Wait, err error) {
	err = found(db.read.QueryRowContext(ctx, `SELECT failures, last_at FROM failed_passwords WHERE subject = $1`, name).
		Scan(&w.Wrong, &w.At))
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return w, err
}

// AddWrong counts one more; if the last was not after since, it is the first.
func (db *DB) AddWrong(ctx context.Context, name string, since, now int64) error {
	_, err := db.change(ctx, `INSERT INTO failed_passwords (subject, failures, last_at) VALUES ($1, 1, $3)
		ON CONFLICT (subject) DO UPDATE
		SET failures = CASE WHEN failed_passwords.last_at > $2 THEN failed_passwords.failures + 1 ELSE 1 END,
		last_at = $3`, name, since, now)
	return err
}

// Forgive removes the one of this name.
func (db *DB) Forgive(ctx context.Context, name string) error {
	_, err := db.change(ctx, `DELETE FROM failed_passwords WHERE subject = $1`, name)
	return err
}
