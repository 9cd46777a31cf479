package attack

import (
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/test/e2e/live"
)

// stopWrites makes the database one that can be read and not written, until resume is called: on SQLite another process
// holds the lock of a writer, on PostgreSQL the database is read-only.
func (h *server) stopWrites() (resume func()) {
	h.T.Helper()
	if strings.HasPrefix(h.Database, "postgres") {
		h.alterDatabase("SET default_transaction_read_only = on")
		return func() { h.alterDatabase("SET default_transaction_read_only = off") }
	}
	conn, err := h.Beside().Conn(h.T.Context())
	if err != nil {
		h.T.Fatal(err)
	}
	if _, err := conn.ExecContext(h.T.Context(), "BEGIN IMMEDIATE"); err != nil {
		h.T.Fatal(err)
	}
	return func() {
		_, err := conn.ExecContext(h.T.Context(), "ROLLBACK")
		if conn.Close(); err != nil {
			h.T.Fatal(err)
		}
	}
}

// stopDatabase makes PostgreSQL refuse every connection, until resume is called.
func (h *server) stopDatabase() (resume func()) {
	h.T.Helper()
	h.alterDatabase("ALLOW_CONNECTIONS false")
	return func() { h.alterDatabase("ALLOW_CONNECTIONS true") }
}

