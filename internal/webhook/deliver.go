package webhook

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/fault"
	"twostep.example/twostep/internal/store"
)

const (
	// Lateness is how far the position of a webhook stays behind the clock: longer than a transaction may take and two
	// clocks may differ together.
	Lateness = 5 * time.Minute
	// GiveUpAfter is how long a webhook fails before its events that are older than this are given up.
	GiveUpAfter = 72 * time.Hour

	pollInterval  = time.Second
	moveInterval  = time.Minute // how far the position moves at least, so that an idle server seldom writes
	batch         = 100         // events that are read at once
	maxDeferred   = 10          // deferred events that are tried in one round
	probeAfter    = 2           // failures of the same event before the next one is tried
	storeTimeout  = 2500 * time.Millisecond
	renewInterval = 5 * time.Second
	// takeoverTime is longer than an attempt, and the time until the lease is renewed.
	takeoverTime = 30 * time.Second
	maxCount     = 1_000_000 // limit of counting events that are given up
)

// backoff returns how long to wait after so many failures in a row. It adds up to a tenth by the clock, so that several
// webhooks that fail together are not tried together.
func backoff(failures int64) time.Duration {
	steps := []time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute}
	d := time.Hour
	if failures >= 1 && failures <= int64(len(steps)) {
		d = steps[failures-1]
	}
	return d + time.Duration(time.Now().UnixNano())%(d/10)
}

// maxRetryAfter is how long a receiver may ask to wait.
const maxRetryAfter = time.Hour

// Deliverer delivers to all webhooks of a site. Create it with New.
type Deliverer struct {
	Store  *store.DB
	Events *audit.Log
	Now    func() time.Time
	Log    *slog.Logger
	// Observe is called after each attempt, and with events that are given up. nil: nothing is.
	Observe func(webhook string, result Result, events int64)

	hooks    []*hook
	failures *fault.Log // of the database
	clock    func() time.Time
}

// Result is what became of an attempt.
type Result string

// Results of attempts.
const (
	Delivered Result = "delivered"
	Failed    Result = "failed" // is tried again
	GivenUp   Result = "given_up"
)

// Results returns all results.
func Results() []Result { return []Result{Delivered, Failed, GivenUp} }

// hook is a webhook. Deliver is called by one goroutine at a time.
type hook struct {
	Config
	kinds   string
	keys    [][]byte
	client  *http.Client
	timeout time.Duration
	unsent  *fault.Log

	lease      string // that this process holds; "": none
	renewed    time.Time
	rival      string // the lease of another server that was seen last
	rivalSince time.Time
}

// New returns a Deliverer. Call Run to start it. The configurations must be valid and have different names.
func New(db *store.DB, events *audit.Log, configs []Config, now func() time.Time, log *slog.Logger) *Deliverer {
	return newDeliverer(db, events, configs, now, log, nil)
}

func newDeliverer(
	db *store.DB, events *audit.Log, configs []Config, now func() time.Time, log *slog.Logger, roots *x509.CertPool,
) *Deliverer {
	d := &Deliverer{
		Store: db, Events: events, Now: now, Log: log, clock: time.Now,
		failures: &fault.Log{
			Logger: log, Now: now, Failing: "events cannot be delivered to webhooks: the database fails",
			Working: "events are delivered to webhooks again",
		},
	}
	for _, c := range configs {
		scheme, _, _ := strings.Cut(c.URL, ":")
		h := &hook{
			Config: c, kinds: joinKinds(c.Events), client: newClient(scheme, c.AllowPrivate, roots), timeout: sendTimeout,
			unsent: &fault.Log{
				Logger: log.With("webhook", c.Name), Now: now, Failing: "webhook does not take events, they will be sent again",
				Working: "webhook takes events again",
			},
		}
		for _, text := range c.Secrets {
			if key, err := parseSecret(text); err == nil {
				h.keys = append(h.keys, key)
			}
		}
		d.hooks = append(d.hooks, h)
	}
	return d
}

// Names returns the names of the webhooks.
func (d *Deliverer) Names() (list []string) {
	for _, h := range d.hooks {
		list = append(list, h.Name)
	}
	return list
}

// ErrNotFound means that there is no webhook of this name.
var ErrNotFound = errors.New("webhook: there is no webhook of this name")

func (d *Deliverer) find(name string) (*hook, error) {
	for _, h := range d.hooks {
		if h.Name == name {
			return h, nil
		}
	}
	return nil, ErrNotFound
}

