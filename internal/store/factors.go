package store

import (
	"context"
	"time"
)

// Factor is one thing an account enrolled.
type Factor struct {
	ID         string
	AccountID  string
	Method     string
	Slot       int64
	Body       []byte // sealed
	Version    int64
	CreatedAt  time.Time
	LastUsedAt time.Time
}

// ListFactors are the factors of an account, the oldest first.
func (db *DB) ListFactors(ctx context.Context, account string) ([]Factor, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT id, account_id, method, slot, body, version, created_at, last_used_at
		FROM factors WHERE account_id = $1 ORDER BY created_at, id`, account)
	return all(rows, err, func(sc scanner) (f Factor, err error) {
		return f, sc.Scan(&f.ID, &f.AccountID, &f.Method, &f.Slot, &f.Body, &f.Version, (*Time)(&f.CreatedAt), (*Time)(&f.LastUsedAt))
	})
}

// CreateFactor adds f, or fails with ErrConflict if its slot is taken.
func (db *DB) CreateFactor(ctx context.Context, f Factor) error {
	defer db.changed(AccountKey(f.AccountID))
	_, err := db.change(ctx, `INSERT INTO factors (id, account_id, method, slot, body, version, created_at,
			last_used_at)
		VALUES ($1, $2, $3, $4, $5, 1, $6, 0)`, f.ID, f.AccountID, f.Method, f.Slot, f.Body, f.CreatedAt)
	return err
}

// UseFactor notes that f proved its account, and keeps its new body, if nobody did so
// since f was read. ErrNotFound: somebody did, or it was removed.
func (db *DB) UseFactor(ctx context.Context, f Factor, now time.Time) error {
	defer db.changed(AccountKey(f.AccountID)) // the last recovery code may be gone
	return db.must(ctx, `UPDATE factors SET body = $4, version = version + 1, last_used_at = $5
		WHERE id = $1 AND account_id = $2 AND version = $3`, f.ID, f.AccountID, f.Version, f.Body, now)
}

// DeleteFactor removes a factor of the account.
func (db *DB) DeleteFactor(ctx context.Context, account, id string) error {
	defer db.changed(AccountKey(account))
	return db.must(ctx, `DELETE FROM factors WHERE account_id = $1 AND id = $2`, account, id)
}

// PendingFactor is a factor that is not proven yet. Its proof is the sign-in it belongs to.
type PendingFactor struct {
	AttemptID string
	SessionID string
	Method    string
	ShownOnly bool
	Body      []byte // sealed
}

// CreatePendingFactor adds d with its sign-in; the one that the session had for the method goes.
func (db *DB) CreatePendingFactor(ctx context.Context, s Attempt, d PendingFactor) error {
	if err := db.DeletePendingFactor(ctx, d.SessionID, d.Method); err != nil {
		return err
	}
	if err := db.CreateAttempt(ctx, s); err != nil {
		return err
	}
	_, err := db.change(ctx, `INSERT INTO pending_factors (attempt_id, session_id, method, shown_only, body)
			VALUES ($1, $2, $3, $4, $5)`,
		d.AttemptID, d.SessionID, d.Method, d.ShownOnly, d.Body)
	return err
}

// DeletePendingFactor forgets the draft of a session for a method, if there is one.
func (db *DB) DeletePendingFactor(ctx context.Context, session, method string) error {
	_, err := db.change(ctx, `DELETE FROM attempts WHERE id IN (SELECT attempt_id FROM pending_factors
			WHERE session_id = $1 AND method = $2)`, session, method)
	return err
}

// FindPendingFactor is the draft of a session for a method with its sign-in, if that is still open.
func (db *DB) FindPendingFactor(ctx context.Context, session, method string, now time.Time) (s Attempt, d PendingFactor, err error) {
	row := db.read.QueryRowContext(ctx, `SELECT `+signInColumns+`, pending_factors.attempt_id,
			pending_factors.session_id, pending_factors.method, pending_factors.shown_only, pending_factors.body
		FROM pending_factors JOIN attempts ON attempts.id = pending_factors.attempt_id AND attempts.finished_at = 0
		AND attempts.expires_at >= $3
		JOIN accounts ON accounts.id = attempts.account_id AND accounts.epoch = attempts.epoch
		AND accounts.disabled_at = 0
		WHERE pending_factors.session_id = $1 AND pending_factors.method = $2`, session, method, now)
	err = row.Scan(append(s.columns(), &d.AttemptID, &d.SessionID, &d.Method, &d.ShownOnly, &d.Body)...)
	return s, d, found(err)
}
