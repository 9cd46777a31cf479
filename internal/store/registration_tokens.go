package store

import (
	"context"
	"time"
)

// RegistrationToken is a token with which apps register themselves (RFC 7591).
type RegistrationToken struct {
	Hash      []byte
	UsesLeft  int64
	ExpiresAt time.Time
}

// CreateRegistrationToken inserts t.
func (db *DB) CreateRegistrationToken(ctx context.Context, t RegistrationToken) error {
	_, err := db.change(ctx, `INSERT INTO registration_tokens (hash, uses_left, expires_at) VALUES ($1, $2, $3)`,
		t.Hash, t.UsesLeft, t.ExpiresAt)
	return err
}

// GetRegistrationToken returns the token with this hash that can be used. It returns ErrNotFound if there is none.
func (db *DB) GetRegistrationToken(ctx context.Context, hash []byte, now time.Time) (t RegistrationToken, err error) {
	err = db.read.QueryRowContext(ctx, `SELECT hash, uses_left, expires_at FROM registration_tokens
		WHERE hash = $1 AND uses_left > 0 AND expires_at >= $2`, hash, now).
		Scan(&t.Hash, &t.UsesLeft, (*Time)(&t.ExpiresAt))
	return t, found(err)
}

// UseRegistrationToken uses a token once. It returns ErrNotFound if it was used up, has expired or does not exist.
func (db *DB) UseRegistrationToken(ctx context.Context, hash []byte, now time.Time) error {
	return db.must(ctx, `UPDATE registration_tokens SET uses_left = uses_left - 1
		WHERE hash = $1 AND uses_left > 0 AND expires_at >= $2`, hash, now)
}

// EndRegistrationTokens makes all tokens unusable and returns how many could be used.
func (db *DB) EndRegistrationTokens(ctx context.Context, now time.Time) (int64, error) {
	return db.change(ctx, `UPDATE registration_tokens SET uses_left = 0 WHERE expires_at >= $1 AND uses_left > 0`, now)
}
