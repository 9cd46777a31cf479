package forwardauth

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/trust"
)

const trustedPeer, untrustedPeer = "192.0.2.7:4000", "192.0.2.8:4000"

func newTestAuthorizer(secure bool) *Authorizer {
	return &Authorizer{Pages: &render.Renderer{Secure: secure, Origins: origin.Resolver{TrustedProxies: trust.TrustedProxies{netip.MustParsePrefix("192.0.2.7/32")}}}}
}

// newProxyRequest is a request with headers like "X-Forwarded-Host: wiki.example".
func newProxyRequest(method, target, peer string, lines ...string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	r.RemoteAddr, r.Host = peer, "signin.example"
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Host" {
			r.Host = value
			continue
		}
		r.Header.Add(name, value)
	}
	return r
}

// Headers of a proxy that are missing, repeated or contradictory are rejected.
func TestParseProxiedRequest(t *testing.T) {
	const method, proto, host, uri = "X-Forwarded-Method: GET", "X-Forwarded-Proto: https", "X-Forwarded-Host: wiki.example", "X-Forwarded-Uri: /a?b=c"
	long := strings.Repeat("a", 100_000)
	const clear = "GET https://wiki.example /a?b=c"
	for _, row := range []struct {
		name, target, want string
		reason             error
		lines              []string
	}{
		{"all four", "/auth/check", clear, nil, []string{method, proto, host, uri}},
		{"a web socket", "/auth/check", clear, nil, []string{method, "X-Forwarded-Proto: wss", host, uri}},
		{"capitals and the usual port", "/auth/check", clear, nil, []string{method, proto, "X-Forwarded-Host: Wiki.Example:443", uri}},
		{"another port", "/auth/check", "GET https://wiki.example:8443 /a?b=c", nil, []string{method, proto, "X-Forwarded-Host: wiki.example:8443", uri}},
		{"in one", "/auth/check", "POST https://wiki.example /a?b=c", nil, []string{"X-Original-URL: https://wiki.example/a?b=c", "X-Original-Method: POST"}},
		{"in one and in parts", "/auth/check", clear, nil, []string{"X-Original-URL: https://wiki.example/a?b=c", "X-Original-Method: GET", method, proto, host, uri}},
		{"behind the path", "/auth/check/a?b=c", "DELETE https://wiki.example /a?b=c", nil, []string{"METHOD: DELETE", proto, "Host: wiki.example"}},
		{"behind the path and in parts", "/auth/check/a?b=c", clear, nil, []string{method, proto, host, uri, "Host: wiki.example"}},
		{"quietly", "/auth/check?reply=401", clear + " quiet", nil, []string{method, proto, host, uri}},
		{"another query", "/auth/check?reply=401&x", clear, nil, []string{method, proto, host, uri}},
		{"quietly behind the path", "/auth/check/?reply=401", "GET https://wiki.example /?reply=401", nil, []string{proto, "Host: wiki.example"}},

		{"nothing", "/auth/check", "", errAmbiguousHeaders, nil},
		{"no method", "/auth/check", "", errAmbiguousHeaders, []string{proto, host, uri}},
		{"no scheme", "/auth/check", "", errAmbiguousHeaders, []string{method, host, uri}},
		{"no host", "/auth/check", "", errAmbiguousHeaders, []string{method, proto, uri, "Host: wiki.example"}},
		{"no address", "/auth/check", "", errAmbiguousHeaders, []string{method, proto, host}},
		{"an empty address", "/auth/check", "", errAmbiguousHeaders, []string{method, proto, host, "X-Forwarded-Uri: "}},
		{"http", "/auth/check", "", errSchemeMismatch, []string{method, "X-Forwarded-Proto: http", host, uri}},
		{"ftp", "/auth/check", "", errSchemeMismatch, []string{method, "X-Forwarded-Proto: ftp", host, uri}},
		{"two schemes", "/auth/check", "", errSchemeMismatch, []string{method, "X-Forwarded-Proto: https,http", host, uri}},
		{"two hosts", "/auth/check", "", errAmbiguousHeaders, []string{method, proto, host, host, uri}},
		{"two hosts in a line", "/auth/check", "", errAmbiguousHeaders, []string{method, proto, "X-Forwarded-Host: wiki.example, evil.example", uri}},
		{"two addresses", "/auth/check", "", errAmbiguousHeaders, []string{method, proto, host, uri, "X-Forwarded-Uri: /.twostep/enter"}},
		{"two methods", "/auth/check", "", errAmbiguousHeaders, []string{method, method, proto, host, uri}},
		{"a user", "/auth/check", "", errAmbiguousHeaders, []string{method, proto, "X-Forwarded-Host: good@wiki.example", uri}},
		{"a dot at the end", "/auth/check", "", errAmbiguousHeaders, []string{method, proto, "X-Forwarded-Host: wiki.example.", uri}},
		{"a path in the host", "/auth/check", "", errAmbiguousHeaders, []string{method, proto, "X-Forwarded-Host: wiki.example/x", uri}},
		{"no path", "/auth/check", "", errAmbiguousHeaders, []string{method, proto, host, "X-Forwarded-Uri: a"}},
		{"a whole address", "/auth/check", "", errAmbiguousHeaders, []string{method, proto, host, "X-Forwarded-Uri: https://evil.example/"}},
		{"an absolute URL of the host", "/auth/check", "GET https://wiki.example https://wiki.example/a?b", nil, []string{method, proto, host, "X-Forwarded-Uri: https://wiki.example/a?b"}},
		{"an absolute URL with capitals and the port", "/auth/check", "GET https://wiki.example HTTPS://Wiki.Example:443/a", nil, []string{method, proto, host, "X-Forwarded-Uri: HTTPS://Wiki.Example:443/a"}},
		{"an absolute URL without a path", "/auth/check", "GET https://wiki.example https://wiki.example?b", nil, []string{method, proto, host, "X-Forwarded-Uri: https://wiki.example?b"}},
		{"an absolute URL of a web socket", "/auth/check", "GET https://wiki.example wss://wiki.example/", nil, []string{method, proto, host, "X-Forwarded-Uri: wss://wiki.example/"}},
		{"an absolute URL of a host that begins like it", "/auth/check", "", errAmbiguousHeaders, []string{method, proto, host, "X-Forwarded-Uri: https://wiki.example.evil/"}},
		{"an absolute URL with another scheme", "/auth/check", "", errAmbiguousHeaders, []string{method, proto, host, "X-Forwarded-Uri: http://wiki.example/"}},
		{"an absolute URL with a user", "/auth/check", "", errAmbiguousHeaders, []string{method, proto, host, "X-Forwarded-Uri: https://wiki.example@evil.example/"}},
		{"a star", "/auth/check", "OPTIONS https://wiki.example *", nil, []string{"X-Forwarded-Method: OPTIONS", proto, host, "X-Forwarded-Uri: *"}},
		{"a fragment", "/auth/check", "GET https://wiki.example /a#b", nil, []string{method, proto, host, "X-Forwarded-Uri: /a#b"}},
		{"a line end", "/auth/check", "", errAmbiguousHeaders, []string{method, proto, host, "X-Forwarded-Uri: /a\r\nSet-Cookie: a"}},
		{"a backslash", "/auth/check", `GET https://wiki.example /\evil.example`, nil, []string{method, proto, host, `X-Forwarded-Uri: /\evil.example`}},
		{"a backslash in the query", "/auth/check", `GET https://wiki.example /search?path=C:\x`, nil, []string{method, proto, host, `X-Forwarded-Uri: /search?path=C:\x`}},
		{"UTF-8", "/auth/check", "GET https://wiki.example /müsli?q=ä", nil, []string{method, proto, host, "X-Forwarded-Uri: /müsli?q=ä"}},
		{"a byte that is no UTF-8", "/auth/check", "GET https://wiki.example /a\xff", nil, []string{method, proto, host, "X-Forwarded-Uri: /a\xff"}},
		{"a control character in the query", "/auth/check", "", errAmbiguousHeaders, []string{method, proto, host, "X-Forwarded-Uri: /a?b\x01"}},
		{"a fragment in the query", "/auth/check", "GET https://wiki.example /a?b#c", nil, []string{method, proto, host, "X-Forwarded-Uri: /a?b#c"}},
		{"a space", "/auth/check", "GET https://wiki.example /a b", nil, []string{method, proto, host, "X-Forwarded-Uri: /a b"}},
		{"characters that URLs do not have", "/auth/check", "GET https://wiki.example /a|^<>{}`%zz;x=\"?%&|^\"[]", nil, []string{method, proto, host, "X-Forwarded-Uri: /a|^<>{}`%zz;x=\"?%&|^\"[]"}},
		{"a method of WebDAV", "/auth/check", "VERSION-CONTROL https://wiki.example /a?b=c", nil, []string{"X-Forwarded-Method: VERSION-CONTROL", proto, host, uri}},
		{"a method with a space", "/auth/check", "", errAmbiguousHeaders, []string{"X-Forwarded-Method: GET /x", proto, host, uri}},
		{"a long query", "/auth/check", "GET https://wiki.example /a?" + long, nil, []string{method, proto, host, "X-Forwarded-Uri: /a?" + long}},
		{"a small method", "/auth/check", "get https://wiki.example /a?b=c", nil, []string{"X-Forwarded-Method: get", proto, host, uri}},
		{"a scheme in capitals", "/auth/check", clear, nil, []string{method, "X-Forwarded-Proto: HTTPS", host, uri}},
		{"another host in one", "/auth/check", "", errAmbiguousHeaders, []string{method, proto, host, uri, "X-Original-URL: https://evil.example/a?b=c"}},
		{"another path in one", "/auth/check", "", errAmbiguousHeaders, []string{method, proto, host, uri, "X-Original-URL: https://wiki.example/"}},
		{"another scheme in one", "/auth/check", "", errAmbiguousHeaders, []string{method, proto, host, uri, "X-Original-URL: http://wiki.example/a?b=c"}},
		{"another method in one", "/auth/check", "", errAmbiguousHeaders, []string{method, proto, host, uri, "X-Original-Method: POST"}},
		{"half of one", "/auth/check", "", errAmbiguousHeaders, []string{method, proto, host, uri, "X-Original-URL: wiki.example"}},
		{"another host behind the path", "/auth/check/a?b=c", "", errAmbiguousHeaders, []string{method, proto, host, uri, "Host: evil.example"}},
		{"another address behind the path", "/auth/check/x", "", errAmbiguousHeaders, []string{method, proto, host, uri, "Host: wiki.example"}},
	} {
		verb := "GET"
		if len(row.lines) > 0 && strings.HasPrefix(row.lines[0], "METHOD: ") {
			verb = strings.TrimPrefix(row.lines[0], "METHOD: ")
			row.lines = row.lines[1:]
		}
		p, err := newTestAuthorizer(true).parseProxiedRequest(newProxyRequest(verb, row.target, trustedPeer, row.lines...))
		got := p.method + " " + p.origin + " " + p.uri
		if p.noRedirect {
			got += " quiet"
		}
		if err != row.reason || err == nil && got != row.want {
			t.Errorf("%s: got %q, %v, want %q, %v", row.name, got, err, row.want, row.reason)
		}
		if _, err := newTestAuthorizer(true).parseProxiedRequest(newProxyRequest(verb, row.target, untrustedPeer, row.lines...)); err != errUntrustedProxy {
			t.Errorf("%s, from an untrusted peer: got %v, want %v", row.name, err, errUntrustedProxy)
		}
	}
}

