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

// expiredRows are rows that one statement deletes, a few at a time: $2 limits their number.
type expiredRows struct {
	query  string
	before any   // $1: a time, or the id of an event
	rows   int64 // of the next step; 0: firstStep
}

// DeleteExpired deletes rows that are older than the cutoffs, and former passwords, and returns their number. Each
// statement deletes a few rows, which it finds by an index, in a transaction of its own. The statements take turns until
// nothing is left, so that much in one table does not keep the others waiting. After each that may have left rows,
// DeleteExpired pauses for as long as it took, so that other writers have at least half of the time.
func (db *DB) DeleteExpired(ctx context.Context, old Cutoffs) (sum int64, err error) {
	for left := expired(old); len(left) > 0; {
		var more []expiredRows
		for _, one := range left {
			one.rows = cmp.Or(one.rows, firstStep)
			began := time.Now()
			n, err := db.change(ctx, one.query, one.before, one.rows)
			if sum += n; err != nil {
				return sum, err
			}
			if n < one.rows {
				continue
			}
			took := time.Since(began)
			one.rows = nextStep(one.rows, took)
			more = append(more, one)
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

// expired returns the statements that delete what is older than the cutoffs. They delete the oldest rows first: without
// an order, PostgreSQL reads a table of which much has expired from its start in every step, over all that was deleted.
func expired(old Cutoffs) []expiredRows {
	return []expiredRows{
		{query: `DELETE FROM trust_decisions WHERE id IN
			(SELECT id FROM trust_decisions WHERE decided_at < $1 ORDER BY decided_at LIMIT $2)`, before: old.Decisions},
		{query: `DELETE FROM trusted_networks WHERE id IN
			(SELECT id FROM trusted_networks WHERE verified_at < $1 ORDER BY verified_at LIMIT $2)`, before: old.Trust},
		{query: `DELETE FROM devices WHERE id IN
			(SELECT id FROM devices WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)`, before: old.Ended},
		{query: `DELETE FROM attempts WHERE id IN
			(SELECT id FROM attempts WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)`, before: old.Ended},
		{query: `DELETE FROM sessions WHERE id IN
			(SELECT id FROM sessions WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)`, before: old.Ended},
		{query: `DELETE FROM rate_limit_counters WHERE (kind, subject, window_ms, ends_at) IN
			(SELECT kind, subject, window_ms, ends_at FROM rate_limit_counters
				WHERE ends_at < $1 AND kind NOT IN ('site_guesses', 'text_budget')
				ORDER BY ends_at LIMIT $2)`, before: old.Ended},
		{query: `DELETE FROM rate_limit_counters WHERE (kind, subject, window_ms, ends_at) IN
			(SELECT kind, subject, window_ms, ends_at FROM rate_limit_counters
				WHERE ends_at < $1 AND kind IN ('site_guesses', 'text_budget')
				ORDER BY ends_at LIMIT $2)`, before: old.Guesses},
		{query: `DELETE FROM guess_budget_entries WHERE id IN (SELECT id FROM guess_budget_entries
			WHERE created_at < $1 AND kind IN ('send', 'pair') ORDER BY created_at LIMIT $2)`, before: old.Ended},
		{query: `DELETE FROM guess_budget_entries WHERE id IN (SELECT id FROM guess_budget_entries
			WHERE created_at < $1 AND kind NOT IN ('send', 'pair') ORDER BY created_at LIMIT $2)`, before: old.Guesses},
		{query: `DELETE FROM failed_passwords WHERE subject IN
			(SELECT subject FROM failed_passwords WHERE last_at < $1 ORDER BY last_at LIMIT $2)`, before: old.Ended},
		{query: `DELETE FROM authorization_requests WHERE id IN
			(SELECT id FROM authorization_requests WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)`, before: old.Now},
		{query: `DELETE FROM client_rejections WHERE (client_id, reason) IN
			(SELECT client_id, reason FROM client_rejections WHERE last_at < $1 ORDER BY last_at LIMIT $2)`, before: old.Trust},
		{query: `DELETE FROM registration_tokens WHERE hash IN
			(SELECT hash FROM registration_tokens WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)`, before: old.Ended},
		// The app of a person keeps its name until they remove its access.
		{query: `DELETE FROM client_documents WHERE id IN (SELECT id FROM client_documents WHERE expires_at < $1
			AND NOT EXISTS (SELECT 1 FROM consents WHERE client_id = client_documents.id)
				ORDER BY expires_at LIMIT $2)`, before: old.Ended},
		{query: `DELETE FROM device_authorizations WHERE id IN
			(SELECT id FROM device_authorizations WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)`, before: old.Now},
		{query: `DELETE FROM tokens WHERE hash IN
			(SELECT hash FROM tokens WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)`, before: old.Ended},
		{query: `DELETE FROM grants WHERE id IN
			(SELECT id FROM grants WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)`, before: old.Ended},
		{query: `DELETE FROM email_links WHERE token_hash IN
			(SELECT token_hash FROM email_links WHERE expires_at < $1 AND (due_at = 0 OR used_at > 0)
				ORDER BY expires_at LIMIT $2)`, before: old.Ended},
		{query: `DELETE FROM desk_codes WHERE id IN
			(SELECT id FROM desk_codes WHERE ended_at > 0 AND ended_at < $1 ORDER BY ended_at LIMIT $2)`, before: old.Trust},
		{query: `UPDATE accounts SET former_password_hash = SUBSTR(former_password_hash, 1, 0), -- empty, on both databases
				former_password_until = 0 WHERE id IN
			(SELECT id FROM accounts WHERE former_password_until > 0 AND former_password_until < $1
				ORDER BY former_password_until LIMIT $2)`, before: old.Ended},
		{query: `DELETE FROM outbox_messages WHERE id IN
			(SELECT id FROM outbox_messages WHERE expires_at < $1 AND state <> 'waiting'
				ORDER BY expires_at LIMIT $2)`, before: old.Ended},
		{query: `DELETE FROM audit_events WHERE id IN
			(SELECT id FROM audit_events WHERE id < $1 ORDER BY id LIMIT $2)`, before: firstEventID(old.Events)},
		{query: `DELETE FROM audit_browsers WHERE id IN
			(SELECT id FROM audit_browsers WHERE last_at < $1 ORDER BY last_at LIMIT $2)`, before: old.Events.Add(-auditDay)},
		{query: `DELETE FROM audit_counters WHERE (scope, ends_at) IN
			(SELECT scope, ends_at FROM audit_counters WHERE ends_at < $1 ORDER BY ends_at LIMIT $2)`, before: old.Ended},
	}
}
