package web

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/odds"
	"twostep.example/twostep/internal/outbox"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/signin"
	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/internal/trust"
)

const (
	annaEmail    = "anna@example.com"
	annaPassword = "correct horse battery"
)

// testServer is all pages with real services on SQLite, and a clock that the test sets.
type testServer struct {
	*testing.T
	*Handlers
	handler http.Handler
	outbox  *outbox.Outbox
	now     time.Time
	sent    []delivery.Message
}

func newTestServer(t *testing.T) *testServer {
	t.Helper()
	keys, err := seal.ParseKeyRing(seal.NewKeyLine())
	if err != nil {
		t.Fatal(err)
	}
	h := &testServer{T: t, now: now}
	db := storetest.Open(t, filepath.Join(t.TempDir(), "twostep.db"))
	clock := func() time.Time { return h.now }
	send := func(_ context.Context, m delivery.Message) error { h.sent = append(h.sent, m); return nil }
	log := slog.New(slog.DiscardHandler)
	h.outbox = outbox.New(
		db, keys, map[delivery.Channel]delivery.SendFunc{delivery.Email: send, delivery.SMS: send}, clock, log,
	)
	services := signin.New(signin.Config{
		Store: db, Keys: keys, Passwords: seal.NewPasswordHasher(seal.HashCost{MemoryKiB: 64, Passes: 1}, 4, 0),
		Log: log, Now: clock,
		Settings: account.Settings{Site: "Example", PublicURL: "https://signin.example.com", Location: time.UTC},
		Enqueue:  h.outbox.Enqueue, NotifyOutbox: func() {}, Trust: trust.Policy{TTL: trust.MaxTTL},
		GuessBudget: odds.AccountBudgetPerYear,
		Methods:     []factor.Method{post{}, call{}, app{}, paper{}}, Idle: time.Hour, Absolute: 24 * time.Hour,
	})
	h.Handlers = &Handlers{
		Accounts: services.Accounts, Devices: services.Devices, Sessions: services.Sessions,
		Challenges:  services.Challenges,
		Enrollments: services.Enrollments, SignIns: services.SignIns,
		Pages: &render.Renderer{Site: "Example", Secure: true, Now: clock},
	}
	h.handler = h.Pages.Middleware(h.Pages.NewMux(h.Routes()...))
	h.addAccount(annaEmail)
	return h
}

func (h *testServer) addAccount(email string) {
	h.Helper()
	if err := h.Accounts.Create(h.Context(), account.NewAccount{Email: email, Name: "Anna",
		Password: annaPassword}); err != nil {
		h.Fatal(err)
	}
}

// deliverCode stores the code of the newest message.
func (h *testServer) deliverCode() string {
	h.Helper()
	h.now = h.now.Add(time.Millisecond) // so that messages are in order
	for {
		sent, err := h.outbox.DeliverNext(h.Context())
		if err != nil {
			h.Fatal(err)
		}
		if !sent {
			return h.sent[len(h.sent)-1].Text
		}
	}
}

// testBrowser stores cookies and does not follow redirects.
type testBrowser struct {
	*testServer
	cookies map[string]string
}

func (h *testServer) newBrowser() *testBrowser { return &testBrowser{h, map[string]string{}} }

func (b *testBrowser) do(method, target, body string) *httptest.ResponseRecorder {
	b.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", urlencoded)
	}
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		if b.cookies[c.Name] = c.Value; c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	if w.Code >= 500 || w.Header().Get("Cache-Control") != "no-store" {
		b.Errorf("%s %s: %d %v", method, target, w.Code, w.Header())
	}
	return w
}

func (b *testBrowser) get(target string) *httptest.ResponseRecorder {
	b.Helper()
	return b.do("GET", target, "")
}

// post sends a form; pairs are names and values.
func (b *testBrowser) post(target string, pairs ...string) *httptest.ResponseRecorder {
	b.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return b.do("POST", target, form.Encode())
}

// wantRedirect fails the test unless the response redirects to target.
func (b *testBrowser) wantRedirect(w *httptest.ResponseRecorder, where string) {
	b.Helper()
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != where {
		b.Fatalf("%d to %q, want %q: %s", w.Code, w.Header().Get("Location"), where, textOf(parseHTML(w)))
	}
}

// wantPage fails the test unless the response is a page with all of these, in the form of story.has.
func (b *testBrowser) wantPage(w *httptest.ResponseRecorder, status int, has ...string) {
	b.Helper()
	doc := parseHTML(w)
	if w.Code != status {
		b.Fatalf("%d to %q, want a page with %d: %s", w.Code, w.Header().Get("Location"), status, textOf(doc))
	}
	for _, want := range has {
		if selector.MatchString(want) && !matches(doc, want) ||
			!selector.MatchString(want) && !strings.Contains(textOf(doc), want) {
			b.Errorf("no %s in %s", want, textOf(doc))
		}
	}
}

func parseHTML(w *httptest.ResponseRecorder) *html.Node {
	doc, _ := html.Parse(strings.NewReader(w.Body.String())) // a string reader never fails
	return doc
}

// signInAnna signs in with the code of the email.
func (h *testServer) signInAnna() *testBrowser {
	h.Helper()
	b := h.newBrowser()
	b.wantRedirect(b.post("/signin", "email", annaEmail, "password", annaPassword), "/signin/verify")
	if w := b.get("/signin/verify"); w.Code == http.StatusSeeOther {
		b.wantRedirect(b.post("/signin/method", "method", "post"), "/signin/verify")
	}
	b.wantRedirect(b.post("/signin/verify", "code", h.deliverCode()), "/settings")
	return b
}

func escaped(address string) string { return url.QueryEscape(address) }
