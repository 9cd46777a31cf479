package forwardauth

import (
	"cmp"
	"errors"
	"net/http"
	"regexp"
	"strings"

	"twostep.example/twostep/internal/render"
)

// Why a check is rejected, for the operator's log.
var (
	errUntrustedProxy   = errors.New("the peer is not in trusted_proxies")
	errAmbiguousHeaders = errors.New("X-Forwarded-Method, -Proto, -Host or -Uri is missing, repeated, invalid or contradicts another header")
	errSchemeMismatch   = errors.New("the host's scheme differs from the sign-in server's: cookies could be sent unencrypted")
	errUnknownHost      = errors.New("no app has this host")
)

// proxiedRequest is the request to a host that a proxy asks about.
type proxiedRequest struct {
	method     string
	origin     string // https:// and the host
	host       string // lower case, with the port unless it is the default
	uri        string // path and query, unchanged
	noRedirect bool   // the proxy can't pass on redirects: nginx treats them as errors
}

func (a proxiedRequest) path() string {
	path, _, _ := strings.Cut(a.uri, "?")
	return path
}

func (a proxiedRequest) query() string {
	_, query, _ := strings.Cut(a.uri, "?")
	return query
}

// redirectURI returns the redirect URI of the host. The host's cookie is bound to it, so that a cookie of
// another host of the same client is not accepted.
func (a proxiedRequest) redirectURI() string { return a.origin + callbackPath }

// returnPath returns the path to go to after signing in; "/" if the requested one is not safe.
func (a proxiedRequest) returnPath() string {
	if path, ok := render.LocalPath(a.uri); ok && a.path() != callbackPath {
		return path
	}
	return "/"
}

// isNavigation reports whether the request is a top-level navigation, in which a sign-in page would be visible.
// Other requests get a plain error instead of a redirect.
func (a proxiedRequest) isNavigation(r *http.Request) bool {
	if a.method != http.MethodGet {
		return false
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate" && cmp.Or(r.Header.Get("Sec-Fetch-Dest"), "document") == "document"
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html") && r.Header.Get("X-Requested-With") == ""
}

// parseProxiedRequest reads the request that a proxy asks about. Values that come in several headers must
// agree, since one of them may have been forged by the client. It returns errUntrustedProxy if the peer is not
// a trusted proxy, errAmbiguousHeaders if the headers are not clear, and errSchemeMismatch if the host uses
// another scheme than this server.
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
	// hostPattern is the host pattern of package client. It excludes a trailing dot, which browsers treat as another
	// host for cookies.
	hostPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?$`)
	// requestURIPattern matches an absolute path with an optional query.
	requestURIPattern = regexp.MustCompile(`^/[!"$-\[\]-~]*$`)
)

// scheme returns the scheme of the sign-in server, which every host must share.
func (s *Authorizer) scheme() string {
	if s.Pages.Secure {
		return "https"
	}
	return "http"
}

// trimDefaultPort returns a host without the default port of the scheme.
func (s *Authorizer) trimDefaultPort(host string) string {
	if s.Pages.Secure {
		return strings.TrimSuffix(host, ":443")
	}
	return strings.TrimSuffix(host, ":80")
}

// normalizeScheme maps ws and wss to http and https, and unknown schemes to "?".
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

// forwardedHeaders reads headers that may be present once at most.
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

// requireEqual returns the value of two sources that must agree unless one of them is empty.
func (t *forwardedHeaders) requireEqual(a, b string) string {
	if a != "" && b != "" && a != b {
		t.ambiguous = true
	}
	return cmp.Or(a, b)
}

// splitURL splits the absolute URL in a header at fixed places, without decoding.
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
