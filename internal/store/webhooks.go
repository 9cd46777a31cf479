package store

import (
	"context"
	"time"
)

// Webhook is a row of webhooks: how far the events were delivered.
type Webhook struct {
	Name         string
	Position     EventID // an event with a smaller id is delivered, not for this webhook, or deferred
	Lease        string
	Failures     int64     // failed attempts since the last delivery
	FailingSince time.Time // the first of them; zero: none has failed
	Failure      string    // why the last of them failed
	DueAt        time.Time // no attempt before
	Gone         bool      // the receiver wants no more
	DeliveredAt  time.Time // the last delivery; zero: none
	Lost         int64     // events that were given up since the last replay
	LostAt       time.Time // when the last of them was
}

// WebhookEvents selects the events of a webhook that are neither delivered nor deferred.
type WebhookEvents struct {
	Webhook string
	From    EventID // this event or newer
	Until   EventID // older than this event
	Kinds   string  // separated by commas
	Limit   int
}

// LastEventID is no event. It is larger than the ids of all events.
const LastEventID = maxEventID

// FirstEventID returns an id that is not larger than that of any event since a time.
func FirstEventID(at time.Time) EventID { return firstEventID(at) }

// CreateWebhook inserts a webhook unless there is one of this name.
func (db *DB) CreateWebhook(ctx context.Context, name string, position EventID) error {
	_, err := db.change(ctx, `INSERT INTO webhooks (name, position, lease, failures, failing_since, failure, due_at, gone,
			delivered_at, lost, lost_at)
		VALUES ($1, $2, '', 0, 0, '', 0, FALSE, 0, 0, 0) ON CONFLICT (name) DO NOTHING`, name, position)
	return err
}

// GetWebhook returns a webhook, or ErrNotFound.
func (db *DB) GetWebhook(ctx context.Context, name string) (w Webhook, err error) {
	w.Name = name
	err = found(db.read.QueryRowContext(ctx, `SELECT position, lease, failures, failing_since, failure, due_at, gone,
			delivered_at, lost, lost_at FROM webhooks WHERE name = $1`, name).
		Scan(&w.Position, &w.Lease, &w.Failures, (*Time)(&w.FailingSince), &w.Failure, (*Time)(&w.DueAt), &w.Gone,
			(*Time)(&w.DeliveredAt), &w.Lost, (*Time)(&w.LostAt)))
	return w, err
}

// ClaimWebhook replaces the lease of a webhook. It returns ErrNotFound if the webhook has another lease than before.
func (db *DB) ClaimWebhook(ctx context.Context, name, before, lease string) error {
	return db.must(ctx, `UPDATE webhooks SET lease = $3 WHERE name = $1 AND lease = $2`, name, before, lease)
}

