package store

import (
	"context"
	"database/sql"
	"time"
)

// LoadAttempt reads the sign-in or step-up with this token hash, its account and its challenge, in one statement. The
// challenge has no ID if there is none yet. The attempt may be over: check FinishedAt and ExpiresAt. It returns
// ErrNotFound if the account is disabled or its epoch was raised since the attempt started.
func (db *DB) LoadAttempt(ctx context.Context,
	token []byte) (attempt Attempt, account Account, c Challenge, err error) {
	row := db.read.QueryRowContext(ctx, `SELECT `+attemptColumns+`, `+accountOf+`, `+challengeOf+` FROM attempts
		JOIN accounts ON accounts.id = attempts.account_id AND accounts.epoch = attempts.epoch
		AND accounts.disabled_at = 0
		LEFT JOIN challenges ON challenges.attempt_id = attempts.id
		WHERE attempts.token_hash = $1 AND attempts.purpose <> 'factor'`, token)
	var open maybeChallenge
	err = row.Scan(join(attempt.columns(), account.columns(), open.columns())...)
	return attempt, account, open.challenge(), found(err)
}

// LoadPendingFactor reads the pending factor of a session for a method, with its open attempt, the account and the
// challenge, in one statement. The challenge has no ID if there is none yet. It returns ErrNotFound if there is no
// pending factor, its attempt is over, or the account is disabled or its epoch was raised.
func (db *DB) LoadPendingFactor(ctx context.Context, session, method string,
	now time.Time) (attempt Attempt, account Account, pending PendingFactor, c Challenge, err error) {
	row := db.read.QueryRowContext(ctx, `SELECT `+attemptColumns+`, `+accountOf+`, `+challengeOf+`,
			pending_factors.attempt_id, pending_factors.session_id, pending_factors.method, pending_factors.shown_only,
			pending_factors.body
		FROM pending_factors JOIN attempts ON attempts.id = pending_factors.attempt_id AND attempts.finished_at = 0
		AND attempts.expires_at >= $3
		JOIN accounts ON accounts.id = attempts.account_id AND accounts.epoch = attempts.epoch
		AND accounts.disabled_at = 0
		LEFT JOIN challenges ON challenges.attempt_id = attempts.id
		WHERE pending_factors.session_id = $1 AND pending_factors.method = $2`, session, method, now)
	var open maybeChallenge
	err = row.Scan(join(attempt.columns(), account.columns(), open.columns(), []any{&pending.AttemptID,
		&pending.SessionID, &pending.Method, &pending.ShownOnly, &pending.Body})...)
	return attempt, account, pending, open.challenge(), found(err)
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

// maybeChallenge scans the challenge columns of an outer join, which are NULL if there is none.
type maybeChallenge struct {
	id, attempt, method        sql.NullString
	state                      []byte
	guesses, messages, version sql.NullInt64
	long                       sql.NullBool
	found                      Challenge // holds only the times
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
	c.Guesses, c.MessagesSent, c.Version, c.NeedsLongCode = m.guesses.Int64, m.messages.Int64, m.version.Int64,
		m.long.Bool
	return c
}

// SentCode is a one-time code with the state of the message that carries it.
type SentCode struct {
	OneTimeCode
	UsedAt  time.Time
	State   string // of the message, see MessageWaiting; "" if there is none
	StateAt time.Time
}

// ListCodes lists all codes of a challenge with the states of their messages, newest first.
func (db *DB) ListCodes(ctx context.Context, challenge string) ([]SentCode, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT codes.id, codes.challenge_id, codes.method, codes.mac,
			codes.message_id, codes.sent_at,
			codes.expires_at, codes.guess_cost, codes.used_at, COALESCE(messages.state, ''), COALESCE(messages.state_at,
			0)
		FROM one_time_codes AS codes LEFT JOIN outbox_messages AS messages ON messages.id = codes.message_id
		WHERE codes.challenge_id = $1 ORDER BY codes.sent_at DESC, codes.id`, challenge)
	return all(rows, err, func(s scanner) (c SentCode, err error) {
		err = s.Scan(&c.ID, &c.ChallengeID, &c.Method, &c.MAC, &c.MessageID, (*Time)(&c.SentAt), (*Time)(&c.ExpiresAt),
			&c.GuessCost, (*Time)(&c.UsedAt), &c.State, (*Time)(&c.StateAt))
		return c, err
	})
}
