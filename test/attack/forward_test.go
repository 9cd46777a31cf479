package attack

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
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
		{ID: "payroll", Hosts: []string{payroll}, Groups: []string{"staff"}},
		{ID: "vault", Hosts: []string{vault, "vault.example:8443"}, ACR: "urn:twostep:acr:2"},
		{ID: "guests", Hosts: []string{guests}, ACR: "urn:twostep:acr:email", MaxAge: 600},
	}
}

// caller is a person before hosts that a proxy guards. The proxy is the test: it asks.
type caller struct {
	h      *house
	person *live.Browser // at the sign-in server
	proxy  *live.Browser
	kept   map[string]map[string]string // what the browser keeps, by host
}

func (h *house) caller(person *live.Browser) *caller {
	proxy := h.BrowserAt("127.0.0.1")
	proxy.Jar = nil
	return &caller{h, person, proxy, map[string]map[string]string{}}
}

const navigate = "Sec-Fetch-Mode: navigate"

// ask asks as a proxy does, with the cookies of the browser.
func (v *caller) ask(method, host, uri string, headers ...string) live.Answer {
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

// open opens a page as a browser does, and follows wherever that leads.
func (v *caller) open(host, uri string) live.Answer {
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

// toEnter goes as far as the address at the host that brings the code.
func (v *caller) toEnter(host, uri string) string {
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

// confirms is toEnter for somebody whose proof is too old: they take both steps again on the way.
func (v *caller) confirms(host, uri string) string {
	v.h.T.Helper()
	asked := v.h.want(v.open(host, uri), http.StatusOK)
	n := v.h.Mail.Len()
	a := v.person.Post("/settings/confirm", "password", live.AnnaPassword, "return_to", asked.Request.URL.Query().Get("return_to"))
	v.h.leads(a, "/signin/verify")
	a = v.person.Post("/signin/verify", "code", v.h.Code(n))
	to := v.h.location(v.person.Get(v.h.location(a).RequestURI()))
	if to.Host != host || to.Path != "/.twostep/enter" {
		v.h.T.Fatalf("%s%s: after both steps at %s", host, uri, to)
	}
	return to.RequestURI()
}

// forwarded is a server before hosts, on both databases, and Anna who is in.
func forwarded(t *testing.T, f func(h *house, anna *caller)) {
	each(t, func(h *house) { f(h, h.caller(h.anna())) }, behindProxy)
}

// no wants an answer that lets nobody in and tells nobody's name.
func (v *caller) no(what string, a live.Answer, status int) {
	v.h.T.Helper()
	if v.h.want(a, status); a.Header.Get("Remote-User") != "" || a.Header.Get("Remote-Email") != "" {
		v.h.T.Errorf("%s: names somebody: %v", what, a.Header)
	}
}

// The whole way: to sign in, and back to the page that was asked for.
func TestForwardAuthSignsInAndReturns(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		anna := h.caller(h.Browser())
		if a := h.want(anna.open(wiki, "/pages/one?edit=1"), http.StatusOK); !strings.Contains(a.Body, `name="password"`) {
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
			if anna.no(what, a, http.StatusUnauthorized); a.Header.Get("Location") != "" || len(a.Cookies()) > 0 {
				t.Errorf("%s: %v", what, a.Header)
			}
		}
		h.enter(anna.person, live.AnnaEmail, live.AnnaPassword)
		a := h.want(anna.ask("GET", wiki, anna.toEnter(wiki, "/pages/one?edit=1"), navigate), http.StatusFound)
		if to := a.Header.Get("Location"); to != "https://"+wiki+"/pages/one?edit=1" {
			t.Errorf("back to %q", to)
		}
		for _, line := range a.Header["Set-Cookie"] {
			if !strings.HasPrefix(line, "__Host-twostep-") || !strings.Contains(line, "; Path=/") || !strings.Contains(line, "; HttpOnly; Secure; SameSite=Lax") || strings.Contains(line, "Domain") {
				t.Errorf("a cookie is %q", line)
			}
		}
		for _, method := range []string{"GET", "POST", "OPTIONS", "DELETE"} {
			a := h.want(anna.ask(method, wiki, "/api", "Sec-Fetch-Mode: cors"), http.StatusOK)
			want := map[string]string{"Remote-User": h.one("SELECT id FROM accounts WHERE email = '" + live.AnnaEmail + "'"), "Remote-Email": live.AnnaEmail,
				"Remote-Name": "Anna", "Remote-Groups": "", "Remote-Amr": "pwd email", "Remote-Acr": "urn:twostep:acr:email"}
			for name, value := range want {
				if got := a.Header[name]; len(got) != 1 || got[0] != value {
					t.Errorf("%s: %s is %q, want %q", method, name, got, value)
				}
			}
		}

		// A browser that keeps no cookies is told, and not sent around in a circle.
		anna.kept = map[string]map[string]string{}
		enter := anna.toEnter(wiki, "/")
		anna.kept = map[string]map[string]string{}
		if a := h.want(anna.ask("GET", wiki, enter, navigate), http.StatusBadRequest); a.Header.Get("Location") != "" {
			t.Errorf("on to %s", a.Header.Get("Location"))
		}
	}, behindProxy)
}

// Headers that a client has sent do not count, and no
// address is an open one, whatever it is like.
func TestForwardAuthIgnoresClientHeaders(t *testing.T) {
	t.Parallel()
	forwarded(t, func(h *house, anna *caller) {
		h.want(anna.open(wiki, "/"), http.StatusOK)
		good := h.request("GET", "/auth/check", "", "X-Forwarded-Method: GET", "X-Forwarded-Proto: https", "X-Forwarded-Host: "+wiki, "X-Forwarded-Uri: /",
			"Cookie: __Host-twostep-app="+anna.kept[wiki]["__Host-twostep-app"])
		anna.no("somebody who is no proxy", h.Browser().Do(good), http.StatusForbidden)

		names := []string{"Remote-User: admin", "Remote-Email: admin@example.com", "Remote-Groups: staff,admins", "Remote-Amr: hwk user mfa"}
		nobody := h.caller(h.Browser())
		nobody.no("nobody with names", nobody.ask("GET", wiki, "/", names...), http.StatusUnauthorized)
		a := h.want(anna.ask("GET", wiki, "/", names...), http.StatusOK)
		if got := a.Header["Remote-Email"]; !slices.Equal(got, []string{live.AnnaEmail}) || !slices.Equal(a.Header["Remote-Groups"], []string{""}) || !slices.Equal(a.Header["Remote-Amr"], []string{"pwd email"}) {
			t.Errorf("Anna with names: %v", a.Header)
		}
		for _, line := range []string{"X-Forwarded-Uri: /.twostep/enter", "X-Forwarded-Host: " + payroll, "X-Forwarded-Method: GET", "X-Forwarded-Proto: https",
			"X-Original-URL: https://" + payroll + "/", "X-Original-URL: https://" + wiki + "/healthz", "X-Original-Method: OPTIONS"} {
			anna.no(line, anna.ask("GET", wiki, "/", line), http.StatusBadRequest)
		}
		for _, line := range []string{"X-HTTP-Method-Override: OPTIONS", "X-Rewrite-URL: /healthz", "X_Forwarded_Uri: /healthz", "X-Forwarded-Prefix: /public", "Forwarded: host=" + payroll, "Authorization: Bearer x"} {
			nobody.no(line, nobody.ask("GET", wiki, "/", line), http.StatusUnauthorized)
		}
		for _, uri := range []string{"/", "/healthz", "/readyz", "/robots.txt", "/favicon.ico", "/.well-known/acme-challenge/x", "/assets/style.css", "/auth/check", "/auth/start",
			"/.twostep", "/.twostep/", "/.twostep/enterprise", "/.twostep/enter/", "/.twostep/enter/x", "/.twostep//enter", "/.twostep/%65nter", "/.Twostep/enter", "/x/../.twostep/enter",
			"/.twostep/enter;x", "/.twostep/enter%3f", "//.twostep/enter", "/admin?/.twostep/enter", "/admin?x=/public", "/public/..%2fadmin", "/%2e%2e/", "/a;b", "/%00"} {
			nobody.no(uri, nobody.ask("GET", wiki, uri), http.StatusUnauthorized)
			h.want(anna.ask("GET", wiki, uri), http.StatusOK)
		}
		for _, uri := range []string{"/.twostep/enter", "/.twostep/enter?", "/.twostep/enter?code=x&state=/", "/.twostep/enter?code=x&code=y", "/.twostep/enter?%zz"} {
			for _, method := range []string{"GET", "POST", "HEAD", "OPTIONS"} {
				nobody.no(uri, nobody.ask(method, wiki, uri), http.StatusBadRequest)
			}
		}
	})
}

// Neither the way there nor the way back leads to anybody else.
func TestForwardAuthRedirectsToItsHostsOnly(t *testing.T) {
	t.Parallel()
	forwarded(t, func(h *house, anna *caller) {
		challenge := challengeOf(verifier)
		start := func(to string) live.Answer {
			return anna.person.Get("/auth/start?" + url.Values{"to": {to}, "challenge": {challenge}}.Encode())
		}
		h.want(start("https://"+wiki+"/a"), http.StatusSeeOther)
		for _, to := range []string{"", "https://evil.example/", "http://wiki.example/", "//wiki.example/", "https:wiki.example/", "https://wiki.example", "https://wiki.example@evil.example/",
			"https://evil.example\\@wiki.example/", "https://wiki.example.evil.example/", "https://evilwiki.example/", "https://wiki.example:444/", "https://wiki.example./", "https://wiki.example%2eevil.example/",
			"\thttps://wiki.example/", "https://wiki.example/\r\nx", "javascript://wiki.example/", h.URL + "/"} {
			if a := start(to); a.StatusCode < 400 || a.Header.Get("Location") != "" {
				t.Errorf("%q: %d to %q", to, a.StatusCode, a.Header.Get("Location"))
			}
		}
		for _, query := range []string{"to=https://wiki.example/", "to=https://wiki.example/&challenge=x", "to=https://wiki.example/&to=https://wiki.example/&challenge=" + challenge} {
			h.want(anna.person.Get("/auth/start?"+query), http.StatusBadRequest)
		}
		for _, state := range []string{"//evil.example", `/\evil.example`, "/%2f/evil.example", "https://evil.example/", "https:evil.example", "\thttps://evil.example", "/.//evil.example", "/a\r\nb", "@evil.example", ""} {
			v := h.caller(anna.person)
			to, err := url.Parse(v.toEnter(wiki, "/"))
			if err != nil {
				t.Fatal(err)
			}
			query := to.Query()
			query.Set("state", state)
			a := h.want(v.ask("GET", wiki, "/.twostep/enter?"+query.Encode(), navigate), http.StatusFound)
			if a.Header.Get("Location") != "https://"+wiki+"/" {
				t.Errorf("state %q: on to %q", state, a.Header.Get("Location"))
			}
		}
		if _, ok := anna.kept["evil.example"]; ok {
			t.Error("another host was asked")
		}
	})
}

// A host is the one that the browser's cookies are for, and no other is answered.
func TestForwardAuthMatchesHostsExactly(t *testing.T) {
	t.Parallel()
	forwarded(t, func(h *house, anna *caller) {
		h.want(anna.open(wiki, "/"), http.StatusOK)
		as := func(host string) live.Answer {
			anna.kept[host] = anna.kept[wiki]
			return anna.ask("GET", host, "/")
		}
		for _, host := range []string{wiki, "WIKI.example", wiki + ":443"} {
			h.want(as(host), http.StatusOK)
		}
		for host, status := range map[string]int{wiki + ".": 400, wiki + ":80": 403, wiki + ":8443": 403, wiki + ":": 400, "x." + wiki: 403, "wiki.example.evil.example": 403, "example": 403,
			wiki + "," + payroll: 400, wiki + " " + payroll: 400, "a@" + wiki: 400, wiki + "/": 400, wiki + "%00": 400, "": 400, "[::1]": 400, "*": 400, "wiki_example": 400, strings.Repeat("a", 300) + "." + wiki: 400} {
			anna.no(host, as(host), status)
		}
	})
}

// What was taken back ends at once, and nobody may keep an answer.
func TestForwardAuthEndsWithTheSession(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*house, *caller){
		"sign-out":   func(h *house, v *caller) { h.post(v.person, "/signout", "") },
		"everywhere": func(h *house, v *caller) { h.post(v.person, "/settings/sessions/end", "") },
		"disabled": func(h *house, v *caller) {
			if err := h.Disable(t.Context(), live.AnnaEmail, true); err != nil {
				t.Error(err)
			}
		},
		"restored": func(h *house, v *caller) {
			if err := h.Restored(t.Context()); err != nil {
				t.Error(err)
			}
		},
		"password": func(h *house, v *caller) {
			h.want(h.post(v.person, "/settings/password", "current=correct+horse+battery&password=quite+another+horse"), http.StatusSeeOther)
		},
		"removed": func(h *house, v *caller) { h.post(v.person, "/settings/apps/wiki/remove", "") },
		"idle":    func(h *house, v *caller) { h.Turn(61 * time.Minute) },
		"a day":   func(h *house, v *caller) { h.Turn(25 * time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, "", behindProxy)
			anna := h.caller(h.anna())
			h.want(anna.open(wiki, "/"), http.StatusOK)
			a := h.want(anna.ask("GET", wiki, "/"), http.StatusOK)
			if a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Strict-Transport-Security") != "" {
				t.Errorf("headers: %v", a.Header)
			}
			end(h, anna)
			anna.no(name, anna.ask("GET", wiki, "/"), http.StatusUnauthorized)
		})
	}
	forwarded(t, func(h *house, anna *caller) {
		h.want(anna.open(wiki, "/"), http.StatusOK)
		for range 5 { // a page at a host is a use of the session
			h.Turn(40 * time.Minute)
			h.want(anna.ask("GET", wiki, "/"), http.StatusOK)
		}
	})
}

