package twostep

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store/storetest"
)

// faultyServer is a server whose database fails when the test wants it, with one account and one app.
type faultyServer struct {
	*testing.T
	*Server
	now     time.Time
	code    string // the last one that was sent
	cookies map[string]string
	log     bytes.Buffer
}

const annaForm = "email=anna%40example.com&password=correct+horse+battery"

func eachFaultyServer(t *testing.T, f func(h *faultyServer)) {
	seal.LowCost(true)
	t.Cleanup(func() { seal.LowCost(false) })
	storetest.EachDatabase(t, func(t *testing.T, database string) {
		h := &faultyServer{T: t, now: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC), cookies: map[string]string{}}
		o := options(t)
		o.Database, o.NoBackgroundWork, o.Methods = database, true, []factor.Method{overheard{code: &h.code}}
		o.Now, o.Logger = func() time.Time { return h.now }, slog.New(slog.NewTextHandler(&h.log, nil))
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("203.0.113.5/32")}
		o.Apps = []App{{
			ID: "wiki", RedirectURIs: []string{"https://wiki.example.com/cb"}, Hosts: []string{"wiki.example.com"},
		}}
		server, err := New(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		h.Server = server
		err = server.CreateAccount(t.Context(), AccountParams{
			Email: "anna@example.com", Name: "Anna", Password: "correct horse battery",
		})
		if err != nil {
			t.Fatal(err)
		}
		f(h)
	})
}

// send sends a request with the cookies of the browser and keeps those of the response. Headers are pairs.
func (h *faultyServer) send(method, path, form string, headers ...string) *httptest.ResponseRecorder {
	h.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(form))
	r.Host = "signin.example.com"
	r.Header.Set("User-Agent", "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0")
	r.RemoteAddr = "203.0.113.7:40000"
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	if headers != nil {
		r.RemoteAddr = "203.0.113.5:40000"
	}
	for name, value := range h.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		if c.MaxAge < 0 {
			delete(h.cookies, c.Name)
		} else {
			h.cookies[c.Name] = c.Value
		}
	}
	return w
}

func (h *faultyServer) post(path, form string) *httptest.ResponseRecorder {
	h.Helper()
	return h.send(http.MethodPost, path, form)
}

// want checks the status of a response.
func (h *faultyServer) want(what string, w *httptest.ResponseRecorder, status int) {
	h.Helper()
	if w.Code != status {
		h.Errorf("%s: status %d, want %d: %s %.300s", what, w.Code, status, w.Header().Get("Location"), w.Body)
	}
}

// failed fails every statement after the first n while f runs, and checks that the response is 503 with Retry-After. It
// reports false once the request needs no more than n statements, and returns the response.
func (h *faultyServer) failed(
	what string, n int64, f func() *httptest.ResponseRecorder,
) (w *httptest.ResponseRecorder, ok bool) {
	h.Helper()
	stop := storetest.Fail(h.store, n)
	w = f()
	stop()
	if w.Code < http.StatusBadRequest {
		return w, false
	}
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		h.Errorf("%s after %d statements: status %d, Retry-After %q, want 503: %.300s", what, n, w.Code,
			w.Header().Get("Retry-After"), w.Body)
	}
	return w, true
}

// signIn takes both steps.
func (h *faultyServer) signIn() {
	h.Helper()
	h.cookies = map[string]string{}
	h.want("password", h.post("/signin", annaForm), http.StatusSeeOther)
	h.want("code", h.post("/signin/verify", "code="+h.code), http.StatusSeeOther)
	if h.cookies["__Host-session"] == "" {
		h.Fatal("no session")
	}
}

