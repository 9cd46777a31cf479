package store

import (
	"context"
	"time"
)

// Cutoffs are the times before which rows are deleted, by what happened then.
type Cutoffs struct {
	Ended   time.Time // something ended
	Trust   time.Time // a browser was verified, or a trust decision was made
	Guesses time.Time // somebody guessed
}

// sweepRows is how many rows one statement of Sweep deletes at most, so that no other writer waits for long. Rows
// that reference them go too.
const sweepRows = 500

// DeleteExpired deletes what is long over and returns how many rows that were. Each of its statements deletes a few hundred
// rows in a transaction of its own, finds them by an index, and is repeated while it still deletes that many.
func (db *DB) DeleteExpired(ctx context.Context, old Cutoffs) (sum int64, err error) {
	for _, one := range []struct {
		query  string
		before time.Time
	}{
		{`DELETE FROM trust_decisions WHERE id IN
			(SELECT id FROM trust_decisions WHERE decided_at < $1 LIMIT $2)`, old.Trust},
		{`DELETE FROM trusted_networks WHERE id IN
			(SELECT id FROM trusted_networks WHERE verified_at < $1 LIMIT $2)`, old.Trust},
		{`DELETE FROM devices WHERE id IN (SELECT id FROM devices WHERE expires_at < $1 LIMIT $2)`, old.Ended},
		{`DELETE FROM attempts WHERE id IN (SELECT id FROM attempts WHERE expires_at < $1 LIMIT $2)`, old.Ended},
		{`DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at < $1 LIMIT $2)`, old.Ended},
		{`DELETE FROM rate_limit_counters WHERE (kind, subject, window_ms, ends_at) IN
			(SELECT kind, subject, window_ms, ends_at FROM rate_limit_counters
				WHERE ends_at < $1 AND kind <> 'site_guesses' LIMIT $2)`, old.Ended},
		{`DELETE FROM rate_limit_counters WHERE (kind, subject, window_ms, ends_at) IN
			(SELECT kind, subject, window_ms, ends_at FROM rate_limit_counters
				WHERE ends_at < $1 AND kind = 'site_guesses' LIMIT $2)`, old.Guesses},
		{`DELETE FROM guess_budget_entries WHERE id IN (SELECT id FROM guess_budget_entries
			WHERE created_at < $1 AND kind IN ('send', 'pair') LIMIT $2)`, old.Ended},
		{`DELETE FROM guess_budget_entries WHERE id IN (SELECT id FROM guess_budget_entries
			WHERE created_at < $1 AND kind NOT IN ('send', 'pair') LIMIT $2)`, old.Guesses},
		{`DELETE FROM failed_passwords WHERE subject IN
			(SELECT subject FROM failed_passwords WHERE last_at < $1 LIMIT $2)`, old.Ended},
		{`DELETE FROM authorization_requests WHERE id IN
			(SELECT id FROM authorization_requests WHERE expires_at < $1 LIMIT $2)`, old.Ended},
		{`DELETE FROM tokens WHERE hash IN (SELECT hash FROM tokens WHERE expires_at < $1 LIMIT $2)`, old.Ended},
		{`DELETE FROM grants WHERE id IN (SELECT id FROM grants WHERE expires_at < $1 LIMIT $2)`, old.Ended},
		{`DELETE FROM email_links WHERE token_hash IN
			(SELECT token_hash FROM email_links WHERE expires_at < $1 LIMIT $2)`, old.Ended},
		{`DELETE FROM outbox_messages WHERE id IN
			(SELECT id FROM outbox_messages WHERE expires_at < $1 AND state <> 'waiting' LIMIT $2)`, old.Ended},
	} {
		for n := int64(sweepRows); n >= sweepRows; sum += n {
			if n, err = db.change(ctx, one.query, one.before, sweepRows); err != nil {
				return sum, err
			}
		}
	}
	return sum, nil
}