// alterDatabase changes a setting of the database of the server, and ends all connections to it.
func (h *server) alterDatabase(setting string) {
	h.T.Helper()
	u, err := url.Parse(h.Database)
	if err != nil {
		h.T.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	u.Path = "/postgres"
	storetest.Exec(h.T, u.String(), "ALTER DATABASE "+name+" "+setting)
	storetest.Exec(h.T, u.String(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
}

// reconnect sends requests until the server has found out which of its connections have ended. Each of these fails one
// request.
func (h *server) reconnect(b *live.Browser, path string) {
	h.T.Helper()
	for range 100 {
		var failed atomic.Int64
		atOnce(8, func(int) {
			if b.Get(path).StatusCode == http.StatusServiceUnavailable {
				failed.Add(1)
			}
		})
		if failed.Load() == 0 {
			return
		}
	}
	h.T.Fatalf("%s: the server does not connect again", path)
}

// wantTryAgain fails the test unless an answer says that the same request may succeed later.
func (h *server) wantTryAgain(a live.Answer) live.Answer {
	h.T.Helper()
	if h.wantStatus(a, http.StatusServiceUnavailable); a.Header.Get("Retry-After") == "" {
		h.T.Errorf("%s: no Retry-After", a.Request.URL.Path)
	}
	return a
}

// Somebody signs in while the database fails: nothing opens a session, and nobody reads that a password or code is
// wrong. When it is repaired, the same form works.
func TestFaultIsNeitherAWrongAnswerNorASession(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		b := h.Browser()
		code := h.passwordStep(b, live.AnnaEmail, live.AnnaPassword)
		says := func(a live.Answer) {
			h.T.Helper()
			if h.wantTryAgain(a); strings.Contains(a.Body, "wrong") || !strings.Contains(a.Body, "Wait a few seconds") {
				h.T.Errorf("the page does not say that trying again helps:\n%s", a.Body)
			}
		}
		resume := h.stopWrites()
		h.reconnect(b, "/signin/verify")
		says(b.PostNow("/signin/verify", "code", code))
		a := h.Browser().PostNow("/signin", "email", live.AnnaEmail, "password", live.AnnaPassword)
		if says(a); !strings.Contains(a.Body, `value="`+live.AnnaEmail+`"`) {
			h.T.Errorf("the address is gone:\n%s", a.Body)
		}
		resume()
		h.reconnect(b, "/signin/verify")
		h.wantNoSession("during the fault", h.Browser())
		h.wantStatus(b.Post("/signin/verify", "code", code), http.StatusSeeOther)
		if _, in := signedIn(b); !in {
			h.T.Error("the code does not work when the database is repaired")
		}
	})
}

// A disk that is full, a lock that is held and a database that is read-only keep the last use of a session from being
// written. Nobody is signed out by that, neither by a page nor by an app behind a proxy.
func TestReadOnlyDatabaseEndsNoSession(t *testing.T) {
	t.Parallel()
	withForwardAuth(t, func(h *server, anna *proxiedUser) {
		h.wantStatus(anna.open(wiki, "/"), http.StatusOK)
		h.WaitForOutbox()
		defer h.stopWrites()()
		h.reconnect(anna.person, "/settings")
		for range 3 {
			h.Turn(2 * time.Minute)
			if _, in := signedIn(anna.person); !in {
				h.T.Error("signed out")
			}
			h.wantStatus(anna.ask("GET", wiki, "/", navigate), http.StatusOK)
		}
		h.wantTryAgain(anna.person.PostNow("/signout"))
		if h.cookie(anna.person, "session") == "" {
			h.T.Error("the cookie of a session that goes on is gone")
		}
		if got := strings.Count(h.Log.String(), "the last use of sessions cannot be recorded"); got < 1 || got > 4 {
			h.T.Errorf("%d lines in six minutes, want one a minute at most", got)
		}
	})
}

// While the database refuses connections, a proxy and apps hear that trying again helps. They do not hear that the
// person must sign in, or that a client or token is not known, which would end sessions of apps.
func TestFaultDoesNotRevokeAccess(t *testing.T) {
	t.Parallel()
	a := &apps{}
	h := start(t, storetest.NewPostgres(t), a.set, func(o *twostep.Options) {
		apps := o.Apps
		behindProxy(o)
		o.Apps = append(o.Apps, apps...)
	})
	anna := h.proxiedUser(h.annaSignedIn())
	h.wantStatus(anna.open(wiki, "/"), http.StatusOK)
	keys := h.wantStatus(h.Browser().Get("/oauth2/jwks"), http.StatusOK).Body
	h.WaitForOutbox()
	resume := h.stopDatabase()
	h.Turn(2 * time.Second)
	anna.wantRefused("a check", h.wantTryAgain(anna.ask("GET", wiki, "/", navigate)), http.StatusServiceUnavailable)
	h.wantTryAgain(anna.person.Get("/settings"))
	for path, form := range map[string]url.Values{
		"/oauth2/token":      {"grant_type": {"client_credentials"}, "client_id": {"api"}, "client_secret": {a.api}},
		"/oauth2/introspect": {"client_id": {"api"}, "client_secret": {a.api}, "token": {"x"}},
		"/oauth2/revoke":     {"client_id": {"books"}, "client_secret": {a.books}, "token": {"x"}},
		"/oauth2/userinfo":   {"access_token": {"x"}},
	} {
		answer := h.wantTryAgain(h.post(h.Browser(), path, form.Encode()))
		if !strings.Contains(answer.Body, `"error":"temporarily_unavailable"`) {
			h.T.Errorf("%s: %s", path, answer.Body)
		}
	}
	if got := h.wantStatus(h.Browser().Get("/oauth2/jwks"), http.StatusOK); got.Body != keys {
		h.T.Errorf("other keys: %s", got.Body)
	}
	resume()
	h.Turn(2 * time.Second)
	h.reconnect(anna.person, "/settings")
	if _, in := signedIn(anna.person); !in {
		h.T.Error("signed out")
	}
	h.wantStatus(anna.ask("GET", wiki, "/", navigate), http.StatusOK)
}

// A load balancer asks a server whose database cannot be written.
func TestReadOnlyDatabaseIsNotReady(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		b := h.Browser()
		h.passwordStep(b, live.AnnaEmail, live.AnnaPassword)
		h.wantStatus(b.Get("/readyz"), http.StatusOK)
		resume := h.stopWrites()
		h.reconnect(b, "/signin/verify")
		h.Turn(5 * time.Second)
		h.wantTryAgain(b.Get("/readyz"))
		resume()
		h.reconnect(b, "/signin/verify")
		h.Turn(5 * time.Second)
		h.wantStatus(b.Get("/readyz"), http.StatusOK)
	})
}