// With an http public URL the hosts use http too.
func TestParseProxiedRequestOverHTTP(t *testing.T) {
	lines := []string{"X-Forwarded-Method: GET", "X-Forwarded-Host: wiki.localhost:80", "X-Forwarded-Uri: /"}
	p, err := newTestAuthorizer(false).parseProxiedRequest(newProxyRequest("GET", "/auth/check", trustedPeer, append(lines, "X-Forwarded-Proto: http")...))
	if err != nil || p.origin != "http://wiki.localhost" {
		t.Errorf("got %q, %v", p.origin, err)
	}
	if _, err := newTestAuthorizer(false).parseProxiedRequest(newProxyRequest("GET", "/auth/check", trustedPeer, append(lines, "X-Forwarded-Proto: https")...)); err != errSchemeMismatch {
		t.Errorf("https: got %v, want %v", err, errSchemeMismatch)
	}
}

// Only top-level navigations are redirected to sign in.
func TestIsNavigation(t *testing.T) {
	for _, row := range []struct {
		method string
		lines  []string
		want   bool
	}{
		{"GET", []string{"Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}, true},
		{"GET", []string{"Sec-Fetch-Mode: navigate"}, true},
		{"GET", []string{"Accept: text/html,*/*;q=0.8"}, true},
		{"GET", []string{"Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe", "Accept: text/html"}, false},
		{"GET", []string{"Sec-Fetch-Mode: cors", "Accept: text/html"}, false},
		{"GET", []string{"Sec-Fetch-Mode: websocket"}, false},
		{"GET", []string{"Accept: text/html", "X-Requested-With: XMLHttpRequest"}, false},
		{"GET", []string{"Accept: */*"}, false},
		{"GET", nil, false},
		{"HEAD", []string{"Sec-Fetch-Mode: navigate"}, false},
		{"POST", []string{"Sec-Fetch-Mode: navigate", "Accept: text/html"}, false},
		{"OPTIONS", []string{"Accept: text/html"}, false},
	} {
		if got := (proxiedRequest{method: row.method}).isNavigation(newProxyRequest("GET", "/auth/check", trustedPeer, row.lines...)); got != row.want {
			t.Errorf("%s %q: got %v, want %v", row.method, row.lines, got, row.want)
		}
	}
}

// A request that sends a form gets the page that leads to the sign-in; one of a script or in a frame does not.
func TestIsForm(t *testing.T) {
	for _, row := range []struct {
		method string
		lines  []string
		want   bool
	}{
		{"POST", []string{"Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}, true},
		{"POST", []string{"Accept: text/html,*/*;q=0.8"}, true},
		{"POST", []string{"Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe", "Accept: text/html"}, false},
		{"POST", []string{"Sec-Fetch-Mode: cors", "Accept: text/html"}, false},
		{"POST", []string{"Accept: text/html", "X-Requested-With: XMLHttpRequest"}, false},
		{"POST", []string{"Accept: application/json"}, false},
		{"POST", nil, false},
		{"PUT", []string{"Accept: text/html"}, false},
		{"GET", []string{"Accept: text/html"}, false},
	} {
		r := newProxyRequest("GET", "/auth/check", trustedPeer, row.lines...)
		if got := (proxiedRequest{method: row.method}).isForm(r); got != row.want {
			t.Errorf("%s %q: got %v, want %v", row.method, row.lines, got, row.want)
		}
	}
}

// The page leads to the start page of the app, whatever was asked for, in the language of the reader. Its policy allows
// its style and nothing else.
func TestEndedPage(t *testing.T) {
	for language, want := range map[string]string{"en": "You need to sign in again", "de": "melden Sie sich noch einmal an"} {
		a := newTestAuthorizer(true)
		a.Pages.Site = "<b>Example</b>"
		w := httptest.NewRecorder()
		r := newProxyRequest("GET", "/auth/check", trustedPeer, "Accept-Language: "+language)
		req := proxiedRequest{method: "POST", origin: "https://wiki.example", uri: "/a?b=<script>"}
		if err := a.writeEnded(w, r, req); err != nil {
			t.Fatal(err)
		}
		body := w.Body.String()
		if w.Code != http.StatusUnauthorized || !strings.Contains(body, want) || strings.Contains(body, "<b>") ||
			strings.Contains(body, "script") ||
			!strings.Contains(body, `<a href="https://wiki.example/" target="_blank" rel="noopener">`) ||
			!strings.Contains(body, `<html lang="`+language+`" dir="ltr">`) {
			t.Errorf("%s: %d %s", language, w.Code, body)
		}
		_, rest, _ := strings.Cut(body, "<style>")
		style, _, _ := strings.Cut(rest, "</style>")
		sum := sha256.Sum256([]byte(style))
		hash := "style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "';"
		policy := w.Header().Get("Content-Security-Policy")
		if len(style) < 100 || !strings.Contains(policy, hash) || !strings.Contains(policy, "default-src 'none';") {
			t.Errorf("%s: the policy is %q, want %s", language, policy, hash)
		}
		if folder := os.Getenv("TWOSTEP_PAGES"); folder != "" {
			_ = os.WriteFile(filepath.Join(folder, language+"-forward-ended.html"), w.Body.Bytes(), 0o644)
		}
	}
}

// The return path always stays on the same host.
func TestReturnPathStaysOnHost(t *testing.T) {
	for uri, want := range map[string]string{
		`/search?path=C:\x`: "/search?path=C:%5Cx", "/müsli?q=ä": "/m%C3%BCsli?q=%C3%A4", "/a b#c": "/a%20b%23c", `/a?b|^"`: `/a?b|^"`,
		"*": "/", "https://wiki.example/a": "/", `/\evil.example`: "/", "/%zz": "/",
		"/": "/", "/a/b?c=d&e": "/a/b?c=d&e", "/%C3%A4": "/%C3%A4",
		"//evil.example": "/", "/%2f/evil.example": "/", "/./": "/", "/a/../b": "/", "/.twostep/enter?code=x": "/", "/" + strings.Repeat("a", 2000): "/",
	} {
		if got := (proxiedRequest{uri: uri}).returnPath(); got != want {
			t.Errorf("%.40s: got %s, want %s", uri, got, want)
		}
	}
}

// Whatever the headers contain, the result is a valid host, path and method, or an error.
func FuzzParseProxiedRequest(f *testing.F) {
	f.Add("GET", "https", "wiki.example", "/a?b", "")
	f.Add("GET", "wss", "WIKI.example:443", "/%2f/", "https://wiki.example/%2f/")
	f.Add("", "", "a,b", "//x", "https://a@b/")
	f.Fuzz(func(t *testing.T, method, proto, host, uri, whole string) {
		r := newProxyRequest("GET", "/auth/check", trustedPeer)
		for name, value := range map[string]string{"X-Forwarded-Method": method, "X-Forwarded-Proto": proto, "X-Forwarded-Host": host, "X-Forwarded-Uri": uri, "X-Original-Url": whole} {
			if value != "" {
				r.Header[name] = []string{value}
			}
		}
		p, err := newTestAuthorizer(true).parseProxiedRequest(r)
		if err != nil {
			return
		}
		page, ok := render.LocalPath(p.returnPath())
		if !ok || p.origin != "https://"+p.host || strings.ContainsAny(p.host+p.method, "/@,\\ \r\n\t?") || strings.ContainsAny(p.host, "#") || strings.ContainsAny(p.uri, "\r\n") {
			t.Errorf("%+v returns to %q", p, page)
		}
		if again, ok := newTestAuthorizer(true).parseReturnURL(p.origin + p.returnPath()); !ok || again.redirectURI() != p.redirectURI() || again.returnPath() != p.returnPath() {
			t.Errorf("%+v does not survive the round trip: %+v", p, again)
		}
	})
}
