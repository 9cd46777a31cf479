package store

import (
	"context"
	"time"
)

// The states of a message.
const (
	MessageWaiting   = "waiting"   // to be sent, or being sent
	MessageSent      = "sent"      // accepted by the mail server
	MessageRefused   = "refused"   // refused for good
	MessageExpired   = "expired"   // its time ran out before it was accepted
	MessageUnknown   = "unknown"   // two attempts ended nobody knows how
	MessageDelivered = "delivered" // the phone has it
	MessageFailed    = "failed"    // the network gave it up
	MessageVoid      = "void"      // never to be sent: written so that a known and an unknown name cost the same
)

// OutboxMessage is a row of the outbox.
type OutboxMessage struct {
	ID           string
	Body         []byte // sealed
	State        string
	StateAt      time.Time
	DueAt        time.Time
	ExpiresAt    time.Time
	SendAttempts int64
}

// EnqueueMessage puts m into the outbox.
func (db *DB) EnqueueMessage(ctx context.Context, m OutboxMessage) error {
	_, err := db.change(ctx, `INSERT INTO outbox_messages (id, body, state, state_at, due_at, expires_at, send_attempts,
			open_attempts)
		VALUES ($1, $2, $3, $4, $5, $6, 0, 0)`, m.ID, m.Body, m.State, m.StateAt, m.DueAt, m.ExpiresAt)
	return err
}

// GetMessageState is what became of a message, and when.
func (db *DB) GetMessageState(ctx context.Context, id string) (state string, at time.Time, err error) {
	err = db.read.QueryRowContext(ctx, `SELECT state, state_at FROM outbox_messages WHERE id = $1`, id).Scan(&state,
		(*Time)(&at))
	return state, at, found(err)
}

// ClaimMessage takes the message that has been due longest and holds it until the
// given time, so that no other worker sends it. A message whose last two attempts
// ended nobody knows how is not taken again: the person may have it twice already.
// ErrNotFound: nothing is due.
func (db *DB) ClaimMessage(ctx context.Context, now, until time.Time) (m OutboxMessage, err error) {
	// The conditions stand twice for PostgreSQL: a worker that waited for another
	// one's row checks the outer ones anew, the inner SELECT is not repeated.
	const due = `state = 'waiting' AND due_at <= $1 AND expires_at >= $1 AND open_attempts < 2`
	err = db.returning(ctx, `UPDATE outbox_messages SET due_at = $2, send_attempts = send_attempts + 1,
			open_attempts = open_attempts + 1
		WHERE id = (SELECT id FROM outbox_messages WHERE `+due+` ORDER BY due_at, id LIMIT 1) AND `+due+`
		RETURNING id, body, state, state_at, due_at, expires_at,
		send_attempts`, []any{now, until}, []any{&m.ID, &m.Body, &m.State, (*Time)(&m.StateAt), (*Time)(&m.DueAt), (*Time)(&m.ExpiresAt), &m.SendAttempts})
	return m, err
}

// FinishMessage writes down what became of a message for good and forgets its text. It
// may have been given up meanwhile: what is known now is truer.
func (db *DB) FinishMessage(ctx context.Context, id, state string, now time.Time) error {
	_, err := db.change(ctx, `UPDATE outbox_messages SET state = $2, state_at = $3, body = $4, open_attempts = 0
		WHERE id = $1 AND state IN ('waiting', 'expired', 'unknown')`, id, state, now, []byte{})
	return err
}

// RecordDeliveryReceipt writes down what a gateway says later of a message it took: delivered or
// failed. Receipts come twice and in any order; the last word is one of these two.
func (db *DB) RecordDeliveryReceipt(ctx context.Context, id, state string, at time.Time) error {
	if state != MessageDelivered && state != MessageFailed {
		return nil
	}
	// A receipt can be faster than the gateway's own answer: then the text is not needed
	// any more either.
	_, err := db.change(ctx, `UPDATE outbox_messages SET state = $2, state_at = $3, body = $4, open_attempts = 0
		WHERE id = $1 AND state IN ('waiting', 'sent', 'unknown', 'failed')`, id, state, at, []byte{})
	return err
}

// RetryMessage gives a held message back, due at the given time. certain says that
// the attempt is known not to have been accepted.
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

// ReleaseClaimedMessages makes every held message due now. Only for a database that has one
// server, when that server starts: whoever held them is gone.
func (db *DB) ReleaseClaimedMessages(ctx context.Context, now time.Time) error {
	for _, query := range []string{ // each by an index of its own
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

// GetNextMessageTime is when the next message is due; ErrNotFound if none waits.
func (db *DB) GetNextMessageTime(ctx context.Context, now time.Time) (due time.Time, err error) {
	// The + keeps SQLite from the index by expires_at: it would read all that waits to find the first.
	err = db.read.QueryRowContext(ctx, `SELECT due_at FROM outbox_messages
		WHERE state = 'waiting' AND +expires_at >= $1 AND open_attempts < 2 ORDER BY due_at LIMIT 1`, now).Scan((*Time)(&due))
	return due, found(err)
}

// ExpireMessages gives up what can no longer be sent and forgets its text.
func (db *DB) ExpireMessages(ctx context.Context, now time.Time) error {
	// Each half of the UNION has an index of its own. The outer conditions are for PostgreSQL, as in HoldMessage.
	_, err := db.change(ctx, `UPDATE outbox_messages
		SET state = CASE WHEN open_attempts > 0 THEN 'unknown' ELSE 'expired' END, state_at = $1, body = $2
		WHERE id IN (SELECT id FROM outbox_messages WHERE state = 'waiting' AND expires_at < $1
			UNION ALL SELECT id FROM outbox_messages WHERE state = 'waiting' AND open_attempts >= 2 AND due_at <= $1)
		AND state = 'waiting' AND (expires_at < $1 OR (open_attempts >= 2 AND due_at <= $1))`, now, []byte{})
	return err
}
