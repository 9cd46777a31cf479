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
	Urgent       bool      // a person waits for it
	SendAttempts int64     // started
}

// EnqueueMessage inserts m.
func (db *DB) EnqueueMessage(ctx context.Context, m OutboxMessage) error {
	_, err := db.change(ctx, `INSERT INTO outbox_messages (id, body, state, state_at, due_at, expires_at, urgent,
			send_attempts, open_attempts, claim_beats)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0, 0)`, m.ID, m.Body, m.State, m.StateAt, m.DueAt, m.ExpiresAt, m.Urgent)
	return err
}

// GetMessageState returns the state of a message and when it was set, or ErrNotFound.
func (db *DB) GetMessageState(ctx context.Context, id string) (state string, at time.Time, err error) {
	err = db.read.QueryRowContext(ctx, `SELECT state, state_at FROM outbox_messages WHERE id = $1`, id).Scan(&state,
		(*Time)(&at))
	return state, at, found(err)
}

// ClaimMessage claims a message until the given time, so that no other worker sends it: of the urgent ones the newest,
// of the others the one that has been due longest. A message with two attempts of unknown result is not claimed: the
// person may have it twice already. It returns ErrNotFound if no such message is due.
func (db *DB) ClaimMessage(ctx context.Context, urgent bool, now, until time.Time) (m OutboxMessage, err error) {
	// The outer condition is for PostgreSQL: after waiting for a locked row it checks the outer condition again,
	// but does not repeat the inner SELECT.
	// A + keeps SQLite from using the index on that column, with which it would read and sort all waiting messages.
	const (
		update = `UPDATE outbox_messages SET due_at = $2, send_attempts = send_attempts + 1,
				open_attempts = open_attempts + 1, claim_beats = 1
			WHERE id = (SELECT id FROM outbox_messages WHERE state = 'waiting' AND open_attempts < 2 AND +expires_at >= $1`
		returning = ` LIMIT 1) AND state = 'waiting' AND open_attempts < 2 AND expires_at >= $1 AND due_at <= $1
			RETURNING id, body, state, state_at, due_at, expires_at, urgent, send_attempts`
		newest  = update + ` AND urgent AND +due_at <= $1 ORDER BY state_at DESC, id DESC` + returning
		longest = update + ` AND NOT urgent AND due_at <= $1 ORDER BY due_at, id` + returning
	)
	args := []any{now, until}
	into := []any{&m.ID, &m.Body, &m.State, (*Time)(&m.StateAt), (*Time)(&m.DueAt), (*Time)(&m.ExpiresAt), &m.Urgent,
		&m.SendAttempts}
	if urgent {
		err = db.returning(ctx, newest, args, into)
	} else {
		err = db.returning(ctx, longest, args, into)
	}
	return m, err
}

// Claim is the claim of a worker to a message.
type Claim struct {
	ID      string // of the message
	Attempt int64  // SendAttempts of the message when it was claimed
	Beats   int64  // how often it was renewed
}

// Claim returns the claim to a message that ClaimMessage has returned.
func (m OutboxMessage) Claim() Claim { return Claim{ID: m.ID, Attempt: m.SendAttempts} }

// RenewClaim shows the other servers that the worker of a claim lives. It returns ErrNotFound if the claim was
// released.
func (db *DB) RenewClaim(ctx context.Context, c Claim) error {
	return db.must(ctx, `UPDATE outbox_messages SET claim_beats = claim_beats + 1
		WHERE id = $1 AND send_attempts = $2 AND state = 'waiting' AND claim_beats > 0`, c.ID, c.Attempt)
}

