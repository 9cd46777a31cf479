package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/store"
)

// ids are the messages that have arrived, in order.
func (b *fixture) ids() (list []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.received {
		list = append(list, m.ID)
	}
	return list
}

// After a fault of the mail server the newest codes go first, then the older ones, then notifications in their order.
// Codes that have expired are never sent.
func TestNewestCodesGoFirst(t *testing.T) {
	eachDatabase(t, func(b *fixture) {
		b.enqueue("expired", 10*time.Second)
		for i := range 3 {
			b.enqueue(fmt.Sprint("notice", i), 24*time.Hour)
			b.enqueue(fmt.Sprint("code", i), 15*time.Minute)
			b.now = b.now.Add(20 * time.Second)
		}
		b.deliverAllDue(6)
		want := []string{"code2", "code1", "code0", "notice0", "notice1", "notice2"}
		if got := b.ids(); !slices.Equal(got, want) {
			b.Errorf("got %v, want %v", got, want)
		}
		b.wantState("expired", store.MessageExpired)
	})
}

// When the mail server is back, a person who signs in now does not wait behind 400 old messages, and the codes that
// wait for their next attempt are due at once.
func TestNobodyWaitsBehindABacklog(t *testing.T) {
	eachDatabase(t, func(b *fixture) {
		for i := range 200 {
			b.enqueue(fmt.Sprint("old", i), 15*time.Minute)
			b.enqueue(fmt.Sprint("notice", i), 24*time.Hour)
		}
		b.answers = []error{errors.New("connection refused"), nil}
		b.now = b.now.Add(time.Minute)
		b.enqueue("failed", 15*time.Minute)
		for range 2 { // the second is the first that is sent
			if _, err := b.DeliverNext(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		b.now = b.now.Add(time.Millisecond)
		b.enqueue("new", 15*time.Minute)
		for range 2 {
			if _, err := b.DeliverNext(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		if got := b.ids(); len(got) != 4 || got[0] != "failed" || got[2] != "new" || got[3] != "failed" {
			b.Errorf("got %v, want failed, an old one, new, failed", got)
		}
	})
}

// While codes keep coming, one worker prefers notifications, so that each is sent in the end.
func TestNotificationsAreSentWhileCodesKeepComing(t *testing.T) {
	eachDatabase(t, func(b *fixture) {
		ctx, stop := context.WithCancel(b.Context())
		defer stop()
		b.enqueue("notice", 24*time.Hour)
		for i := range 20 {
			b.enqueue(fmt.Sprint("code", i), 15*time.Minute)
		}
		arrived := make(chan string)
		b.Outbox.Senders[delivery.Email] = func(_ context.Context, m delivery.Message) error {
			arrived <- m.ID
			return nil
		}
		ended := make(chan struct{})
		go func() { b.Outbox.Run(ctx); close(ended) }()
		for n := 20; <-arrived != "notice"; n++ { // the worker that prefers it may begin late
			b.enqueue(fmt.Sprint("code", n), 15*time.Minute)
			if n == 500 {
				b.Error("no notification among 480 codes")
				break
			}
		}
		stop()
		for {
			select {
			case <-arrived:
				continue
			case <-ended:
			}
			break
		}
	})
}

// A message whose server was killed is sent by another one after its claim was the same three times, which is within
// three seconds. A claim that is renewed stays.
func TestClaimOfAKilledServerIsReleased(t *testing.T) {
	eachDatabase(t, func(b *fixture) {
		release := func(want bool) {
			b.Helper()
			if released, err := b.ReleaseDeadClaims(b.Context()); released != want || err != nil {
				b.Errorf("released %v, %v, want %v", released, err, want)
			}
		}
		b.enqueue("a", 15*time.Minute)
		killed := b.claimAsOther("a", true)
		release(false)
		if err := b.Store.RenewClaim(b.Context(), killed); err != nil {
			b.Fatal(err)
		}
		release(false)
		release(false)
		b.deliverAllDue(0)
		release(true)
		b.deliverAllDue(1)
		b.wantState("a", store.MessageSent)
		if err := b.Store.RenewClaim(b.Context(), killed); !errors.Is(err, store.ErrNotFound) {
			b.Errorf("the killed server renews its claim: %v", err)
		}
	})
}

// The late result of a worker that has lost its claim does not release the claim of the worker that has it now.
func TestLateResultKeepsTheNewClaim(t *testing.T) {
	eachDatabase(t, func(b *fixture) {
		b.enqueue("a", 15*time.Minute)
		late := b.claimAsOther("a", true)
		for range 3 {
			if _, err := b.ReleaseDeadClaims(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		now := b.claimAsOther("a", true)
		if err := b.Store.RetryMessage(b.Context(), late, b.now, true); err != nil {
			b.Fatal(err)
		}
		b.deliverAllDue(0)
		if err := b.Store.RenewClaim(b.Context(), now); err != nil {
			b.Errorf("the new claim: %v", err)
		}
	})
}

// A worker renews its claim while the mail server is slow, so that another server does not send the message too. It
// stops sending when it has lost the claim.
func TestWorkerRenewsItsClaimWhileItSends(t *testing.T) {
	eachDatabase(t, func(b *fixture) {
		begun, lost := make(chan struct{}), make(chan error)
		b.Outbox.Senders[delivery.Email] = func(ctx context.Context, _ delivery.Message) error {
			close(begun)
			<-ctx.Done()
			lost <- ctx.Err()
			return delivery.ErrUncertain
		}
		b.enqueue("a", 15*time.Minute)
		ended := make(chan error)
		go func() {
			_, err := b.DeliverNext(b.Context())
			ended <- err
		}()
		<-begun
		for beats := int64(1); beats < 3; { // it beats by itself
			list, err := b.Store.ListClaims(b.Context())
			if err != nil || len(list) != 1 {
				b.Fatalf("claims %v, %v", list, err)
			}
			beats = list[0].Beats
		}
		for held := true; held; { // again, if it was renewed meanwhile
			list, err := b.Store.ListClaims(b.Context())
			if held = len(list) > 0; held && err == nil {
				err = b.Store.ReleaseClaim(b.Context(), list[0], b.now)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
		if err := <-lost; !errors.Is(err, context.Canceled) {
			b.Errorf("got %v, want that the attempt is canceled", err)
		}
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
}
