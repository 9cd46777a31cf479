package store

import "context"

// Sweep removes what is long over, a few hundred rows at a time so that nobody waits
// for it: whatever ended before then, and events from before eventsBefore. It returns how
// many rows went: call it again until none does.
func (db *DB) Sweep(ctx context.Context, then, eventsBefore int64) (int64, error) {
	sum, err := db.change(ctx, `DELETE FROM events WHERE id IN (SELECT id FROM events WHERE at < $1 LIMIT 500)`, eventsBefore)
	if err != nil {
		return 0, err
	}
	for _, old := range []string{
		`DELETE FROM signins WHERE id IN (SELECT id FROM signins WHERE ends_at < $1 LIMIT 500)`,
		`DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE ends_at < $1 LIMIT 500)`,
		`DELETE FROM rations WHERE (name, ends_at) IN (SELECT name, ends_at FROM rations WHERE ends_at < $1 LIMIT 500)`,
		`DELETE FROM links WHERE token IN (SELECT token FROM links WHERE ends_at < $1 LIMIT 500)`,
		`DELETE FROM messages WHERE id IN (SELECT id FROM messages WHERE ends_at < $1 AND state <> 'waiting' LIMIT 500)`,
	} {
		n, err := db.change(ctx, old, then)
		if err != nil {
			return sum, err
		}
		sum += n
	}
	return sum, nil
}
