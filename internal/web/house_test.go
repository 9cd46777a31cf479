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
	"twostep.example/twostep/internal/page"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/signin"
	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/internal/trust"
)

const (
	annaEmail = "anna@example.com"
	annaWord  = "correct horse battery"
)

// house is all pages with a real engine behind them, on SQLite, with a clock that is
// turned by hand.
type house struct {
	*testing.T
	*Site
	door   http.Handler
	outbox *outbox.Outbox
	now    time.Time
	mail   []delivery.Message
}

func build(t *testing.T) *house {
	t.Helper()
	keys, err := seal.ParseKeys(seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	h := &house{T: t, now: now}
	db := storetest.Open(t, filepath.Join(t.TempDir(), "twostep.db"))
	clock := func() time.Time { return h.now }
	send := func(_ context.Context, m delivery.Message) error { h.mail = append(h.mail, m); return nil }
	log := slog.New(slog.DiscardHandler)
	h.outbox = outbox.New(db, keys, map[delivery.Channel]delivery.Send{delivery.Email: send, delivery.SMS: send}, clock, log)
	services := signin.New(signin.Config{
		Store: db, Keys: keys, Passwords: seal.NewPasswords(seal.Cost{MemoryKiB: 64, Time: 1}, 4, 64), Log: log, Now: clock,
		Settings: account.Settings{Site: "Example", PublicURL: "https://signin.example.com", Location: time.UTC},
		Enqueue:  h.outbox.Put, NotifyOutbox: func() {}, Trust: trust.Policy{Life: trust.Life}, GuessBudget: odds.AccountBudgetPerYear,
		Methods: []factor.Method{post{}, call{}, app{}, paper{}}, Idle: time.Hour, Absolute: 24 * time.Hour,
	})
	h.Site = &Site{
		Accounts: services.Accounts, Devices: services.Devices, Sessions: services.Sessions, Challenges: services.Challenges,
		Enrollments: services.Enrollments, SignIns: services.SignIns,
		Pages: &page.Printer{Site: "Example", Secure: true, Now: clock},
	}
	h.door = h.Pages.Door(h.Pages.Mux(h.Routes()...))
	h.addAccount(annaEmail)
	return h
}

func (h *house) addAccount(email string) {
	h.Helper()
	if err := h.Accounts.Create(h.Context(), account.NewAccount{Email: email, Name: "Anna", Password: annaWord}); err != nil {
		h.Fatal(err)
	}
}

// code is what the newest message says.
func (h *house) code() string {
	h.Helper()
	h.now = h.now.Add(time.Millisecond) // so that the next message comes after this one
	for {
		sent, err := h.outbox.Deliver(h.Context())
		if err != nil {
			h.Fatal(err)
		}
		if !sent {
			return h.mail[len(h.mail)-1].Text
		}
	}
}

// browser keeps cookies and follows nothing.
type browser struct {
	*house
	cookies map[string]string
}

func (h *house) browser() *browser { return &browser{h, map[string]string{}} }

func (b *browser) do(method, target, body string) *httptest.ResponseRecorder {
	b.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", urlencoded)
	}
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := httptest.NewRecorder()
	b.door.ServeHTTP(w, r)
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

func (b *browser) get(target string) *httptest.ResponseRecorder {
	b.Helper()
	return b.do("GET", target, "")
}

// post sends a form: pairs are names and values.
func (b *browser) post(target string, pairs ...string) *httptest.ResponseRecorder {
	b.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return b.do("POST", target, form.Encode())
}

// leads fails the test unless the answer leads to the address.
func (b *browser) leads(w *httptest.ResponseRecorder, where string) {
	b.Helper()
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != where {
		b.Fatalf("%d to %q, want %q: %s", w.Code, w.Header().Get("Location"), where, words(parsed(w)))
	}
}

// shows fails the test unless the answer is a page with all of this (as in a story).
func (b *browser) shows(w *httptest.ResponseRecorder, status int, has ...string) {
	b.Helper()
	doc := parsed(w)
	if w.Code != status {
		b.Fatalf("%d to %q, want a page with %d: %s", w.Code, w.Header().Get("Location"), status, words(doc))
	}
	for _, want := range has {
		if selector.MatchString(want) && !matches(doc, want) || !selector.MatchString(want) && !strings.Contains(words(doc), want) {
			b.Errorf("no %s in %s", want, words(doc))
		}
	}
}

func parsed(w *httptest.ResponseRecorder) *html.Node {
	doc, _ := html.Parse(strings.NewReader(w.Body.String())) // fails only if reading does
	return doc
}

// in signs Anna in by the code in her mail.
func (h *house) in() *browser {
	h.Helper()
	b := h.browser()
	b.leads(b.post("/signin", "email", annaEmail, "password", annaWord), "/signin/verify")
	if w := b.get("/signin/verify"); w.Code == http.StatusSeeOther {
		b.leads(b.post("/signin/method", "method", "post"), "/signin/verify")
	}
	b.leads(b.post("/signin/verify", "code", h.code()), "/settings")
	return b
}

func escaped(address string) string { return url.QueryEscape(address) }
