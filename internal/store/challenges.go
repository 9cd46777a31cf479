package store

import "context"

// Challenge is the open question of a sign-in.
type Challenge struct {
	ID       string
	SignIn   string
	Method   string
	State    []byte // sealed
	Tries    int64
	TriedAt  int64 // when the last of them was spent
	Hard     bool  // it takes a longer answer
	Sends    int64 // messages
	SentAt   int64 // when it was asked last
	Version  int64 // raised whenever it is asked anew
	PassedAt int64
}

// Code is one answer that is good for one challenge, once, until EndsAt.
type Code struct {
	ID        string
	Challenge string
	Method    string
	MAC       []byte
	Message   string
	SentAt    int64
	EndsAt    int64
	Cost      int64 // of one guess at it, in a thousand millionth
}

const challengeColumns = `id, attempt_id, method, state, guesses, guessed_at, needs_long_code, messages_sent,
		last_sent_at, version, passed_at`

// AddChallenge adds c.
func (db *DB) AddChallenge(ctx context.Context, c Challenge) error {
	_, err := db.change(ctx, `INSERT INTO challenges (`+challengeColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		c.ID, c.SignIn, c.Method, c.State, c.Tries, c.TriedAt, c.Hard, c.Sends, c.SentAt, c.Version, c.PassedAt)
	return err
}

// Challenge is the challenge of this sign-in.
func (db *DB) Challenge(ctx context.Context, signIn string) (c Challenge, err error) {
	row := db.read.QueryRowContext(ctx, `SELECT `+challengeColumns+` FROM challenges WHERE attempt_id = $1`, signIn)
	err = row.Scan(&c.ID, &c.SignIn, &c.Method, &c.State, &c.Tries, &c.TriedAt, &c.Hard, &c.Sends, &c.SentAt,
		&c.Version, &c.PassedAt)
	return c, found(err)
}

// AskAgain puts the open challenge c to the person anew, with c's method, state,
// Hard, SentAt and Sends, if nobody did so since c was read (c.Version is one more than was
// read). ErrNotFound: somebody did.
func (db *DB) AskAgain(ctx context.Context, c Challenge) error {
	return db.must(ctx, `UPDATE challenges SET method = $2, state = $3, messages_sent = $4,
			last_sent_at = $5, version = $6, needs_long_code = $7
		WHERE id = $1 AND version = $6 - 1 AND passed_at = 0`,
		c.ID, c.Method, c.State, c.Sends, c.SentAt, c.Version, c.Hard)
}

// Try spends one of the challenge's tries, if nobody did so since c was read. It must be
// committed before anything is compared: forty guesses at once are then still no more than
// limit. ErrNotFound: none is left, the challenge is over, or somebody was faster.
func (db *DB) Try(ctx context.Context, c Challenge, limit, now int64) error {
	return db.must(ctx, `UPDATE challenges SET guesses = guesses + 1, guessed_at = $3
		WHERE id = $1 AND guesses < $2 AND guesses = $4 AND passed_at = 0 AND EXISTS (SELECT 1 FROM attempts
			WHERE attempts.id = challenges.attempt_id AND finished_at = 0 AND expires_at >= $3)`, c.ID, limit, now, c.Tries)
}

// PassChallenge marks an open challenge as answered, once.
func (db *DB) PassChallenge(ctx context.Context, id string, now int64) error {
	return db.must(ctx, `UPDATE challenges SET passed_at = $2 WHERE id = $1 AND passed_at = 0`, id, now)
}

const codeColumns = `id, challenge_id, method, mac, message_id, sent_at, expires_at, guess_cost`

// AddCode adds c.
func (db *DB) AddCode(ctx context.Context, c Code) error {
	_, err := db.change(ctx, `INSERT INTO one_time_codes (`+codeColumns+`, used_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0)`,
		c.ID, c.Challenge, c.Method, c.MAC, c.Message, c.SentAt, c.EndsAt, c.Cost)
	return err
}

// LiveCodes are the codes that the challenge accepts now for this method, newest first.
func (db *DB) LiveCodes(ctx context.Context, challenge, method string, now int64) ([]Code, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT `+codeColumns+` FROM one_time_codes
		WHERE challenge_id = $1 AND method = $2 AND used_at = 0 AND expires_at >= $3 ORDER BY sent_at DESC, id`,
		challenge, method, now)
	return all(rows, err, scanCode)
}

func scanCode(s scanner) (c Code, err error) {
	err = s.Scan(&c.ID, &c.Challenge, &c.Method, &c.MAC, &c.Message, &c.SentAt, &c.EndsAt, &c.Cost)
	return c, found(err)
}

// UseCode uses a code up, if it is still good. ErrNotFound: it is not, or somebody
// else was faster.
func (db *DB) UseCode(ctx context.Context, id string, now int64) error {
	return db.must(ctx, `UPDATE one_time_codes SET used_at = $2 WHERE id = $1 AND used_at = 0 AND expires_at >= $2`, id,
		now)
}

// KeepNewest pushes out all but the keep newest good codes of the challenge.
func (db *DB) KeepNewest(ctx context.Context, challenge string, keep, now int64) error {
	_, err := db.change(ctx, `UPDATE one_time_codes SET used_at = $3
		WHERE challenge_id = $1 AND used_at = 0 AND id NOT IN
		(SELECT id FROM one_time_codes WHERE challenge_id = $1 AND used_at = 0 ORDER BY sent_at DESC, id LIMIT $2)`,
		challenge, keep, now)
	return err
}

// DropShort pushes out all good codes of the challenge that can be guessed at.
func (db *DB) DropShort(ctx context.Context, challenge string, now int64) error {
	_, err := db.change(ctx, `UPDATE one_time_codes SET used_at = $2 WHERE challenge_id = $1 AND used_at = 0
			AND guess_cost > 0`, challenge, now)
	return err
}
