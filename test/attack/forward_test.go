package attack

import (
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/test/e2e/live"
)

// The hosts of these tests.
const (
	wiki    = "wiki.example"
	files   = "files.example" // of the same app as the wiki
	payroll = "payroll.example"
	vault   = "vault.example"
	guests  = "guests.example"
)

func behindProxy(o *twostep.Options) {
	o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	o.Apps = []twostep.App{
		{ID: "wiki", Name: "Wiki", Hosts: []string{wiki, files}},
		{ID: "payroll", Hosts: []string{payroll}, RequiredGroups: []string{"staff"}},
		{ID: "vault", Hosts: []string{vault, "vault.example:8443"}, RequiredACR: "urn:twostep:acr:2"},
		{ID: "guests", Hosts: []string{guests}, RequiredACR: "urn:twostep:acr:email", MaxAge: 600},
	}
}

// proxiedUser is a browser at hosts behind a forward-auth proxy. The test plays the proxy.
type proxiedUser struct {
	h      *server
	person *live.Browser // at the sign-in server
	proxy  *live.Browser
	kept   map[string]map[string]string // what the browser keeps, by host
}

func (h *server) proxiedUser(person *live.Browser) *proxiedUser {
	proxy := h.BrowserAt("127.0.0.1")
	proxy.Jar = nil
	return &proxiedUser{h, person, proxy, map[string]map[string]string{}}
}

const navigate = "Sec-Fetch-Mode: navigate"

// ask sends the check of a proxy, with the cookies of the browser.
func (v *proxiedUser) ask(method, host, uri string, headers ...string) live.Answer {
	v.h.T.Helper()
	lines := append([]string{"X-Forwarded-Method: " + method, "X-Forwarded-Proto: https", "X-Forwarded-Host: " + host, "X-Forwarded-Uri: " + uri}, headers...)
	for name, value := range v.kept[host] {
		lines = append(lines, "Cookie: "+name+"="+value)
	}
	a := v.proxy.Do(v.h.request(http.MethodGet, "/auth/check", "", lines...))
	for _, c := range a.Cookies() {
		if v.kept[host] == nil {
			v.kept[host] = map[string]string{}
		}
		if v.kept[host][c.Name] = c.Value; c.MaxAge < 0 {
			delete(v.kept[host], c.Name)
		}
	}
	return a
}

// open opens a page as a browser does, and follows redirects.
func (v *proxiedUser) open(host, uri string) live.Answer {
	v.h.T.Helper()
	a := v.ask("GET", host, uri, navigate)
	for range 12 {
		to := v.h.location(a)
		switch {
		case a.StatusCode/100 != 3:
			return a
		case to.Host == "" || "https://"+to.Host == v.h.URL:
			a = v.person.Get(to.RequestURI())
		default:
			host = to.Host
			a = v.ask("GET", host, to.RequestURI(), navigate)
		}
	}
	v.h.T.Fatalf("%s%s leads in a circle", host, uri)
	return a
}

// enterURL follows redirects as far as the URL at the host that brings the code, and returns it.
func (v *proxiedUser) enterURL(host, uri string) string {
	v.h.T.Helper()
	a := v.ask("GET", host, uri, navigate)
	for range 6 {
		to := v.h.location(a)
		if to.Host == host && to.Path == "/.twostep/enter" {
			return to.RequestURI()
		}
		a = v.person.Get(to.RequestURI())
	}
	v.h.T.Fatalf("%s%s: no code: %d %s", host, uri, a.StatusCode, a.Body)
	return ""
}

// confirmTo is enterURL for somebody whose proof is too old, and who takes both steps again on the way.
func (v *proxiedUser) confirmTo(host, uri string) string {
	v.h.T.Helper()
	asked := v.h.wantStatus(v.open(host, uri), http.StatusOK)
	n := v.h.Mail.Len()
	a := v.person.Post("/settings/confirm", "password", live.AnnaPassword, "return_to", asked.Request.URL.Query().Get("return_to"))
	v.h.wantRedirect(a, "/signin/verify")
	a = v.person.Post(a.Header.Get("Location"), "code", v.h.Code(n))
	to := v.h.location(v.person.Get(v.h.location(a).RequestURI()))
	if to.Host != host || to.Path != "/.twostep/enter" {
		v.h.T.Fatalf("%s%s: after both steps at %s", host, uri, to)
	}
	return to.RequestURI()
}

// withForwardAuth runs f on both databases, with a server that guards hosts and with Anna signed in.
func withForwardAuth(t *testing.T, f func(h *server, anna *proxiedUser)) {
	eachDatabase(t, func(h *server) { f(h, h.proxiedUser(h.annaSignedIn())) }, behindProxy)
}

// wantRefused fails the test if an answer does not have the status, or names a person to the app.
func (v *proxiedUser) wantRefused(what string, a live.Answer, status int) {
	v.h.T.Helper()
	if v.h.wantStatus(a, status); a.Header.Get("Remote-User") != "" || a.Header.Get("Remote-Email") != "" {
		v.h.T.Errorf("%s: names somebody: %v", what, a.Header)
	}
}