// A yes is remembered for a second, whatever another process changes meanwhile, and for
// a clock that was set back not at all.
func TestForwardAuthAnswerIsKeptForOneSecond(t *testing.T) {
	t.Parallel()
	for name, on := range map[string]time.Duration{"a second later": time.Second, "an hour earlier": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			c := stopped()
			h := start(t, "", behindProxy, c.set)
			anna := h.caller(h.anna())
			h.want(anna.open(wiki, "/"), http.StatusOK)
			h.exec("UPDATE accounts SET epoch = epoch + 1")
			c.turn(time.Second - time.Millisecond)
			if a := h.want(anna.ask("GET", wiki, "/"), http.StatusOK); a.Header.Get("Remote-Email") != live.AnnaEmail || a.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("a remembered yes: %v", a.Header)
			}
			anna.kept[files] = anna.kept[wiki]
			anna.no("where nothing is remembered", anna.ask("GET", files, "/"), http.StatusUnauthorized)
			c.turn(on + time.Millisecond - time.Second)
			anna.no(name, anna.ask("GET", wiki, "/"), http.StatusUnauthorized)
		})
	}
}

// A remembered yes ends when the operator changes what the app wants.
func TestForwardAuthFollowsAppChanges(t *testing.T) {
	t.Parallel()
	c := stopped()
	h := start(t, "", behindProxy, c.set)
	club := twostep.App{ID: "club", Hosts: []string{"club.example"}}
	if err := h.AddApp(t.Context(), club); err != nil {
		t.Fatal(err)
	}
	anna := h.caller(h.anna())
	h.want(anna.open("club.example", "/"), http.StatusOK)
	h.want(anna.ask("GET", "club.example", "/"), http.StatusOK)
	club.Groups = []string{"members"}
	if err := h.ChangeApp(t.Context(), club); err != nil {
		t.Fatal(err)
	}
	anna.no("a group since now", anna.ask("GET", "club.example", "/"), http.StatusForbidden)
}

