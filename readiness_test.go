package twostep

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/store/storetest"
)

func (h *faultyServer) ready(from, query string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/readyz"+query, nil)
	r.Host, r.RemoteAddr = "10.0.0.7:8080", from
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// The server is ready only while the database can be written, and ready again without a restart. It is written once in
// a few seconds, however often somebody asks.
func TestReadyMeansThatTheDatabaseCanBeWritten(t *testing.T) {
	eachFaultyServer(t, func(h *faultyServer) {
		ready := func() *httptest.ResponseRecorder { return h.ready("10.0.0.9:1234", "") }
		h.want("at first", ready(), http.StatusOK)
		stop := storetest.FailWrites(h.store)
		h.want("remembered", ready(), http.StatusOK)
		for range 40 {
			h.now = h.now.Add(readinessInterval)
			w := ready()
			h.want("full", w, http.StatusServiceUnavailable)
			if w.Header().Get("Retry-After") == "" || w.Body.String() != "not ready: the database cannot be used\n" {
				h.Errorf("%v %s", w.Header(), w.Body)
			}
		}
		stop()
		h.now = h.now.Add(readinessInterval)
		count := storetest.Record(t, h.store)
		for range 20 {
			h.want("repaired", ready(), http.StatusOK)
		}
		if n := len(count.Statements()); n > 3 {
			h.Errorf("%d statements for 20 requests, want at most 3\n%s", n, count)
		}
		if got := strings.Count(h.log.String(), "not ready"); got != 2 || !strings.Contains(h.log.String(), "ready again") {
			h.Errorf("%d lines in two minutes, want one a minute\n%s", got, h.log.String())
		}
	})
}

// Verbose says what is degraded, to this machine and its private network only. A mail server that is down is no reason
// for 503.
func TestReadinessSaysWhatIsDegraded(t *testing.T) {
	eachFaultyServer(t, func(h *faultyServer) {
		const private, public = "10.0.0.9:1234", "203.0.113.9:1234"
		has := func(what string, status int, lines ...string) {
			h.Helper()
			h.now = h.now.Add(readinessInterval)
			w := h.ready(private, "?verbose")
			h.want(what, w, status)
			for _, line := range lines {
				if !strings.Contains("\n"+w.Body.String(), "\n"+line) {
					h.Errorf("%s: no line %q in\n%s", what, line, w.Body)
				}
			}
		}
		has("quiet", http.StatusOK, "ready", "database: ok, written and read in ", "mail server: not used since the start",
			"messages waiting: 0", "clock: ok", "requests: ")

		down := true
		h.options.Senders[delivery.Email] = func(ctx context.Context, m delivery.Message) error {
			if down {
				return errors.New("connection refused for anna@example.com")
			}
			return nil
		}
		h.want("password", h.post("/signin", annaForm), http.StatusSeeOther)
		deliver := func() {
			h.Helper()
			if _, err := h.outbox.DeliverNext(h.Context()); err != nil {
				h.Fatal(err)
			}
		}
		deliver()
		h.now = h.now.Add(90 * time.Second)
		has("mail server down", http.StatusOK, "ready",
			"mail server: degraded: last failure 2026-11-23T10:00:03Z, last success never",
			"messages waiting: 1, the oldest for 1m33s")
		if got := h.ready(private, "?verbose").Body.String(); strings.Contains(got, "anna") {
			h.Errorf("an address: %s", got)
		}
		down = false
		deliver()
		has("mail server back", http.StatusOK, "mail server: ok: last success 2026-11-23T10:01:36Z", "messages waiting: 0")

		if err := h.store.AdvanceLatestTime(h.Context(), h.now.Add(time.Hour)); err != nil {
			h.Fatal(err)
		}
		has("clock behind", http.StatusOK, "clock: degraded: 59m57s behind")

		stop := storetest.FailWrites(h.store)
		defer stop()
		has("full", http.StatusServiceUnavailable, "not ready: ", "database: failed: ", "mail server: ok: ")
		if got := h.ready(public, "?verbose").Body.String(); got != "not ready: the database cannot be used\n" {
			h.Errorf("to the public: %q", got)
		}
	})
}
