package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/outbox"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/store/storetest"
)

// server is a mail server that responds to each attempt with the next of its answers, and repeats the last one.
type server struct {
	mu       sync.Mutex
	answers  []error
	received []delivery.Message
}

func (s *server) send(_ context.Context, m delivery.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received = append(s.received, m)
	if len(s.answers) == 0 {
		return nil
	}
	err := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	return err
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.received)
}

type fixture struct {
	*testing.T
	*outbox.Outbox
	*server
	now time.Time
}

func eachDatabase(t *testing.T, f func(b *fixture)) {
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		keys, err := seal.ParseKeyRing(seal.NewKeyLine())
		if err != nil {
			t.Fatal(err)
		}
		b := &fixture{T: t, server: &server{}, now: time.Unix(1000, 0)}
		b.Outbox = outbox.New(storetest.Open(t, url), keys,
			map[delivery.Channel]delivery.SendFunc{delivery.Email: b.send},
			func() time.Time { return b.now }, slog.New(slog.DiscardHandler))
		f(b)
	})
}

func (b *fixture) enqueue(id string, life time.Duration) {
	b.Helper()
	m := delivery.Message{ID: id, Channel: delivery.Email, To: "anna@example.com", Subject: "123456", Text: "123456"}
	if err := b.Enqueue(b.Context(), b.Store, m, b.now.Add(life)); err != nil {
		b.Fatal(err)
	}
}

// claimAsOther claims the next message in the name of another server, which must be this one.
func (b *fixture) claimAsOther(id string, urgent bool) store.Claim {
	b.Helper()
	m, err := b.Store.ClaimMessage(b.Context(), urgent, b.now, b.now.Add(30*time.Second))
	if err != nil || m.ID != id {
		b.Fatalf("claimed %q, %v, want %s", m.ID, err, id)
	}
	return m.Claim()
}

// deliverAllDue delivers until no message is due, and checks the number of attempts so far.
func (b *fixture) deliverAllDue(want int) {
	b.Helper()
	for {
		any, err := b.DeliverNext(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if !any {
			break
		}
	}
	if got := b.count(); got != want {
		b.Errorf("after %v: %d attempts, want %d", b.now.Sub(time.Unix(1000, 0)), got, want)
	}
}

func (b *fixture) wantState(id, want string) {
	b.Helper()
	if got, _, err := b.Store.GetMessageState(b.Context(), id); got != want || err != nil {
		b.Errorf("state %q, %v, want %q", got, err, want)
	}
}

func TestMessageIsSentOnce(t *testing.T) {
	eachDatabase(t, func(b *fixture) {
		b.enqueue("a", time.Minute)
		b.wantState("a", store.MessageWaiting)
		b.deliverAllDue(1)
		b.wantState("a", store.MessageSent)
		if m := b.received[0]; m.ID != "a" || m.To != "anna@example.com" || m.Text != "123456" {
			b.Errorf("got %+v", m)
		}
		b.deliverAllDue(1)
	})
}

// After a temporary failure a message is sent again with growing delays until it expires, and not after that.
func TestRetryWithBackoffUntilExpiry(t *testing.T) {
	eachDatabase(t, func(b *fixture) {
		b.answers = []error{errors.New("451 later")}
		b.enqueue("a", 15*time.Minute)
		b.deliverAllDue(1)
		for want, wait := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
			b.now = b.now.Add(wait - time.Millisecond)
			b.deliverAllDue(want + 1)
			b.now = b.now.Add(time.Millisecond)
			b.deliverAllDue(want + 2)
		}
		b.now = time.Unix(1000, 0).Add(15 * time.Minute)
		b.deliverAllDue(5)
		b.now = b.now.Add(time.Millisecond)
		b.deliverAllDue(5)
		b.now = b.now.Add(time.Hour)
		b.deliverAllDue(5)
		b.wantState("a", store.MessageExpired)
	})
}

func TestRejectedIsNotRetried(t *testing.T) {
	eachDatabase(t, func(b *fixture) {
		b.answers = []error{fmt.Errorf("550: %w", delivery.ErrRejected)}
		b.enqueue("a", time.Hour)
		b.deliverAllDue(1)
		b.wantState("a", store.MessageRefused)
		b.now = b.now.Add(time.Minute)
		b.deliverAllDue(1)
	})
}

// An attempt with an unknown result is repeated once.
func TestUncertainIsRetriedOnce(t *testing.T) {
	eachDatabase(t, func(b *fixture) {
		b.answers = []error{delivery.ErrUncertain}
		b.enqueue("a", time.Hour)
		b.deliverAllDue(1)
		for range 10 {
			b.now = b.now.Add(5 * time.Minute)
			b.deliverAllDue(2)
		}
		b.wantState("a", store.MessageUnknown)
	})
}