// The whole way: from a page behind a proxy to the sign-in and back to that page. Requests that are no
// navigation get a plain 401.
func TestForwardAuthSignsInAndReturns(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		anna := h.proxiedUser(h.Browser())
		if a := h.wantStatus(anna.open(wiki, "/pages/one?edit=1"), http.StatusOK); !strings.Contains(a.Body, `name="password"`) {
			t.Fatalf("no sign-in page: %s", a.Body)
		}
		for what, a := range map[string]live.Answer{ // a plain no, and nowhere to go
			"a script":   anna.ask("GET", wiki, "/", "Sec-Fetch-Mode: cors", "Accept: text/html"),
			"a form":     anna.ask("POST", wiki, "/", navigate, "Accept: text/html"),
			"a frame":    anna.ask("GET", wiki, "/", navigate, "Sec-Fetch-Dest: iframe"),
			"HEAD":       anna.ask("HEAD", wiki, "/", navigate),
			"OPTIONS":    anna.ask("OPTIONS", wiki, "/", "Origin: https://evil.example"),
			"web socket": anna.ask("GET", wiki, "/", "Sec-Fetch-Mode: websocket"),
			"curl":       anna.ask("GET", wiki, "/", "Accept: */*"),
		} {
			if anna.wantRefused(what, a, http.StatusUnauthorized); a.Header.Get("Location") != "" || len(a.Cookies()) > 0 {
				t.Errorf("%s: %v", what, a.Header)
			}
		}
		if a := anna.ask("POST", wiki, "/pages/one", navigate, "Accept: text/html"); !strings.Contains(a.Body, `<a href="https://`+wiki+`/" target="_blank"`) {
			t.Errorf("a form: no way to sign in: %s", a.Body)
		}
		h.signIn(anna.person, live.AnnaEmail, live.AnnaPassword)
		a := h.wantStatus(anna.ask("GET", wiki, anna.enterURL(wiki, "/pages/one?edit=1"), navigate), http.StatusFound)
		if to := a.Header.Get("Location"); to != "https://"+wiki+"/pages/one?edit=1" {
			t.Errorf("back to %q", to)
		}
		for _, line := range a.Header["Set-Cookie"] {
			if !strings.HasPrefix(line, "__Host-twostep-") || !strings.Contains(line, "; Path=/") || !strings.Contains(line, "; HttpOnly; Secure; SameSite=Lax") || strings.Contains(line, "Domain") {
				t.Errorf("a cookie is %q", line)
			}
		}
		for _, method := range []string{"GET", "POST", "OPTIONS", "DELETE"} {
			a := h.wantStatus(anna.ask(method, wiki, "/api", "Sec-Fetch-Mode: cors"), http.StatusOK)
			want := map[string]string{"Remote-User": h.value("SELECT id FROM accounts WHERE email = '" + live.AnnaEmail + "'"), "Remote-Email": live.AnnaEmail,
				"Remote-Name": "Anna", "Remote-Groups": "", "Remote-Amr": "pwd email", "Remote-Acr": "urn:twostep:acr:email"}
			for name, value := range want {
				if got := a.Header[name]; len(got) != 1 || got[0] != value {
					t.Errorf("%s: %s is %q, want %q", method, name, got, value)
				}
			}
		}

		// A changed name reaches the app at the next request, although the last one was allowed a moment ago.
		h.wantRedirect(anna.person.Post("/settings/name", "name", "Anne"), "/settings")
		if a := h.wantStatus(anna.ask("GET", wiki, "/api", "Sec-Fetch-Mode: cors"), http.StatusOK); a.Header.Get("Remote-Name") != "Anne" {
			t.Errorf("the app is told the name %q", a.Header.Get("Remote-Name"))
		}

		// A browser that keeps no cookies is told, and not sent around in a circle.
		anna.kept = map[string]map[string]string{}
		enter := anna.enterURL(wiki, "/")
		anna.kept = map[string]map[string]string{}
		if a := h.wantStatus(anna.ask("GET", wiki, enter, navigate), http.StatusBadRequest); a.Header.Get("Location") != "" {
			t.Errorf("on to %s", a.Header.Get("Location"))
		}
	}, behindProxy)
}

// Headers that a client has sent do not count, and no path is open without a session.
func TestForwardAuthIgnoresClientHeaders(t *testing.T) {
	t.Parallel()
	withForwardAuth(t, func(h *server, anna *proxiedUser) {
		h.wantStatus(anna.open(wiki, "/"), http.StatusOK)
		good := h.request("GET", "/auth/check", "", "X-Forwarded-Method: GET", "X-Forwarded-Proto: https", "X-Forwarded-Host: "+wiki, "X-Forwarded-Uri: /",
			"Cookie: __Host-twostep-app="+anna.kept[wiki]["__Host-twostep-app"])
		anna.wantRefused("somebody who is no proxy", h.Browser().Do(good), http.StatusForbidden)

		names := []string{"Remote-User: admin", "Remote-Email: admin@example.com", "Remote-Groups: staff,admins", "Remote-Amr: hwk user mfa"}
		nobody := h.proxiedUser(h.Browser())
		nobody.wantRefused("nobody with names", nobody.ask("GET", wiki, "/", names...), http.StatusUnauthorized)
		a := h.wantStatus(anna.ask("GET", wiki, "/", names...), http.StatusOK)
		if got := a.Header["Remote-Email"]; !slices.Equal(got, []string{live.AnnaEmail}) || !slices.Equal(a.Header["Remote-Groups"], []string{""}) || !slices.Equal(a.Header["Remote-Amr"], []string{"pwd email"}) {
			t.Errorf("Anna with names: %v", a.Header)
		}
		for _, line := range []string{"X-Forwarded-Uri: /.twostep/enter", "X-Forwarded-Host: " + payroll, "X-Forwarded-Method: GET", "X-Forwarded-Proto: https",
			"X-Original-URL: https://" + payroll + "/", "X-Original-URL: https://" + wiki + "/healthz", "X-Original-Method: OPTIONS"} {
			anna.wantRefused(line, anna.ask("GET", wiki, "/", line), http.StatusBadRequest)
		}
		for _, line := range []string{"X-HTTP-Method-Override: OPTIONS", "X-Rewrite-URL: /healthz", "X_Forwarded_Uri: /healthz", "X-Forwarded-Prefix: /public", "Forwarded: host=" + payroll, "Authorization: Bearer x"} {
			nobody.wantRefused(line, nobody.ask("GET", wiki, "/", line), http.StatusUnauthorized)
		}
		for _, uri := range []string{"/", "/healthz", "/readyz", "/robots.txt", "/favicon.ico", "/.well-known/acme-challenge/x", "/assets/style.css", "/auth/check", "/auth/start",
			"/.twostep", "/.twostep/", "/.twostep/enterprise", "/.twostep/enter/", "/.twostep/enter/x", "/.twostep//enter", "/.twostep/%65nter", "/.Twostep/enter", "/x/../.twostep/enter",
			"/.twostep/enter;x", "/.twostep/enter%3f", "//.twostep/enter", "/admin?/.twostep/enter", "/admin?x=/public", "/public/..%2fadmin", "/%2e%2e/", "/a;b", "/%00"} {
			nobody.wantRefused(uri, nobody.ask("GET", wiki, uri), http.StatusUnauthorized)
			h.wantStatus(anna.ask("GET", wiki, uri), http.StatusOK)
		}
		for _, uri := range []string{"/.twostep/enter", "/.twostep/enter?", "/.twostep/enter?code=x&state=/", "/.twostep/enter?code=x&code=y", "/.twostep/enter?%zz"} {
			for _, method := range []string{"GET", "POST", "HEAD", "OPTIONS"} {
				nobody.wantRefused(uri, nobody.ask(method, wiki, uri), http.StatusBadRequest)
			}
		}
	})
}

