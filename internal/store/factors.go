package store

import (
	"context"
	"time"
)

// Factor is a verification method that an account has set up: an authenticator app, a phone number, a set of recovery
// codes.
type Factor struct {
	ID         string
	AccountID  string
	Method     string
	Slot       int64  // 0 and up: limits how many of a method an account has
	Body       []byte // sealed
	Version    int64  // raised with each change of Body
	CreatedAt  time.Time
	LastUsedAt time.Time
}

// ListFactors lists the factors of an account, oldest first.
func (db *DB) ListFactors(ctx context.Context, account string) ([]Factor, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT id, account_id, method, slot, body, version, created_at, last_used_at
		FROM factors WHERE account_id = $1 ORDER BY created_at, id`, account)
	return all(rows, err, func(s scanner) (f Factor, err error) {
		return f, s.Scan(&f.ID, &f.AccountID, &f.Method, &f.Slot, &f.Body, &f.Version, (*Time)(&f.CreatedAt),
			(*Time)(&f.LastUsedAt))
	})
}

// CreateFactor inserts f. It returns ErrConflict if its slot is taken.
func (db *DB) CreateFactor(ctx context.Context, f Factor) error {
	defer db.changed(AccountKey(f.AccountID))
	_, err := db.change(ctx, `INSERT INTO factors (id, account_id, method, slot, body, version, created_at,
			last_used_at)
		VALUES ($1, $2, $3, $4, $5, 1, $6, $7)`,
		f.ID, f.AccountID, f.Method, f.Slot, f.Body, f.CreatedAt, f.LastUsedAt)
	return err
}

// UseFactor stores the new Body of f and the time of its use. It returns ErrNotFound if f was used or deleted since it
// was read.
func (db *DB) UseFactor(ctx context.Context, f Factor, now time.Time) error {
	defer db.changed(AccountKey(f.AccountID)) // it may have been the last recovery code
	return db.must(ctx, `UPDATE factors SET body = $4, version = version + 1, last_used_at = $5
		WHERE id = $1 AND account_id = $2 AND version = $3`, f.ID, f.AccountID, f.Version, f.Body, now)
}

// DeleteFactor deletes a factor of the account. It returns ErrNotFound if there is no such factor.
func (db *DB) DeleteFactor(ctx context.Context, account, id string) error {
	defer db.changed(AccountKey(account))
	return db.must(ctx, `DELETE FROM factors WHERE account_id = $1 AND id = $2`, account, id)
}

// PendingFactor is a factor that is not verified yet. Passing its attempt verifies it.
type PendingFactor struct {
	AttemptID string
	SessionID string
	Method    string
	ShownOnly bool   // showing it to the person is enough
	Body      []byte // sealed
}

// CreatePendingFactor inserts a pending factor with its attempt. It replaces the one that the session has for the
// method.
func (db *DB) CreatePendingFactor(ctx context.Context, attempt Attempt, pending PendingFactor) error {
	if err := db.DeletePendingFactor(ctx, pending.SessionID, pending.Method); err != nil {
		return err
	}
	if err := db.CreateAttempt(ctx, attempt); err != nil {
		return err
	}
	_, err := db.change(ctx, `INSERT INTO pending_factors (attempt_id, session_id, method, shown_only, body)
			VALUES ($1, $2, $3, $4, $5)`,
		pending.AttemptID, pending.SessionID, pending.Method, pending.ShownOnly, pending.Body)
	return err
}

// DeletePendingFactor deletes the pending factor of a session for a method, if there is one, with its attempt.
func (db *DB) DeletePendingFactor(ctx context.Context, session, method string) error {
	_, err := db.change(ctx, `DELETE FROM attempts WHERE id IN (SELECT attempt_id FROM pending_factors
			WHERE session_id = $1 AND method = $2)`, session, method)
	return err
}
