package attack

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"twostep.example/twostep"
	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/test/e2e/live"
)

// A pooler in transaction mode runs each transaction in another session of the database. What may happen once happens
// once there too, and a restart of the pooler under load does not end the server.
func TestCodeWorksOnceBehindAPooler(t *testing.T) {
	t.Parallel()
	direct := storetest.NewPostgres(t)
	pooler := storetest.NewPooler(t, direct)
	h := start(t, pooler.URL)
	h.Database = direct // for the queries of the test
	b := h.Browser()
	code := b.Password()
	token := h.cookie(b, "signin")
	var right atomic.Int64
	atOnce(8, func(int) {
		if h.withCookies("signin", token).Post("/signin/verify", "code", code).StatusCode == http.StatusSeeOther {
			right.Add(1)
		}
	})
	if n := storetest.CountRows(t, direct, "sessions"); n != 1 {
		t.Errorf("%d sessions from one code, %d answers", n, right.Load())
	}
	b = h.annaSignedIn()
	h.wantStatus(b.Get("/settings"), http.StatusOK)

	var load sync.WaitGroup
	var stop atomic.Bool
	for range 4 {
		visitor := h.withCookies("session", h.cookie(b, "session"))
		load.Go(func() {
			for !stop.Load() {
				visitor.Get("/settings")
			}
		})
	}
	pooler.Stop()
	pooler.Start(t)
	for tries := 0; h.Browser().Get("/help").StatusCode != http.StatusOK || b.Get("/settings").StatusCode != http.StatusOK; tries++ {
		if tries == 20 {
			t.Fatal("the server has not gone on")
		}
	}
	again := h.Browser()
	h.wantRedirect(again.Post("/signin/verify", "code", again.Password()), "/settings")
	stop.Store(true)
	load.Wait()
	if _, in := signedIn(again); !in {
		t.Errorf("%s is not signed in", live.AnnaEmail)
	}
}

// A replica that was behind becomes the primary, and a code that was used is not used there. After the operator has run
// restored, it stays refused, and so do the sessions.
func TestUsedCodeAfterALaggingReplicaTakesOver(t *testing.T) {
	t.Parallel()
	pair := storetest.NewReplica(t)
	first := start(t, pair.First)
	b := first.Browser()
	code := b.Password()
	token := first.cookie(b, "signin")
	pair.Detach(t)
	first.wantRedirect(b.Post("/signin/verify", "code", code), "/settings")
	pair.Failover(t)
	second := start(t, pair.Second, func(o *twostep.Options) { o.KeyFile = first.KeyFile })
	if n := second.count("one_time_codes WHERE used_at <> 0"); n != 0 {
		t.Fatalf("%d used codes: the replica was not behind", n)
	}
	if err := second.InvalidateAfterRestore(t.Context()); err != nil {
		t.Fatal(err)
	}
	replay := second.withCookies("signin", token)
	replay.Post("/signin/verify", "code", code)
	second.wantNoSession("a used code", replay)
	second.wantNoSession("the session of before", second.withCookies("session", first.cookie(b, "session")))
}