// The redirects to the sign-in and back are pointed at other hosts.
func TestForwardAuthRedirectsToItsHostsOnly(t *testing.T) {
	t.Parallel()
	withForwardAuth(t, func(h *server, anna *proxiedUser) {
		challenge := challengeOf(verifier)
		start := func(to string) live.Answer {
			return anna.person.Get("/auth/start?" + url.Values{"to": {to}, "challenge": {challenge}}.Encode())
		}
		h.wantStatus(start("https://"+wiki+"/a"), http.StatusSeeOther)
		for _, to := range []string{"", "https://evil.example/", "http://wiki.example/", "//wiki.example/", "https:wiki.example/", "https://wiki.example", "https://wiki.example@evil.example/",
			"https://evil.example\\@wiki.example/", "https://wiki.example.evil.example/", "https://evilwiki.example/", "https://wiki.example:444/", "https://wiki.example./", "https://wiki.example%2eevil.example/",
			"\thttps://wiki.example/", "https://wiki.example/\r\nx", "javascript://wiki.example/", h.URL + "/"} {
			if a := start(to); a.StatusCode < 400 || a.Header.Get("Location") != "" {
				t.Errorf("%q: %d to %q", to, a.StatusCode, a.Header.Get("Location"))
			}
		}
		for _, query := range []string{"to=https://wiki.example/", "to=https://wiki.example/&challenge=x", "to=https://wiki.example/&to=https://wiki.example/&challenge=" + challenge} {
			h.wantStatus(anna.person.Get("/auth/start?"+query), http.StatusBadRequest)
		}
		for _, state := range []string{"//evil.example", `/\evil.example`, "/%2f/evil.example", "https://evil.example/", "https:evil.example", "\thttps://evil.example", "/.//evil.example", "/a\r\nb", "@evil.example", ""} {
			v := h.proxiedUser(anna.person)
			to, err := url.Parse(v.enterURL(wiki, "/"))
			if err != nil {
				t.Fatal(err)
			}
			query := to.Query()
			query.Set("state", state)
			a := h.wantStatus(v.ask("GET", wiki, "/.twostep/enter?"+query.Encode(), navigate), http.StatusFound)
			if a.Header.Get("Location") != "https://"+wiki+"/" {
				t.Errorf("state %q: on to %q", state, a.Header.Get("Location"))
			}
		}
		if _, ok := anna.kept["evil.example"]; ok {
			t.Error("another host was asked")
		}
	})
}

// Other spellings of a host, other ports and subdomains are asked for.
func TestForwardAuthMatchesHostsExactly(t *testing.T) {
	t.Parallel()
	withForwardAuth(t, func(h *server, anna *proxiedUser) {
		h.wantStatus(anna.open(wiki, "/"), http.StatusOK)
		as := func(host string) live.Answer {
			anna.kept[host] = anna.kept[wiki]
			return anna.ask("GET", host, "/")
		}
		for _, host := range []string{wiki, "WIKI.example", wiki + ":443"} {
			h.wantStatus(as(host), http.StatusOK)
		}
		for host, status := range map[string]int{wiki + ".": 400, wiki + ":80": 403, wiki + ":8443": 403, wiki + ":": 400, "x." + wiki: 403, "wiki.example.evil.example": 403, "example": 403,
			wiki + "," + payroll: 400, wiki + " " + payroll: 400, "a@" + wiki: 400, wiki + "/": 400, wiki + "%00": 400, "": 400, "[::1]": 400, "*": 400, "wiki_example": 400, strings.Repeat("a", 300) + "." + wiki: 400} {
			anna.wantRefused(host, as(host), status)
		}
	})
}

