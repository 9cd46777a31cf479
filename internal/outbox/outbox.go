// Package outbox is the durable queue between a challenge and its delivery. It never
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
	attempt = 20 * time.Second // the longest that one attempt may take
	hold    = 30 * time.Second // for so long no other worker takes the message; longer than an attempt
	look    = 5 * time.Second  // how often to look for what a fallen instance left behind
	workers = 4                // so that one slow conversation holds up nobody else
)

// Outbox sends what was put into it.
type Outbox struct {
	Store *store.DB
	Keys  *seal.Keys
	Send  map[delivery.Channel]delivery.Send
	Now   func() time.Time
	Log   *slog.Logger

	wake chan struct{}
}

// New makes an outbox; Run starts it.
func New(db *store.DB, keys *seal.Keys, send map[delivery.Channel]delivery.Send, now func() time.Time, log *slog.Logger) *Outbox {
	return &Outbox{Store: db, Keys: keys, Send: send, Now: now, Log: log, wake: make(chan struct{}, workers)}
}

// Put commits m with the rest of the transaction tx; it is sent until the given time
// and not after. A message without a channel is written and never sent: it makes a
// known and an unknown name cost the same.
func (o *Outbox) Put(ctx context.Context, tx *store.DB, m delivery.Message, until time.Time) error {
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("outbox: put: %w", err)
	}
	now := store.Millis(o.Now())
	row := store.Message{
		ID: m.ID, Body: o.Keys.Seal(place(m.ID), body), State: store.Waiting,
		StateAt: now, DueAt: now, EndsAt: store.Millis(until),
	}
	if m.Channel == "" {
		row.State, row.Body = store.Void, []byte{}
	}
	return tx.AddMessage(ctx, row)
}

func place(id string) string { return "message " + id }

// Wake says that a transaction with a message was committed.
func (o *Outbox) Wake() {
	select {
	case o.wake <- struct{}{}:
	default: // every worker has been called already
	}
}

// Run sends until ctx ends, then finishes what it has begun.
func (o *Outbox) Run(ctx context.Context) {
	var all sync.WaitGroup
	for range workers {
		all.Go(func() { o.work(ctx) })
	}
	all.Wait()
}

func (o *Outbox) work(ctx context.Context) {
	for ctx.Err() == nil {
		sent, err := o.Deliver(ctx)
		if err != nil && ctx.Err() == nil {
			o.Log.Error("outbox", "error", err)
		}
		if sent {
			continue
		}
		select {
		case <-ctx.Done():
		case <-o.wake:
		case <-time.After(o.pause(ctx)):
		}
	}
}

// pause is how long to wait if nobody calls: until the next message is due.
func (o *Outbox) pause(ctx context.Context) time.Duration {
	now := o.Now()
	due, err := o.Store.NextMessage(ctx, store.Millis(now))
	if err != nil {
		return look // nothing waits, or the store does not answer
	}
	return min(max(store.Time(due).Sub(now), time.Millisecond), look)
}

// Deliver sends the message that has been due longest and reports whether there was one.
func (o *Outbox) Deliver(ctx context.Context) (bool, error) {
	now := o.Now()
	row, err := o.Store.HoldMessage(ctx, store.Millis(now), store.Millis(now.Add(hold)))
	if errors.Is(err, store.ErrNotFound) {
		return false, o.Store.ExpireMessages(ctx, store.Millis(now))
	}
	if err != nil {
		return false, fmt.Errorf("outbox: hold: %w", err)
	}
	// From here on the attempt ends well even if the server is told to stop.
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), min(attempt, store.Time(row.EndsAt).Sub(now)+time.Millisecond))
	defer stop()
	return true, o.write(row, o.send(ctx, row))
}

func (o *Outbox) send(ctx context.Context, row store.Message) error {
	body, err := o.Keys.Open(place(row.ID), row.Body)
	if err != nil {
		return fmt.Errorf("%w: message of another key", delivery.ErrRefused)
	}
	var m delivery.Message
	if err := json.Unmarshal(body, &m); err != nil {
		return fmt.Errorf("%w: message of another program", delivery.ErrRefused)
	}
	send := o.Send[m.Channel]
	if send == nil {
		return fmt.Errorf("%w: nothing is set up for %s", delivery.ErrRefused, m.Channel)
	}
	return send(ctx, m)
}

// write writes down how the attempt ended. The request that put the message is long
// answered, so it has its own time.
func (o *Outbox) write(row store.Message, sent error) error {
	ctx, stop := context.WithTimeout(context.Background(), attempt)
	defer stop()
	now := o.Now()
	log := o.Log.With("message", row.ID, "try", row.Tries)
	var err error
	switch {
	case sent == nil:
		log.Info("message handed over")
		err = o.Store.EndMessage(ctx, row.ID, store.Sent, store.Millis(now))
	case errors.Is(sent, delivery.ErrRefused):
		log.Warn("message refused", "error", sent)
		err = o.Store.EndMessage(ctx, row.ID, store.Refused, store.Millis(now))
	default:
		log.Warn("message not handed over yet", "error", sent)
		due := now.Add(Backoff(row.Tries))
		err = o.Store.RetryMessage(ctx, row.ID, store.Millis(due), !errors.Is(sent, delivery.ErrUncertain))
	}
	if err != nil {
		return fmt.Errorf("outbox: write down: %w", err)
	}
	return nil
}