// Run delivers until ctx is done, finishes the attempts that have begun, and returns.
func (d *Deliverer) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, h := range d.hooks {
		all.Go(func() { d.run(ctx, h) })
	}
	all.Wait()
}

func (d *Deliverer) run(ctx context.Context, h *hook) {
	failed := false
	for ctx.Err() == nil {
		n, err := d.deliver(ctx, h)
		switch {
		case err != nil && ctx.Err() == nil:
			failed = true
			d.failures.Failed(err)
		case err == nil && failed:
			failed = false
			d.failures.Worked()
		}
		if n < batch {
			wait(ctx, pollInterval)
		}
	}
	d.release(ctx, h)
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// Deliver delivers events that are due to one webhook, and returns how many it has delivered. It delivers nothing while
// another server does. It returns ErrNotFound for an unknown webhook, and the error of the database; a receiver that
// fails is no error.
func (d *Deliverer) Deliver(ctx context.Context, name string) (int, error) {
	h, err := d.find(name)
	if err != nil {
		return 0, err
	}
	return d.deliver(ctx, h)
}

// deliver is Deliver. That another server has taken over, or that a replay has moved the position, is no error: the
// next round begins with what holds then.
func (d *Deliverer) deliver(ctx context.Context, h *hook) (int, error) {
	delivered, err := d.deliverDue(ctx, h)
	if errors.Is(err, errLost) || errors.Is(err, store.ErrNotFound) {
		h.renewed = time.Time{} // the next round renews the lease, or learns that it is lost
		return delivered, nil
	}
	return delivered, err
}

func (d *Deliverer) deliverDue(ctx context.Context, h *hook) (delivered int, err error) {
	held, err := d.hold(ctx, h)
	if err != nil || !held {
		return 0, err
	}
	w, err := d.get(ctx, h)
	now := d.Now()
	if err != nil || w.Gone || now.Before(w.DueAt) {
		return 0, err
	}
	events, err := d.list(ctx, h, w.Position)
	if err != nil {
		return 0, err
	}
	if err := d.move(ctx, &w, events, now); err != nil {
		return 0, err
	}
	if w.Failures == 0 {
		if delivered, err = d.retryDeferred(ctx, h, w, now); err != nil {
			return delivered, err
		}
	}
	for i := 0; i < len(events) && ctx.Err() == nil; i++ {
		result, err := d.attempt(ctx, h, events[i])
		if err != nil {
			return delivered, err
		}
		if result != nil && w.Failures >= probeAfter && !result.gone && i+1 < len(events) {
			// Is it the receiver or this event?
			probe, err := d.attempt(ctx, h, events[i+1])
			if err != nil {
				return delivered, err
			}
			if probe == nil {
				if err := d.deferEvent(ctx, h, events[i].ID, 1); err != nil {
					return delivered, err
				}
				i, result = i+1, nil
			}
		}
		if result != nil {
			return delivered, d.fail(ctx, h, w, result)
		}
		if err := d.finish(ctx, h, events[i].ID); err != nil {
			return delivered, err
		}
		w.Failures = 0
		delivered++
	}
	return delivered, nil
}

// get returns the row of a webhook, and creates it.
func (d *Deliverer) get(ctx context.Context, h *hook) (store.Webhook, error) {
	ctx, stop := context.WithTimeout(ctx, storeTimeout)
	defer stop()
	w, err := d.Store.GetWebhook(ctx, h.Name)
	if errors.Is(err, store.ErrNotFound) {
		if err = d.Store.CreateWebhook(ctx, h.Name, store.FirstEventID(d.Now().Add(-Lateness))); err == nil {
			w, err = d.Store.GetWebhook(ctx, h.Name)
		}
	}
	if err != nil {
		return w, fmt.Errorf("webhook: get: %w", err)
	}
	return w, nil
}

// hold reports whether this process holds the lease of a webhook. It renews the lease, and takes it over from a server
// that does not renew it.
func (d *Deliverer) hold(ctx context.Context, h *hook) (bool, error) {
	now := d.clock()
	alone := d.Store.Exclusive()
	if h.lease != "" && (alone || now.Sub(h.renewed) < renewInterval) {
		return true, nil
	}
	before := h.lease
	if before == "" {
		w, err := d.get(ctx, h)
		if err != nil {
			return false, err
		}
		if before = w.Lease; before != h.rival {
			h.rival, h.rivalSince = before, now
		}
		if before != "" && !alone && now.Sub(h.rivalSince) < takeoverTime {
			return false, nil
		}
	}
	lease := rand.Text()
	ctx, stop := context.WithTimeout(ctx, storeTimeout)
	defer stop()
	h.lease = ""
	err := d.Store.ClaimWebhook(ctx, h.Name, before, lease)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil // another server was faster
	}
	if err != nil {
		return false, fmt.Errorf("webhook: claim: %w", err)
	}
	h.lease, h.renewed = lease, now
	return true, nil
}