// Whatever ends a session or an app's access ends it at the proxy at once, and no answer may be
// cached.
func TestForwardAuthEndsWithTheSession(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*server, *proxiedUser){
		"sign-out":   func(h *server, v *proxiedUser) { h.post(v.person, "/signout", "") },
		"everywhere": func(h *server, v *proxiedUser) { h.post(v.person, "/settings/sessions/end", "") },
		"disabled": func(h *server, v *proxiedUser) {
			if err := h.Disable(t.Context(), twostep.By{}, live.AnnaEmail); err != nil {
				t.Error(err)
			}
		},
		"restored": func(h *server, v *proxiedUser) {
			if err := h.InvalidateAfterRestore(t.Context()); err != nil {
				t.Error(err)
			}
		},
		"password": func(h *server, v *proxiedUser) {
			h.wantStatus(h.post(v.person, "/settings/password", "current=correct+horse+battery&password=quite+another+horse"), http.StatusSeeOther)
		},
		"removed": func(h *server, v *proxiedUser) { h.post(v.person, "/settings/apps/wiki/remove", "") },
		"idle":    func(h *server, v *proxiedUser) { h.Turn(61 * time.Minute) },
		"a day":   func(h *server, v *proxiedUser) { h.Turn(25 * time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, "", behindProxy)
			anna := h.proxiedUser(h.annaSignedIn())
			h.wantStatus(anna.open(wiki, "/"), http.StatusOK)
			a := h.wantStatus(anna.ask("GET", wiki, "/"), http.StatusOK)
			if a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Strict-Transport-Security") != "" {
				t.Errorf("headers: %v", a.Header)
			}
			end(h, anna)
			anna.wantRefused(name, anna.ask("GET", wiki, "/"), http.StatusUnauthorized)
		})
	}
	withForwardAuth(t, func(h *server, anna *proxiedUser) {
		h.wantStatus(anna.open(wiki, "/"), http.StatusOK)
		for range 5 { // a page at a host is a use of the session
			h.Turn(40 * time.Minute)
			h.wantStatus(anna.ask("GET", wiki, "/"), http.StatusOK)
		}
	})
}

// A positive answer is kept for one second, whatever another process changes meanwhile, and not at all
// if the clock is set back.
func TestForwardAuthAnswerIsKeptForOneSecond(t *testing.T) {
	t.Parallel()
	for name, on := range map[string]time.Duration{"a second later": time.Second, "an hour earlier": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			h := start(t, "", behindProxy, c.set)
			anna := h.proxiedUser(h.annaSignedIn())
			h.wantStatus(anna.open(wiki, "/"), http.StatusOK)
			h.exec("UPDATE accounts SET epoch = epoch + 1")
			c.advance(time.Second - time.Millisecond)
			if a := h.wantStatus(anna.ask("GET", wiki, "/"), http.StatusOK); a.Header.Get("Remote-Email") != live.AnnaEmail || a.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("a remembered yes: %v", a.Header)
			}
			anna.kept[files] = anna.kept[wiki]
			anna.wantRefused("where nothing is remembered", anna.ask("GET", files, "/"), http.StatusUnauthorized)
			c.advance(on + time.Millisecond - time.Second)
			anna.wantRefused(name, anna.ask("GET", wiki, "/"), http.StatusUnauthorized)
		})
	}
}

// A kept answer ends when an operator changes what the app requires.
func TestForwardAuthFollowsAppChanges(t *testing.T) {
	t.Parallel()
	c := newClock()
	h := start(t, "", behindProxy, c.set)
	club := twostep.App{ID: "club", Hosts: []string{"club.example"}}
	if err := h.CreateApp(t.Context(), club); err != nil {
		t.Fatal(err)
	}
	anna := h.proxiedUser(h.annaSignedIn())
	h.wantStatus(anna.open("club.example", "/"), http.StatusOK)
	h.wantStatus(anna.ask("GET", "club.example", "/"), http.StatusOK)
	club.RequiredGroups = []string{"members"}
	if err := h.UpdateApp(t.Context(), club); err != nil {
		t.Fatal(err)
	}
	anna.wantRefused("a group since now", anna.ask("GET", "club.example", "/"), http.StatusForbidden)
}

// Signing out everywhere takes effect at once at the server that did it, and within one second at the
// others.
func TestSignOutEverywhereReachesOtherServers(t *testing.T) {
	t.Parallel()
	url, c := storetest.NewPostgres(t), newClock()
	first := start(t, url, behindProxy, c.set)
	second := start(t, url, behindProxy, c.set, func(o *twostep.Options) { o.KeyFile = first.KeyFile })
	here := first.proxiedUser(first.annaSignedIn())
	first.wantStatus(here.open(wiki, "/"), http.StatusOK)
	there := second.proxiedUser(second.Browser())
	there.kept = here.kept
	second.wantStatus(there.ask("GET", wiki, "/"), http.StatusOK)
	first.wantStatus(first.post(here.person, "/settings/sessions/end", ""), http.StatusSeeOther)
	here.wantRefused("here", here.ask("GET", wiki, "/"), http.StatusUnauthorized)
	c.advance(time.Second)
	there.wantRefused("there", there.ask("GET", wiki, "/"), http.StatusUnauthorized)
}

