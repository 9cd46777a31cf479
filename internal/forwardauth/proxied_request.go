package forwardauth

import (
	"cmp"
	"errors"
	"net/http"
	"regexp"
	"strings"

	"twostep.example/twostep/internal/render"
)

// Why a question gets no answer, for the operator's log.
var (
	errUntrustedProxy   = errors.New("it does not come from one of trusted_proxies")
	errAmbiguousHeaders = errors.New("it does not say once and clearly what was asked of which host: X-Forwarded-Method, -Proto, -Host and -Uri")
	errSchemeMismatch   = errors.New("the scheme of the host is not that of the sign-in server: people's cookies would travel in the clear")
	errUnknownHost      = errors.New("no app has this host")
)

// proxiedRequest is what a proxy asks about: one request to a host behind it.
type proxiedRequest struct {
	method     string
	origin     string // https:// and the host
	host       string // in small letters, with its port unless that is the usual one
	uri        string // path and query, as they were sent
	noRedirect bool   // the proxy cannot pass a redirect on: nginx takes it for a failure
}

func (a proxiedRequest) path() string {
	path, _, _ := strings.Cut(a.uri, "?")
	return path
}

func (a proxiedRequest) query() string {
	_, query, _ := strings.Cut(a.uri, "?")
	return query
}

// redirectURI is where a code for the host goes. A cookie is bound to it, so that one of another
// host of the same app is none.
func (a proxiedRequest) redirectURI() string { return a.origin + callbackPath }

// returnPath is where somebody goes on who has signed in.
func (a proxiedRequest) returnPath() string {
	if path, ok := render.LocalPath(a.uri); ok && a.path() != callbackPath {
		return path
	}
	return "/"
}

// isNavigation reports whether a browser opens a page in a window of its own, and would show a
// page to sign in on. Anything else is better off with a plain no (ATT-282).
func (a proxiedRequest) isNavigation(r *http.Request) bool {
	if a.method != http.MethodGet {
		return false
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate" && cmp.Or(r.Header.Get("Sec-Fetch-Dest"), "document") == "document"
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html") && r.Header.Get("X-Requested-With") == ""
}

// parseProxiedRequest is what a proxy asks. Only those in trusted_proxies are believed: errStranger. What the
// headers say twice must be the same each time, since one of the two might be from a client
// and passed on unseen: errUnclear.
func (s *Authorizer) parseProxiedRequest(r *http.Request) (proxiedRequest, error) {
	if !s.Pages.Origins.IsFromTrustedProxy(r) {
		return proxiedRequest{}, errUntrustedProxy
	}
	t := forwardedHeaders{header: r.Header}
	var a proxiedRequest
	method, proto, host := t.get("X-Forwarded-Method"), t.get("X-Forwarded-Proto"), t.get("X-Forwarded-Host")
	scheme, urlHost, uri := t.splitURL("X-Original-Url")
	rest, ok := strings.CutPrefix(r.RequestURI, CheckPath)
	switch {
	case !ok:
		t.ambiguous = true
	case strings.HasPrefix(rest, "/"): // Envoy
		urlHost, uri, method = t.requireEqual(r.Host, urlHost), t.requireEqual(rest, uri), t.requireEqual(r.Method, method)
	default:
		a.noRedirect = rest == "?reply=401"
	}
	a.method = t.requireEqual(t.get("X-Original-Method"), method)
	a.uri = t.requireEqual(t.get("X-Forwarded-Uri"), uri)
	a.host = s.trimDefaultPort(t.requireEqual(strings.ToLower(host), strings.ToLower(urlHost)))
	proto = t.requireEqual(normalizeScheme(proto), normalizeScheme(scheme))
	a.origin = s.scheme() + "://" + a.host
	switch {
	case t.ambiguous || !methodPattern.MatchString(a.method) || !hostPattern.MatchString(a.host) || !requestURIPattern.MatchString(a.uri) || proto == "":
		return proxiedRequest{}, errAmbiguousHeaders
	case proto != s.scheme():
		return a, errSchemeMismatch
	}
	return a, nil
}

var (
	methodPattern = regexp.MustCompile(`^[A-Z]{1,32}$`)
	// hostPattern is as grant.App has it: no user, no comma, no dot at the end, which would be
	// another host for a browser's cookies.
	hostPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?$`)
	// requestURIPattern is a path from the root, with an optional query.
	requestURIPattern = regexp.MustCompile(`^/[!"$-\[\]-~]*$`)
)

// scheme is how people reach the sign-in server, and so every host behind it.
func (s *Authorizer) scheme() string {
	if s.Pages.Secure {
		return "https"
	}
	return "http"
}

// trimDefaultPort is a host without the port that goes without saying.
func (s *Authorizer) trimDefaultPort(host string) string {
	if s.Pages.Secure {
		return strings.TrimSuffix(host, ":443")
	}
	return strings.TrimSuffix(host, ":80")
}

// normalizeScheme is the scheme of a page that would open such a connection.
func normalizeScheme(proto string) string {
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

// forwardedHeaders reads headers of which each must be there once at most.
type forwardedHeaders struct {
	header    http.Header
	ambiguous bool
}

func (t *forwardedHeaders) get(name string) string {
	values := t.header[name]
	switch {
	case len(values) == 0:
		return ""
	case len(values) > 1 || values[0] == "":
		t.ambiguous = true
	}
	return values[0]
}

// requireEqual is what two places say, of which one may be silent.
func (t *forwardedHeaders) requireEqual(a, b string) string {
	if a != "" && b != "" && a != b {
		t.ambiguous = true
	}
	return cmp.Or(a, b)
}

// splitURL takes an address apart where its writer has put it together.
func (t *forwardedHeaders) splitURL(name string) (scheme, host, uri string) {
	whole := t.get(name)
	scheme, rest, ok := strings.Cut(whole, "://")
	slash := strings.IndexByte(rest, '/')
	if whole == "" || !ok || slash < 0 {
		t.ambiguous = t.ambiguous || whole != ""
		return "", "", ""
	}
	return scheme, rest[:slash], rest[slash:]
}