// A sign-out everywhere counts at once where it was done, and within 5 s (in fact one) at
// every other server.
func TestSignOutEverywhereReachesOtherServers(t *testing.T) {
	t.Parallel()
	url, c := storetest.Postgres(t), stopped()
	first := start(t, url, behindProxy, c.set)
	second := start(t, url, behindProxy, c.set, func(o *twostep.Options) { o.KeyFile = first.Keys })
	here := first.caller(first.anna())
	first.want(here.open(wiki, "/"), http.StatusOK)
	there := second.caller(second.Browser())
	there.kept = here.kept
	second.want(there.ask("GET", wiki, "/"), http.StatusOK)
	first.want(first.post(here.person, "/settings/sessions/end", ""), http.StatusSeeOther)
	here.no("here", here.ask("GET", wiki, "/"), http.StatusUnauthorized)
	c.turn(time.Second)
	there.no("there", there.ask("GET", wiki, "/"), http.StatusUnauthorized)
}

// The cookie of the sign-in server is none at a host, and that of a host is none
// anywhere else, nor a token of any other kind.
func TestAppCookiesWorkAtTheirHostOnly(t *testing.T) {
	t.Parallel()
	forwarded(t, func(h *house, anna *caller) {
		if err := h.SetGroups(t.Context(), live.AnnaEmail, []string{"staff"}); err != nil {
			t.Fatal(err)
		}
		for _, host := range []string{wiki, payroll, guests} {
			h.want(anna.open(host, "/"), http.StatusOK)
		}
		token := anna.kept[wiki]["__Host-twostep-app"]
		for _, host := range []string{files, payroll, vault, guests} {
			v := h.caller(h.Browser())
			v.kept[host] = map[string]string{"__Host-twostep-app": token}
			v.no("the wiki's cookie at "+host, v.ask("GET", host, "/"), http.StatusUnauthorized)
		}
		for _, name := range []string{"session", "signin"} {
			if _, in := isIn(h.with(name, token)); in {
				t.Errorf("the wiki's cookie as %s: in", name)
			}
		}
		h.want(h.Browser().Do(h.request("GET", "/oauth2/userinfo", "", "Authorization: Bearer "+token)), http.StatusUnauthorized)
		v := h.caller(h.Browser())
		session := h.cookie(anna.person, "session")
		for _, lines := range [][]string{{"Cookie: __Host-session=" + session}, {"Cookie: __Host-twostep-app=" + session}, {"Cookie: twostep-app=" + token}, {"Authorization: Bearer " + token},
			{"Cookie: __Host-twostep-app=" + token + "; __Host-twostep-app=" + token}} {
			v.no(lines[0], v.ask("GET", wiki, "/", lines...), http.StatusUnauthorized)
		}
	})
}

