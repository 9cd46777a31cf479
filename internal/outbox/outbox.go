// Package outbox is the durable queue of messages. It does not decide which messages to send, and delivers those that
// were committed (the transactional outbox pattern).
//
//	Enqueue (in the transaction of the challenge) -> Notify -> claim -> send -> record the result
//
// A message that somebody waits for is sent before the others, the newest first: after a fault of the mail server the
// codes of the people who sign in now do not wait for older ones. The others are sent in the order in which they are
// due, and one worker prefers them, so that each is sent in the end. A message that has expired is never sent.
//
// A worker renews the claim to a message while it sends it. The other servers release a claim that is not renewed for
// about two seconds, because its server has died. A worker that finds its claim released stops sending.
//
// A crash between claiming a message and recording the result leaves an attempt with an unknown result. One such
// attempt is repeated, so the person may get the message twice. After a second one the message is not sent again. The
// message is lost only if two attempts in a row crash before the mail server has accepted it; the person can then
// request a new code.
//
// A claim also ends by the clock Now. If it jumps forward by more than claimDuration while a message is being sent,
// another worker sends the message too.
package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/fault"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store"
)

const (
	attemptTimeout = 20 * time.Second // for one attempt
	claimDuration  = 30 * time.Second // how long no other worker takes a claimed message; longer than an attempt
	pollInterval   = 5 * time.Second  // how often to look for messages that another server has enqueued
	workerCount    = 4                // so that one slow server does not delay all messages
	// storeTimeout is for one use of the database. It is longer than the time to give up on a host that hangs and to
	// connect to the next one, so that the workers go on within seconds after a failover.
	storeTimeout = 2500 * time.Millisecond
	// maxPause is the longest pause of a worker while the database fails.
	maxPause = 500 * time.Millisecond
	// urgentWithin is how soon a message expires that somebody waits for: one with a code or a link. A notification is
	// kept for longer.
	urgentWithin = time.Hour
)

// Outbox sends the messages that were enqueued.
type Outbox struct {
	Store   *store.DB
	Keys    *seal.KeyRing
	Senders map[delivery.Channel]delivery.SendFunc
	Now     func() time.Time
	Log     *slog.Logger
	// Observe is called after each attempt with its result, and how long ago the message was enqueued. nil: nothing is.
	Observe func(channel delivery.Channel, result error, waited time.Duration)

	// Latencies are those of the channels: from being enqueued until a mail server or gateway has accepted the message.
	Latencies Latencies

	notified chan struct{}
	failures *fault.Log                      // of the database
	unsent   map[delivery.Channel]*fault.Log // of attempts that are repeated
	status   status
	claims   claims
	expired  atomic.Int64
}

// New returns an Outbox. Call Run to start it.
func New(db *store.DB, keys *seal.KeyRing, send map[delivery.Channel]delivery.SendFunc, now func() time.Time,
	log *slog.Logger) *Outbox {
	unsent := map[delivery.Channel]*fault.Log{}
	for channel := range send {
		unsent[channel] = &fault.Log{
			Logger: log.With("channel", channel), Now: now, Failing: "messages cannot be sent and will be tried again",
			Working: "messages are sent again",
		}
	}
	return &Outbox{
		unsent: unsent,
		Store:  db, Keys: keys, Senders: send, Now: now, Log: log, notified: make(chan struct{}, workerCount),
		failures: &fault.Log{
			Logger: log, Now: now, Failing: "messages cannot be delivered: the database fails",
			Working: "messages are delivered again",
		},
	}
}

// Enqueue adds m to the outbox in the transaction tx. It is not sent after expiresAt. A message that expires within
// urgentWithin is sent before the others. A message without a channel is stored and never sent: it makes known and
// unknown addresses cost the same.
func (o *Outbox) Enqueue(ctx context.Context, tx *store.DB, m delivery.Message, expiresAt time.Time) error {
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("outbox: enqueue: %w", err)
	}
	now := o.Now()
	row := store.OutboxMessage{
		ID: m.ID, Body: o.Keys.Seal(boundTo(m.ID), body), State: store.MessageWaiting,
		StateAt: now, DueAt: now, ExpiresAt: expiresAt, Urgent: expiresAt.Sub(now) <= urgentWithin,
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
	for n := range workerCount {
		all.Go(func() { o.runWorker(ctx, n > 0) })
	}
	all.Go(func() { o.watchClaims(ctx) })
	all.Wait()
}