// The same while both servers answer checks of that browser and of another, and somebody signs in: no answer that is kept
// meanwhile outlasts the second.
func TestSignOutEverywhereReachesBusyServers(t *testing.T) {
	t.Parallel()
	url, c := storetest.NewPostgres(t), newClock()
	first := start(t, url, behindProxy, c.set)
	second := start(t, url, behindProxy, c.set, func(o *twostep.Options) { o.KeyFile = first.KeyFile })
	first.addBen()
	here := first.proxiedUser(first.annaSignedIn())
	first.wantStatus(here.open(wiki, "/"), http.StatusOK)
	ben := first.proxiedUser(first.signIn(first.Browser(), benEmail, benPassword))
	first.wantStatus(ben.open(wiki, "/"), http.StatusOK)
	at := func(h *server, kept map[string]map[string]string) *proxiedUser {
		v := h.proxiedUser(h.Browser())
		v.kept = map[string]map[string]string{wiki: maps.Clone(kept[wiki])}
		return v
	}
	stop, ready := make(chan struct{}), make(chan struct{}, 4)
	var busy sync.WaitGroup
	for _, h := range []*server{first, second} {
		for _, v := range []*proxiedUser{at(h, here.kept), at(h, ben.kept)} {
			busy.Go(func() {
				for n := range 5000 {
					v.ask("GET", wiki, "/")
					if n == 20 {
						ready <- struct{}{}
					}
					select {
					case <-stop:
						return
					default:
					}
				}
			})
		}
	}
	for range cap(ready) {
		<-ready
	}
	first.wantStatus(first.post(here.person, "/settings/sessions/end", ""), http.StatusSeeOther)
	v := at(first, here.kept)
	v.wantRefused("here", v.ask("GET", wiki, "/"), http.StatusUnauthorized)
	c.advance(time.Second)
	for range 20 {
		v = at(second, here.kept)
		v.wantRefused("there", v.ask("GET", wiki, "/"), http.StatusUnauthorized)
	}
	close(stop)
	busy.Wait()
	second.wantStatus(at(second, ben.kept).ask("GET", wiki, "/"), http.StatusOK)
}

// The cookie of the sign-in server is used at an app's host, and the cookie of a host at other hosts
// and as any other token.
func TestAppCookiesWorkAtTheirHostOnly(t *testing.T) {
	t.Parallel()
	withForwardAuth(t, func(h *server, anna *proxiedUser) {
		if err := h.SetGroups(t.Context(), twostep.By{}, live.AnnaEmail, []string{"staff"}); err != nil {
			t.Fatal(err)
		}
		for _, host := range []string{wiki, payroll, guests} {
			h.wantStatus(anna.open(host, "/"), http.StatusOK)
		}
		token := anna.kept[wiki]["__Host-twostep-app"]
		for _, host := range []string{files, payroll, vault, guests} {
			v := h.proxiedUser(h.Browser())
			v.kept[host] = map[string]string{"__Host-twostep-app": token}
			v.wantRefused("the wiki's cookie at "+host, v.ask("GET", host, "/"), http.StatusUnauthorized)
		}
		for _, name := range []string{"session", "signin"} {
			if _, in := signedIn(h.withCookies(name, token)); in {
				t.Errorf("the wiki's cookie as %s: in", name)
			}
		}
		h.wantStatus(h.Browser().Do(h.request("GET", "/oauth2/userinfo", "", "Authorization: Bearer "+token)), http.StatusUnauthorized)
		v := h.proxiedUser(h.Browser())
		session := h.cookie(anna.person, "session")
		for _, lines := range [][]string{{"Cookie: __Host-session=" + session}, {"Cookie: __Host-twostep-app=" + session}, {"Cookie: twostep-app=" + token}, {"Authorization: Bearer " + token},
			{"Cookie: __Host-twostep-app=" + token + "; __Host-twostep-app=" + token}} {
			v.wantRefused(lines[0], v.ask("GET", wiki, "/", lines...), http.StatusUnauthorized)
		}
	})
}

// A code is used in another browser, twice, at another host, and a minute late.
func TestForwardAuthCodeIsBoundToItsBrowser(t *testing.T) {
	t.Parallel()
	withForwardAuth(t, func(h *server, anna *proxiedUser) {
		h.addBen()
		ben := h.proxiedUser(h.signIn(h.Browser(), benEmail, benPassword))
		bens := ben.enterURL(wiki, "/")
		anna.wantRefused("without a cookie", h.proxiedUser(h.Browser()).ask("GET", wiki, bens, navigate), http.StatusBadRequest)
		own := anna.enterURL(wiki, "/")
		anna.wantRefused("Ben's way", anna.ask("GET", wiki, bens, navigate), http.StatusBadRequest)
		anna.wantRefused("Ben's way, again", ben.ask("GET", wiki, bens, navigate), http.StatusBadRequest)
		anna.kept[payroll] = anna.kept[wiki]
		anna.wantRefused("at another app", anna.ask("GET", payroll, own, navigate), http.StatusBadRequest)
		h.wantStatus(anna.ask("GET", wiki, own, navigate), http.StatusFound)
		h.wantStatus(anna.ask("GET", wiki, own, navigate), http.StatusFound) // a reload: in already
		h.wantStatus(anna.ask("GET", wiki, "/"), http.StatusOK)
		first := anna.kept[wiki]["__Host-twostep-app"]
		anna.kept = map[string]map[string]string{wiki: {"__Host-twostep-enter": "x"}}
		anna.wantRefused("a used code", anna.ask("GET", wiki, own, navigate), http.StatusBadRequest)
		anna.kept[wiki] = map[string]string{"__Host-twostep-app": first}
		anna.wantRefused("what came of a code that came twice", anna.ask("GET", wiki, "/"), http.StatusUnauthorized)

		late := h.proxiedUser(anna.person)
		enter := late.enterURL(wiki, "/")
		h.Turn(61 * time.Second)
		late.wantRefused("a minute later", late.ask("GET", wiki, enter, navigate), http.StatusBadRequest)
	})
}

