package outbox_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/outbox"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store/storetest"
)

// notice is a log that reports when a text was written.
type notice struct {
	mu   sync.Mutex
	text bytes.Buffer
	want string
	seen chan struct{}
}

func (n *notice) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.want != "" && strings.Contains(string(p), n.want) {
		n.want = ""
		close(n.seen)
	}
	return n.text.Write(p)
}

// The primary hangs, so that every connection to it waits for an answer, and the standby is promoted. The workers go on
// with the standby: no deadline of the operating system is needed, and no restart.
func TestWorkersGoOnAfterAFailover(t *testing.T) {
	servers := storetest.NewSynchronousReplica(t)
	keys, err := seal.ParseKeyRing(seal.NewKeyLine())
	if err != nil {
		t.Fatal(err)
	}
	log := &notice{want: "messages cannot be delivered", seen: make(chan struct{})}
	arrived := make(chan string, 100)
	send := func(_ context.Context, m delivery.Message) error { arrived <- m.ID; return nil }
	db := storetest.Open(t, servers.Both(t))
	o := outbox.New(db, keys, map[delivery.Channel]delivery.SendFunc{delivery.Email: send}, time.Now,
		slog.New(slog.NewTextHandler(log, nil)))
	enqueue := func(in *outbox.Outbox, id string) {
		t.Helper()
		m := delivery.Message{ID: id, Channel: delivery.Email, To: "anna@example.com", Text: "123456"}
		if err := in.Enqueue(t.Context(), in.Store, m, time.Now().Add(15*time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"a", "b", "c", "d"} {
		enqueue(o, id)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { o.Run(ctx); close(ended) }()
	defer func() { stop(); <-ended }()
	for range 4 {
		<-arrived
	}
	servers.Hang(t)
	select {
	case <-log.seen:
	case <-time.After(20 * time.Second):
		t.Fatal("the workers wait for a database that does not answer")
	}
	servers.Promote(t)
	second := storetest.Open(t, servers.Second)
	begun := time.Now()
	enqueue(outbox.New(second, keys, nil, time.Now, o.Log), "after")
	select {
	case id := <-arrived:
		t.Logf("%s arrived %s after the failover", id, time.Since(begun).Round(time.Millisecond))
	case <-time.After(20 * time.Second):
		t.Error("no message arrives within 20 s of the failover")
	}
}
