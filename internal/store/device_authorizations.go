package store

import (
	"context"
	"time"
)

// States of a DeviceAuthorization.
const (
	DevicePending = "pending" // no person has answered yet
	DeviceAllowed = "allowed"
	DeviceDenied  = "denied"
)

// DeviceAuthorization is a request of a device that waits for a person to enter its code (RFC 8628).
type DeviceAuthorization struct {
	ID         []byte // hash of the device code
	UserCode   string
	ClientID   string
	Scope      string
	Address    string // of the device
	State      string
	Interval   time.Duration // between two polls
	PollsEarly bool          // the last poll came before the interval was over
	CreatedAt  time.Time
	ExpiresAt  time.Time
}

const deviceAuthorizationColumns = `id, user_code, client_id, scope, address, state, interval_ms, polls_early,
	created_at, expires_at`

func (a *DeviceAuthorization) scan(s scanner) error {
	var interval int64
	err := s.Scan(&a.ID, &a.UserCode, &a.ClientID, &a.Scope, &a.Address, &a.State, &interval, &a.PollsEarly,
		(*Time)(&a.CreatedAt), (*Time)(&a.ExpiresAt))
	a.Interval = time.Duration(interval) * time.Millisecond
	return found(err)
}

// CreateDeviceAuthorization inserts a. It returns ErrConflict if another one has the user code.
func (db *DB) CreateDeviceAuthorization(ctx context.Context, a DeviceAuthorization) error {
	_, err := db.change(ctx, `INSERT INTO device_authorizations (id, user_code, client_id, scope, address, state,
			interval_ms, polled_at, polls_early, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0, FALSE, $8, $9)`,
		a.ID, a.UserCode, a.ClientID, a.Scope, a.Address, a.State, a.Interval.Milliseconds(), a.CreatedAt, a.ExpiresAt)
	return err
}

// GetDeviceAuthorization returns a request that waits for an answer. It returns ErrNotFound if it has expired or was
// answered.
func (db *DB) GetDeviceAuthorization(ctx context.Context, id []byte, now time.Time) (a DeviceAuthorization, err error) {
	return a, a.scan(db.read.QueryRowContext(ctx, `SELECT `+deviceAuthorizationColumns+` FROM device_authorizations
		WHERE id = $1 AND state = 'pending' AND expires_at >= $2`, id, now))
}

// FindDeviceAuthorization returns the request with this user code that waits for an answer, or ErrNotFound.
func (db *DB) FindDeviceAuthorization(
	ctx context.Context, userCode string, now time.Time,
) (a DeviceAuthorization, err error) {
	return a, a.scan(db.read.QueryRowContext(ctx, `SELECT `+deviceAuthorizationColumns+` FROM device_authorizations
		WHERE user_code = $1 AND state = 'pending' AND expires_at >= $2`, userCode, now))
}

// PollDeviceAuthorization records that the client asks for the answer to a request, and returns the request, also if it
// has expired. A poll that is more than the tolerance early makes the interval longer by slowDown. It returns
// ErrNotFound if the client has no such request.
func (db *DB) PollDeviceAuthorization(
	ctx context.Context, id []byte, client string, now time.Time, tolerance, slowDown time.Duration,
) (a DeviceAuthorization, err error) {
	// All expressions see the row as it was, and the row is locked: of two polls at the same time one is early.
	return a, a.scan(db.write.QueryRowContext(ctx, `UPDATE device_authorizations SET polled_at = $3,
			polls_early = polled_at + interval_ms > CAST($3 AS BIGINT) + $4,
			interval_ms = interval_ms + CASE WHEN polled_at + interval_ms > CAST($3 AS BIGINT) + $4
				THEN CAST($5 AS BIGINT) ELSE 0 END
		WHERE id = $1 AND client_id = $2 RETURNING `+deviceAuthorizationColumns,
		id, client, now, tolerance.Milliseconds(), slowDown.Milliseconds()))
}

// AnswerDeviceAuthorization records the answer to a request. It returns ErrNotFound if it has expired or was answered.
func (db *DB) AnswerDeviceAuthorization(ctx context.Context, id []byte, state string, now time.Time) error {
	return db.must(ctx, `UPDATE device_authorizations SET state = $2
		WHERE id = $1 AND state = 'pending' AND expires_at >= $3`, id, state, now)
}

// DeleteDeviceAuthorization deletes a request. It returns ErrNotFound if there is none.
func (db *DB) DeleteDeviceAuthorization(ctx context.Context, id []byte) error {
	return db.must(ctx, `DELETE FROM device_authorizations WHERE id = $1`, id)
}
