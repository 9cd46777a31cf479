package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"twostep.example/twostep"
	"twostep.example/twostep/test/e2e/live"
)

const wiki = "wiki.example.com" // as the files in deploy have it

// seen is a request as the app behind a proxy got it.
type seen struct {
	Method, URI, Body string
	Header            http.Header
}

// names are what the app takes for the person: frameworks fold - and _ and case into one.
func (s seen) names() map[string][]string {
	all := map[string][]string{}
	for name, values := range s.Header {
		folded := strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(name))
		if strings.HasPrefix(folded, "remote-") {
			all[folded] = append(all[folded], values...)
		}
	}
	return all
}

// guarded is an app behind a proxy that asks a server.
type guarded struct {
	*testing.T
	s       *live.Server
	b       *live.Browser
	wiki    *http.Client // the same browser, at the wiki
	reached atomic.Int64
	down    func() // takes the server away
}

// guard runs a server, an app, and between them the proxy that run starts. The server knows the proxy by its address.
func guard(t *testing.T, run func(ends) (address string)) *guarded {
	return guardBy(t, run, byAddress)
}

// knownBy is how the server knows its proxy.
type knownBy string

const (
	byAddress knownBy = "address" // in trusted_proxies
	bySecret  knownBy = "secret"  // the proxy sends it in a header
	bySocket  knownBy = "socket"  // the proxy connects to a Unix socket
)

// guardBy is guard for a server that knows the proxy in another way.
func guardBy(t *testing.T, run func(ends) (address string), known knownBy) *guarded {
	g := &guarded{T: t}
	e := ends{TB: t, dir: t.TempDir()}
	if known == bySecret {
		e.secret = "9f1c6f0f2b7a4d0e8c5b3a1d7e9f2c4b"
	}
	g.s = live.Start(t, "", func(o *twostep.Options) {
		if o.ProxySecret = e.secret; known == byAddress {
			o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
		}
		o.Apps = []twostep.App{{
			ID: "wiki", Name: "Wiki", Hosts: []string{wiki}, PublicPaths: []string{"/hooks/*", "GET /status"}, PublicPreflight: true,
		}}
	})
	server := httptest.NewUnstartedServer(g.s.Server)
	if known == bySocket {
		path := filepath.Join(e.dir, "twostep.sock")
		socket, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		server.Listener.Close()
		server.Listener = socket
	}
	server.Start()
	app := httptest.NewServer(http.HandlerFunc(g.app))
	t.Cleanup(app.Close)
	t.Cleanup(server.Close)
	g.down = server.Close
	g.b = g.s.Browser()
	e.server, e.app = server.Listener.Addr().String(), app.Listener.Addr().String()
	g.wiki = throughTo(run(e))
	g.wiki.Jar = g.b.Jar
	return g
}

func (g *guarded) app(w http.ResponseWriter, r *http.Request) {
	g.reached.Add(1)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		g.Error(err)
	}
	if err := json.NewEncoder(w).Encode(seen{r.Method, r.RequestURI, string(body), r.Header}); err != nil {
		g.Error(err)
	}
}

// ask sends a request to the wiki with headers like "Accept: text/html", spelled as they are.
func (g *guarded) ask(method, uri, body string, lines ...string) *http.Response {
	g.Helper()
	r, err := http.NewRequestWithContext(g.Context(), method, "https://"+wiki+uri, strings.NewReader(body))
	if err != nil {
		g.Fatal(err)
	}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header[name] = append(r.Header[name], value)
	}
	resp, err := g.wiki.Do(r)
	if err != nil {
		g.Fatal(err)
	}
	g.Cleanup(func() { resp.Body.Close() })
	return resp
}

const navigate = "Sec-Fetch-Mode: navigate"

// in wants the app to have got a request of Anna's.
func (g *guarded) in(what string, resp *http.Response) seen {
	g.Helper()
	var s seen
	if err := json.NewDecoder(resp.Body).Decode(&s); resp.StatusCode != http.StatusOK || err != nil {
		g.Fatalf("%s: %d, %v", what, resp.StatusCode, err)
	}
	want := map[string]string{"remote-email": live.AnnaEmail, "remote-name": "Anna", "remote-amr": "pwd email", "remote-acr": "urn:twostep:acr:email"}
	got := s.names()
	for name, value := range want {
		if !slices.Equal(got[name], []string{value}) {
			g.Errorf("%s: the app sees %s as %q, want %q", what, name, got[name], value)
		}
	}
	if groups := got["remote-groups"]; len(groups) > 1 || strings.Join(groups, "") != "" || len(got["remote-user"]) != 1 || len(got["remote-user"][0]) < 20 || len(got) > 6 {
		g.Errorf("%s: the app sees %q", what, got)
	}
	return s
}