// Another worker sends a message whose worker has died, once its claim has expired.
func TestClaimExpiresWhenWorkerDies(t *testing.T) {
	eachDatabase(t, func(b *fixture) {
		b.enqueue("a", 15*time.Minute)
		b.claimAsOther("a", true)
		b.deliverAllDue(0)
		b.now = b.now.Add(30 * time.Second)
		b.deliverAllDue(1)
		b.wantState("a", store.MessageSent)
	})
}

// The only server of a database does not wait for the claims of a process that has ended.
func TestReleasedClaimIsDeliveredAtOnce(t *testing.T) {
	eachDatabase(t, func(b *fixture) {
		b.enqueue("a", 15*time.Minute)
		b.claimAsOther("a", true)
		if err := b.Store.ReleaseClaimedMessages(b.Context(), b.now); err != nil {
			b.Fatal(err)
		}
		b.deliverAllDue(1)
	})
}

// Several workers send each message once.
func TestConcurrentWorkersSendOnce(t *testing.T) {
	eachDatabase(t, func(b *fixture) {
		for i := range 40 {
			b.enqueue(fmt.Sprint("m", i), time.Hour)
		}
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 40 {
					if _, err := b.DeliverNext(b.Context()); err != nil {
						b.Error(err)
					}
				}
			})
		}
		all.Wait()
		seen := map[string]int{}
		for _, m := range b.received {
			seen[m.ID]++
		}
		if len(seen) != 40 || len(b.received) != 40 {
			b.Errorf("%d messages in %d attempts, want 40 in 40", len(seen), len(b.received))
		}
	})
}

func TestMessageWithoutChannelIsNotSent(t *testing.T) {
	eachDatabase(t, func(b *fixture) {
		if err := b.Enqueue(b.Context(), b.Store, delivery.Message{ID: "a", To: "nobody@example.com"},
			b.now.Add(time.Hour)); err != nil {
			b.Fatal(err)
		}
		b.deliverAllDue(0)
		b.wantState("a", store.MessageVoid)
	})
}

// A message that cannot be decrypted, or whose channel has no sender, is rejected and does not block the queue.
func TestUndeliverableDoesNotBlockQueue(t *testing.T) {
	eachDatabase(t, func(b *fixture) {
		if err := b.Enqueue(b.Context(), b.Store, delivery.Message{ID: "sms", Channel: delivery.SMS,
			To: "+491712345678"}, b.now.Add(time.Hour)); err != nil {
			b.Fatal(err)
		}
		other := store.OutboxMessage{ID: "other", Body: []byte("of another key"), State: store.MessageWaiting,
			DueAt: time.UnixMilli(1), ExpiresAt: b.now.Add(time.Hour)}
		if err := b.Store.EnqueueMessage(b.Context(), other); err != nil {
			b.Fatal(err)
		}
		b.enqueue("a", time.Hour)
		b.deliverAllDue(1)
		b.wantState("sms", store.MessageRefused)
		b.wantState("other", store.MessageRefused)
		b.wantState("a", store.MessageSent)
	})
}

// The body of a message is sealed in the database, and deleted once it is sent.
func TestBodyIsSealedAndDeletedWhenSent(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		keys, err := seal.ParseKeyRing(seal.NewKeyLine())
		if err != nil {
			t.Fatal(err)
		}
		db := storetest.Open(t, url)
		o := outbox.New(db, keys, nil, time.Now, slog.New(slog.DiscardHandler))
		if err := o.Enqueue(t.Context(), db, delivery.Message{ID: "a", Channel: delivery.Email, Subject: "123456"},
			time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		row, err := db.ClaimMessage(t.Context(), true, time.Now(), time.Now().Add(time.Minute))
		if err != nil || strings.Contains(string(row.Body), "123456") || len(row.Body) == 0 {
			t.Errorf("the body is %q, %v", row.Body, err)
		}
		if err := db.FinishMessage(t.Context(), "a", store.MessageSent, time.UnixMilli(1)); err != nil {
			t.Fatal(err)
		}
		if n := storetest.CountRows(t, url, "outbox_messages WHERE length(body) > 0"); n != 0 {
			t.Error("the body of a sent message is kept")
		}
	})
}

// A notified worker sends at once, and attempts that have begun are finished when the server stops.
func TestNotifyAndGracefulStop(t *testing.T) {
	eachDatabase(t, func(b *fixture) {
		arrived := make(chan delivery.Message)
		b.Outbox.Senders[delivery.Email] = func(_ context.Context, m delivery.Message) error {
			arrived <- m
			return nil
		}
		ctx, stop := context.WithCancel(b.Context())
		defer stop()
		ended := make(chan struct{})
		go func() { b.Outbox.Run(ctx); close(ended) }()
		for i := range 20 {
			b.enqueue(fmt.Sprint("m", i), time.Hour)
			b.Notify()
			if i == 19 {
				stop() // in the middle of the last one, or before it
				break
			}
			<-arrived
		}
		select {
		case <-arrived:
		case <-ended:
		}
		<-ended
	})
}