// runWorker sends messages until ctx is done. urgent says which ones it prefers.
func (o *Outbox) runWorker(ctx context.Context, urgent bool) {
	var failures int64 // in a row
	for ctx.Err() == nil {
		sent, err := o.deliver(ctx, urgent)
		switch {
		case err != nil && ctx.Err() == nil:
			failures++
			o.failures.Failed(err)
			wait(ctx, nil, min(Backoff(failures)/10, maxPause))
			continue
		case failures > 0:
			failures = 0
			o.failures.Worked()
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
	ctx, stop := context.WithTimeout(ctx, storeTimeout)
	defer stop()
	now := o.Now()
	due, err := o.Store.GetNextMessageTime(ctx, now)
	switch {
	case errors.Is(err, store.ErrNotFound): // no message is waiting
		return pollInterval
	case err != nil:
		return maxPause
	}
	return min(max(due.Sub(now), time.Millisecond), pollInterval)
}

// DeliverNext sends one message, of the urgent ones the newest, otherwise the one that has been due longest. It reports
// whether there was one.
func (o *Outbox) DeliverNext(ctx context.Context) (bool, error) { return o.deliver(ctx, true) }

// deliver is DeliverNext; if urgent is false, it prefers the others.
func (o *Outbox) deliver(ctx context.Context, urgent bool) (bool, error) {
	now := o.Now()
	row, err := o.claim(ctx, urgent, now)
	if errors.Is(err, store.ErrNotFound) {
		ctx, stop := context.WithTimeout(ctx, storeTimeout)
		defer stop()
		n, err := o.Store.ExpireMessages(ctx, now)
		o.expired.Add(n)
		return false, err
	}
	if err != nil {
		return false, fmt.Errorf("outbox: claim: %w", err)
	}
	// A claimed message is sent even if ctx is canceled, because the server is stopping.
	sending, stop := context.WithTimeout(context.WithoutCancel(ctx), min(attemptTimeout,
		row.ExpiresAt.Sub(now)+time.Millisecond))
	defer stop()
	defer o.keepClaim(row.Claim(), stop)()
	return true, o.recordAttempt(ctx, row, o.attempt(sending, row))
}

// claim claims a message, of those that the worker prefers if there is one. It returns store.ErrNotFound if no message
// is due.
func (o *Outbox) claim(ctx context.Context, urgent bool, now time.Time) (store.OutboxMessage, error) {
	ctx, stop := context.WithTimeout(ctx, storeTimeout)
	defer stop()
	row, err := o.Store.ClaimMessage(ctx, urgent, now, now.Add(claimDuration))
	if errors.Is(err, store.ErrNotFound) {
		row, err = o.Store.ClaimMessage(ctx, !urgent, now, now.Add(claimDuration))
	}
	return row, err
}

func (o *Outbox) attempt(ctx context.Context, row store.OutboxMessage) error {
	m, err := o.open(row)
	if err != nil {
		return fmt.Errorf("%w: message cannot be decrypted", delivery.ErrRejected)
	}
	send := o.Senders[m.Channel]
	if send == nil {
		err = fmt.Errorf("%w: no sender is configured for %s", delivery.ErrRejected, m.Channel)
		o.observe(m.Channel, err, row)
		return err
	}
	err = send(ctx, m)
	o.observe(m.Channel, err, row)
	if err != nil && !errors.Is(err, delivery.ErrRejected) {
		o.unsent[m.Channel].Failed(err, "message", row.ID, "attempt", row.SendAttempts)
	}
	if o.status.record(m.Channel, err, o.Now()) {
		o.unsent[m.Channel].Worked()
		o.retryWaiting(ctx)
	}
	return err
}

func (o *Outbox) observe(channel delivery.Channel, result error, row store.OutboxMessage) {
	waited := max(o.Now().Sub(row.StateAt), 0) // StateAt of a waiting message: enqueued
	if result == nil {
		o.Latencies.Add(string(channel), waited)
	}
	if o.Observe != nil {
		o.Observe(channel, result, waited)
	}
}

// retryWaiting makes the urgent messages due that failed while the mail server was away.
func (o *Outbox) retryWaiting(ctx context.Context) {
	ctx, stop := context.WithTimeout(ctx, storeTimeout)
	defer stop()
	if err := o.Store.RetryUrgentMessages(ctx, o.Now()); err != nil {
		o.failures.Failed(err)
		return
	}
	for range workerCount {
		o.Notify()
	}
}

// recordAttempt records the result of an attempt. While the database fails, it tries again until the claim has ended or
// the server stops: a result that is not recorded is unknown, and the message is sent again.
func (o *Outbox) recordAttempt(ctx context.Context, row store.OutboxMessage, result error) error {
	log := o.Log.With("message", row.ID, "attempt", row.SendAttempts)
	switch {
	case result == nil:
		log.Info("message sent")
	case errors.Is(result, delivery.ErrRejected):
		log.Warn("message rejected", "error", result)
	default:
		log.Debug("message not sent, will retry", "error", result)
	}
	if result != nil {
		o.recordFailure(ctx, row, result)
	}
	now := o.Now()
	for tries := int64(1); ; tries++ {
		// The context of the worker may have ended, because the server is stopping.
		limited, stop := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
		err := o.record(limited, row, result, now)
		stop()
		if err == nil {
			return nil
		}
		if !fault.Temporary(err) || ctx.Err() != nil || o.Now().Sub(row.DueAt) >= 0 {
			return fmt.Errorf("outbox: record attempt: %w", err)
		}
		o.failures.Failed(err)
		wait(ctx, nil, min(Backoff(tries)/10, maxPause))
	}
}

func (o *Outbox) record(ctx context.Context, row store.OutboxMessage, result error, now time.Time) error {
	switch {
	case result == nil:
		return o.Store.FinishMessage(ctx, row.ID, store.MessageSent, now)
	case errors.Is(result, delivery.ErrRejected):
		return o.Store.FinishMessage(ctx, row.ID, store.MessageRefused, now)
	}
	due := now.Add(Backoff(row.SendAttempts))
	return o.Store.RetryMessage(ctx, row.Claim(), due, !errors.Is(result, delivery.ErrUncertain))
}