// out wants an answer that is not the app's.
func (g *guarded) out(what string, resp *http.Response, status ...int) *http.Response {
	g.Helper()
	if n := g.reached.Swap(0); n != 0 {
		g.Errorf("%s: the app was reached", what)
	}
	if !slices.Contains(status, resp.StatusCode) {
		body, _ := io.ReadAll(resp.Body)
		g.Errorf("%s: %d, want %v\n%.300s", what, resp.StatusCode, status, body)
	}
	return resp
}

// signIn opens a page of the wiki as a browser does, and signs in on the way.
func (g *guarded) signIn(uri string) *http.Response {
	g.Helper()
	resp := g.out("the page, before", g.ask("GET", uri, "", navigate, "Accept: text/html"), http.StatusFound)
	for range 12 {
		to, err := resp.Location()
		if err != nil {
			return resp
		}
		if to.Host == wiki {
			resp = g.ask("GET", to.RequestURI(), "", navigate, "Accept: text/html")
			continue
		}
		if a := g.b.Get(to.RequestURI()); a.StatusCode != http.StatusOK {
			resp = a.Response
			continue
		}
		// the page to sign in
		resp = g.b.BothSteps("/signin", "email", live.AnnaEmail, "password", live.AnnaPassword, "return_to", to.Query().Get("return_to")).Response
	}
	g.Fatal("it goes in a circle")
	return nil
}

// spellings are ways to write a name into a request that an app might take for Remote-User and
// its like, and headers that should turn the proxy's own words around.
func spellings() (all [][]string) {
	for _, name := range []string{"Remote-User", "Remote-Email", "Remote-Name", "Remote-Groups", "Remote-Amr", "Remote-Acr"} {
		snake := strings.ReplaceAll(name, "-", "_")
		for _, spelled := range []string{name, strings.ToLower(name), strings.ToUpper(name), snake, strings.ToLower(snake), strings.ToUpper(snake)} {
			all = append(all, []string{spelled + ": evil"})
		}
		all = append(all, []string{name + ": evil", strings.ToLower(name) + ": evil", snake + ": evil"}, []string{name + ": ", name + ": evil"})
	}
	return append(all, []string{"rEmOtE-uSeR: evil"}, []string{"Remote-User: evil", "Connection: close, X-Forwarded-For"}, []string{"Remote_Groups: admins", "Remote-Groups: admins"})
}

// A proxy with the configuration that we ship lets nobody through whom we do not know, tells the
// app who it is and believes nobody else about that, and lets nobody in while we are down.
func TestProxies(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(proxies)) {
		t.Run(name, func(t *testing.T) {
			g := guard(t, proxies[name])
			attackers(g)
			s := g.in("the page", g.signIn("/pages/one?edit=1&x=%2F"))
			if s.Method != "GET" || s.URI != "/pages/one?edit=1&x=%2F" {
				t.Errorf("the way led to %s %s", s.Method, s.URI)
			}
			g.reached.Store(0)
			if resp := g.out("the way in of another tab", g.ask("GET", "/.twostep/enter?code=x&state=%2Fother", "", navigate, "Accept: text/html"), http.StatusFound); resp.Header.Get("Location") != "https://"+wiki+"/other" {
				t.Errorf("another tab lands at %q", resp.Header.Get("Location"))
			}
			s = g.in("a form", g.ask("POST", "/save", "a=b", "Content-Type: text/plain"))
			if s.Method != "POST" || s.Body != "a=b" {
				t.Errorf("a form came as %s %q", s.Method, s.Body)
			}
			g.in("a script", g.ask("DELETE", "/api/1", "", "Sec-Fetch-Mode: cors"))
			spoofs(g)
			if a := g.b.Post("/signout"); a.StatusCode != http.StatusSeeOther {
				t.Fatalf("sign-out: %d", a.StatusCode)
			}
			g.reached.Store(0)
			g.out("a script after sign-out", g.ask("GET", "/", "", "Sec-Fetch-Mode: cors"), http.StatusUnauthorized)
			g.in("the page, again", g.signIn("/"))
			g.reached.Store(0)
			g.down()
			for _, lines := range [][]string{{navigate}, {"Sec-Fetch-Mode: cors"}} {
				if resp := g.out("while we are down", g.ask("GET", "/", "", lines...), 500, 502, 503, 504); resp.Header.Get("Location") != "" {
					t.Errorf("while we are down: to %s", resp.Header.Get("Location"))
				}
			}
		})
	}
}