// A way in is for the browser that began it: somebody else's code opens nothing, and is used up;
// and each works once, at its own host.
func TestForwardAuthCodeIsBoundToItsBrowser(t *testing.T) {
	t.Parallel()
	forwarded(t, func(h *house, anna *caller) {
		h.addBen()
		ben := h.caller(h.enter(h.Browser(), benEmail, benPassword))
		bens := ben.toEnter(wiki, "/")
		anna.no("without a cookie", h.caller(h.Browser()).ask("GET", wiki, bens, navigate), http.StatusBadRequest)
		own := anna.toEnter(wiki, "/")
		anna.no("Ben's way", anna.ask("GET", wiki, bens, navigate), http.StatusBadRequest)
		anna.no("Ben's way, again", ben.ask("GET", wiki, bens, navigate), http.StatusBadRequest)
		anna.kept[payroll] = anna.kept[wiki]
		anna.no("at another app", anna.ask("GET", payroll, own, navigate), http.StatusBadRequest)
		h.want(anna.ask("GET", wiki, own, navigate), http.StatusFound)
		h.want(anna.ask("GET", wiki, own, navigate), http.StatusFound) // a reload: in already
		h.want(anna.ask("GET", wiki, "/"), http.StatusOK)
		first := anna.kept[wiki]["__Host-twostep-app"]
		anna.kept = map[string]map[string]string{wiki: {"__Host-twostep-enter": "x"}}
		anna.no("a used code", anna.ask("GET", wiki, own, navigate), http.StatusBadRequest)
		anna.kept[wiki] = map[string]string{"__Host-twostep-app": first}
		anna.no("what came of a code that came twice", anna.ask("GET", wiki, "/"), http.StatusUnauthorized)

		late := h.caller(anna.person)
		enter := late.toEnter(wiki, "/")
		h.Turn(61 * time.Second)
		late.no("a minute later", late.ask("GET", wiki, enter, navigate), http.StatusBadRequest)
	})
}