// Wherever the database fails during a sign-in, the answer is 503 and says that trying again helps. It is never a
// wrong password or code, never a session, and the next try succeeds.
func TestFaultDuringASignInSaysTryAgain(t *testing.T) {
	eachFaultyServer(t, func(h *faultyServer) {
		refused := func(what string, w *httptest.ResponseRecorder) {
			h.Helper()
			if body := w.Body.String(); strings.Contains(body, "is wrong") || strings.Contains(body, "has expired") ||
				!strings.Contains(body, "isn&#39;t working right now") {
				h.Errorf("%s: the page says something else than that the server cannot do it now:\n%s", what, body)
			}
			if strings.HasPrefix(what, "password") && !strings.Contains(w.Body.String(), `value="anna@example.com"`) {
				h.Errorf("%s: the page has lost the address", what)
			}
			if strings.Contains(strings.Join(w.Result().Header["Set-Cookie"], " "), "session=") {
				h.Errorf("%s: a session", what)
			}
		}
		for n := int64(0); ; n++ {
			h.now, h.cookies = h.now.Add(time.Hour), map[string]string{}
			w, failed := h.failed("password", n, func() *httptest.ResponseRecorder { return h.post("/signin", annaForm) })
			if !failed {
				h.want("password", w, http.StatusSeeOther)
				break
			}
			refused("password", w)
		}
		for n := int64(0); ; n++ {
			h.now, h.cookies = h.now.Add(time.Hour), map[string]string{}
			h.want("password", h.post("/signin", annaForm), http.StatusSeeOther)
			verify := func() *httptest.ResponseRecorder { return h.post("/signin/verify", "code="+h.code) }
			w, failed := h.failed("code", n, verify)
			if failed {
				refused("code", w)
				w = verify()
			}
			h.want("the code again", w, http.StatusSeeOther)
			if h.cookies["__Host-session"] == "" {
				h.Fatal("no session")
			}
			if !failed {
				break
			}
		}
		if got := strings.Count(h.log.String(), "level=ERROR"); got == 0 || got > 200 {
			h.Errorf("%d error lines", got)
		}
	})
}

// While the database cannot be written, sessions that exist go on, for pages, embedded apps and hosts behind a proxy,
// also after the minute in which their last use must be recorded. The log has one line.
func TestSessionsGoOnWhileNothingCanBeWritten(t *testing.T) {
	eachFaultyServer(t, func(h *faultyServer) {
		h.signIn()
		h.log.Reset()
		app := h.Require(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNoContent)
		}))
		embedded := func() *httptest.ResponseRecorder {
			r := httptest.NewRequest(http.MethodGet, "https://signin.example.com/reports", nil)
			for name, value := range h.cookies {
				r.AddCookie(&http.Cookie{Name: name, Value: value})
			}
			w := httptest.NewRecorder()
			app.ServeHTTP(w, r)
			return w
		}
		stop := storetest.FailWrites(h.store)
		for range 50 {
			h.now = h.now.Add(time.Second * 66)
			h.want("settings", h.send(http.MethodGet, "/settings", ""), http.StatusOK)
			h.want("embedded", embedded(), http.StatusNoContent)
			if h.now.Minute() == 50 {
				break
			}
		}
		w := h.post("/signout", "")
		h.want("sign-out", w, http.StatusServiceUnavailable)
		if h.cookies["__Host-session"] == "" {
			t.Fatal("the cookie of a session that has not ended is gone")
		}
		stop()
		const line = "the last use of sessions cannot be recorded"
		if got := strings.Count(h.log.String(), line); got < 1 || got > 51 {
			h.Errorf("%d lines %q, want at most one a minute", got, line)
		}
		h.want("settings", h.send(http.MethodGet, "/settings", ""), http.StatusOK)

		stop = storetest.Fail(h.store, 0)
		for name, w := range map[string]*httptest.ResponseRecorder{
			"settings": h.send(http.MethodGet, "/settings", ""), "embedded": embedded(),
		} {
			h.want(name, w, http.StatusServiceUnavailable)
			if w.Header().Get("Retry-After") == "" || w.Header().Get("Location") != "" {
				h.Errorf("%s: %v", name, w.Header())
			}
		}
		stop()
		h.want("embedded", embedded(), http.StatusNoContent)
	})
}

// check sends the question of a proxy about a request for the host of an app.
func (h *faultyServer) check(uri string) *httptest.ResponseRecorder {
	return h.send(http.MethodGet, "/auth/check", "", "X-Forwarded-Method", "GET", "X-Forwarded-Proto", "https",
		"X-Forwarded-Host", "wiki.example.com", "X-Forwarded-Uri", uri, "X-Forwarded-For", "203.0.113.7",
		"Accept", "text/html")
}

// openHost signs the person in at the host of an app.
func (h *faultyServer) openHost() {
	h.Helper()
	h.signIn()
	w := h.check("/")
	for range 4 { // to /auth/start, /oauth2/continue, the callback and the page
		h.now = h.now.Add(2 * time.Second)
		to, err := url.Parse(w.Header().Get("Location"))
		if err != nil {
			h.Fatal(err)
		}
		if to.Host == "wiki.example.com" {
			w = h.check(to.RequestURI())
		} else {
			w = h.send(http.MethodGet, to.RequestURI(), "")
		}
	}
	h.want("signed in", w, http.StatusOK)
}

