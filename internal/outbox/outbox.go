// Package outbox is the durable queue of messages. It does not decide which messages to send, and delivers those that
// were committed (the transactional outbox pattern).
//
//	Enqueue (in the transaction of the challenge) -> Notify -> claim -> send -> record the result
//
// A crash between claiming a message and recording the result leaves an attempt with an unknown result. One such
// attempt is repeated, so the person may get the message twice. After a second one the message is not sent again. The
// message is lost only if two attempts in a row crash before the mail server has accepted it; the person can then
// request a new code.
//
// Claims expire by the clock Now. If it jumps forward by more than claimDuration while a message is being sent, another
// worker sends the message too.
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
	attemptTimeout = 20 * time.Second // for one attempt
	claimDuration  = 30 * time.Second // how long no other worker takes a claimed message; longer than an attempt
	pollInterval   = 5 * time.Second  // how often to look for messages that a crashed server has claimed
	workerCount    = 4                // so that one slow server does not delay all messages
)

// Outbox sends the messages that were enqueued.
type Outbox struct {
	Store   *store.DB
	Keys    *seal.KeyRing
	Senders map[delivery.Channel]delivery.SendFunc
	Now     func() time.Time
	Log     *slog.Logger

	notified chan struct{}
	failures failureLog
}

// New returns an Outbox. Call Run to start it.
func New(db *store.DB, keys *seal.KeyRing, send map[delivery.Channel]delivery.SendFunc, now func() time.Time,
	log *slog.Logger) *Outbox {
	return &Outbox{Store: db, Keys: keys, Senders: send, Now: now, Log: log, notified: make(chan struct{}, workerCount)}
}

// Enqueue adds m to the outbox in the transaction tx. It is not sent after expiresAt. A message without a channel is
// stored and never sent: it makes known and unknown addresses cost the same.
func (o *Outbox) Enqueue(ctx context.Context, tx *store.DB, m delivery.Message, expiresAt time.Time) error {
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("outbox: enqueue: %w", err)
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

// Notify wakes a worker. Call it after the commit of a transaction with Enqueue.
func (o *Outbox) Notify() {
	select {
	case o.notified <- struct{}{}:
	default: // every worker has been woken already
	}
}

// Run sends messages until ctx is done, finishes the attempts that have begun, and returns.
func (o *Outbox) Run(ctx context.Context) {
	var all sync.WaitGroup
	for range workerCount {
		all.Go(func() { o.runWorker(ctx) })
	}
	all.Wait()
}

func (o *Outbox) runWorker(ctx context.Context) {
	var failures int64 // in a row
	for ctx.Err() == nil {
		sent, err := o.DeliverNext(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			failures++
			o.failures.failed(o.Log, o.Now(), err)
			wait(ctx, nil, min(Backoff(failures), pollInterval))
			continue
		case failures > 0:
			failures = 0
			o.failures.worked(o.Log)
		}
		if !sent {
			wait(ctx, o.notified, o.untilNextDue(ctx))
		}
	}
}

// wait returns after d, or earlier if ctx is done or notified receives.
func wait(ctx context.Context, notified <-chan struct{}, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-notified:
	case <-time.After(d):
	}
}

// untilNextDue returns how long to wait until the next message is due, at most pollInterval.
func (o *Outbox) untilNextDue(ctx context.Context) time.Duration {
	now := o.Now()
	due, err := o.Store.GetNextMessageTime(ctx, now)
	if err != nil {
		return pollInterval // no message is waiting, or the database does not answer
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
		return false, fmt.Errorf("outbox: claim: %w", err)
	}
	// A claimed message is sent even if ctx is canceled, because the server is stopping.
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), min(attemptTimeout,
		row.ExpiresAt.Sub(now)+time.Millisecond))
	defer stop()
	return true, o.recordAttempt(row, o.attempt(ctx, row))
}

func (o *Outbox) attempt(ctx context.Context, row store.OutboxMessage) error {
	body, err := o.Keys.Open(boundTo(row.ID), row.Body)
	if err != nil {
		return fmt.Errorf("%w: message cannot be decrypted", delivery.ErrRejected)
	}
	var m delivery.Message
	if err := json.Unmarshal(body, &m); err != nil {
		return fmt.Errorf("%w: message is not valid JSON", delivery.ErrRejected)
	}
	send := o.Senders[m.Channel]
	if send == nil {
		return fmt.Errorf("%w: no sender is configured for %s", delivery.ErrRejected, m.Channel)
	}
	return send(ctx, m)
}

// recordAttempt records the result of an attempt. It has a timeout of its own, because the context of the attempt may
// have expired.
func (o *Outbox) recordAttempt(row store.OutboxMessage, result error) error {
	ctx, stop := context.WithTimeout(context.Background(), attemptTimeout)
	defer stop()
	now := o.Now()
	log := o.Log.With("message", row.ID, "attempt", row.SendAttempts)
	var err error
	switch {
	case result == nil:
		log.Info("message sent")
		err = o.Store.FinishMessage(ctx, row.ID, store.MessageSent, now)
	case errors.Is(result, delivery.ErrRejected):
		log.Warn("message rejected", "error", result)
		err = o.Store.FinishMessage(ctx, row.ID, store.MessageRefused, now)
	default:
		log.Warn("message not sent, will retry", "error", result)
		due := now.Add(Backoff(row.SendAttempts))
		err = o.Store.RetryMessage(ctx, row.ID, due, !errors.Is(result, delivery.ErrUncertain))
	}
	if err != nil {
		return fmt.Errorf("outbox: record attempt: %w", err)
	}
	return nil
}