// nginx and HAProxy ask with a subrequest that cannot redirect. The URL that carries the code is
// refused there even for somebody who is signed in, so that the app never sees it.
func TestForwardAuthCodeIsNotPassedToTheApp(t *testing.T) {
	t.Parallel()
	withForwardAuth(t, func(h *server, anna *proxiedUser) {
		h.wantStatus(anna.open(guests, "/"), http.StatusOK)
		h.Turn(11 * time.Minute) // the proof is too old
		enter := anna.confirmTo(guests, "/page")
		quiet := func(uri string) live.Answer {
			r := h.request(http.MethodGet, "/auth/check?reply=401", "", "X-Forwarded-Method: GET", "X-Forwarded-Proto: https", "X-Forwarded-Host: "+guests, "X-Forwarded-Uri: "+uri, navigate)
			for name, value := range anna.kept[guests] {
				r.Header.Add("Cookie", name+"="+value)
			}
			return anna.proxy.Do(r)
		}
		h.wantStatus(quiet("/page"), http.StatusOK) // the session is good again, and so the cookie of before
		anna.wantRefused("the way in", quiet(enter), http.StatusUnauthorized)
		if a := h.wantStatus(anna.ask("GET", guests, enter, navigate), http.StatusFound); a.Header.Get("Location") != "https://"+guests+"/page" {
			t.Errorf("on to %s", a.Header.Get("Location"))
		}
	})
}

// Two tabs start to sign in and finish one after the other.
func TestForwardAuthTabsFinishInAnyOrder(t *testing.T) {
	t.Parallel()
	withForwardAuth(t, func(h *server, anna *proxiedUser) {
		one, two := anna.enterURL(wiki, "/one"), anna.enterURL(wiki, "/two")
		for i, uri := range []string{one, two} { // the tab that left first comes back first
			a := h.wantStatus(anna.ask("GET", wiki, uri, navigate), http.StatusFound)
			if page := []string{"/one", "/two"}[i]; a.Header.Get("Location") != "https://"+wiki+page {
				t.Errorf("%s: on to %s", page, a.Header.Get("Location"))
			}
		}
	})
}

// A host that requires a group, a level or a recent proof gets less.
func TestForwardAuthEnforcesGroupsLevelAndAge(t *testing.T) {
	t.Parallel()
	withForwardAuth(t, func(h *server, anna *proxiedUser) {
		anna.wantRefused("no group", anna.open(payroll, "/"), http.StatusForbidden)
		h.wantStatus(anna.open(wiki, "/"), http.StatusOK)
		set := func(groups ...string) {
			if err := h.SetGroups(t.Context(), twostep.By{}, live.AnnaEmail, groups); err != nil {
				t.Fatal(err)
			}
		}
		set("staffing", "astaff", "guests")
		anna.wantRefused("other groups", anna.open(payroll, "/"), http.StatusForbidden)
		set("guests", "staff")
		if a := h.wantStatus(anna.open(payroll, "/"), http.StatusOK); a.Header.Get("Remote-Groups") != "guests,staff" {
			t.Errorf("groups: %q", a.Header.Get("Remote-Groups"))
		}
		set()
		anna.wantRefused("a group that was left", anna.ask("GET", payroll, "/"), http.StatusForbidden)
		anna.wantRefused("a level beyond reach", anna.open(vault, "/"), http.StatusForbidden)

		h.wantStatus(anna.open(guests, "/"), http.StatusOK)
		h.wantStatus(anna.ask("GET", guests, "/"), http.StatusOK)
		for amr, status := range map[string]int{"pwd": 401, "": 401, "email": 200, "pwd email": 200, "pwd otp sms": 200} {
			h.exec("UPDATE sessions SET amr = '" + amr + "'")
			h.Turn(time.Second)
			if a := h.wantStatus(anna.ask("GET", guests, "/"), status); status == 200 && a.Header.Get("Remote-Amr") != amr {
				t.Errorf("amr %q is told as %q", amr, a.Header.Get("Remote-Amr"))
			}
		}
		h.exec("UPDATE sessions SET amr = 'pwd email'")
		h.Turn(11 * time.Minute)
		anna.wantRefused("an old proof", anna.ask("GET", guests, "/"), http.StatusUnauthorized)
		if a := h.wantStatus(anna.open(guests, "/"), http.StatusOK); !strings.Contains(a.Body, `name="password"`) || a.Header.Get("Remote-User") != "" {
			t.Errorf("an old proof leads to %s", a.Request.URL)
		}
	})
}

// A part of the store fails while a proxy asks.
func TestForwardAuthFailsClosed(t *testing.T) {
	t.Parallel()
	for _, table := range []string{"tokens", "sessions", "clients"} {
		t.Run(table, func(t *testing.T) {
			h := start(t, "", behindProxy)
			anna := h.proxiedUser(h.annaSignedIn())
			h.wantStatus(anna.open(wiki, "/"), http.StatusOK)
			h.exec("ALTER TABLE " + table + " RENAME TO gone")
			h.Turn(time.Second)
			anna.wantRefused("without "+table, anna.ask("GET", wiki, "/"), http.StatusInternalServerError)
			h.exec("ALTER TABLE gone RENAME TO " + table)
			h.wantStatus(anna.ask("GET", wiki, "/"), http.StatusOK)
		})
	}
	h := start(t, "", behindProxy)
	anna := h.proxiedUser(h.annaSignedIn())
	h.wantStatus(anna.open(guests, "/"), http.StatusOK)
	h.exec("UPDATE sessions SET amr = 'pwd'") // too little, so what they could prove matters
	h.exec("ALTER TABLE factors RENAME TO gone")
	h.Turn(time.Second)
	anna.wantRefused("without factors", anna.ask("GET", guests, "/"), http.StatusInternalServerError)
	h.exec("ALTER TABLE gone RENAME TO factors")
	h.exec("UPDATE sessions SET amr = 'pwd email'")
	if err := h.CreateApp(t.Context(), twostep.App{ID: "club", Hosts: []string{"club.example"}, ThirdParty: true}); err != nil {
		t.Fatal(err)
	}
	asked := h.wantStatus(anna.open("club.example", "/"), http.StatusOK)
	h.wantStatus(anna.open("club.example", h.location(h.allow(anna.person, asked)).RequestURI()), http.StatusOK)
	h.wantStatus(anna.ask("GET", "club.example", "/"), http.StatusOK)
	h.exec("ALTER TABLE consents RENAME TO gone")
	h.Turn(time.Second)
	anna.wantRefused("without consents", anna.ask("GET", "club.example", "/"), http.StatusInternalServerError)
}

