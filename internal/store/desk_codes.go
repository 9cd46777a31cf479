package store

import (
	"context"
	"time"
)

// States of a desk code. The first three have not ended.
const (
	DeskWaiting   = "waiting"   // for the approval of a second operator
	DeskApproved  = "approved"  // the operator who asked may see the code
	DeskValid     = "valid"     // the code was shown, and signs in
	DeskUsed      = "used"      // it has replaced a second step
	DeskRefused   = "refused"   // by the second operator
	DeskCancelled = "cancelled" // by the person or an operator
	DeskReplaced  = "replaced"  // another one was requested
	DeskExpired   = "expired"
)

// DeskCode is a code that the help desk reads to a person who is locked out.
type DeskCode struct {
	ID         string
	AccountID  string
	Epoch      int64 // of the account, when the code was requested
	State      string
	AskedBy    string // the operator, as 'TYPE:ID'
	ApprovedBy string // the second operator, as 'TYPE:ID'; "" if none was needed, or none has approved
	MAC        []byte // empty until the code is shown
	AttemptID  string // the sign-in in which a code was entered first; "" if none was
	Guesses    int64
	AskedAt    time.Time
	ExpiresAt  time.Time // of the present state
	UsedAt     time.Time // zero: it was not used
	EndedAt    time.Time // zero: it has not ended
}

const deskCodeColumns = `desk_codes.id, desk_codes.account_id, desk_codes.epoch, desk_codes.state, desk_codes.asked_by,
		desk_codes.approved_by, desk_codes.mac, desk_codes.attempt_id, desk_codes.guesses, desk_codes.asked_at,
		desk_codes.expires_at, desk_codes.used_at, desk_codes.ended_at`

func (c *DeskCode) columns() []any {
	return []any{&c.ID, &c.AccountID, &c.Epoch, &c.State, &c.AskedBy, &c.ApprovedBy, &c.MAC, &c.AttemptID, &c.Guesses,
		(*Time)(&c.AskedAt), (*Time)(&c.ExpiresAt), (*Time)(&c.UsedAt), (*Time)(&c.EndedAt)}
}

func scanDeskCode(s scanner) (c DeskCode, err error) {
	err = s.Scan(c.columns()...)
	return c, found(err)
}

// CreateDeskCode inserts c. It returns ErrConflict if the account has a desk code that has not ended.
func (db *DB) CreateDeskCode(ctx context.Context, c DeskCode) error {
	_, err := db.change(ctx, `INSERT INTO desk_codes (id, account_id, epoch, state, asked_by, approved_by, mac, attempt_id,
			guesses, asked_at, expires_at, used_at, ended_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, '', 0, $8, $9, 0, 0)`,
		c.ID, c.AccountID, c.Epoch, c.State, c.AskedBy, c.ApprovedBy, blob(c.MAC), c.AskedAt, c.ExpiresAt)
	return err
}

// GetDeskCode returns a desk code, or ErrNotFound.
func (db *DB) GetDeskCode(ctx context.Context, id string) (DeskCode, error) {
	return scanDeskCode(db.read.QueryRowContext(ctx, `SELECT `+deskCodeColumns+` FROM desk_codes WHERE id = $1`, id))
}

// FindDeskCode returns the desk code of an account that has not ended; it may have expired. It returns ErrNotFound if
// there is none.
func (db *DB) FindDeskCode(ctx context.Context, account string) (DeskCode, error) {
	return scanDeskCode(db.read.QueryRowContext(ctx, `SELECT `+deskCodeColumns+` FROM desk_codes
		WHERE account_id = $1 AND ended_at = 0`, account))
}

// WaitingDeskCode is a desk code that waits for approval, with the account that it is for.
type WaitingDeskCode struct {
	DeskCode
	Email, Name, Role string // of the account
}

