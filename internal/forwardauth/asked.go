package forwardauth

import (
	"cmp"
	"errors"
	"net/http"
	"regexp"
	"strings"

	"twostep.example/twostep/internal/page"
)

// Why a question gets no answer, for the operator's log.
var (
	errStranger = errors.New("it does not come from one of trusted_proxies")
	errUnclear  = errors.New("it does not say once and clearly what was asked of which host: X-Forwarded-Method, -Proto, -Host and -Uri")
	errScheme   = errors.New("the scheme of the host is not that of the sign-in server: people's cookies would travel in the clear")
	errHost     = errors.New("no app has this host")
)

// asked is what a proxy asks about: one request to a host behind it.
type asked struct {
	method string
	origin string // https:// and the host
	host   string // in small letters, with its port unless that is the usual one
	uri    string // path and query, as they were sent
	quiet  bool   // the proxy cannot pass a redirect on: nginx takes it for a failure
}

func (a asked) path() string {
	path, _, _ := strings.Cut(a.uri, "?")
	return path
}

func (a asked) query() string {
	_, query, _ := strings.Cut(a.uri, "?")
	return query
}

// redirect is where a code for the host goes. A cookie is bound to it, so that one of another
// host of the same app is none.
func (a asked) redirect() string { return a.origin + entering }

// back is where somebody goes on who has signed in.
func (a asked) back() string {
	if path, ok := page.LocalPath(a.uri); ok && a.path() != entering {
		return path
	}
	return "/"
}

// navigates reports whether a browser opens a page in a window of its own, and would show a
// page to sign in on. Anything else is better off with a plain no (ATT-282).
func (a asked) navigates(r *http.Request) bool {
	if a.method != http.MethodGet {
		return false
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate" && cmp.Or(r.Header.Get("Sec-Fetch-Dest"), "document") == "document"
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html") && r.Header.Get("X-Requested-With") == ""
}

// read is what a proxy asks. Only those in trusted_proxies are believed: errStranger. What the
// headers say twice must be the same each time, since one of the two might be from a client
// and passed on unseen: errUnclear.
func (s *Site) read(r *http.Request) (asked, error) {
	if !s.Pages.Proxied(r) {
		return asked{}, errStranger
	}
	t := telling{header: r.Header}
	var a asked
	method, proto, host := t.one("X-Forwarded-Method"), t.one("X-Forwarded-Proto"), t.one("X-Forwarded-Host")
	scheme, there, uri := t.address("X-Original-Url")
	rest, ok := strings.CutPrefix(r.RequestURI, Checking)
	switch {
	case !ok:
		t.unclear = true
	case strings.HasPrefix(rest, "/"): // Envoy
		there, uri, method = t.same(r.Host, there), t.same(rest, uri), t.same(r.Method, method)
	default:
		a.quiet = rest == "?reply=401"
	}
	a.method = t.same(t.one("X-Original-Method"), method)
	a.uri = t.same(t.one("X-Forwarded-Uri"), uri)
	a.host = s.usual(t.same(strings.ToLower(host), strings.ToLower(there)))
	proto = t.same(plain(proto), plain(scheme))
	a.origin = s.scheme() + "://" + a.host
	switch {
	case t.unclear || !goodMethod.MatchString(a.method) || !goodHost.MatchString(a.host) || !goodURI.MatchString(a.uri) || proto == "":
		return asked{}, errUnclear
	case proto != s.scheme():
		return a, errScheme
	}
	return a, nil
}

var (
	goodMethod = regexp.MustCompile(`^[A-Z]{1,32}$`)
	// goodHost is as grant.App has it: no user, no comma, no dot at the end, which would be
	// another host for a browser's cookies.
	goodHost = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?$`)
	// goodURI is a path from the root, with an optional query.
	goodURI = regexp.MustCompile(`^/[!"$-\[\]-~]*$`)
)

// scheme is how people reach the sign-in server, and so every host behind it.
func (s *Site) scheme() string {
	if s.Pages.Secure {
		return "https"
	}
	return "http"
}

// usual is a host without the port that goes without saying.
func (s *Site) usual(host string) string {
	if s.Pages.Secure {
		return strings.TrimSuffix(host, ":443")
	}
	return strings.TrimSuffix(host, ":80")
}

// plain is the scheme of a page that would open such a connection.
func plain(proto string) string {
	switch proto {
	case "http", "ws":
		return "http"
	case "https", "wss":
		return "https"
	case "":
		return ""
	}
	return "?"
}

// telling reads headers of which each must be there once at most.
type telling struct {
	header  http.Header
	unclear bool
}

func (t *telling) one(name string) string {
	values := t.header[name]
	switch {
	case len(values) == 0:
		return ""
	case len(values) > 1 || values[0] == "":
		t.unclear = true
	}
	return values[0]
}

// same is what two places say, of which one may be silent.
func (t *telling) same(a, b string) string {
	if a != "" && b != "" && a != b {
		t.unclear = true
	}
	return cmp.Or(a, b)
}

// address takes an address apart where its writer has put it together.
func (t *telling) address(name string) (scheme, host, uri string) {
	whole := t.one(name)
	scheme, rest, ok := strings.Cut(whole, "://")
	slash := strings.IndexByte(rest, '/')
	if whole == "" || !ok || slash < 0 {
		t.unclear = t.unclear || whole != ""
		return "", "", ""
	}
	return scheme, rest[:slash], rest[slash:]
}
