package attack

import (
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"twostep"
	"twostep/e2e/live"
)

const (
	wiki  = "wiki.example.com"
	board = "board.example.com"
)

// withHosts is a server with hosts behind a proxy, which is at 127.0.0.9, on both databases.
func withHosts(t *testing.T, f func(p *proxy)) {
	each(t, func(h *house) { f(&proxy{h, h.BrowserAt("127.0.0.9")}) }, func(o *twostep.Options) {
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.9/32")}
		o.Apps = []twostep.App{
			{ID: "wiki", Hosts: []string{wiki, "docs.example.com"}},
			{ID: "board", Hosts: []string{board}, ACR: "urn:twostep:acr:2"},
			{ID: "vault", Hosts: []string{"vault.example.com"}, MaxAge: 600},
			{ID: "club", Hosts: []string{"club.example.com"}, Groups: []string{"club"}},
		}
	})
}

// proxy asks about what browsers want of hosts.
type proxy struct {
	*house
	b *live.Browser
}

// navigate are the headers of a browser that opens a page.
var navigate = []string{"Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Accept: text/html"}

// asks asks about a GET of a host, with headers of the browser.
func (p *proxy) asks(host, uri string, headers ...string) live.Answer {
	p.T.Helper()
	p.b.Jar, _ = cookiejar.New(nil) // a proxy keeps nothing
	said := []string{"X-Forwarded-Method: GET", "X-Forwarded-Proto: https", "X-Forwarded-Host: " + host, "X-Forwarded-Uri: " + uri}
	return p.b.Do(p.request(http.MethodGet, "/auth/check", "", append(said, headers...)...))
}

// kept is what an answer makes a browser keep under a name, as a header.
func kept(a live.Answer, name string) string {
	for _, c := range (&http.Response{Header: a.Header}).Cookies() {
		if c.Name == "__Host-"+name && c.Value != "" {
			return "Cookie: " + c.Name + "=" + c.Value
		}
	}
	return ""
}

// leaves has somebody open a page of a host who is not in there, and takes the browser to where
// it is sent, until it is about to come back.
func (p *proxy) leaves(b *live.Browser, host, uri string) (back *url.URL, cookie string) {
	p.T.Helper()
	a := p.want(p.asks(host, uri, navigate...), http.StatusFound)
	cookie = kept(a, "twostep-enter")
	to := p.location(a)
	for to.Host != host {
		if to.Path != "/auth/start" && to.Path != "/oauth2/continue" {
			p.T.Fatalf("on the way to %s somebody lands on %s", host, to)
		}
		to = p.location(b.Get(to.RequestURI()))
	}
	return to, cookie
}

// enters comes back, and returns the cookie of the host.
func (p *proxy) enters(b *live.Browser, host, uri string) string {
	p.T.Helper()
	back, cookie := p.leaves(b, host, uri)
	a := p.want(p.asks(host, back.RequestURI(), append(navigate, cookie)...), http.StatusFound)
	if got := a.Header.Get("Location"); got != "https://"+host+uri {
		p.T.Errorf("signed in, and sent to %s", got)
	}
	return kept(a, "twostep-app")
}

