// Package outbox is the durable queue of messages. It never
// decides that a message should be sent; it sees to it that one that was committed is.
//
//	Put (in the transaction of the challenge) ─▶ Wake ─▶ hold ─▶ send ─▶ write down
//
// A crash between "hold" and "write down" leaves an attempt of unknown end. One such
// attempt is repeated, so the person has the message once or twice; after a second one
// nothing more is sent. Only two crashes in a row, both before the mail server had
// anything, leave somebody without it; they can ask for a new code.
//
// A hold is counted on the clock of Now: one that jumps forward by more than half a
// minute while a message is being sent makes another worker send it too.
package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store"
)

const (
	attemptTimeout = 20 * time.Second // the longest that one attempt may take
	claimDuration  = 30 * time.Second // for so long no other worker takes the message; longer than an attempt
	pollInterval   = 5 * time.Second  // how often to look for what a fallen instance left behind
	workerCount    = 4                // so that one slow conversation holds up nobody else
)

// Outbox sends what was put into it.
type Outbox struct {
	Store   *store.DB
	Keys    *seal.KeyRing
	Senders map[delivery.Channel]delivery.SendFunc
	Now     func() time.Time
	Log     *slog.Logger

	notified chan struct{}
}

// New makes an outbox; Run starts it.
func New(db *store.DB, keys *seal.KeyRing, send map[delivery.Channel]delivery.SendFunc, now func() time.Time,
	log *slog.Logger) *Outbox {
	return &Outbox{Store: db, Keys: keys, Senders: send, Now: now, Log: log, notified: make(chan struct{}, workerCount)}
}

// Enqueue commits m with the rest of the transaction tx; it is sent until the given time
// and not after. A message without a channel is written and never sent: it makes a
// known and an unknown name cost the same.
func (o *Outbox) Enqueue(ctx context.Context, tx *store.DB, m delivery.Message, expiresAt time.Time) error {
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("outbox: put: %w", err)
	}
	now := o.Now()
	row := store.OutboxMessage{
		ID: m.ID, Body: o.Keys.Seal(boundTo(m.ID), body), State: store.MessageWaiting,
		StateAt: now, DueAt: now, ExpiresAt: expiresAt,
	}
	if m.Channel == "" {
		row.State, row.Body = store.MessageVoid, []byte{}
	}
	return tx.EnqueueMessage(ctx, row)
}

func boundTo(id string) string { return "message " + id }

// Notify says that a transaction with a message was committed.
func (o *Outbox) Notify() {
	select {
	case o.notified <- struct{}{}:
	default: // every worker has been called already
	}
}

// Run sends until ctx ends, then finishes what it has begun.
func (o *Outbox) Run(ctx context.Context) {
	var all sync.WaitGroup
	for range workerCount {
		all.Go(func() { o.runWorker(ctx) })
	}
	all.Wait()
}

func (o *Outbox) runWorker(ctx context.Context) {
	for ctx.Err() == nil {
		sent, err := o.DeliverNext(ctx)
		if err != nil && ctx.Err() == nil {
			o.Log.Error("outbox", "error", err)
		}
		if sent {
			continue
		}
		select {
		case <-ctx.Done():
		case <-o.notified:
		case <-time.After(o.untilNextDue(ctx)):
		}
	}
}

// untilNextDue is how long to wait if nobody calls: until the next message is due.
func (o *Outbox) untilNextDue(ctx context.Context) time.Duration {
	now := o.Now()
	due, err := o.Store.GetNextMessageTime(ctx, now)
	if err != nil {
		return pollInterval // nothing waits, or the store does not answer
	}
	return min(max(due.Sub(now), time.Millisecond), pollInterval)
}

// DeliverNext sends the message that has been due longest and reports whether there was one.
func (o *Outbox) DeliverNext(ctx context.Context) (bool, error) {
	now := o.Now()
	row, err := o.Store.ClaimMessage(ctx, now, now.Add(claimDuration))
	if errors.Is(err, store.ErrNotFound) {
		return false, o.Store.ExpireMessages(ctx, now)
	}
	if err != nil {
		return false, fmt.Errorf("outbox: hold: %w", err)
	}
	// From here on the attempt ends well even if the server is told to stop.
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), min(attemptTimeout,
		row.ExpiresAt.Sub(now)+time.Millisecond))
	defer stop()
	return true, o.recordAttempt(row, o.attempt(ctx, row))
}

func (o *Outbox) attempt(ctx context.Context, row store.OutboxMessage) error {
	body, err := o.Keys.Open(boundTo(row.ID), row.Body)
	if err != nil {
		return fmt.Errorf("%w: message of another key", delivery.ErrRejected)
	}
	var m delivery.Message
	if err := json.Unmarshal(body, &m); err != nil {
		return fmt.Errorf("%w: message of another program", delivery.ErrRejected)
	}
	send := o.Senders[m.Channel]
	if send == nil {
		return fmt.Errorf("%w: nothing is set up for %s", delivery.ErrRejected, m.Channel)
	}
	return send(ctx, m)
}

// recordAttempt writes down how the attempt ended. The request that put the message is long
// answered, so it has its own time.
func (o *Outbox) recordAttempt(row store.OutboxMessage, result error) error {
	ctx, stop := context.WithTimeout(context.Background(), attemptTimeout)
	defer stop()
	now := o.Now()
	log := o.Log.With("message", row.ID, "try", row.SendAttempts)
	var err error
	switch {
	case result == nil:
		log.Info("message handed over")
		err = o.Store.FinishMessage(ctx, row.ID, store.MessageSent, now)
	case errors.Is(result, delivery.ErrRejected):
		log.Warn("message refused", "error", result)
		err = o.Store.FinishMessage(ctx, row.ID, store.MessageRefused, now)
	default:
		log.Warn("message not handed over yet", "error", result)
		due := now.Add(Backoff(row.SendAttempts))
		err = o.Store.RetryMessage(ctx, row.ID, due, !errors.Is(result, delivery.ErrUncertain))
	}
	if err != nil {
		return fmt.Errorf("outbox: write down: %w", err)
	}
	return nil
}
