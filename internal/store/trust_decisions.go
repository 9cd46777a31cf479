package store

import (
	"context"
	"time"
)

// TrustDecision is what was decided after a correct password.
type TrustDecision struct {
	ID        string // trace id
	DecidedAt time.Time
	AccountID string
	DeviceID  string // "" if the browser is not known
	Reason    string
	Body      []byte // sealed: all inputs of the decision
}

// CreateTrustDecision inserts d, and reports whether the account has more than most decisions; d itself may not count
// yet. It does nothing if there is a decision with its id, which is then the same decision.
func (db *DB) CreateTrustDecision(ctx context.Context, d TrustDecision, most int64) (full bool, err error) {
	err = db.returning(ctx, `INSERT INTO trust_decisions (id, decided_at, account_id, device_id, reason, body)
			VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING
			RETURNING EXISTS (SELECT 1 FROM trust_decisions WHERE account_id = $3 LIMIT 1 OFFSET $7)`,
		[]any{d.ID, d.DecidedAt, d.AccountID, d.DeviceID, d.Reason, d.Body, most}, []any{&full})
	if err == ErrNotFound {
		return false, nil
	}
	return full, err
}

// PruneTrustDecisions deletes all but the newest most decisions about an account.
func (db *DB) PruneTrustDecisions(ctx context.Context, account string, most int64) error {
	_, err := db.change(ctx, `DELETE FROM trust_decisions WHERE account_id = $1 AND id NOT IN
		(SELECT id FROM trust_decisions WHERE account_id = $1 ORDER BY decided_at DESC, id LIMIT $2)`, account, most)
	return err
}

const decisionColumns = `id, decided_at, account_id, device_id, reason, body`

func scanDecision(s scanner) (d TrustDecision, err error) {
	err = s.Scan(&d.ID, (*Time)(&d.DecidedAt), &d.AccountID, &d.DeviceID, &d.Reason, &d.Body)
	return d, found(err)
}

// GetTrustDecision returns the decision with this trace id, or ErrNotFound.
func (db *DB) GetTrustDecision(ctx context.Context, id string) (TrustDecision, error) {
	return scanDecision(db.read.QueryRowContext(ctx, `SELECT `+decisionColumns+` FROM trust_decisions WHERE id = $1`,
		id))
}

// ListSecondStepDecisions lists up to most decisions about an account that required the second step, newest first.
func (db *DB) ListSecondStepDecisions(ctx context.Context, account string, most int64) ([]TrustDecision, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT `+decisionColumns+` FROM trust_decisions WHERE account_id = $1
			AND reason <> 'trusted'
		ORDER BY decided_at DESC, id LIMIT $2`, account, most)
	return all(rows, err, scanDecision)
}

// TrustDecisionCursor is the position of a decision in ListTrustDecisions. The zero value is before the first.
type TrustDecisionCursor struct {
	AccountID string
	At        time.Time
	ID        string
}

// ListTrustDecisions lists up to most decisions since a time that are after a position: by account, then by time.
func (db *DB) ListTrustDecisions(
	ctx context.Context, since time.Time, after TrustDecisionCursor, most int64,
) ([]TrustDecision, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT `+decisionColumns+` FROM trust_decisions
		WHERE (account_id, decided_at, id) > ($1, $2, $3) AND decided_at >= $4
		ORDER BY account_id, decided_at, id LIMIT $5`, after.AccountID, after.At, after.ID, since, most)
	return all(rows, err, scanDecision)
}