// A proxy that asks while the database fails gets 503: not 401 or 403, and no redirect to the sign-in. While nothing
// can be written, signed-in people go on.
func TestForwardAuthFaultIsNoSignIn(t *testing.T) {
	eachFaultyServer(t, func(h *faultyServer) {
		h.openHost()

		stop := storetest.FailWrites(h.store)
		h.now = h.now.Add(2 * time.Minute)
		h.want("read-only", h.check("/"), http.StatusOK)
		stop()
		for n := int64(0); ; n++ {
			h.now = h.now.Add(2 * time.Minute) // no answer is in memory
			w, failed := h.failed("check", n, func() *httptest.ResponseRecorder { return h.check("/") })
			if !failed {
				h.want("check", w, http.StatusOK)
				if n < 2 {
					h.Errorf("a check takes %d statements", n)
				}
				break
			}
			if w.Header().Get("Location") != "" || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") {
				h.Errorf("%v %s", w.Header(), w.Body)
			}
		}
	})
}

// Apps get temporarily_unavailable in JSON (RFC 6749 4.1.2.1), never an error about their client or token. The signing
// keys and the metadata are published without the database.
func TestAppsAreToldToTryAgain(t *testing.T) {
	eachFaultyServer(t, func(h *faultyServer) {
		keys := h.send(http.MethodGet, "/oauth2/jwks", "")
		h.want("keys", keys, http.StatusOK)
		h.now = h.now.Add(time.Minute)
		stop := storetest.Fail(h.store, 0)
		defer stop()
		for path, form := range map[string]string{
			"/oauth2/token":      "grant_type=authorization_code&code=x&client_id=wiki&code_verifier=x",
			"/oauth2/userinfo":   "access_token=x",
			"/oauth2/introspect": "client_id=shop&client_secret=x&token=x",
			"/oauth2/revoke":     "client_id=wiki&token=x",
			"/oauth2/par":        "client_id=shop&client_secret=x&response_type=code",
		} {
			w := h.post(path, form)
			h.want(path, w, http.StatusServiceUnavailable)
			var body map[string]string
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || body["error"] != "temporarily_unavailable" ||
				w.Header().Get("Retry-After") == "" || w.Header().Get("WWW-Authenticate") != "" {
				h.Errorf("%s: %v %s", path, w.Header(), w.Body)
			}
		}
		again := h.send(http.MethodGet, "/oauth2/jwks", "")
		h.want("keys without the database", again, http.StatusOK)
		if again.Body.String() != keys.Body.String() {
			h.Errorf("other keys: %s", again.Body)
		}
		h.want("metadata", h.send(http.MethodGet, "/.well-known/openid-configuration", ""), http.StatusOK)
		h.now = h.now.Add(13 * time.Hour)
		w := h.send(http.MethodGet, "/oauth2/jwks", "")
		h.want("keys half a day later", w, http.StatusServiceUnavailable)
		if !strings.Contains(w.Body.String(), `"temporarily_unavailable"`) {
			h.Errorf("%s", w.Body)
		}
	})
}

// An app that asks in the background (prompt=none) gets the error; a person who waits sees a page to reload.
func TestAuthorizationFaultIsATemporaryError(t *testing.T) {
	eachFaultyServer(t, func(h *faultyServer) {
		h.signIn()
		query := url.Values{
			"client_id": {"wiki"}, "redirect_uri": {"https://wiki.example.com/cb"}, "response_type": {"code"},
			"scope": {"openid"}, "state": {"s"}, "code_challenge_method": {"S256"},
			"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"},
		}
		w, _ := h.failed("a person", 0, func() *httptest.ResponseRecorder {
			return h.send(http.MethodGet, "/oauth2/authorize?"+query.Encode(), "")
		})
		h.want("a person", w, http.StatusServiceUnavailable)
		if !strings.Contains(w.Body.String(), `<a href="">`) {
			h.Errorf("the page cannot be opened again: %s", w.Body)
		}
		query.Set("prompt", "none")
		stop := storetest.Fail(h.store, 1)
		w = h.send(http.MethodGet, "/oauth2/authorize?"+query.Encode(), "")
		stop()
		h.want("prompt=none", w, http.StatusSeeOther)
		if to := w.Header().Get("Location"); !strings.Contains(to, "error=temporarily_unavailable") ||
			!strings.HasPrefix(to, "https://wiki.example.com/cb?") {
			h.Errorf("prompt=none: %s", to)
		}
	})
}
