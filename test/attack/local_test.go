package attack

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/delivery"
)

// A reverse proxy on this machine publishes a server in local mode. By default it sends the address of the server as
// Host and nothing about the client, so that its requests look like those of this machine. Nobody reads the inbox
// through it, or moves the clock.
func TestInboxBehindAProxyThatAddsNothing(t *testing.T) {
	t.Parallel()
	inbox, moved := &delivery.Inbox{Dir: t.TempDir()}, false
	h := start(t, "", func(o *twostep.Options) {
		o.Local = &twostep.LocalMode{Inbox: inbox, AdvanceClock: func(time.Duration) { moved = true }}
	})
	m := delivery.Message{ID: "one", Channel: delivery.Email, To: "anna@example.com", Subject: "x", Text: "654321"}
	if err := inbox.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(h.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{Transport: h.Client().Transport, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target) // it also sends the host of the target
	}})
	defer proxy.Close()
	ask := func(method, path, cookie string) (int, string) {
		r, err := http.NewRequest(method, proxy.URL+path, strings.NewReader("minutes=5"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Cookie", cookie)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	if status, _ := ask("GET", "/signin", ""); status != http.StatusOK {
		t.Fatalf("the proxy does not reach the server: %d", status)
	}
	for _, path := range []string{"/inbox", "/inbox?all", "/inbox?key=", "/inbox?key=x", "/inbox/one", "/inbox/one/text"} {
		for _, cookie := range []string{"", "__Host-inbox=", "__Host-inbox=x", "inbox=x"} {
			if status, body := ask("GET", path, cookie); status != http.StatusForbidden || strings.Contains(body, "654321") {
				t.Errorf("%s with the cookie %q: %d\n%s", path, cookie, status, body)
			}
		}
	}
	if status, _ := ask("POST", "/inbox/clock", ""); status != http.StatusForbidden || moved {
		t.Errorf("the clock: %d", status)
	}
	_, key, _ := strings.Cut(h.InboxURL(), "key=")
	if status, body := ask("GET", "/inbox", "__Host-inbox="+key); status != http.StatusOK || !strings.Contains(body, "654321") {
		t.Errorf("with the printed key: %d", status)
	}
	if strings.Contains(h.Log.String(), key) {
		t.Error("the key is in the log")
	}
}

// A proxy, a CDN or a tunnel that says what it does opens a server in local mode to the world. Every route refuses its
// requests, and the log says once a minute what to do.
func TestLocalModeRefusesForwardedRequests(t *testing.T) {
	t.Parallel()
	h := start(t, "", withInbox(t))
	app := h.Require(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	b := h.Browser()
	const remedy = "set public_url to serve other people"
	forms := map[string]string{"GET /auth/check": ""}
	for _, r := range inventory {
		forms[r.pattern] = r.form
	}
	for _, pattern := range otherRoutes {
		forms[pattern] = ""
	}
	for i, pattern := range slices.Sorted(maps.Keys(forms)) {
		method, path := path(pattern)
		headers := []string{"X-Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.1", "Via: 1.1 proxy", "X-Real-IP: 192.0.2.1",
			"CF-Ray: 1", "True-Client-IP: 192.0.2.1", "X-Forwarded-Proto: https", "Tailscale-User-Login: x"}
		a := b.Do(h.request(method, path, forms[pattern], form, headers[i%len(headers)]))
		h.wantStatus(a, http.StatusForbidden)
		h.wantSecurityHeaders(pattern, a)
		if !strings.Contains(a.Body, "public_url") {
			t.Errorf("%s: the answer does not say what to do\n%s", pattern, a.Body)
		}
	}
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", h.URL+"/reports", nil)
	r.Header.Set("X-Forwarded-For", "192.0.2.1")
	if app.ServeHTTP(w, r); w.Code != http.StatusForbidden {
		t.Errorf("a page of the app: %d", w.Code)
	}
	old := httptest.NewRequest("GET", h.URL+"/signin", nil)
	old.Proto, old.ProtoMinor = "HTTP/1.0", 0
	w = httptest.NewRecorder()
	if h.ServeHTTP(w, old); w.Code != http.StatusForbidden {
		t.Errorf("HTTP/1.0, as nginx speaks it by default: %d", w.Code)
	}
	if n := strings.Count(h.Log.String(), remedy); n == 0 || n > 2 {
		t.Errorf("%d lines in the log name the remedy, want one a minute", n)
	}
	h.Turn(2 * time.Minute)
	n := strings.Count(h.Log.String(), remedy)
	b.Do(h.request("GET", "/signin", "", "Via: 1.1 proxy"))
	if got := strings.Count(h.Log.String(), remedy); got != n+1 {
		t.Errorf("after two minutes there are %d lines, want %d", got, n+1)
	}
	h.wantStatus(b.Get("/signin"), http.StatusOK)
	public := start(t, "")
	public.wantStatus(public.Browser().Do(public.request("GET", "/signin", "", "Via: 1.1 proxy")), http.StatusOK)
}
