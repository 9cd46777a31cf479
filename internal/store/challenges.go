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

const challengeColumns = `id, signin, method, state, tries, tried_at, hard, sends, sent_at, version, passed_at`

// AddChallenge adds c.
func (db *DB) AddChallenge(ctx context.Context, c Challenge) error {
	_, err := db.change(ctx, `INSERT INTO challenges (`+challengeColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		c.ID, c.SignIn, c.Method, c.State, c.Tries, c.TriedAt, c.Hard, c.Sends, c.SentAt, c.Version, c.PassedAt)
	return err
}

// Challenge is the challenge of this sign-in.
func (db *DB) Challenge(ctx context.Context, signIn string) (c Challenge, err error) {
	row := db.read.QueryRowContext(ctx, `SELECT `+challengeColumns+` FROM challenges WHERE signin = $1`, signIn)
	err = row.Scan(&c.ID, &c.SignIn, &c.Method, &c.State, &c.Tries, &c.TriedAt, &c.Hard, &c.Sends, &c.SentAt, &c.Version, &c.PassedAt)
	return c, found(err)
}

// AskAgain puts the open challenge c to the person anew, with c's method, state,
// Hard, SentAt and Sends, if nobody did so since c was read (c.Version is one more than was
// read). ErrNotFound: somebody did.
func (db *DB) AskAgain(ctx context.Context, c Challenge) error {
	return db.must(ctx, `UPDATE challenges SET method = $2, state = $3, sends = $4, sent_at = $5, version = $6, hard = $7
		WHERE id = $1 AND version = $6 - 1 AND passed_at = 0`, c.ID, c.Method, c.State, c.Sends, c.SentAt, c.Version, c.Hard)
}

// Try spends one of the challenge's tries, if nobody did so since c was read. It must be
// committed before anything is compared: forty guesses at once are then still no more than
// limit. ErrNotFound: none is left, the challenge is over, or somebody was faster.
func (db *DB) Try(ctx context.Context, c Challenge, limit, now int64) error {
	return db.must(ctx, `UPDATE challenges SET tries = tries + 1, tried_at = $3 WHERE id = $1 AND tries < $2 AND tries = $4 AND passed_at = 0
		AND EXISTS (SELECT 1 FROM signins WHERE signins.id = challenges.signin AND finished_at = 0 AND ends_at >= $3)`, c.ID, limit, now, c.Tries)
}

// PassChallenge marks an open challenge as answered, once.
func (db *DB) PassChallenge(ctx context.Context, id string, now int64) error {
	return db.must(ctx, `UPDATE challenges SET passed_at = $2 WHERE id = $1 AND passed_at = 0`, id, now)
}

const codeColumns = `id, challenge, method, mac, message, sent_at, ends_at, cost`

// AddCode adds c.
func (db *DB) AddCode(ctx context.Context, c Code) error {
	_, err := db.change(ctx, `INSERT INTO codes (`+codeColumns+`, used_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0)`,
		c.ID, c.Challenge, c.Method, c.MAC, c.Message, c.SentAt, c.EndsAt, c.Cost)
	return err
}

// LiveCodes are the codes that the challenge accepts now for this method, newest first.
func (db *DB) LiveCodes(ctx context.Context, challenge, method string, now int64) ([]Code, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT `+codeColumns+` FROM codes
		WHERE challenge = $1 AND method = $2 AND used_at = 0 AND ends_at >= $3 ORDER BY sent_at DESC, id`, challenge, method, now)
	return all(rows, err, scanCode)
}

// NewestCode is the code that was sent last for this method, good or not.
func (db *DB) NewestCode(ctx context.Context, challenge, method string) (Code, error) {
	return scanCode(db.read.QueryRowContext(ctx, `SELECT `+codeColumns+` FROM codes
		WHERE challenge = $1 AND method = $2 ORDER BY sent_at DESC, id LIMIT 1`, challenge, method))
}

func scanCode(s scanner) (c Code, err error) {
	err = s.Scan(&c.ID, &c.Challenge, &c.Method, &c.MAC, &c.Message, &c.SentAt, &c.EndsAt, &c.Cost)
	return c, found(err)
}

// UseCode uses a code up, if it is still good. ErrNotFound: it is not, or somebody
// else was faster.
func (db *DB) UseCode(ctx context.Context, id string, now int64) error {
	return db.must(ctx, `UPDATE codes SET used_at = $2 WHERE id = $1 AND used_at = 0 AND ends_at >= $2`, id, now)
}

// KeepNewest pushes out all but the keep newest good codes of the challenge.
func (db *DB) KeepNewest(ctx context.Context, challenge string, keep, now int64) error {
	_, err := db.change(ctx, `UPDATE codes SET used_at = $3 WHERE challenge = $1 AND used_at = 0 AND id NOT IN
		(SELECT id FROM codes WHERE challenge = $1 AND used_at = 0 ORDER BY sent_at DESC, id LIMIT $2)`, challenge, keep, now)
	return err
}

// DropShort pushes out all good codes of the challenge that can be guessed at.
func (db *DB) DropShort(ctx context.Context, challenge string, now int64) error {
	_, err := db.change(ctx, `UPDATE codes SET used_at = $2 WHERE challenge = $1 AND used_at = 0 AND cost > 0`, challenge, now)
	return err
}
