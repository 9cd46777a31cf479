package store

import (
	"cmp"
	"context"
	"time"
)

// Cutoffs are the times before which DeleteExpired deletes rows.
type Cutoffs struct {
	Now       time.Time // for rows that anybody can create, which are deleted when they expire
	Ended     time.Time // for other rows that expired or ended
	Trust     time.Time // for verified networks, and rejections of clients
	Decisions time.Time // for trust decisions
	Guesses   time.Time // for guesses
	Events    time.Time // for security events
}

// The steps of DeleteExpired. One statement deletes as many rows as take about stepTime, so that other writers do not
// wait for long. Rows that reference them are deleted too.
const (
	firstStep, shortestStep, longestStep = 50, 10, 1000 // rows
	stepTime                             = 8 * time.Millisecond
)

// nextStep returns how many rows the next statement deletes, if one of so many rows took so long.
func nextStep(rows int64, took time.Duration) int64 {
	switch {
	case took > stepTime:
		return max(rows/2, shortestStep)
	case took < stepTime/3:
		return min(rows*2, longestStep)
	}
	return rows
}

// expiredRows are the rows of a table that one statement deletes, for those before a time or an id, with the limit $2.
type expiredRows struct {
	query  string
	before any
}

// DeleteExpired deletes rows that are older than the cutoffs, and former passwords, and returns their number. Each
// statement deletes a few rows, which it finds by an index, in a transaction of its own. The statements take turns until
// nothing is left, so that much in one table does not keep the others waiting. After each that may have left rows,
// DeleteExpired pauses for as long as it took, so that other writers have at least half of the time.
func (db *DB) DeleteExpired(ctx context.Context, old Cutoffs) (sum int64, err error) {
	left, steps := expired(old), map[string]int64{}
	for len(left) > 0 {
		var more []expiredRows
		for _, one := range left {
			rows := cmp.Or(steps[one.query], firstStep)
			began := time.Now()
			n, err := db.change(ctx, one.query, one.before, rows)
			if sum += n; err != nil {
				return sum, err
			}
			if n < rows {
				continue
			}
			took := time.Since(began)
			more, steps[one.query] = append(more, one), nextStep(rows, took)
			select {
			case <-ctx.Done():
				return sum, ctx.Err()
			case <-time.After(took):
			}
		}
		left = more
	}
	return sum, nil
}

// expired returns the statements that delete what is older than the cutoffs.
func expired(old Cutoffs) []expiredRows {
	return []expiredRows{
		{`DELETE FROM trust_decisions WHERE id IN
			(SELECT id FROM trust_decisions WHERE decided_at < $1 LIMIT $2)`, old.Decisions},
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
			(SELECT id FROM authorization_requests WHERE expires_at < $1 LIMIT $2)`, old.Now},
		{`DELETE FROM client_rejections WHERE (client_id, reason) IN
			(SELECT client_id, reason FROM client_rejections WHERE last_at < $1 LIMIT $2)`, old.Trust},
		{`DELETE FROM registration_tokens WHERE hash IN
			(SELECT hash FROM registration_tokens WHERE expires_at < $1 LIMIT $2)`, old.Ended},
		// The app of a person keeps its name until they remove its access.
		{`DELETE FROM client_documents WHERE id IN (SELECT id FROM client_documents WHERE expires_at < $1
			AND NOT EXISTS (SELECT 1 FROM consents WHERE client_id = client_documents.id) LIMIT $2)`, old.Ended},
		{`DELETE FROM device_authorizations WHERE id IN
			(SELECT id FROM device_authorizations WHERE expires_at < $1 LIMIT $2)`, old.Now},
		{`DELETE FROM tokens WHERE hash IN (SELECT hash FROM tokens WHERE expires_at < $1 LIMIT $2)`, old.Ended},
		{`DELETE FROM grants WHERE id IN (SELECT id FROM grants WHERE expires_at < $1 LIMIT $2)`, old.Ended},
		{`DELETE FROM email_links WHERE token_hash IN
			(SELECT token_hash FROM email_links WHERE expires_at < $1 AND (due_at = 0 OR used_at > 0) LIMIT $2)`, old.Ended},
		{`UPDATE accounts SET former_password_hash = SUBSTR(former_password_hash, 1, 0), -- empty, on both databases
				former_password_until = 0 WHERE id IN
			(SELECT id FROM accounts WHERE former_password_until > 0 AND former_password_until < $1 LIMIT $2)`, old.Ended},
		{`DELETE FROM outbox_messages WHERE id IN
			(SELECT id FROM outbox_messages WHERE expires_at < $1 AND state <> 'waiting' LIMIT $2)`, old.Ended},
		{`DELETE FROM audit_events WHERE id IN
			(SELECT id FROM audit_events WHERE id < $1 ORDER BY id LIMIT $2)`, firstEventID(old.Events)},
		{`DELETE FROM audit_browsers WHERE id IN
			(SELECT id FROM audit_browsers WHERE last_at < $1 LIMIT $2)`, old.Events.Add(-auditDay)},
		{`DELETE FROM audit_counters WHERE (scope, ends_at) IN
			(SELECT scope, ends_at FROM audit_counters WHERE ends_at < $1 ORDER BY ends_at LIMIT $2)`, old.Ended},
	}
}