// The server knows the proxies by a secret or by a Unix socket instead of their address. The check, the redirect to the
// sign-in page and the page for a form go that way too.
func TestProxiesWithSecretAndSocket(t *testing.T) {
	for _, name := range []string{"nginx", "haproxy", "caddy"} {
		for _, known := range []knownBy{bySecret, bySocket} {
			t.Run(name+" by "+string(known), func(t *testing.T) {
				g := guardBy(t, proxies[name], known)
				attackers(g)
				s := g.in("the page", g.signIn("/pages/one"))
				for header, values := range s.Header {
					if strings.Contains(strings.ToLower(header), "secret") {
						t.Errorf("the app gets %s: %q", header, values)
					}
				}
				spoofs(g)
				g.reached.Store(0)
				g.down()
				g.out("while we are down", g.ask("GET", "/", "", navigate), 500, 502, 503, 504)
			})
		}
	}
}

// A proxy without the secret is not believed, and the log says what to do.
func TestProxyWithoutSecret(t *testing.T) {
	g := guardBy(t, func(e ends) string { e.secret = ""; return nginx(e) }, bySecret)
	g.out("the check", g.ask("GET", "/", "", navigate), http.StatusForbidden)
	if log := g.s.Log.String(); strings.Count(log, "let the proxy set the header Twostep-Proxy-Secret") != 1 {
		t.Errorf("the log does not name the remedy once:\n%s", log)
	}
}

// attackers try to get in without a cookie.
func attackers(g *guarded) {
	g.Helper()
	g.out("a script", g.ask("GET", "/", "", "Sec-Fetch-Mode: cors"), http.StatusUnauthorized)
	g.ended("a form", g.ask("POST", "/pages/one", "a=b", form, "Accept: text/html"))
	g.ended("a form of today's browsers", g.ask("POST", "/pages/one", strings.Repeat("a", 100_000), form, navigate, "Sec-Fetch-Dest: document", "Accept: text/html"))
	for _, lines := range [][]string{{"Accept: application/json"}, {"Sec-Fetch-Mode: cors", "Accept: text/html"}, {"X-Requested-With: XMLHttpRequest", "Accept: text/html"}} {
		resp := g.out("a script that posts", g.ask("POST", "/", "a=b", append(lines, form)...), http.StatusUnauthorized)
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "You need to sign in.\n" {
			g.Errorf("a script that posts with %q gets %q, %v", lines, body, err)
		}
	}
	g.out("OPTIONS", g.ask("OPTIONS", "/", "", "Origin: https://evil.example"), http.StatusUnauthorized)
	for _, lines := range spellings() {
		g.out(fmt.Sprint(lines), g.ask("GET", "/", "", lines...), 400, http.StatusUnauthorized)
	}
	for _, line := range []string{"X-Forwarded-Uri: /.twostep/enter", "X-Forwarded-Host: other.example", "X-Forwarded-Method: OPTIONS", "X-Forwarded-Proto: http", "X-Original-URL: https://" + wiki + "/healthz",
		"X-Original-Method: OPTIONS", "Forwarded: host=other.example", "X-Rewrite-Url: /healthz", "Cookie: __Host-twostep-app=x", "Connection: X-Forwarded-Uri, X-Forwarded-Host"} {
		g.out(line, g.ask("GET", "/", "", line), 400, http.StatusUnauthorized)
	}
	for _, uri := range []string{"/.twostep/enter", "/.twostep/enter?code=x&state=/", "/.twostep/check", "/auth/check", "/?reply=401", "//.twostep/enter"} {
		g.out(uri, g.ask("GET", uri, "", "Sec-Fetch-Mode: cors"), 400, http.StatusUnauthorized, http.StatusNotFound)
	}
}