// ListClaims lists the claims of all workers of all servers.
func (db *DB) ListClaims(ctx context.Context) ([]Claim, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT id, send_attempts, claim_beats FROM outbox_messages
		WHERE state = 'waiting' AND claim_beats > 0`)
	return all(rows, err, func(s scanner) (c Claim, err error) {
		return c, s.Scan(&c.ID, &c.Attempt, &c.Beats)
	})
}

// ReleaseClaim makes the message of a claim due now, unless the claim was renewed after it was read. The result of its
// attempt stays unknown.
func (db *DB) ReleaseClaim(ctx context.Context, c Claim, now time.Time) error {
	_, err := db.change(ctx, `UPDATE outbox_messages SET due_at = $4, claim_beats = 0
		WHERE id = $1 AND send_attempts = $2 AND claim_beats = $3 AND state = 'waiting'`, c.ID, c.Attempt, c.Beats, now)
	return err
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

// RetryMessage releases a claim, and its message is sent again at due. certain says that the attempt is known to have
// failed. If another worker has claimed the message since, that claim stays.
func (db *DB) RetryMessage(ctx context.Context, c Claim, due time.Time, certain bool) error {
	var known int64
	if certain {
		known = 1
	}
	_, err := db.change(ctx, `UPDATE outbox_messages SET open_attempts = open_attempts - $3,
			due_at = CASE WHEN send_attempts = $4 THEN $2 ELSE due_at END,
			claim_beats = CASE WHEN send_attempts = $4 THEN 0 ELSE claim_beats END
		WHERE id = $1 AND state = 'waiting'`, c.ID, due, known, c.Attempt)
	return err
}

// ReleaseClaimedMessages makes every claimed message due now. Call it only when the only server of the database starts:
// the workers that claimed the messages no longer run.
func (db *DB) ReleaseClaimedMessages(ctx context.Context, now time.Time) error {
	_, err := db.change(ctx, `UPDATE outbox_messages SET due_at = $1, claim_beats = 0
		WHERE state = 'waiting' AND claim_beats > 0`, now)
	return err
}

// RetryUrgentMessages makes every urgent message that waits for its next attempt due now.
func (db *DB) RetryUrgentMessages(ctx context.Context, now time.Time) error {
	_, err := db.change(ctx, `UPDATE outbox_messages SET due_at = $1
		WHERE state = 'waiting' AND urgent AND open_attempts < 2 AND claim_beats = 0 AND due_at > $1`, now)
	return err
}

// GetNextMessageTime returns when the next message is due. It returns ErrNotFound if none is waiting.
func (db *DB) GetNextMessageTime(ctx context.Context, now time.Time) (due time.Time, err error) {
	// The + keeps SQLite from using the index on expires_at, with which it would read all waiting messages.
	err = db.read.QueryRowContext(ctx, `SELECT due_at FROM outbox_messages
		WHERE state = 'waiting' AND +expires_at >= $1 AND open_attempts < 2 ORDER BY due_at LIMIT 1`,
		now).Scan((*Time)(&due))
	return due, found(err)
}

// WaitingMessages are the messages that wait to be sent, or are being sent.
type WaitingMessages struct {
	Count  int
	Oldest time.Time // when the oldest was enqueued; zero if Count is 0
}

// CountWaitingMessages returns how many messages wait, and since when.
func (db *DB) CountWaitingMessages(ctx context.Context) (w WaitingMessages, err error) {
	err = db.read.QueryRowContext(ctx, `SELECT COUNT(*), MIN(state_at) FROM outbox_messages WHERE state = 'waiting'`).
		Scan(&w.Count, (*Time)(&w.Oldest))
	return w, err
}

// ExpireMessages sets messages that can no longer be sent to expired or unknown, deletes their bodies, and returns their
// number.
func (db *DB) ExpireMessages(ctx context.Context, now time.Time) (int64, error) {
	// Each half of the UNION uses an index of its own. The outer conditions are for PostgreSQL, as in ClaimMessage.
	return db.change(ctx, `UPDATE outbox_messages
		SET state = CASE WHEN open_attempts > 0 THEN 'unknown' ELSE 'expired' END, state_at = $1, body = $2
		WHERE id IN (SELECT id FROM outbox_messages WHERE state = 'waiting' AND expires_at < $1
			UNION ALL SELECT id FROM outbox_messages WHERE state = 'waiting' AND open_attempts >= 2 AND due_at <= $1)
		AND state = 'waiting' AND (expires_at < $1 OR (open_attempts >= 2 AND due_at <= $1))`, now, []byte{})
}
