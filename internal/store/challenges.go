package store

import (
	"context"
	"time"
)

// Challenge is the challenge of an attempt. Choosing another method keeps the row.
type Challenge struct {
	ID            string
	AttemptID     string
	Method        string
	State         []byte    // sealed
	Guesses       int64     // over all methods
	GuessedAt     time.Time // when the last guess was counted
	NeedsLongCode bool      // requires a longer code
	MessagesSent  int64     // over all methods
	LastSentAt    time.Time // when it was last issued
	Version       int64     // raised each time it is issued
	PassedAt      time.Time
}

// OneTimeCode is a code that is accepted for one challenge, once, until ExpiresAt.
type OneTimeCode struct {
	ID          string
	ChallengeID string
	Method      string
	MAC         []byte
	MessageID   string
	SentAt      time.Time
	ExpiresAt   time.Time
	GuessCost   int64 // of one guess, in billionths
}

const challengeColumns = `id, attempt_id, method, state, guesses, guessed_at, needs_long_code, messages_sent,
		last_sent_at, version, passed_at`

// CreateChallenge inserts c.
func (db *DB) CreateChallenge(ctx context.Context, c Challenge) error {
	_, err := db.change(ctx, `INSERT INTO challenges (`+challengeColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		c.ID, c.AttemptID, c.Method, c.State, c.Guesses, c.GuessedAt, c.NeedsLongCode, c.MessagesSent, c.LastSentAt,
		c.Version, c.PassedAt)
	return err
}

// FindChallenge returns the challenge of this attempt, or ErrNotFound.
func (db *DB) FindChallenge(ctx context.Context, attempt string) (c Challenge, err error) {
	row := db.read.QueryRowContext(ctx, `SELECT `+challengeColumns+` FROM challenges WHERE attempt_id = $1`, attempt)
	err = row.Scan(&c.ID, &c.AttemptID, &c.Method, &c.State, &c.Guesses, (*Time)(&c.GuessedAt), &c.NeedsLongCode,
		&c.MessagesSent, (*Time)(&c.LastSentAt),
		&c.Version, (*Time)(&c.PassedAt))
	return c, found(err)
}

// ReissueChallenge stores a new issue of the open challenge c: its Method, State, MessagesSent, LastSentAt,
// NeedsLongCode and Version, which must be one more than was read. It returns ErrNotFound if the challenge was passed
// or issued again since it was read.
func (db *DB) ReissueChallenge(ctx context.Context, c Challenge) error {
	return db.must(ctx, `UPDATE challenges SET method = $2, state = $3, messages_sent = $4,
			last_sent_at = $5, version = $6, needs_long_code = $7
		WHERE id = $1 AND version = $6 - 1 AND passed_at = 0`,
		c.ID, c.Method, c.State, c.MessagesSent, c.LastSentAt, c.Version, c.NeedsLongCode)
}

// SpendGuess counts one guess at the challenge. Commit it before comparing anything, so that concurrent guesses cannot
// exceed limit. It returns ErrNotFound if limit guesses were made, the challenge was passed, its attempt is over, or
// another guess was counted since c was read.
func (db *DB) SpendGuess(ctx context.Context, c Challenge, limit int64, now time.Time) error {
	return db.must(ctx, `UPDATE challenges SET guesses = guesses + 1, guessed_at = $3
		WHERE id = $1 AND guesses < $2 AND guesses = $4 AND passed_at = 0 AND EXISTS (SELECT 1 FROM attempts
			WHERE attempts.id = challenges.attempt_id AND finished_at = 0 AND expires_at >= $3)`, c.ID, limit, now,
		c.Guesses)
}

// PassChallenge sets an open challenge to passed. It returns ErrNotFound if it was passed before.
func (db *DB) PassChallenge(ctx context.Context, id string, now time.Time) error {
	return db.must(ctx, `UPDATE challenges SET passed_at = $2 WHERE id = $1 AND passed_at = 0`, id, now)
}

const codeColumns = `id, challenge_id, method, mac, message_id, sent_at, expires_at, guess_cost`

// CreateCode inserts c.
func (db *DB) CreateCode(ctx context.Context, c OneTimeCode) error {
	_, err := db.change(ctx, `INSERT INTO one_time_codes (`+codeColumns+`, used_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0)`,
		c.ID, c.ChallengeID, c.Method, c.MAC, c.MessageID, c.SentAt, c.ExpiresAt, c.GuessCost)
	return err
}

// UseCode uses up a code. It returns ErrNotFound if the code was used, replaced or has expired.
func (db *DB) UseCode(ctx context.Context, id string, now time.Time) error {
	return db.must(ctx, `UPDATE one_time_codes SET used_at = $2 WHERE id = $1 AND used_at = 0 AND expires_at >= $2`, id,
		now)
}

// PruneCodes revokes all but the keep newest unused codes of the challenge.
func (db *DB) PruneCodes(ctx context.Context, challenge string, keep int64, now time.Time) error {
	_, err := db.change(ctx, `UPDATE one_time_codes SET used_at = $3
		WHERE challenge_id = $1 AND used_at = 0 AND id NOT IN
		(SELECT id FROM one_time_codes WHERE challenge_id = $1 AND used_at = 0 ORDER BY sent_at DESC, id LIMIT $2)`,
		challenge, keep, now)
	return err
}

// RevokeShortCodes revokes the unused codes of the challenge that are short enough to be guessed, those with a
// GuessCost.
func (db *DB) RevokeShortCodes(ctx context.Context, challenge string, now time.Time) error {
	_, err := db.change(ctx, `UPDATE one_time_codes SET used_at = $2 WHERE challenge_id = $1 AND used_at = 0
			AND guess_cost > 0`, challenge, now)
	return err
}
