package store

import (
	"context"
	"database/sql"
	"time"
)

// LoadAttempt reads the sign-in with this token hash, for a session or a step-up, with its account
// and its challenge, in one statement. The challenge has no ID if nothing was asked yet. It returns
// ErrNotFound if the account is disabled or has been through a change that voids the sign-in. The
// sign-in may be over: see FinishedAt and EndsAt.
func (db *DB) LoadAttempt(ctx context.Context, token []byte) (i Attempt, a Account, c Challenge, err error) {
	row := db.read.QueryRowContext(ctx, `SELECT `+signInColumns+`, `+accountOf+`, `+challengeOf+` FROM attempts
		JOIN accounts ON accounts.id = attempts.account_id AND accounts.epoch = attempts.epoch AND accounts.disabled_at = 0
		LEFT JOIN challenges ON challenges.attempt_id = attempts.id
		WHERE attempts.token_hash = $1 AND attempts.purpose <> 'factor'`, token)
	var open maybeChallenge
	err = row.Scan(join(i.columns(), a.columns(), open.columns())...)
	return i, a, open.challenge(), found(err)
}

// LoadPendingFactor reads the pending factor of a session for a method with its sign-in, if that is still
// open, its account and its challenge, in one statement.
func (db *DB) LoadPendingFactor(ctx context.Context, session, method string, now time.Time) (i Attempt, a Account, d PendingFactor, c Challenge, err error) {
	row := db.read.QueryRowContext(ctx, `SELECT `+signInColumns+`, `+accountOf+`, `+challengeOf+`,
			pending_factors.attempt_id, pending_factors.session_id, pending_factors.method, pending_factors.shown_only,
			pending_factors.body
		FROM pending_factors JOIN attempts ON attempts.id = pending_factors.attempt_id AND attempts.finished_at = 0 AND attempts.expires_at >= $3
		JOIN accounts ON accounts.id = attempts.account_id AND accounts.epoch = attempts.epoch AND accounts.disabled_at = 0
		LEFT JOIN challenges ON challenges.attempt_id = attempts.id
		WHERE pending_factors.session_id = $1 AND pending_factors.method = $2`, session, method, now)
	var open maybeChallenge
	err = row.Scan(join(i.columns(), a.columns(), open.columns(), []any{&d.AttemptID, &d.SessionID, &d.Method, &d.ShownOnly, &d.Body})...)
	return i, a, d, open.challenge(), found(err)
}

func join(parts ...[]any) (all []any) {
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}

const challengeOf = `challenges.id, challenges.attempt_id, challenges.method, challenges.state, challenges.guesses,
		challenges.guessed_at, challenges.needs_long_code, challenges.messages_sent, challenges.last_sent_at,
		challenges.version, challenges.passed_at`

// maybeChallenge is a challenge that an outer join may not have.
type maybeChallenge struct {
	id, attempt, method        sql.NullString
	state                      []byte
	guesses, messages, version sql.NullInt64
	long                       sql.NullBool
	found                      Challenge // its times
}

func (m *maybeChallenge) columns() []any {
	return []any{
		&m.id, &m.attempt, &m.method, &m.state, &m.guesses, (*Time)(&m.found.GuessedAt), &m.long, &m.messages,
		(*Time)(&m.found.LastSentAt), &m.version, (*Time)(&m.found.PassedAt),
	}
}

func (m *maybeChallenge) challenge() Challenge {
	c := m.found
	c.ID, c.AttemptID, c.Method, c.State = m.id.String, m.attempt.String, m.method.String, m.state
	c.Guesses, c.MessagesSent, c.Version, c.NeedsLongCode = m.guesses.Int64, m.messages.Int64, m.version.Int64, m.long.Bool
	return c
}

// SentCode is a code with what became of the message that carries it.
type SentCode struct {
	OneTimeCode
	UsedAt  time.Time
	State   string // of the message; "" if there is none
	StateAt time.Time
}

// ListCodes lists all codes of a challenge with the states of their messages, the newest first.
func (db *DB) ListCodes(ctx context.Context, challenge string) ([]SentCode, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT codes.id, codes.challenge_id, codes.method, codes.mac, codes.message_id, codes.sent_at,
			codes.expires_at, codes.guess_cost, codes.used_at, COALESCE(messages.state, ''), COALESCE(messages.state_at, 0)
		FROM one_time_codes AS codes LEFT JOIN outbox_messages AS messages ON messages.id = codes.message_id
		WHERE codes.challenge_id = $1 ORDER BY codes.sent_at DESC, codes.id`, challenge)
	return all(rows, err, func(s scanner) (c SentCode, err error) {
		err = s.Scan(&c.ID, &c.ChallengeID, &c.Method, &c.MAC, &c.MessageID, (*Time)(&c.SentAt), (*Time)(&c.ExpiresAt), &c.GuessCost, (*Time)(&c.UsedAt), &c.State, (*Time)(&c.StateAt))
		return c, err
	})
}