// release gives the lease back, so that another server need not wait.
func (d *Deliverer) release(ctx context.Context, h *hook) {
	if h.lease == "" {
		return
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer stop()
	if err := d.Store.ClaimWebhook(ctx, h.Name, h.lease, ""); err != nil && !errors.Is(err, store.ErrNotFound) {
		d.failures.Failed(err)
	}
	h.lease = ""
}

func (d *Deliverer) list(ctx context.Context, h *hook, from audit.EventID) ([]audit.Event, error) {
	ctx, stop := context.WithTimeout(ctx, storeTimeout)
	defer stop()
	rows, err := d.Store.ListWebhookEvents(ctx, h.events(from, store.LastEventID, batch))
	if err != nil {
		return nil, fmt.Errorf("webhook: list: %w", err)
	}
	list := make([]audit.Event, len(rows))
	for i, row := range rows {
		list[i] = audit.EventOf(row)
	}
	return list, nil
}

func (h *hook) events(from, until audit.EventID, limit int) store.WebhookEvents {
	return store.WebhookEvents{Webhook: h.Name, From: from, Until: until, Kinds: h.kinds, Limit: limit}
}

// move moves the position to the first event that is not delivered, at most to Lateness before now. It moves it back if
// the clock was ahead and is right again: events that are recorded now come before it.
func (d *Deliverer) move(ctx context.Context, w *store.Webhook, events []audit.Event, now time.Time) error {
	to := store.FirstEventID(now.Add(-Lateness))
	if len(events) > 0 {
		to = min(to, events[0].ID)
	}
	if ahead := to.Time().Sub(w.Position.Time()); ahead >= 0 && ahead < moveInterval {
		return nil
	}
	ctx, stop := context.WithTimeout(ctx, storeTimeout)
	defer stop()
	if err := d.Store.MoveWebhook(ctx, *w, to); err != nil {
		return fmt.Errorf("webhook: move: %w", err)
	}
	w.Position = to
	return nil
}

// attempt sends an event. A *failure of the receiver is the result, and not an error.
func (d *Deliverer) attempt(ctx context.Context, h *hook, e audit.Event) (*failure, error) {
	held, err := d.hold(ctx, h)
	if err != nil {
		return nil, err
	}
	if !held {
		return nil, errLost
	}
	m, err := newMessage(e)
	if err != nil {
		return nil, fmt.Errorf("webhook: message: %w", err)
	}
	err = h.send(ctx, m, d.Now())
	if err == nil {
		d.observe(h, Delivered, 1)
		return nil, nil
	}
	d.observe(h, Failed, 1)
	f := new(failure)
	if !errors.As(err, &f) {
		return nil, err
	}
	return f, nil
}

var errLost = errors.New("webhook: another server has taken over")

func (d *Deliverer) observe(h *hook, r Result, events int64) {
	if d.Observe != nil {
		d.Observe(h.Name, r, events)
	}
}

// recording limits a use of the database after an attempt, also if the server is stopping.
func recording(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
}

func (d *Deliverer) finish(ctx context.Context, h *hook, event audit.EventID) error {
	ctx, stop := recording(ctx)
	defer stop()
	if err := d.Store.FinishDelivery(ctx, h.Name, h.lease, event, d.Now()); err != nil {
		return fmt.Errorf("webhook: finish: %w", err)
	}
	h.unsent.Worked()
	return nil
}

func (d *Deliverer) deferEvent(ctx context.Context, h *hook, event audit.EventID, failures int64) error {
	ctx, stop := recording(ctx)
	defer stop()
	now := d.Now()
	if err := d.Store.DeferDelivery(ctx, h.Name, h.lease, event, now, now.Add(backoff(failures))); err != nil {
		return fmt.Errorf("webhook: defer: %w", err)
	}
	return nil
}

// retryDeferred tries the deferred events that are due, and gives up those that have failed for GiveUpAfter.
func (d *Deliverer) retryDeferred(
	ctx context.Context, h *hook, w store.Webhook, now time.Time,
) (delivered int, err error) {
	limited, stop := context.WithTimeout(ctx, storeTimeout)
	list, err := d.Store.ListDeferredEvents(limited, h.Name, now, maxDeferred)
	stop()
	if err != nil {
		return 0, fmt.Errorf("webhook: list: %w", err)
	}
	for _, one := range list {
		e := audit.EventOf(one.AuditEvent)
		result, err := d.attempt(ctx, h, e)
		switch {
		case err != nil:
			return delivered, err
		case result == nil:
			delivered++
			err = d.finish(ctx, h, e.ID)
		case d.Now().Sub(one.FailingSince) < GiveUpAfter:
			err = d.deferEvent(ctx, h, e.ID, one.Failures+1)
		default:
			err = d.lose(ctx, h, result.text, 1, func(ctx context.Context, tx *store.DB) error {
				return tx.LoseDeferred(ctx, h.Name, h.lease, e.ID, d.Now())
			}, w)
			w.LostAt = d.Now()
		}
		if err != nil {
			return delivered, err
		}
	}
	return delivered, nil
}

// fail records that the receiver fails, and gives up what has waited for too long.
func (d *Deliverer) fail(ctx context.Context, h *hook, w store.Webhook, f *failure) error {
	h.unsent.Failed(f, "attempt", w.Failures+1)
	now := d.Now()
	due := now.Add(max(backoff(w.Failures+1), min(f.after, maxRetryAfter)))
	limited, stop := recording(ctx)
	defer stop()
	err := d.Store.Tx(limited, func(tx *store.DB) error {
		if err := tx.FailWebhook(limited, h.Name, h.lease, f.text, f.gone, now, due); err != nil || !f.gone {
			return err
		}
		return d.record(limited, tx, h, "gone")
	})
	if err != nil {
		return fmt.Errorf("webhook: fail: %w", err)
	}
	if f.gone || w.Failures == 0 || now.Sub(w.FailingSince) < GiveUpAfter {
		return nil
	}
	until := store.FirstEventID(now.Add(-GiveUpAfter))
	n, err := d.Store.CountWebhookEvents(limited, h.events(w.Position, until, maxCount))
	if err != nil || n == 0 {
		return err
	}
	return d.lose(ctx, h, f.text, n, func(ctx context.Context, tx *store.DB) error {
		return tx.LoseEvents(ctx, w, until, n, now)
	}, w)
}

// lose gives up n events by change. It records a security event, but at most one a day for each webhook.
func (d *Deliverer) lose(
	ctx context.Context, h *hook, why string, n int64, change func(context.Context, *store.DB) error,
	w store.Webhook,
) error {
	ctx, stop := recording(ctx)
	defer stop()
	recent := d.Now().Sub(w.LostAt) < 24*time.Hour
	err := d.Store.Tx(ctx, func(tx *store.DB) error {
		if err := change(ctx, tx); err != nil || recent {
			return err
		}
		return d.record(ctx, tx, h, "given up")
	})
	if err != nil {
		return fmt.Errorf("webhook: give up: %w", err)
	}
	d.Log.Error("events of a webhook are given up: to send them again, run twostep webhook replay", "webhook", h.Name,
		"events", n, "error", why)
	d.observe(h, GivenUp, n)
	return nil
}

func (d *Deliverer) record(ctx context.Context, tx *store.DB, h *hook, reason string) error {
	return d.Events.Record(ctx, tx, audit.Event{
		Kind: audit.WebhookFailed, Actor: audit.System(), Result: audit.Failure, Reason: reason,
		Target: audit.Target("webhook", h.Name),
	}, audit.Source{})
}

// Validate returns a *ConfigError if a webhook is not valid or two have one name. If sending is set, each needs a
// secret.
func Validate(configs []Config, sending bool) error {
	seen := map[string]bool{}
	for _, c := range configs {
		if err := c.Check(); err != nil {
			return err
		}
		if seen[c.Name] {
			return &ConfigError{c.Name, "name", "two webhooks have this name"}
		}
		if seen[c.Name] = true; sending && len(c.Secrets) == 0 {
			return &ConfigError{c.Name, "secret", "secret is missing: use whsec_ and the output of openssl rand -base64 32"}
		}
	}
	return nil
}