// ListWebhookEvents lists the events that q selects, oldest first.
func (db *DB) ListWebhookEvents(ctx context.Context, q WebhookEvents) ([]AuditEvent, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT e.id, e.kind, e.actor_type, e.actor_id, e.account, e.target, e.result,
			e.reason, e.client, e.sign_in, e.address, e.browser, e.trace, e.occurrences, '', ''
		FROM audit_log AS e WHERE e.id IN (SELECT id FROM audit_events WHERE id >= $2 AND id < $3
			AND kind IN (SELECT id FROM audit_terms WHERE ',' || $4 || ',' LIKE '%,' || term || ',%')
			AND NOT EXISTS (SELECT 1 FROM webhook_deliveries
				WHERE webhook_deliveries.webhook = $1 AND webhook_deliveries.event_id = audit_events.id)
			ORDER BY id LIMIT $5) ORDER BY e.id`, q.Webhook, q.From, q.Until, q.Kinds, q.Limit)
	return all(rows, err, scanAuditEvent)
}

// CountWebhookEvents counts the events that q selects, up to q.Limit.
func (db *DB) CountWebhookEvents(ctx context.Context, q WebhookEvents) (n int64, err error) {
	err = db.read.QueryRowContext(ctx, `SELECT COUNT(*) FROM (SELECT id FROM audit_events WHERE id >= $2 AND id < $3
			AND kind IN (SELECT id FROM audit_terms WHERE ',' || $4 || ',' LIKE '%,' || term || ',%')
			AND NOT EXISTS (SELECT 1 FROM webhook_deliveries
				WHERE webhook_deliveries.webhook = $1 AND webhook_deliveries.event_id = audit_events.id)
			ORDER BY id LIMIT $5) AS few`, q.Webhook, q.From, q.Until, q.Kinds, q.Limit).Scan(&n)
	return n, err
}

// DeferredEvent is an event that failed while others were delivered.
type DeferredEvent struct {
	AuditEvent
	Failures     int64
	FailingSince time.Time
}

// ListDeferredEvents lists the deferred events of a webhook that are due, up to limit.
func (db *DB) ListDeferredEvents(ctx context.Context, webhook string, now time.Time, limit int) (
	[]DeferredEvent, error,
) {
	rows, err := db.read.QueryContext(ctx, `SELECT e.id, e.kind, e.actor_type, e.actor_id, e.account, e.target, e.result,
			e.reason, e.client, e.sign_in, e.address, e.browser, e.trace, e.occurrences, due.failures, due.failing_since
		FROM (SELECT event_id, failures, failing_since FROM webhook_deliveries
			WHERE webhook = $1 AND failures > 0 AND due_at <= $2 ORDER BY due_at LIMIT $3) AS due
		JOIN audit_log AS e ON e.id = due.event_id ORDER BY e.id`, webhook, now, limit)
	return all(rows, err, func(s scanner) (e DeferredEvent, err error) {
		return e, s.Scan(&e.ID, &e.Kind, &e.ActorType, &e.ActorID, &e.Account, &e.Target, &e.Result, &e.Reason, &e.Client,
			&e.SignIn, &e.Address, &e.Browser, &e.Trace, &e.Occurrences, &e.Failures, (*Time)(&e.FailingSince))
	})
}

// CountDeferredEvents counts the deferred events of a webhook. oldest is the first of them, or 0.
func (db *DB) CountDeferredEvents(ctx context.Context, webhook string) (n int64, oldest EventID, err error) {
	err = db.read.QueryRowContext(ctx, `SELECT COUNT(*), COALESCE(MIN(event_id), 0) FROM webhook_deliveries
		WHERE webhook = $1 AND failures > 0`, webhook).Scan(&n, &oldest)
	return n, oldest, err
}

// The methods below return ErrNotFound if the webhook has another lease than lease: another server delivers.

// MoveWebhook moves the position of a webhook, and deletes the rows of deliveries before it. It also returns
// ErrNotFound if the position is not w.Position: a replay has moved it.
func (db *DB) MoveWebhook(ctx context.Context, w Webhook, to EventID) error {
	return db.Tx(ctx, func(tx *DB) error {
		if err := tx.must(ctx, `UPDATE webhooks SET position = $4 WHERE name = $1 AND lease = $2 AND position = $3`,
			w.Name, w.Lease, w.Position, to); err != nil {
			return err
		}
		_, err := tx.change(ctx, `DELETE FROM webhook_deliveries WHERE webhook = $1 AND event_id < $2 AND failures = 0`,
			w.Name, to)
		return err
	})
}

// FinishDelivery records that an event was delivered.
func (db *DB) FinishDelivery(ctx context.Context, webhook, lease string, event EventID, now time.Time) error {
	return db.Tx(ctx, func(tx *DB) error {
		if err := tx.must(ctx, `UPDATE webhooks SET failures = 0, failing_since = 0, failure = '', due_at = 0,
				gone = FALSE, delivered_at = $3 WHERE name = $1 AND lease = $2`, webhook, lease, now); err != nil {
			return err
		}
		return tx.settleDelivery(ctx, webhook, event)
	})
}

func (db *DB) settleDelivery(ctx context.Context, webhook string, event EventID) error {
	_, err := db.change(ctx, `INSERT INTO webhook_deliveries (webhook, event_id, failures, failing_since, due_at)
		VALUES ($1, $2, 0, 0, 0) ON CONFLICT (webhook, event_id) DO UPDATE SET failures = 0, failing_since = 0, due_at = 0`,
		webhook, event)
	return err
}

// FailWebhook records that nothing can be delivered: failure says why, and no attempt is made before due.
func (db *DB) FailWebhook(ctx context.Context, webhook, lease, failure string, gone bool, now, due time.Time) error {
	return db.must(ctx, `UPDATE webhooks SET failures = failures + 1, failure = $3, gone = $4,
			failing_since = CASE WHEN failing_since = 0 THEN $5 ELSE failing_since END, due_at = $6
		WHERE name = $1 AND lease = $2`, webhook, lease, failure, gone, now, due)
}

// DeferDelivery records that an attempt to deliver an event failed while others succeed. It is tried again at due.
func (db *DB) DeferDelivery(ctx context.Context, webhook, lease string, event EventID, now, due time.Time) error {
	return db.Tx(ctx, func(tx *DB) error {
		if err := tx.ClaimWebhook(ctx, webhook, lease, lease); err != nil {
			return err
		}
		_, err := tx.change(ctx, `INSERT INTO webhook_deliveries (webhook, event_id, failures, failing_since, due_at)
			VALUES ($1, $2, 1, $3, $4) ON CONFLICT (webhook, event_id)
			DO UPDATE SET failures = webhook_deliveries.failures + 1, due_at = excluded.due_at`, webhook, event, now, due)
		return err
	})
}

// LoseEvents gives up n events before the event to. It also returns ErrNotFound if the position is not w.Position.
func (db *DB) LoseEvents(ctx context.Context, w Webhook, to EventID, n int64, now time.Time) error {
	return db.Tx(ctx, func(tx *DB) error {
		if err := tx.MoveWebhook(ctx, w, to); err != nil {
			return err
		}
		return tx.lose(ctx, w.Name, n, now)
	})
}

// LoseDeferred gives up a deferred event.
func (db *DB) LoseDeferred(ctx context.Context, webhook, lease string, event EventID, now time.Time) error {
	return db.Tx(ctx, func(tx *DB) error {
		if err := tx.ClaimWebhook(ctx, webhook, lease, lease); err != nil {
			return err
		}
		if err := tx.settleDelivery(ctx, webhook, event); err != nil {
			return err
		}
		return tx.lose(ctx, webhook, 1, now)
	})
}

func (db *DB) lose(ctx context.Context, webhook string, n int64, now time.Time) error {
	return db.must(ctx, `UPDATE webhooks SET lost = lost + $2, lost_at = $3 WHERE name = $1`, webhook, n, now)
}

// ResumeWebhook makes the events of a webhook due, and forgets that its receiver wanted no more. It returns ErrNotFound
// if there is no such webhook.
func (db *DB) ResumeWebhook(ctx context.Context, name string) error {
	return db.Tx(ctx, func(tx *DB) error {
		if err := tx.must(ctx, `UPDATE webhooks SET failures = 0, failing_since = 0, failure = '', due_at = 0, gone = FALSE
			WHERE name = $1`, name); err != nil {
			return err
		}
		_, err := tx.change(ctx, `UPDATE webhook_deliveries SET due_at = 0 WHERE webhook = $1 AND failures > 0`, name)
		return err
	})
}

// ReplayWebhook makes all events of a webhook from this one on undelivered, and forgets how many were given up. It
// returns ErrNotFound if there is no such webhook.
func (db *DB) ReplayWebhook(ctx context.Context, name string, from EventID) error {
	return db.Tx(ctx, func(tx *DB) error {
		if err := tx.must(ctx, `UPDATE webhooks SET position = CASE WHEN position < $2 THEN position ELSE $2 END,
				lost = 0, lost_at = 0 WHERE name = $1`, name, from); err != nil {
			return err
		}
		if _, err := tx.change(ctx, `DELETE FROM webhook_deliveries WHERE webhook = $1 AND event_id >= $2`, name,
			from); err != nil {
			return err
		}
		return tx.ResumeWebhook(ctx, name)
	})
}