// Envoy asks with the path appended, the method and host of the original request, and any body. Only
// the check accepts that, and no page of ours.
func TestForwardAuthTakesAnyMethodForTheCheckOnly(t *testing.T) {
	t.Parallel()
	withForwardAuth(t, func(h *server, anna *proxiedUser) {
		h.wantStatus(anna.open(wiki, "/"), http.StatusOK)
		lines := []string{"Host: " + wiki, "X-Forwarded-Proto: https", "Origin: https://evil.example", "Sec-Fetch-Site: cross-site", "Content-Type: application/json",
			"Cookie: __Host-twostep-app=" + anna.kept[wiki]["__Host-twostep-app"]}
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"} {
			a := h.wantStatus(anna.proxy.Do(h.request(method, "/auth/check/api/x?y=z", `{"a":1}`, lines...)), http.StatusOK)
			if a.Header.Get("Remote-Email") != live.AnnaEmail {
				t.Errorf("%s: %v", method, a.Header)
			}
			anna.wantRefused(method, anna.proxy.Do(h.request(method, "/auth/check/api/x?y=z", `{"a":1}`, lines[:5]...)), http.StatusUnauthorized)
			anna.wantRefused(method, h.Browser().Do(h.request(method, "/auth/check/api/x?y=z", `{"a":1}`, lines...)), http.StatusForbidden)
		}
		for _, path := range []string{"/settings", "/signin", "/auth/start", "/auth/checks", "/auth/check.css", "/.twostep/enter"} {
			anna.wantRefused(path, anna.proxy.Do(h.request("GET", path, "", lines...)), http.StatusMisdirectedRequest)
		}
	})
}

func withPublicPaths(o *twostep.Options) {
	behindProxy(o)
	o.Apps[0].PublicPaths, o.Apps[0].PublicPreflight = []string{"/hooks/*", "GET " + wiki + "/status"}, true
	o.Apps[1].PublicPaths = []string{"/hooks/*"}
	o.Apps[0].HeaderEncoding = "percent"
}

var identity = []string{"Remote-User", "Remote-Email", "Remote-Name", "Remote-Groups", "Remote-Amr", "Remote-Acr"}

// wantAnonymous fails the test if an answer does not let the request through with all identity headers empty.
func (v *proxiedUser) wantAnonymous(what string, a live.Answer) {
	v.h.T.Helper()
	v.h.wantStatus(a, http.StatusOK)
	for _, name := range identity {
		if values := a.Header[name]; !slices.Equal(values, []string{""}) {
			v.h.T.Errorf("%s: %s is %q", what, name, values)
		}
	}
}

// Somebody spells a path so that the server takes it for a public one and the app for another one.
func TestNoOtherSpellingIsPublic(t *testing.T) {
	t.Parallel()
	h := start(t, "", withPublicPaths)
	nobody := h.proxiedUser(h.Browser())
	nobody.wantAnonymous("a public path", nobody.ask("POST", wiki, "/hooks/github?x=/../admin"))
	nobody.wantAnonymous("another host of the app", nobody.ask("GET", files, "/hooks/"))
	nobody.wantAnonymous("HEAD", nobody.ask("HEAD", wiki, "/status"))
	for _, uri := range []string{"/hooks/../admin", "/hooks/..", "/hooks/./x", "/hooks/.../x", "/hooks//x", "//hooks/x", "/x/../hooks/x", "/hooks/%2e%2e/admin", "/hooks/%2E%2E%2Fadmin",
		"/hooks/..%2fadmin", "/hooks/..%5cadmin", `/hooks/..\admin`, `/hooks\..\admin`, "/hooks/..;/admin", "/hooks;/x", "/hooks/x;y=z", "/hooks/%00", "/hooks/%252e%252e/admin",
		"/hooks/%c0%ae%c0%ae/admin", "/hooks/x y", "/hooks/#/../../admin", "/hooks/ü", "/%68ooks/x", "/hooks%2fx", "/Hooks/x", "/HOOKS/x", "/hooks", "/hooksx",
		"/x/hooks/y", "/admin?/hooks/x", "/admin%3f/hooks/x", "*", "https://" + wiki + "/hooks/x", "/.twostep/", "/status/", "/status/x", "/status%20"} {
		nobody.wantRefused(uri, nobody.ask("GET", wiki, uri), http.StatusUnauthorized)
	}
	nobody.wantRefused("another host", nobody.ask("GET", files, "/status"), http.StatusUnauthorized)
	nobody.wantRefused("another method", nobody.ask("POST", wiki, "/status"), http.StatusUnauthorized)
	nobody.wantRefused("a small method", nobody.ask("get", wiki, "/status"), http.StatusUnauthorized)
	for _, line := range []string{"X-Rewrite-URL: /admin", "X_Rewrite_Url: /admin", "x-override-url: /admin"} {
		nobody.wantRefused(line, nobody.ask("GET", wiki, "/hooks/x", line), http.StatusUnauthorized)
	}
	for _, line := range []string{"X-HTTP-Method-Override: DELETE", "X_HTTP_METHOD: DELETE", "X-Method-Override: DELETE"} {
		nobody.wantRefused(line, nobody.ask("GET", wiki, "/status", line), http.StatusUnauthorized)
	}
	for _, query := range []string{"_method=DELETE", "a&%5Fmethod=DELETE", "_METHOD=DELETE"} {
		nobody.wantRefused(query, nobody.ask("GET", wiki, "/status?"+query), http.StatusUnauthorized)
	}
	nobody.wantRefused("an untrusted peer", h.Browser().Do(h.request("GET", "/auth/check", "", "X-Forwarded-Method: GET", "X-Forwarded-Proto: https",
		"X-Forwarded-Host: "+wiki, "X-Forwarded-Uri: /hooks/x")), http.StatusForbidden)
	if a := nobody.ask("GET", wiki, "/.twostep/enter", navigate); a.StatusCode != http.StatusBadRequest {
		t.Errorf("the way in: %d", a.StatusCode)
	}
}

