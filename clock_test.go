package twostep

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"twostep.example/twostep/internal/store/storetest"
)

// A running server warns when its clock is off by more than 2 seconds. Beyond a minute it is not ready and answers every
// request with 503, until the clock is right again. Each change is one line of the log.
func TestClockOfARunningServer(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		var log bytes.Buffer
		o := options(t)
		o.Database, o.Logger, o.NoBackgroundWork = url, slog.New(slog.NewTextHandler(&log, nil)), true
		s, err := New(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		app := s.Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the app was called") }))
		for _, step := range []struct {
			behind   time.Duration
			level    string // of the line in the log; "": none
			status   int    // of the sign-in page
			readyz   int
			required int // behind Require, signed out
		}{
			{0, "", 200, 200, 303},
			{1500 * time.Millisecond, "", 200, 200, 303},
			{10 * time.Second, "WARN", 200, 200, 303},
			{20 * time.Second, "", 200, 200, 303},
			{time.Hour, "ERROR", 503, 503, 503},
			{2 * time.Hour, "", 503, 503, 503},
			{61 * time.Second, "", 503, 503, 503},
			{58 * time.Second, "WARN", 200, 200, 303},
			{0, "INFO", 200, 200, 303},
			{time.Hour, "ERROR", 503, 503, 503},
			{0, "INFO", 200, 200, 303},
		} {
			log.Reset()
			s.checkClock(t.Context(), func() time.Time { return time.Now().Add(-step.behind) })
			wanted, line := "level="+step.level, log.String()
			if (step.level == "") != (line == "") || line != "" && !strings.Contains(line, wanted) ||
				strings.Count(line, "\n") > 1 {
				t.Errorf("%s behind: the log has %q, want one line of level %q", step.behind, log.String(), step.level)
			}
			answers := func(h http.Handler, path string, want int) http.Header {
				t.Helper()
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "https://signin.example.com"+path, nil))
				if w.Code != want {
					t.Errorf("%s behind: %s answers %d, want %d", step.behind, path, w.Code, want)
				}
				return w.Header()
			}
			header := answers(s, "/signin", step.status)
			if retry := header.Get("Retry-After"); (retry != "") != (step.status == http.StatusServiceUnavailable) {
				t.Errorf("%s behind: Retry-After is %q", step.behind, retry)
			}
			answers(s, "/oauth2/userinfo", map[bool]int{true: 503, false: 401}[step.status == 503])
			header = answers(s, "/auth/check", map[bool]int{true: 503, false: 403}[step.status == 503])
			if header.Get("Strict-Transport-Security") != "" || !strings.HasPrefix(header.Get("Content-Type"), "text/plain") ||
				(header.Get("Retry-After") != "") != (step.status == 503) {
				t.Errorf("%s behind: to a proxy: %v", step.behind, header)
			}
			answers(s, "/readyz", step.readyz)
			answers(s, "/healthz", http.StatusOK)
			answers(app, "/reports", step.required)
		}
	})
}

// A clock that an embedder sets is recorded and not compared.
func TestOwnClockIsNotCompared(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		o := options(t)
		o.Database, o.Logger = url, slog.New(slog.DiscardHandler)
		var ahead atomic.Int64
		ahead.Store(int64(30 * 24 * time.Hour))
		o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		s, err := New(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for _, d := range []time.Duration{30 * 24 * time.Hour, 0} {
			ahead.Store(int64(d))
			if s.checkClock(t.Context(), o.Now); s.clockIsWrong() {
				t.Errorf("%s ahead: compared", d)
			}
		}
	})
}

// A replica that takes over without the last changes is noticed, once, and the log says what to do.
func TestLostChangesAreNoticed(t *testing.T) {
	pair := storetest.NewReplica(t)
	_, rest, _ := strings.Cut(pair.First, "@")
	_, second, _ := strings.Cut(pair.Second, "@")
	second, _, _ = strings.Cut(second, "/")
	var log bytes.Buffer
	o := options(t)
	o.Database, o.NoBackgroundWork = "postgres://twostep@"+second+","+rest, true
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	s, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const says, do = "the database has lost changes", "run `twostep restored`"
	check := func(what string, noticed bool) {
		t.Helper()
		log.Reset()
		s.checkLost(t.Context())
		if text := log.String(); strings.Contains(text, says) != noticed || strings.Contains(text, do) != noticed {
			t.Errorf("%s: the log has %q", what, text)
		}
	}
	add := func(name string) {
		t.Helper()
		err := s.CreateAccount(t.Context(), AccountParams{Email: name + "@example.com", Name: name, Password: "correct horse battery"})
		if err != nil {
			t.Fatal(err)
		}
	}
	add("anna")
	check("nothing is lost", false)
	pair.Detach(t)
	check("still nothing", false)
	add("ben") // only on the first server
	pair.Failover(t)
	log.Reset()
	s.checkLost(t.Context())
	if !strings.Contains(log.String(), says) { // unless the first statement met the connection to the first server
		s.checkLost(t.Context())
	}
	if text := log.String(); !strings.Contains(text, says) || !strings.Contains(text, do) || !strings.Contains(text, "events=1") {
		t.Errorf("a change is lost: the log has %q", text)
	}
	check("it is said once", false)
	add("eva")
	check("a change on the new server", false)
}

// The line about the clock of /readyz?verbose says the same as the status.
func TestReadinessSaysWhatTheClockIs(t *testing.T) {
	at := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for _, row := range []struct {
		state  clockState
		latest time.Time
		want   string
	}{
		{clockRight, at, "clock: ok"},
		{clockRight, at.Add(2 * time.Minute), "clock: degraded: 2m0s behind"},
		{clockOff, at, "clock: degraded: wrong by more than 2 seconds"},
		{clockWrong, at, "clock: failed: "},
		{clockWrong, at.Add(2 * time.Minute), "clock: failed: "},
	} {
		var s Server
		s.clock.Store(int32(row.state))
		if got := s.describeClock(databaseCheck{at: at, latest: row.latest}); !strings.HasPrefix(got, row.want) {
			t.Errorf("state %d, latest %v: %q, want %q", row.state, row.latest, got, row.want)
		}
	}
}
