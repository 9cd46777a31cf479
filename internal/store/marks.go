package store

import "context"

// KeepMark writes a fact about this database down unless one of that name stands
// there, and returns the one that stands.
func (db *DB) KeepMark(ctx context.Context, name, value string) (kept string, err error) {
	if _, err := db.change(ctx, `INSERT INTO marks (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`, name, value); err != nil {
		return "", err
	}
	err = db.write.QueryRowContext(ctx, `SELECT value FROM marks WHERE name = $1`, name).Scan(&kept)
	return kept, found(err)
}