// ListWaitingDeskCodes lists up to limit desk codes that wait for approval, those that expire first at the start.
func (db *DB) ListWaitingDeskCodes(ctx context.Context, now time.Time, limit int) ([]WaitingDeskCode, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT `+deskCodeColumns+`, accounts.email, accounts.name, accounts.role
		FROM desk_codes JOIN accounts ON accounts.id = desk_codes.account_id AND accounts.epoch = desk_codes.epoch
		WHERE desk_codes.ended_at = 0 AND desk_codes.expires_at >= $1 AND desk_codes.state = 'waiting'
		ORDER BY desk_codes.expires_at LIMIT $2`, now, limit)
	return all(rows, err, func(s scanner) (w WaitingDeskCode, err error) {
		return w, s.Scan(append(w.columns(), &w.Email, &w.Name, &w.Role)...)
	})
}

// ListExpiredDeskCodes lists up to limit desk codes that expired before now and have not ended.
func (db *DB) ListExpiredDeskCodes(ctx context.Context, now time.Time, limit int) ([]DeskCode, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT `+deskCodeColumns+` FROM desk_codes
		WHERE ended_at = 0 AND expires_at < $1 ORDER BY expires_at LIMIT $2`, now, limit)
	return all(rows, err, scanDeskCode)
}

// deskAccount is the SQL condition that the account of a desk code has not changed since the request, and may be
// helped.
const deskAccount = `EXISTS (SELECT 1 FROM accounts WHERE accounts.id = desk_codes.account_id
			AND accounts.epoch = desk_codes.epoch AND accounts.disabled_at = 0 AND accounts.frozen_until = 0)`

// ApproveDeskCode records that a second operator has approved a waiting desk code, which the first one may see until
// expires. It returns ErrNotFound if the code does not wait any more.
func (db *DB) ApproveDeskCode(ctx context.Context, id, by string, expires, now time.Time) error {
	return db.must(ctx, `UPDATE desk_codes SET state = 'approved', approved_by = $2, expires_at = $3
		WHERE id = $1 AND state = 'waiting' AND ended_at = 0 AND expires_at >= $4 AND asked_by <> $2
			AND `+deskAccount, id, by, expires, now)
}

// ShowDeskCode makes an approved desk code valid until expires. It returns ErrNotFound if it was shown before, has
// ended or has expired, or if the account was changed since the request.
func (db *DB) ShowDeskCode(ctx context.Context, id string, mac []byte, expires, now time.Time) error {
	return db.must(ctx, `UPDATE desk_codes SET state = 'valid', mac = $2, expires_at = $3
		WHERE id = $1 AND state = 'approved' AND ended_at = 0 AND expires_at >= $4 AND `+deskAccount,
		id, mac, expires, now)
}

// SpendDeskGuess counts one guess at a valid desk code by an attempt, which alone may guess at it from then on. Commit
// it before comparing anything. It returns ErrNotFound if the code is not valid, belongs to another attempt, or had
// limit guesses.
func (db *DB) SpendDeskGuess(ctx context.Context, id, attempt string, limit int64, now time.Time) error {
	return db.must(ctx, `UPDATE desk_codes SET guesses = guesses + 1, attempt_id = $2
		WHERE id = $1 AND state = 'valid' AND ended_at = 0 AND expires_at >= $4 AND guesses < $3
			AND (attempt_id = '' OR attempt_id = $2) AND `+deskAccount, id, attempt, limit, now)
}

// UseDeskCode uses up a valid desk code in the attempt that has guessed at it. It returns ErrNotFound if the code was
// used, has ended or has expired, or if the account was changed since the request.
func (db *DB) UseDeskCode(ctx context.Context, id, attempt string, now time.Time) error {
	return db.must(ctx, `UPDATE desk_codes SET state = 'used', used_at = $3, ended_at = $3
		WHERE id = $1 AND attempt_id = $2 AND state = 'valid' AND ended_at = 0 AND expires_at >= $3 AND `+deskAccount,
		id, attempt, now)
}

// EndDeskCode ends a desk code that has not ended, with a state. It returns ErrNotFound if it has ended.
func (db *DB) EndDeskCode(ctx context.Context, id, state string, now time.Time) error {
	return db.must(ctx, `UPDATE desk_codes SET state = $2, ended_at = $3 WHERE id = $1 AND ended_at = 0`, id, state, now)
}

// CancelDeskCode ends a desk code, also one that was used, and reports whether it was used. It returns ErrNotFound if
// it was cancelled before.
func (db *DB) CancelDeskCode(ctx context.Context, id string, now time.Time) (used bool, err error) {
	var at time.Time
	err = db.returning(ctx, `UPDATE desk_codes SET state = 'cancelled', ended_at = $2
		WHERE id = $1 AND state <> 'cancelled' RETURNING used_at`, []any{id, now}, []any{(*Time)(&at)})
	return !at.IsZero(), err
}
