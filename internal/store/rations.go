package store

import (
	"context"
	"errors"
)

// Spend takes n out of a ration of limit for the window that ends then. It is exact,
// however many take at once. ErrNotFound: not so much is left.
func (db *DB) Spend(ctx context.Context, name string, ends, n, limit int64) error {
	if n > limit {
		return ErrNotFound
	}
	return db.must(ctx, `INSERT INTO rations (name, ends_at, used) VALUES ($1, $2, $3)
		ON CONFLICT (name, ends_at) DO UPDATE SET used = rations.used + $3 WHERE rations.used + $3 <= $4`, name, ends, n, limit)
}

// Count adds n, which may be negative, to what was used in the window that ends then.
func (db *DB) Count(ctx context.Context, name string, ends, n int64) error {
	_, err := db.change(ctx, `INSERT INTO rations (name, ends_at, used) VALUES ($1, $2, $3)
		ON CONFLICT (name, ends_at) DO UPDATE SET used = rations.used + $3`, name, ends, n)
	return err
}

// Used is how much was used in the window that ends then.
func (db *DB) Used(ctx context.Context, name string, ends int64) (used int64, err error) {
	err = found(db.read.QueryRowContext(ctx, `SELECT used FROM rations WHERE name = $1 AND ends_at = $2`, name, ends).Scan(&used))
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return used, err
}

// RemoveWindows removes those of a ration that end after since.
func (db *DB) RemoveWindows(ctx context.Context, name string, since int64) error {
	_, err := db.change(ctx, `DELETE FROM rations WHERE name = $1 AND ends_at > $2`, name, since)
	return err
}

// Window is how much of something was used until then.
type Window struct{ EndsAt, Used int64 }

// Windows are those of a ration that end after since.
func (db *DB) Windows(ctx context.Context, name string, since int64) ([]Window, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT ends_at, used FROM rations WHERE name = $1 AND ends_at > $2 ORDER BY ends_at`, name, since)
	return all(rows, err, func(s scanner) (w Window, err error) {
		err = s.Scan(&w.EndsAt, &w.Used)
		return w, err
	})
}
