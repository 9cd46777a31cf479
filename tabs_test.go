package twostep

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/html"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store/storetest"
)

// tabsServer is a server with two apps and a host behind a proxy, for a browser with several tabs.
type tabsServer struct {
	*testing.T
	*Server
	now      atomic.Pointer[time.Time] // the background work reads it too
	mail     chan string
	accounts int
}

const tabsURL = "https://signin.example.com"

func newTabsServer(t *testing.T, database string) *tabsServer {
	t.Helper()
	w := &tabsServer{T: t, mail: make(chan string, 10)}
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	w.now.Store(&now)
	o := options(t)
	o.Database, o.PublicURL, o.Logger = database, tabsURL, slog.New(slog.DiscardHandler)
	o.Now = func() time.Time { return *w.now.Load() }
	o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	o.Apps = []App{
		{ID: "one", RedirectURIs: []string{"https://one.example/back"}},
		{ID: "two", RedirectURIs: []string{"https://two.example/back"}},
		{ID: "wiki", Hosts: []string{"wiki.example"}},
	}
	o.Senders[delivery.Email] = func(_ context.Context, m delivery.Message) error {
		w.mail <- regexp.MustCompile(`\b\d{6}\b`).FindString(m.Text)
		return nil
	}
	var err error
	if w.Server, err = New(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	w.services.Accounts.Passwords = seal.NewPasswordHasher(seal.HashCost{MemoryKiB: 64, Passes: 1}, 4, 0)
	return w
}

// tabbedBrowser is a browser with an account of its own. All of its tabs have the same cookies.
type tabbedBrowser struct {
	*tabsServer
	email, address string
	cookies        map[string]string
	code           string         // the newest code
	answers        map[string]int // what the apps have got, by app and state
}

func (w *tabsServer) newBrowser() *tabbedBrowser {
	w.Helper()
	w.accounts++
	email := fmt.Sprintf("anna%d@example.com", w.accounts)
	if err := w.CreateAccount(w.Context(), AccountParams{Email: email, Name: "Anna", Password: annaWord}); err != nil {
		w.Fatal(err)
	}
	address := fmt.Sprintf("10.%d.%d.7:1", w.accounts/250, w.accounts%250)
	return &tabbedBrowser{w, email, address, map[string]string{}, "", map[string]int{}}
}

// tab is one tab of a browser, with the target that it leads to.
type tab struct {
	b       *tabbedBrowser
	start   string   // the address that the app sends the tab to
	want    string   // the answer that the app must get
	history []string // the addresses of the pages, without those of other sites
	page    *html.Node
	path    string // of the page; "": the tab is at an app
	status  int
}

// send sends a request and follows redirects, until there is a page, or an app is reached.
func (t *tab) send(method, address string, form url.Values) {
	t.b.Helper()
	for range 12 {
		if at, err := url.Parse(address); err != nil {
			t.b.Fatal(err)
		} else if at.IsAbs() && at.Scheme+"://"+at.Host != tabsURL {
			query := at.Query()
			if query.Get("code") == "" {
				t.b.Errorf("%s gets no code", address)
			}
			t.b.answers[at.Host+" "+query.Get("state")]++
			t.page, t.path = nil, ""
			return
		}
		r := httptest.NewRequest(method, address, strings.NewReader(form.Encode()))
		r.Host, r.RemoteAddr = "signin.example.com", t.b.address
		if method == http.MethodPost {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Sec-Fetch-Site", "same-origin")
		}
		for name, value := range t.b.cookies {
			r.AddCookie(&http.Cookie{Name: name, Value: value})
		}
		answer := httptest.NewRecorder()
		t.b.ServeHTTP(answer, r)
		for _, c := range answer.Result().Cookies() {
			if t.b.cookies[c.Name] = c.Value; c.MaxAge < 0 {
				delete(t.b.cookies, c.Name)
			}
		}
		if answer.Header().Get("Cross-Origin-Opener-Policy") != "" && t.b.answers[t.want] == 0 {
			t.b.Errorf("%s %s: the opener of a popup is cut off", method, address)
		}
		if answer.Code/100 != 3 {
			var err error
			if t.page, err = html.Parse(answer.Body); err != nil {
				t.b.Fatal(err)
			}
			t.path, _, _ = strings.Cut(address, "?")
			t.status = answer.Code
			t.history = append(t.history, address)
			return
		}
		method, address, form = http.MethodGet, answer.Header().Get("Location"), nil
	}
	t.b.Fatalf("%s leads in a circle", address)
}

// submit sends the form of the page that has a field, with what the person types. It does nothing if there is none.
func (t *tab) submit(field string, typed url.Values) {
	t.b.Helper()
	for form := range elements(t.page, "form") {
		action, fields := attribute(form, "action"), url.Values{}
		for input := range elements(form, "input") {
			if name := attribute(input, "name"); name != "" && attribute(input, "type") != "checkbox" {
				fields.Set(name, attribute(input, "value"))
			}
		}
		if _, has := fields[field]; has {
			for name := range fields {
				if value := typed.Get(name); value != "" {
					fields.Set(name, value)
				}
			}
			t.send(http.MethodPost, action, fields)
			return
		}
	}
}

func elements(n *html.Node, name string) func(func(*html.Node) bool) {
	return func(yield func(*html.Node) bool) {
		if n == nil {
			return
		}
		for c := range n.Descendants() {
			if c.Type == html.ElementNode && c.Data == name && !yield(c) {
				return
			}
		}
	}
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// What a person does in a tab.
const (
	opens    = 'o'
	password = 'p'
	code     = 'c'
	reload   = 'r' // also a tab that the browser restores: a GET of its address, without the form
	back     = 'b'
)

func (t *tab) do(action rune) {
	t.b.Helper()
	now := t.b.now.Load().Add(10 * time.Millisecond)
	t.b.now.Store(&now)
	switch n := len(t.history); {
	case action == opens:
		t.send(http.MethodGet, t.start, nil)
	case action == password:
		t.submit("password", url.Values{"email": {t.b.email}, "password": {annaWord}})
		t.b.receive(now)
	case action == code:
		t.submit("code", url.Values{"code": {t.b.code}})
	case action == reload && n > 0:
		t.send(http.MethodGet, t.history[n-1], nil)
	case action == back && n > 1:
		t.history = t.history[:n-1]
		t.send(http.MethodGet, t.history[n-2], nil)
	}
}

// receive waits for the code of an attempt that has begun now.
func (b *tabbedBrowser) receive(now time.Time) {
	b.Helper()
	a, err := b.services.Challenges.Load(b.Context(), b.cookies["__Host-signin"], here)
	if err != nil && !errors.Is(err, challenge.ErrNoAttempt) {
		b.Fatal(err)
	}
	if err == nil && a.StartedAt.Equal(now) {
		b.code = <-b.mail
	}
}

// targets starts n tabs: of two apps, the second of which requires a fresh sign-in, and of a host behind a proxy.
func (b *tabbedBrowser) tabs(n int) (tabs []*tab) {
	pkce := grant.S256Challenge(strings.Repeat("v", 43))
	ask := func(app, more string) *tab {
		state := fmt.Sprintf("%s-%d", app, len(tabs))
		query := url.Values{"client_id": {app}, "redirect_uri": {"https://" + app + ".example/back"}, "state": {state},
			"response_type": {"code"}, "scope": {"openid"}, "code_challenge": {pkce}, "code_challenge_method": {"S256"}}
		return &tab{b: b, start: "/oauth2/authorize?" + query.Encode() + more, want: app + ".example " + state}
	}
	deep := func(path string) *tab {
		query := url.Values{"to": {"https://wiki.example" + path}, "challenge": {pkce}}
		return &tab{b: b, start: "/auth/start?" + query.Encode(), want: "wiki.example " + path}
	}
	kinds := []func() *tab{
		func() *tab { return ask("one", "") },
		func() *tab { return ask("two", "&prompt=login") },
		func() *tab { return deep("/page?a=1") },
		func() *tab { return deep("/page?a=2") },
	}
	for i := range n {
		tabs = append(tabs, kinds[(b.accounts+i)%len(kinds)]())
	}
	return tabs
}

// act is what is done in one of the tabs.
type tabAct struct {
	tab    int
	action rune
}

// orders calls f with every order of opening, password and code in n tabs. The first tab is opened first, and so on:
// the others differ only in their names.
func orders(n int, f func([]tabAct)) {
	done := make([]int, n)
	var acts []tabAct
	var next func()
	next = func() {
		if len(acts) == 3*n {
			f(acts)
			return
		}
		for i := range n {
			if done[i] == 3 || done[i] == 0 && i > 0 && done[i-1] == 0 {
				continue
			}
			acts = append(acts, tabAct{i, []rune{opens, password, code}[done[i]]})
			done[i]++
			next()
			done[i]--
			acts = acts[:len(acts)-1]
		}
	}
	next()
}

// run does the acts in a new browser, and then in each tab what its page asks for. Each app must get its answer, once.
func (w *tabsServer) run(n int, acts []tabAct) {
	w.Helper()
	b := w.newBrowser()
	tabs := b.tabs(n)
	for _, a := range acts {
		tabs[a.tab].do(a.action)
	}
	for _, t := range tabs {
		for _, action := range []rune{reload, password, code} {
			if t.path != "" {
				t.do(action)
			}
		}
	}
	for i, t := range tabs {
		if b.answers[t.want] != 1 {
			w.Errorf("%s: tab %d of %v is at %s (%d); %q was answered %d times", describeActs(acts), i, w.accounts, t.path, t.status,
				t.want, b.answers[t.want])
		}
		delete(b.answers, t.want)
	}
	for answer := range b.answers {
		w.Errorf("%s: nobody has asked for the answer %q", describeActs(acts), answer)
	}
	if len(b.mail) > 0 {
		w.Errorf("%s: a second code was sent", describeActs(acts))
	}
}

func describeActs(acts []tabAct) string {
	var s strings.Builder
	for _, a := range acts {
		fmt.Fprintf(&s, "%d%c ", a.tab, a.action)
	}
	return s.String()
}

// In every order of two and three tabs each tab leads to its own target, and each app is answered once.
func TestEveryTabLeadsToItsOwnTarget(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, database string) {
		w := newTabsServer(t, database)
		n := 0
		orders(2, func(acts []tabAct) {
			w.run(2, acts)
			for at := 1; at <= len(acts); at++ { // one of the tabs is reloaded, restored or goes back
				for i := range 2 {
					for _, extra := range []rune{reload, back} {
						more := append(append(append([]tabAct{}, acts[:at]...), tabAct{i, extra}), acts[at:]...)
						w.run(2, more)
						n++
					}
				}
			}
		})
		orders(3, func(acts []tabAct) { w.run(3, acts); n++ })
		t.Logf("%d orders", n)
	})
}