// nginx and HAProxy ask first in a way that cannot be sent on. The way in is never the app's, even of
// somebody who is in already: it is asked about once more, and leads to the page.
func TestForwardAuthCodeIsNotPassedToTheApp(t *testing.T) {
	t.Parallel()
	forwarded(t, func(h *house, anna *caller) {
		h.want(anna.open(guests, "/"), http.StatusOK)
		h.Turn(11 * time.Minute) // the proof is too old
		enter := anna.confirms(guests, "/page")
		quiet := func(uri string) live.Answer {
			r := h.request(http.MethodGet, "/auth/check?reply=401", "", "X-Forwarded-Method: GET", "X-Forwarded-Proto: https", "X-Forwarded-Host: "+guests, "X-Forwarded-Uri: "+uri, navigate)
			for name, value := range anna.kept[guests] {
				r.Header.Add("Cookie", name+"="+value)
			}
			return anna.proxy.Do(r)
		}
		h.want(quiet("/page"), http.StatusOK) // the session is good again, and so the cookie of before
		anna.no("the way in", quiet(enter), http.StatusUnauthorized)
		if a := h.want(anna.ask("GET", guests, enter, navigate), http.StatusFound); a.Header.Get("Location") != "https://"+guests+"/page" {
			t.Errorf("on to %s", a.Header.Get("Location"))
		}
	})
}