// A preflight has no cookies, so the owner may let it through. No other request passes with its headers.
func TestOnlyPreflightsArePublic(t *testing.T) {
	t.Parallel()
	h := start(t, "", withPublicPaths)
	nobody := h.proxiedUser(h.Browser())
	const origin, asks = "Origin: https://other.example", "Access-Control-Request-Method: PUT"
	nobody.wantAnonymous("a preflight", nobody.ask("OPTIONS", wiki, "/api/%2Fx;y", origin, asks))
	nobody.wantRefused("OPTIONS", nobody.ask("OPTIONS", wiki, "/api", origin), http.StatusUnauthorized)
	nobody.wantRefused("PUT", nobody.ask("PUT", wiki, "/api", origin, asks), http.StatusUnauthorized)
	nobody.wantRefused("OPTIONS that is PUT", nobody.ask("OPTIONS", wiki, "/api", origin, asks, "X-HTTP-Method-Override: PUT"), http.StatusUnauthorized)
	nobody.wantRefused("OPTIONS that is PUT by its query", nobody.ask("OPTIONS", wiki, "/api?_method=PUT", origin, asks), http.StatusUnauthorized)
	nobody.wantRefused("an app without the permission", nobody.ask("OPTIONS", payroll, "/api", origin, asks), http.StatusUnauthorized)
}

// On a public path nobody chooses the name that the app sees: it is that of the signed-in person, or empty.
func TestPublicPathHasNoForgedIdentity(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		forged := []string{"Remote-User: admin", "Remote-Email: admin@example.com", "Remote-Groups: staff", "Remote-Acr: urn:twostep:acr:3"}
		nobody := h.proxiedUser(h.Browser())
		nobody.wantAnonymous("nobody", nobody.ask("POST", wiki, "/hooks/x", forged...))
		nobody.kept[wiki] = map[string]string{"__Host-twostep-app": strings.Repeat("x", 43)}
		nobody.wantAnonymous("a wrong cookie", nobody.ask("POST", wiki, "/hooks/x", forged...))
		anna := h.proxiedUser(h.annaSignedIn())
		h.wantRedirect(anna.person.Post("/settings/name", "name", "Änne 100%"), "/settings")
		h.wantStatus(anna.open(wiki, "/"), http.StatusOK)
		a := h.wantStatus(anna.ask("POST", wiki, "/hooks/x", forged...), http.StatusOK)
		if !slices.Equal(a.Header["Remote-Email"], []string{live.AnnaEmail}) || !slices.Equal(a.Header["Remote-Name"], []string{"%C3%84nne 100%25"}) || !slices.Equal(a.Header["Remote-Groups"], []string{""}) {
			t.Errorf("Anna: %v", a.Header)
		}
		// She may not use this app, so there she is like everybody else.
		anna.kept[payroll] = anna.kept[wiki]
		anna.wantAnonymous("an app of others", anna.ask("POST", payroll, "/hooks/x", forged...))
		anna.wantRefused("the rest of it", anna.ask("POST", payroll, "/", forged...), http.StatusUnauthorized)
	}, withPublicPaths)
}

// The check passes large headers of requests to an app. A page does not keep them while it works.
func TestLargeHeadersAreForTheCheckOnly(t *testing.T) {
	t.Parallel()
	h := start(t, "", behindProxy)
	anna := h.proxiedUser(h.annaSignedIn())
	h.wantStatus(anna.open(wiki, "/"), http.StatusOK)
	large := "Authorization: Bearer " + strings.Repeat("x", 500<<10)
	h.wantStatus(anna.ask("GET", wiki, "/api?q="+strings.Repeat("y", 100<<10), large), http.StatusOK)
	anna.wantRefused("without a session", h.proxiedUser(h.Browser()).ask("GET", wiki, "/api", large), http.StatusUnauthorized)
	for _, path := range []string{"/signin", "/settings", "/oauth2/authorize", "/auth/start", "/no/such/page"} {
		if a := anna.person.Do(h.request("GET", path, "", large)); a.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%s: %d", path, a.StatusCode)
		}
	}
	h.wantStatus(h.Browser().Do(h.request("GET", "/signin", "", "Cookie: other="+strings.Repeat("x", 40<<10))), http.StatusOK)
}
