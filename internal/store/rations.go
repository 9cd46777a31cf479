package store

import "context"

// Spend takes n out of a ration of limit for the window that ends then. It is exact,
// however many take at once. ErrNotFound: not so much is left.
func (db *DB) Spend(ctx context.Context, name string, ends, n, limit int64) error {
	if n > limit {
		return ErrNotFound
	}
	return db.must(ctx, `INSERT INTO rations (name, ends_at, used) VALUES ($1, $2, $3)
		ON CONFLICT (name, ends_at) DO UPDATE SET used = rations.used + $3 WHERE rations.used + $3 <= $4`, name, ends, n, limit)
}