// Tabs that were opened at once come in one after the other, whichever signs in.
func TestForwardAuthTabsFinishInAnyOrder(t *testing.T) {
	t.Parallel()
	forwarded(t, func(h *house, anna *caller) {
		one, two := anna.toEnter(wiki, "/one"), anna.toEnter(wiki, "/two")
		for i, uri := range []string{one, two} { // the tab that left first comes back first
			a := h.want(anna.ask("GET", wiki, uri, navigate), http.StatusFound)
			if page := []string{"/one", "/two"}[i]; a.Header.Get("Location") != "https://"+wiki+page {
				t.Errorf("%s: on to %s", page, a.Header.Get("Location"))
			}
		}
	})
}

// What a host needs is asked for, and nothing less opens it.
func TestForwardAuthEnforcesGroupsLevelAndAge(t *testing.T) {
	t.Parallel()
	forwarded(t, func(h *house, anna *caller) {
		anna.no("no group", anna.open(payroll, "/"), http.StatusForbidden)
		h.want(anna.open(wiki, "/"), http.StatusOK)
		set := func(groups ...string) {
			if err := h.SetGroups(t.Context(), live.AnnaEmail, groups); err != nil {
				t.Fatal(err)
			}
		}
		set("staffing", "astaff", "guests")
		anna.no("other groups", anna.open(payroll, "/"), http.StatusForbidden)
		set("guests", "staff")
		if a := h.want(anna.open(payroll, "/"), http.StatusOK); a.Header.Get("Remote-Groups") != "guests,staff" {
			t.Errorf("groups: %q", a.Header.Get("Remote-Groups"))
		}
		set()
		anna.no("a group that was left", anna.ask("GET", payroll, "/"), http.StatusForbidden)
		anna.no("a level beyond reach", anna.open(vault, "/"), http.StatusForbidden)

		h.want(anna.open(guests, "/"), http.StatusOK)
		h.want(anna.ask("GET", guests, "/"), http.StatusOK)
		for amr, status := range map[string]int{"pwd": 401, "": 401, "email": 200, "pwd email": 200, "pwd otp sms": 200} {
			h.exec("UPDATE sessions SET amr = '" + amr + "'")
			h.Turn(time.Second)
			if a := h.want(anna.ask("GET", guests, "/"), status); status == 200 && a.Header.Get("Remote-Amr") != amr {
				t.Errorf("amr %q is told as %q", amr, a.Header.Get("Remote-Amr"))
			}
		}
		h.exec("UPDATE sessions SET amr = 'pwd email'")
		h.Turn(11 * time.Minute)
		anna.no("an old proof", anna.ask("GET", guests, "/"), http.StatusUnauthorized)
		if a := h.want(anna.open(guests, "/"), http.StatusOK); !strings.Contains(a.Body, `name="password"`) || a.Header.Get("Remote-User") != "" {
			t.Errorf("an old proof leads to %s", a.Request.URL)
		}
	})
}

