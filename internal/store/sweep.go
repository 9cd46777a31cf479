package store

import "context"

// Old says how old is long over, in times before which.
type Old struct {
	Ended int64 // something ended
	Trust int64 // a browser was verified, or somebody was asked
	Odds  int64 // somebody guessed
}

// Sweep removes what is long over, a few hundred rows at a time so that nobody waits
// for it: whatever ended before old.Ended, and so on. It returns how many rows went: call
// it again until none does.
func (db *DB) Sweep(ctx context.Context, old Old) (sum int64, err error) {
	for _, one := range []struct {
		query  string
		before int64
	}{
		{`DELETE FROM decisions WHERE id IN (SELECT id FROM decisions WHERE at < $1 LIMIT 500)`, old.Trust},
		{`DELETE FROM places WHERE id IN (SELECT id FROM places WHERE verified_at < $1 LIMIT 500)`, old.Trust},
		{`DELETE FROM devices WHERE id IN (SELECT id FROM devices WHERE ends_at < $1 LIMIT 500)`, old.Ended},
		{`DELETE FROM signins WHERE id IN (SELECT id FROM signins WHERE ends_at < $1 LIMIT 500)`, old.Ended},
		{`DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE ends_at < $1 LIMIT 500)`, old.Ended},
		{`DELETE FROM rations WHERE (name, ends_at) IN (SELECT name, ends_at FROM rations WHERE ends_at < $1 AND name NOT LIKE 'odds of %' LIMIT 500)`, old.Ended},
		{`DELETE FROM rations WHERE (name, ends_at) IN (SELECT name, ends_at FROM rations WHERE ends_at < $1 LIMIT 500)`, old.Odds},
		{`DELETE FROM debits WHERE id IN (SELECT id FROM debits WHERE at < $1 AND kind IN ('send', 'pair') LIMIT 500)`, old.Ended},
		{`DELETE FROM debits WHERE id IN (SELECT id FROM debits WHERE at < $1 LIMIT 500)`, old.Odds},
		{`DELETE FROM waits WHERE name IN (SELECT name FROM waits WHERE at < $1 LIMIT 500)`, old.Ended},
		{`DELETE FROM requests WHERE id IN (SELECT id FROM requests WHERE ends_at < $1 LIMIT 500)`, old.Ended},
		{`DELETE FROM tokens WHERE token IN (SELECT token FROM tokens WHERE ends_at < $1 LIMIT 500)`, old.Ended},
		{`DELETE FROM grants WHERE id IN (SELECT id FROM grants WHERE ends_at < $1 LIMIT 500)`, old.Ended},
		{`DELETE FROM links WHERE token IN (SELECT token FROM links WHERE ends_at < $1 LIMIT 500)`, old.Ended},
		{`DELETE FROM messages WHERE id IN (SELECT id FROM messages WHERE ends_at < $1 AND state <> 'waiting' LIMIT 500)`, old.Ended},
	} {
		query := one.query
		n, err := db.change(ctx, query, one.before)
		if err != nil {
			return sum, err
		}
		sum += n
	}
	return sum, nil
}