// A public path reaches the app through every proxy, without a name that the client may have forged. No other
// spelling of a path reaches the app because of it.
func TestProxiesPassPublicPaths(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(proxies)) {
		t.Run(name, func(t *testing.T) {
			g := guard(t, proxies[name])
			preflight := []string{"Origin: https://other.example", "Access-Control-Request-Method: PUT"}
			for _, lines := range append(spellings(), nil) {
				g.anonymous(fmt.Sprint(lines), g.ask("POST", "/hooks/github?x=%2F", "a=b", lines...), slices.ContainsFunc(lines, hasUnderscore))
				g.anonymous(fmt.Sprint(lines), g.ask("OPTIONS", "/api/1", "", append(lines, preflight...)...), slices.ContainsFunc(lines, hasUnderscore))
			}
			g.reached.Store(0)
			for _, uri := range []string{"/hooks", "/hooksx", "/Hooks/x", "/hooks/../admin", "/hooks/%2e%2e/admin", "/hooks/..%2fadmin", "/hooks/%252e%252e/admin", "/hooks//x", "//hooks/x",
				"/hooks/..;/admin", "/hooks/;x", "/hooks/%00", "/hooks/..%5cadmin", "/admin?/hooks/x", "/admin%3f/hooks/x"} {
				g.out(uri, g.ask("POST", uri, ""), 400, http.StatusUnauthorized, http.StatusNotFound)
			}
			for _, line := range []string{"X-Rewrite-Url: /admin", "X-Override-Url: /admin", "X-Original-Url: /admin"} {
				if resp := g.ask("POST", "/hooks/x", "", line); resp.StatusCode == http.StatusOK {
					s := g.anonymous(line, resp, false)
					if s.Header.Get("X-Original-Url") != "" || !strings.HasPrefix(line, "X-Original-Url") {
						t.Errorf("%s: the app sees %v", line, s.Header)
					}
				}
			}
			g.reached.Store(0)
			for _, line := range []string{"X-Http-Method-Override: DELETE", "X-Http-Method: DELETE", "X-Method-Override: DELETE"} {
				g.out(line, g.ask("GET", "/status", "", line), 400, http.StatusUnauthorized)
				g.out(line, g.ask("OPTIONS", "/api/1", "", append(preflight, line)...), 400, http.StatusUnauthorized)
			}
			g.out("POST", g.ask("POST", "/status", ""), http.StatusUnauthorized)
			g.out("OPTIONS", g.ask("OPTIONS", "/api/1", ""), http.StatusUnauthorized)
			g.out("PUT", g.ask("PUT", "/api/1", "", preflight...), http.StatusUnauthorized)
		})
	}
}

func hasUnderscore(line string) bool {
	name, _, _ := strings.Cut(line, ":")
	return strings.Contains(name, "_")
}

// anonymous wants the app to have got a request without any name of a person. A proxy may refuse it if it has an odd header.
func (g *guarded) anonymous(what string, resp *http.Response, odd bool) (s seen) {
	g.Helper()
	if odd && resp.StatusCode == http.StatusBadRequest {
		return s
	}
	if err := json.NewDecoder(resp.Body).Decode(&s); resp.StatusCode != http.StatusOK || err != nil {
		g.Fatalf("%s: %d, %v", what, resp.StatusCode, err)
	}
	for name, values := range s.names() {
		if strings.Join(values, "") != "" {
			g.Errorf("%s: the app sees %s as %q", what, name, values)
		}
	}
	return s
}

const form = "Content-Type: application/x-www-form-urlencoded"

// ended wants the page for a form that is sent without a session: it leads to the start page of the app, in a new window.
func (g *guarded) ended(what string, resp *http.Response) {
	g.Helper()
	body, err := io.ReadAll(g.out(what, resp, http.StatusUnauthorized).Body)
	if err != nil {
		g.Fatal(err)
	}
	if kind := resp.Header.Get("Content-Type"); kind != "text/html; charset=utf-8" || len(resp.Cookies()) > 0 || resp.Header.Get("Location") != "" {
		g.Errorf("%s: %v", what, resp.Header)
	}
	for _, want := range []string{`<a href="https://` + wiki + `/" target="_blank" rel="noopener">Sign in in a new window</a>`, "<h1>You need to sign in again</h1>"} {
		if !strings.Contains(string(body), want) {
			g.Errorf("%s: no %s in %s", what, want, body)
		}
	}
}

// spoofs are somebody who is in and would be somebody else.
func spoofs(g *guarded) {
	g.Helper()
	for _, lines := range append(spellings(), []string{"X-Forwarded-Uri: /admin"}, []string{"X-Forwarded-Host: other.example"}, []string{"X-Original-URL: https://other.example/"}) {
		resp := g.ask("GET", "/", "", append(lines, "Accept: text/html")...)
		if resp.StatusCode == http.StatusBadRequest { // refused is as good
			continue
		}
		g.in(fmt.Sprint(lines), resp)
	}
}