// As far as it is ours: whatever goes wrong is no yes.
func TestForwardAuthFailsClosed(t *testing.T) {
	t.Parallel()
	for _, table := range []string{"tokens", "sessions", "apps"} {
		t.Run(table, func(t *testing.T) {
			h := start(t, "", behindProxy)
			anna := h.caller(h.anna())
			h.want(anna.open(wiki, "/"), http.StatusOK)
			h.exec("ALTER TABLE " + table + " RENAME TO gone")
			h.Turn(time.Second)
			anna.no("without "+table, anna.ask("GET", wiki, "/"), http.StatusInternalServerError)
			h.exec("ALTER TABLE gone RENAME TO " + table)
			h.want(anna.ask("GET", wiki, "/"), http.StatusOK)
		})
	}
	h := start(t, "", behindProxy)
	anna := h.caller(h.anna())
	h.want(anna.open(guests, "/"), http.StatusOK)
	h.exec("UPDATE sessions SET amr = 'pwd'") // too little, so what they could prove matters
	h.exec("ALTER TABLE factors RENAME TO gone")
	h.Turn(time.Second)
	anna.no("without factors", anna.ask("GET", guests, "/"), http.StatusInternalServerError)
	h.exec("ALTER TABLE gone RENAME TO factors")
	h.exec("UPDATE sessions SET amr = 'pwd email'")
	if err := h.AddApp(t.Context(), twostep.App{ID: "club", Hosts: []string{"club.example"}, Foreign: true}); err != nil {
		t.Fatal(err)
	}
	asked := h.want(anna.open("club.example", "/"), http.StatusOK)
	h.want(anna.open("club.example", h.location(h.allow(anna.person, asked)).RequestURI()), http.StatusOK)
	h.want(anna.ask("GET", "club.example", "/"), http.StatusOK)
	h.exec("ALTER TABLE consents RENAME TO gone")
	h.Turn(time.Second)
	anna.no("without consents", anna.ask("GET", "club.example", "/"), http.StatusInternalServerError)
}

// Envoy asks with the address behind the path, the method of the request and the host's name; any
// body and origin may come with it. Only the question passes, not a page of ours.
func TestForwardAuthTakesAnyMethodForTheCheckOnly(t *testing.T) {
	t.Parallel()
	forwarded(t, func(h *house, anna *caller) {
		h.want(anna.open(wiki, "/"), http.StatusOK)
		lines := []string{"Host: " + wiki, "X-Forwarded-Proto: https", "Origin: https://evil.example", "Sec-Fetch-Site: cross-site", "Content-Type: application/json",
			"Cookie: __Host-twostep-app=" + anna.kept[wiki]["__Host-twostep-app"]}
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"} {
			a := h.want(anna.proxy.Do(h.request(method, "/auth/check/api/x?y=z", `{"a":1}`, lines...)), http.StatusOK)
			if a.Header.Get("Remote-Email") != live.AnnaEmail {
				t.Errorf("%s: %v", method, a.Header)
			}
			anna.no(method, anna.proxy.Do(h.request(method, "/auth/check/api/x?y=z", `{"a":1}`, lines[:5]...)), http.StatusUnauthorized)
			anna.no(method, h.Browser().Do(h.request(method, "/auth/check/api/x?y=z", `{"a":1}`, lines...)), http.StatusForbidden)
		}
		for _, path := range []string{"/settings", "/signin", "/auth/start", "/auth/checks", "/auth/check.css", "/.twostep/enter"} {
			anna.no(path, anna.proxy.Do(h.request("GET", path, "", lines...)), http.StatusMisdirectedRequest)
		}
	})
}
