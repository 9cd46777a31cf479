package store

import (
	"context"
	"time"
)

// Challenge is the open question of a sign-in.
type Challenge struct {
	ID            string
	AttemptID     string
	Method        string
	State         []byte // sealed
	Guesses       int64
	GuessedAt     time.Time // when the last of them was spent
	NeedsLongCode bool      // it takes a longer answer
	MessagesSent  int64     // messages
	LastSentAt    time.Time // when it was asked last
	Version       int64     // raised whenever it is asked anew
	PassedAt      time.Time
}

// OneTimeCode is one answer that is good for one challenge, once, until EndsAt.
type OneTimeCode struct {
	ID          string
	ChallengeID string
	Method      string
	MAC         []byte
	MessageID   string
	SentAt      time.Time
	ExpiresAt   time.Time
	GuessCost   int64 // of one guess at it, in a thousand millionth
}

const challengeColumns = `id, attempt_id, method, state, guesses, guessed_at, needs_long_code, messages_sent,
		last_sent_at, version, passed_at`

// CreateChallenge adds c.
func (db *DB) CreateChallenge(ctx context.Context, c Challenge) error {
	_, err := db.change(ctx, `INSERT INTO challenges (`+challengeColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		c.ID, c.AttemptID, c.Method, c.State, c.Guesses, c.GuessedAt, c.NeedsLongCode, c.MessagesSent, c.LastSentAt, c.Version, c.PassedAt)
	return err
}

// FindChallenge is the challenge of this sign-in.
func (db *DB) FindChallenge(ctx context.Context, signIn string) (c Challenge, err error) {
	row := db.read.QueryRowContext(ctx, `SELECT `+challengeColumns+` FROM challenges WHERE attempt_id = $1`, signIn)
	err = row.Scan(&c.ID, &c.AttemptID, &c.Method, &c.State, &c.Guesses, (*Time)(&c.GuessedAt), &c.NeedsLongCode, &c.MessagesSent, (*Time)(&c.LastSentAt),
		&c.Version, (*Time)(&c.PassedAt))
	return c, found(err)
}

// ReissueChallenge puts the open challenge c to the person anew, with c's method, state,
// Hard, SentAt and Sends, if nobody did so since c was read (c.Version is one more than was
// read). ErrNotFound: somebody did.
func (db *DB) ReissueChallenge(ctx context.Context, c Challenge) error {
	return db.must(ctx, `UPDATE challenges SET method = $2, state = $3, messages_sent = $4,
			last_sent_at = $5, version = $6, needs_long_code = $7
		WHERE id = $1 AND version = $6 - 1 AND passed_at = 0`,
		c.ID, c.Method, c.State, c.MessagesSent, c.LastSentAt, c.Version, c.NeedsLongCode)
}

// SpendGuess spends one of the challenge's tries, if nobody did so since c was read. It must be
// committed before anything is compared: forty guesses at once are then still no more than
// limit. ErrNotFound: none is left, the challenge is over, or somebody was faster.
func (db *DB) SpendGuess(ctx context.Context, c Challenge, limit int64, now time.Time) error {
	return db.must(ctx, `UPDATE challenges SET guesses = guesses + 1, guessed_at = $3
		WHERE id = $1 AND guesses < $2 AND guesses = $4 AND passed_at = 0 AND EXISTS (SELECT 1 FROM attempts
			WHERE attempts.id = challenges.attempt_id AND finished_at = 0 AND expires_at >= $3)`, c.ID, limit, now, c.Guesses)
}

// PassChallenge marks an open challenge as answered, once.
func (db *DB) PassChallenge(ctx context.Context, id string, now time.Time) error {
	return db.must(ctx, `UPDATE challenges SET passed_at = $2 WHERE id = $1 AND passed_at = 0`, id, now)
}

const codeColumns = `id, challenge_id, method, mac, message_id, sent_at, expires_at, guess_cost`

// CreateCode adds c.
func (db *DB) CreateCode(ctx context.Context, c OneTimeCode) error {
	_, err := db.change(ctx, `INSERT INTO one_time_codes (`+codeColumns+`, used_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0)`,
		c.ID, c.ChallengeID, c.Method, c.MAC, c.MessageID, c.SentAt, c.ExpiresAt, c.GuessCost)
	return err
}

// ListLiveCodes are the codes that the challenge accepts now for this method, newest first.
func (db *DB) ListLiveCodes(ctx context.Context, challenge, method string, now time.Time) ([]OneTimeCode, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT `+codeColumns+` FROM one_time_codes
		WHERE challenge_id = $1 AND method = $2 AND used_at = 0 AND expires_at >= $3 ORDER BY sent_at DESC, id`,
		challenge, method, now)
	return all(rows, err, scanCode)
}

func scanCode(s scanner) (c OneTimeCode, err error) {
	err = s.Scan(&c.ID, &c.ChallengeID, &c.Method, &c.MAC, &c.MessageID, (*Time)(&c.SentAt), (*Time)(&c.ExpiresAt), &c.GuessCost)
	return c, found(err)
}

// UseCode uses a code up, if it is still good. ErrNotFound: it is not, or somebody
// else was faster.
func (db *DB) UseCode(ctx context.Context, id string, now time.Time) error {
	return db.must(ctx, `UPDATE one_time_codes SET used_at = $2 WHERE id = $1 AND used_at = 0 AND expires_at >= $2`, id,
		now)
}

// PruneCodes pushes out all but the keep newest good codes of the challenge.
func (db *DB) PruneCodes(ctx context.Context, challenge string, keep int64, now time.Time) error {
	_, err := db.change(ctx, `UPDATE one_time_codes SET used_at = $3
		WHERE challenge_id = $1 AND used_at = 0 AND id NOT IN
		(SELECT id FROM one_time_codes WHERE challenge_id = $1 AND used_at = 0 ORDER BY sent_at DESC, id LIMIT $2)`,
		challenge, keep, now)
	return err
}

// RevokeShortCodes pushes out all good codes of the challenge that can be guessed at.
func (db *DB) RevokeShortCodes(ctx context.Context, challenge string, now time.Time) error {
	_, err := db.change(ctx, `UPDATE one_time_codes SET used_at = $2 WHERE challenge_id = $1 AND used_at = 0
			AND guess_cost > 0`, challenge, now)
	return err
}
