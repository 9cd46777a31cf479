package store

import (
	"context"
	"time"
)

// States of a message.
const (
	MessageWaiting   = "waiting"   // to be sent, or being sent
	MessageSent      = "sent"      // accepted by the mail server or SMS gateway
	MessageRefused   = "refused"   // rejected permanently
	MessageExpired   = "expired"   // expired before it was accepted
	MessageUnknown   = "unknown"   // two attempts had an unknown result
	MessageDelivered = "delivered" // delivered to the phone, says the gateway
	MessageFailed    = "failed"    // not delivered, says the gateway
	MessageVoid      = "void"      // never sent: makes known and unknown addresses cost the same
)

// OutboxMessage is a row of the outbox.
type OutboxMessage struct {
	ID           string
	Body         []byte // sealed; empty once there is nothing left to send
	State        string
	StateAt      time.Time
	DueAt        time.Time // send not before
	ExpiresAt    time.Time // send not after
	SendAttempts int64     // started
}

// EnqueueMessage inserts m.
func (db *DB) EnqueueMessage(ctx context.Context, m OutboxMessage) error {
	_, err := db.change(ctx, `INSERT INTO outbox_messages (id, body, state, state_at, due_at, expires_at, send_attempts,
			open_attempts)
		VALUES ($1, $2, $3, $4, $5, $6, 0, 0)`, m.ID, m.Body, m.State, m.StateAt, m.DueAt, m.ExpiresAt)
	return err
}

// GetMessageState returns the state of a message and when it was set, or ErrNotFound.
func (db *DB) GetMessageState(ctx context.Context, id string) (state string, at time.Time, err error) {
	err = db.read.QueryRowContext(ctx, `SELECT state, state_at FROM outbox_messages WHERE id = $1`, id).Scan(&state,
		(*Time)(&at))
	return state, at, found(err)
}

// ClaimMessage claims the message that has been due longest until the given time, so that no other worker sends it. A
// message with two attempts of unknown result is not claimed: the person may have it twice already. It returns
// ErrNotFound if no message is due.
func (db *DB) ClaimMessage(ctx context.Context, now, until time.Time) (m OutboxMessage, err error) {
	// The outer condition is for PostgreSQL: after waiting for a locked row it checks the outer condition again,
	// but does not repeat the inner SELECT.
	const due = `state = 'waiting' AND due_at <= $1 AND expires_at >= $1 AND open_attempts < 2`
	err = db.returning(ctx, `UPDATE outbox_messages SET due_at = $2, send_attempts = send_attempts + 1,
			open_attempts = open_attempts + 1
		WHERE id = (SELECT id FROM outbox_messages WHERE `+due+` ORDER BY due_at, id LIMIT 1) AND `+due+`
		RETURNING id, body, state, state_at, due_at, expires_at,
		send_attempts`, []any{now, until}, []any{&m.ID, &m.Body, &m.State, (*Time)(&m.StateAt), (*Time)(&m.DueAt),
		(*Time)(&m.ExpiresAt), &m.SendAttempts})
	return m, err
}

// FinishMessage records the final state of a message and deletes its body. A message that has expired or whose result
// was unknown also gets this state: the caller knows the result.
func (db *DB) FinishMessage(ctx context.Context, id, state string, now time.Time) error {
	_, err := db.change(ctx, `UPDATE outbox_messages SET state = $2, state_at = $3, body = $4, open_attempts = 0
		WHERE id = $1 AND state IN ('waiting', 'expired', 'unknown')`, id, state, now, []byte{})
	return err
}

// RecordDeliveryReceipt records what a gateway reports about a message that it has accepted. States other than
// MessageDelivered and MessageFailed are ignored. Receipts may be repeated and out of order: MessageDelivered is final.
func (db *DB) RecordDeliveryReceipt(ctx context.Context, id, state string, at time.Time) error {
	if state != MessageDelivered && state != MessageFailed {
		return nil
	}
	// The receipt can arrive before the gateway's response. The body is not needed then either.
	_, err := db.change(ctx, `UPDATE outbox_messages SET state = $2, state_at = $3, body = $4, open_attempts = 0
		WHERE id = $1 AND state IN ('waiting', 'sent', 'unknown', 'failed')`, id, state, at, []byte{})
	return err
}

// RetryMessage releases a claimed message, to be sent again at due. certain says that the attempt is known to have
// failed.
func (db *DB) RetryMessage(ctx context.Context, id string, due time.Time, certain bool) error {
	var known int64
	if certain {
		known = 1
	}
	_, err := db.change(ctx, `UPDATE outbox_messages SET due_at = $2, open_attempts = open_attempts - $3 WHERE id = $1
			AND state = 'waiting'`,
		id, due, known)
	return err
}

// ReleaseClaimedMessages makes every claimed message due now. Call it only when the only server of the database starts:
// the workers that claimed the messages no longer run.
func (db *DB) ReleaseClaimedMessages(ctx context.Context, now time.Time) error {
	for _, query := range []string{ // each uses an index of its own
		`UPDATE outbox_messages SET due_at = $1 WHERE state = 'waiting' AND open_attempts < 2 AND open_attempts > 0
				AND due_at > $1`,
		`UPDATE outbox_messages SET due_at = $1 WHERE state = 'waiting' AND open_attempts >= 2 AND due_at > $1`,
	} {
		if _, err := db.change(ctx, query, now); err != nil {
			return err
		}
	}
	return nil
}

// GetNextMessageTime returns when the next message is due. It returns ErrNotFound if none is waiting.
func (db *DB) GetNextMessageTime(ctx context.Context, now time.Time) (due time.Time, err error) {
	// The + keeps SQLite from using the index on expires_at, with which it would read all waiting messages.
	err = db.read.QueryRowContext(ctx, `SELECT due_at FROM outbox_messages
		WHERE state = 'waiting' AND +expires_at >= $1 AND open_attempts < 2 ORDER BY due_at LIMIT 1`,
		now).Scan((*Time)(&due))
	return due, found(err)
}

// ExpireMessages sets messages that can no longer be sent to expired or unknown, and deletes their bodies.
func (db *DB) ExpireMessages(ctx context.Context, now time.Time) error {
	// Each half of the UNION uses an index of its own. The outer conditions are for PostgreSQL, as in ClaimMessage.
	_, err := db.change(ctx, `UPDATE outbox_messages
		SET state = CASE WHEN open_attempts > 0 THEN 'unknown' ELSE 'expired' END, state_at = $1, body = $2
		WHERE id IN (SELECT id FROM outbox_messages WHERE state = 'waiting' AND expires_at < $1
			UNION ALL SELECT id FROM outbox_messages WHERE state = 'waiting' AND open_attempts >= 2 AND due_at <= $1)
		AND state = 'waiting' AND (expires_at < $1 OR (open_attempts >= 2 AND due_at <= $1))`, now, []byte{})
	return err
}
