package webhook

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/store"
)

// State is how a webhook is, for operators.
type State struct {
	Name         string
	Host         string // scheme and host of the URL; the rest may be a secret
	Events       []string
	DeliveredAt  time.Time // the last delivery; zero: none yet
	FailingSince time.Time // zero: the last attempt succeeded, or there was none
	Failures     int64     // attempts that failed since then
	Failure      string    // why the last one failed, in English
	NextAt       time.Time // no attempt before; zero: at once
	Gone         bool      // the receiver has answered 410: nothing is sent until an operator tests or replays
	Waiting      int64     // events that are not delivered, up to MaxWaiting
	Oldest       time.Time // when the oldest of them happened; zero: none waits
	Lost         int64     // events that were given up since the last replay
	LostAt       time.Time // when the last of them was
}

// MaxWaiting is the largest State.Waiting, apart from events that are tried again one by one.
const MaxWaiting = 10_000

// States returns the states of all webhooks, in the order of the configuration.
func (d *Deliverer) States(ctx context.Context) ([]State, error) {
	list := make([]State, len(d.hooks))
	for i, h := range d.hooks {
		var err error
		if list[i], err = d.state(ctx, h); err != nil {
			return nil, fmt.Errorf("webhook: state: %w", err)
		}
	}
	return list, nil
}

func (d *Deliverer) state(ctx context.Context, h *hook) (State, error) {
	s := State{Name: h.Name, Host: h.Host(), Events: h.Events}
	w, err := d.Store.GetWebhook(ctx, h.Name)
	if errors.Is(err, store.ErrNotFound) {
		return s, nil // no server has delivered to it yet
	}
	if err != nil {
		return s, err
	}
	s.DeliveredAt, s.FailingSince, s.Failures, s.Failure = w.DeliveredAt, w.FailingSince, w.Failures, w.Failure
	s.NextAt, s.Gone, s.Lost, s.LostAt = w.DueAt, w.Gone, w.Lost, w.LostAt
	if s.Waiting, err = d.Store.CountWebhookEvents(ctx, h.events(w.Position, store.LastEventID, MaxWaiting)); err != nil {
		return s, err
	}
	deferred, oldest, err := d.Store.CountDeferredEvents(ctx, h.Name)
	if err != nil {
		return s, err
	}
	if s.Waiting > 0 {
		first, err := d.Store.ListWebhookEvents(ctx, h.events(w.Position, store.LastEventID, 1))
		if err != nil {
			return s, err
		}
		if len(first) > 0 && (oldest == 0 || first[0].ID < oldest) {
			oldest = first[0].ID
		}
	}
	if s.Waiting += deferred; oldest != 0 {
		s.Oldest = oldest.Time()
	}
	return s, nil
}

// Waiting returns how many events wait for each webhook, and how long the oldest has waited, by the name.
func (d *Deliverer) Waiting(ctx context.Context) (map[string]Backlog, error) {
	states, err := d.States(ctx)
	if err != nil {
		return nil, err
	}
	now, list := d.Now(), map[string]Backlog{}
	for _, s := range states {
		b := Backlog{Count: s.Waiting}
		if !s.Oldest.IsZero() {
			b.Age = max(now.Sub(s.Oldest), 0)
		}
		list[s.Name] = b
	}
	return list, nil
}

// Backlog are the events that wait for a webhook.
type Backlog struct {
	Count int64
	Age   time.Duration // of the oldest; 0: there is none
}

// Test sends a test event to a webhook at once. If the receiver takes it, the events that wait are due at once. Test
// returns ErrNotFound, or an error that says why the receiver did not take the event.
func (d *Deliverer) Test(ctx context.Context, name string, actor audit.Actor) error {
	h, err := d.find(name)
	if err != nil {
		return err
	}
	if len(h.keys) == 0 {
		return &ConfigError{h.Name, "secret", "secret is missing"}
	}
	if _, err := d.get(ctx, h); err != nil {
		return err
	}
	now := d.Now()
	e := audit.Event{Kind: audit.WebhookTested, Actor: actor, Target: audit.Target("webhook", h.Name)}
	id := rand.Text()
	body, err := json.Marshal(payload{
		Type: string(e.Kind), Timestamp: now.UTC().Truncate(time.Millisecond), Data: data{
			ID: id, Result: string(audit.Success), ActorType: actor.Type, ActorID: actor.ID, Target: e.Target, Count: 1,
		},
	})
	if err != nil {
		return fmt.Errorf("webhook: test: %w", err)
	}
	sent := h.send(ctx, message{id: "test_" + id, body: body}, now)
	if sent != nil {
		e.Result, e.Reason = audit.Failure, sent.Error()
	}
	limited, stop := recording(ctx)
	defer stop()
	err = d.Store.Tx(limited, func(tx *store.DB) error {
		if err := d.Events.Record(limited, tx, e, audit.Source{}); err != nil || sent != nil {
			return err
		}
		return tx.ResumeWebhook(limited, h.Name)
	})
	if err != nil {
		return fmt.Errorf("webhook: test: %w", err)
	}
	return sent
}

// Replay lets the running server send all events of a webhook since a time again, oldest first and with the same ids,
// also those that it has given up. It returns ErrNotFound, and how many events there are, up to MaxWaiting.
func (d *Deliverer) Replay(ctx context.Context, name string, since time.Time, actor audit.Actor) (n int64, err error) {
	h, err := d.find(name)
	if err != nil {
		return 0, err
	}
	if _, err := d.get(ctx, h); err != nil {
		return 0, err
	}
	from := store.FirstEventID(since)
	err = d.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.ReplayWebhook(ctx, h.Name, from); err != nil {
			return err
		}
		// Counted before the event of the replay itself.
		if n, err = tx.CountWebhookEvents(ctx, h.events(from, store.LastEventID, MaxWaiting)); err != nil {
			return err
		}
		return d.Events.Record(ctx, tx, audit.Event{
			Kind: audit.WebhookReplayed, Actor: actor, Target: audit.Target("webhook", h.Name),
		}, audit.Source{})
	})
	if err != nil {
		return 0, fmt.Errorf("webhook: replay: %w", err)
	}
	return n, nil
}