// ATT-270, ATT-271, ATT-274: a yes says who it is, in every header that there is; and what a client has written under
// these names, in whatever spelling, comes back in none.
func TestATT270_271_274(t *testing.T) {
	withHosts(t, func(p *proxy) {
		cookie := p.enters(p.anna(), wiki, "/page?a=b&c=/d")
		lies := []string{cookie}
		for _, name := range []string{"Remote-User", "remote-user", "REMOTE_USER", "Remote_User", "Remote-Email", "Remote-Groups", "Remote-Name", "Remote-Amr", "Remote-Acr", "X-Remote-User"} {
			lies = append(lies, name+": operator")
		}
		a := p.want(p.asks(wiki, "/page", lies...), http.StatusOK)
		for name, want := range map[string]string{"Remote-Email": live.AnnaEmail, "Remote-Name": "Anna", "Remote-Groups": "", "Remote-Amr": "pwd email", "Remote-Acr": "urn:twostep:acr:email"} {
			if got := a.Header.Values(name); len(got) != 1 || got[0] != want {
				p.T.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if a.Header.Get("Remote-User") == "" || a.Header.Get("Remote-User") != p.one("SELECT id FROM accounts") {
			p.T.Errorf("Remote-User: %q", a.Header.Get("Remote-User"))
		}
		for name, values := range a.Header {
			if strings.Contains(strings.Join(values, " "), "operator") {
				p.T.Errorf("%s says what the client has said", name)
			}
		}
	})
}

// ATT-272, ATT-275: only the proxy is believed, only what it says once, and only of hosts that it may ask about; for
// anything else nobody is sent anywhere.
func TestATT272_275(t *testing.T) {
	withHosts(t, func(p *proxy) {
		cookie := p.enters(p.anna(), wiki, "/")
		p.want(p.asks(wiki, "/", cookie), http.StatusOK)
		stranger := &proxy{p.house, p.BrowserAt("127.0.0.10")}
		p.want(stranger.asks(wiki, "/", cookie), http.StatusForbidden)
		for what, more := range map[string][]string{
			"another address":  {"X-Forwarded-Uri: /public"},
			"another host":     {"X-Forwarded-Host: " + board},
			"another method":   {"X-Forwarded-Method: OPTIONS"},
			"another original": {"X-Original-URL: https://" + board + "/"},
			"plain http":       {"X-Forwarded-Proto: http"},
		} {
			a := p.asks(wiki, "/", append(append([]string{cookie}, navigate...), more...)...)
			if a.StatusCode != http.StatusBadRequest && a.StatusCode != http.StatusForbidden || a.Header.Get("Location") != "" {
				p.T.Errorf("%s beside the first: %d to %q", what, a.StatusCode, a.Header.Get("Location"))
			}
		}
		for _, host := range []string{"evil.example", "wiki.example.com.", "wiki.example.com:8443", "wiki.example.com@evil.example", "a.wiki.example.com", "wiki.example.com,evil.example", "", " ", "wiki.example.com/x", "xn--wiki.example.com"} {
			a := p.asks(host, "/", append([]string{cookie}, navigate...)...)
			if a.StatusCode == http.StatusOK || a.StatusCode == http.StatusFound {
				p.T.Errorf("the host %q: %d to %q", host, a.StatusCode, a.Header.Get("Location"))
			}
		}
		for _, host := range []string{"WIKI.example.com", "wiki.example.com:443"} { // the same host
			p.want(p.asks(host, "/", cookie), http.StatusOK)
		}
		for _, to := range []string{"https://evil.example/", "https://wiki.example.com@evil.example/", "http://wiki.example.com/", "https://wiki.example.com.evil.example/", "//wiki.example.com/", "/", "", "javascript:alert(1)", "https://wiki.example.com\\@evil.example/"} {
			a := p.Browser().Get("/auth/start?" + url.Values{"to": {to}, "challenge": {challengeOf(verifier)}}.Encode())
			if a.StatusCode < 400 {
				p.T.Errorf("started for %q: %d to %q", to, a.StatusCode, a.Header.Get("Location"))
			}
		}
	})
}

// ATT-277, ATT-279, ATT-280: nothing is remembered between two answers, the session's cookie is none here, and that of one host
// is none at another, not even at another of the same app. It ends with the session, at once.
func TestATT277_279_280(t *testing.T) {
	withHosts(t, func(p *proxy) {
		anna := p.anna()
		cookie := p.enters(anna, wiki, "/")
		for _, host := range []string{"docs.example.com", board, "vault.example.com"} {
			if a := p.asks(host, "/", cookie); a.StatusCode == http.StatusOK {
				p.T.Errorf("the cookie of %s opens %s", wiki, host)
			}
		}
		for _, name := range []string{"session", "twostep-app"} {
			if a := p.asks(wiki, "/", "Cookie: __Host-"+name+"="+p.cookie(anna, "session")); a.StatusCode == http.StatusOK {
				p.T.Errorf("the token of a session is good as %s", name)
			}
		}
		if _, in := isIn(p.with("session", strings.TrimPrefix(cookie, "Cookie: __Host-twostep-app="))); in {
			p.T.Error("the cookie of a host is a session")
		}
		for what, end := range map[string]func(b *live.Browser){
			"signed out":            func(b *live.Browser) { b.Post("/signout") },
			"signed out everywhere": func(b *live.Browser) { b.Post("/settings/sessions/end") },
			"idle for an hour":      func(*live.Browser) { p.Turn(61 * time.Minute) },
			"disabled": func(*live.Browser) {
				if err := p.Disable(p.T.Context(), live.AnnaEmail, true); err != nil {
					p.T.Error(err)
				}
			},
		} {
			b := p.anna()
			cookie := p.enters(b, wiki, "/")
			p.want(p.asks(wiki, "/", cookie), http.StatusOK)
			end(b)
			if a := p.asks(wiki, "/", cookie); a.StatusCode != http.StatusUnauthorized {
				p.T.Errorf("%s: %d", what, a.StatusCode)
			}
			_ = p.Disable(p.T.Context(), live.AnnaEmail, false)
		}
	})
}

// ATT-282: a background request gets a plain no, a form is not sent away with what was typed in it, and who keeps
// no cookies is told so and not sent around in a circle.
func TestATT282(t *testing.T) {
	withHosts(t, func(p *proxy) {
		for what, headers := range map[string][]string{
			"a script's request": {"Sec-Fetch-Mode: cors", "Accept: text/html"}, "an image": {"Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"},
			"a frame": {"Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"}, "an old script": {"X-Requested-With: XMLHttpRequest", "Accept: text/html"}, "a program": {"Accept: */*"},
		} {
			if a := p.asks(wiki, "/", headers...); a.StatusCode != http.StatusUnauthorized || a.Header.Get("Location") != "" {
				p.T.Errorf("%s: %d to %q", what, a.StatusCode, a.Header.Get("Location"))
			}
		}
		back, cookie := p.leaves(p.anna(), wiki, "/page")
		p.want(p.asks(wiki, back.RequestURI(), navigate...), http.StatusBadRequest)
		other := "Cookie: __Host-twostep-enter=" + challengeOf("another browser's")
		p.want(p.asks(wiki, back.RequestURI(), append(navigate, other)...), http.StatusBadRequest)
		if a := p.asks(wiki, back.RequestURI(), append(navigate, cookie)...); kept(a, "twostep-app") != "" {
			p.T.Error("a code that another browser has tried is good")
		}
		for _, state := range []string{"//evil.example/", "https://evil.example/", "/\\evil.example", "%2f%2fevil.example"} {
			back, cookie := p.leaves(p.anna(), wiki, "/")
			query := back.Query()
			query.Set("state", state)
			a := p.asks(wiki, "/.twostep/enter?"+query.Encode(), append(navigate, cookie)...)
			if to := a.Header.Get("Location"); to != "" && !strings.HasPrefix(to, "https://"+wiki+"/") {
				p.T.Errorf("the way back %q leads to %s", state, to)
			}
		}
	})
}

// ATT-276, ATT-283: each host has its own rules: how much was proven, how lately, and who may come. Whoever does not fulfil
// them is asked for more, or told no; never let in.
func TestATT276_283(t *testing.T) {
	withHosts(t, func(p *proxy) {
		anna := p.anna()
		for host, want := range map[string]int{board: http.StatusForbidden, "club.example.com": http.StatusForbidden} {
			a := p.want(p.asks(host, "/", navigate...), http.StatusFound)
			to := p.location(a)
			for to.Host != host {
				to = p.location(anna.Get(to.RequestURI()))
				if to.Path == "" {
					p.T.Fatalf("on the way to %s", host)
				}
			}
			got := p.asks(host, to.RequestURI(), append(navigate, kept(a, "twostep-enter"))...)
			if got.StatusCode != want || kept(got, "twostep-app") != "" {
				p.T.Errorf("%s: %d at %s", host, got.StatusCode, to)
			}
		}
		cookie := p.enters(anna, "vault.example.com", "/")
		p.want(p.asks("vault.example.com", "/", cookie), http.StatusOK)
		p.Turn(11 * time.Minute)
		p.want(p.asks("vault.example.com", "/", cookie), http.StatusUnauthorized)
		if err := p.SetGroups(p.T.Context(), live.AnnaEmail, []string{"club", "staff"}); err != nil {
			p.T.Fatal(err)
		}
		club := p.enters(anna, "club.example.com", "/")
		if a := p.want(p.asks("club.example.com", "/", club), http.StatusOK); a.Header.Get("Remote-Groups") != "club,staff" {
			p.T.Errorf("groups: %q", a.Header.Get("Remote-Groups"))
		}
		if err := p.SetGroups(p.T.Context(), live.AnnaEmail, nil); err != nil {
			p.T.Fatal(err)
		}
		p.want(p.asks("club.example.com", "/", club), http.StatusForbidden)
	})
}

// ATT-284: while we cannot say yes there is no yes.
func TestATT284(t *testing.T) {
	withHosts(t, func(p *proxy) {
		cookie := p.enters(p.anna(), wiki, "/")
		for _, table := range []string{"tokens", "sessions"} {
			p.exec("ALTER TABLE " + table + " RENAME TO hidden")
			if a := p.asks(wiki, "/", cookie); a.StatusCode < 500 || a.Header.Get("Remote-User") != "" {
				p.T.Errorf("without %s: %d", table, a.StatusCode)
			}
			p.exec("ALTER TABLE hidden RENAME TO " + table)
		}
		p.want(p.asks(wiki, "/", cookie), http.StatusOK)
	})
}
