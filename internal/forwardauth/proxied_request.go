package forwardauth

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"twostep.example/twostep/internal/render"
)

// Why a check is rejected, for the operator's log.
var (
	errUntrustedProxy   = errors.New("the peer is not a trusted proxy: see trusted_proxies and proxy_secret")
	errAmbiguousHeaders = errors.New(
		"X-Forwarded-Method, -Proto, -Host or -Uri is missing, repeated, invalid or contradicts another header")
	errSchemeMismatch = errors.New(
		"the host's scheme differs from the sign-in server's: cookies could be sent unencrypted")
	errUnknownHost = errors.New("no app has this host")
)

// proxiedRequest is the request to a host that a proxy asks about.
type proxiedRequest struct {
	method     string
	origin     string // https:// and the host
	host       string // lower case, with the port unless it is the default
	uri        string // path and query, unchanged
	noRedirect bool   // the proxy can't pass on redirects: nginx treats them as errors
}

func (p proxiedRequest) path() string {
	path, _, _ := strings.Cut(p.uri, "?")
	return path
}

func (p proxiedRequest) query() string {
	_, query, _ := strings.Cut(p.uri, "?")
	return query
}

// redirectURI returns the redirect URI of the host. The host's cookie is bound to it, so that a cookie of
// another host of the same client is not accepted.
func (p proxiedRequest) redirectURI() string { return p.origin + callbackPath }

// returnPath returns the path to go to after signing in; "/" if the requested one is not safe.
func (p proxiedRequest) returnPath() string {
	if path, ok := render.LocalPath(escape(p.uri)); ok && p.path() != callbackPath {
		return path
	}
	return "/"
}

// escape encodes what a request target should not have, but clients send: spaces, UTF-8, a backslash, a fragment.
func escape(uri string) string {
	var b strings.Builder
	for _, c := range []byte(uri) {
		if c <= ' ' || c >= 0x7f || c == '\\' || c == '#' {
			fmt.Fprintf(&b, "%%%02X", c)
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// isNavigation reports whether the request opens a page in a window, where a sign-in page would be visible. Other
// requests get a plain error instead of a redirect.
func (p proxiedRequest) isNavigation(r *http.Request) bool {
	return p.method == http.MethodGet && fillsWindow(r)
}

// isForm reports whether the request sends a form, and the browser shows the response in the window.
func (p proxiedRequest) isForm(r *http.Request) bool {
	return p.method == http.MethodPost && fillsWindow(r)
}

// fillsWindow reports whether the browser shows the response in a window, and not in a frame or to a script.
func fillsWindow(r *http.Request) bool {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate" && cmp.Or(r.Header.Get("Sec-Fetch-Dest"), "document") == "document"
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html") && r.Header.Get("X-Requested-With") == ""
}

// parseProxiedRequest reads the request that a proxy asks about. Values that come in several headers must
// agree, since one of them may have been forged by the client. It returns errUntrustedProxy if the peer is not
// a trusted proxy, errAmbiguousHeaders if the headers are not clear, and errSchemeMismatch if the host uses
// another scheme than this server.
func (a *Authorizer) parseProxiedRequest(r *http.Request) (proxiedRequest, error) {
	if !a.Pages.Origins.IsFromTrustedProxy(r) {
		return proxiedRequest{}, errUntrustedProxy
	}
	h := forwardedHeaders{header: r.Header}
	var p proxiedRequest
	method, proto, host := h.get("X-Forwarded-Method"), h.get("X-Forwarded-Proto"), h.get("X-Forwarded-Host")
	scheme, urlHost, uri := h.splitURL("X-Original-Url")
	rest, ok := strings.CutPrefix(r.RequestURI, CheckPath)
	switch {
	case !ok:
		h.ambiguous = true
	case strings.HasPrefix(rest, "/"): // Envoy
		urlHost, uri = h.requireEqual(r.Host, urlHost), h.requireEqual(rest, uri)
		method = h.requireEqual(r.Method, method)
	default:
		p.noRedirect = rest == "?reply=401"
	}
	p.method = h.requireEqual(h.get("X-Original-Method"), method)
	p.uri = h.requireEqual(h.get("X-Forwarded-Uri"), uri)
	p.host = a.trimDefaultPort(h.requireEqual(strings.ToLower(host), strings.ToLower(urlHost)))
	proto = h.requireEqual(normalizeScheme(proto), normalizeScheme(scheme))
	p.origin = a.scheme() + "://" + p.host
	switch {
	case h.ambiguous || proto == "" || !isMethod(p.method) || !hostPattern.MatchString(p.host) || !a.isRequestTarget(p):
		return proxiedRequest{}, errAmbiguousHeaders
	case proto != a.scheme():
		return p, errSchemeMismatch
	}
	return p, nil
}

// hostPattern is the host pattern of package client. It excludes a trailing dot, which browsers treat as another
// host for cookies.
var hostPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?$`)

// isMethod reports whether text is a method: a token (RFC 9110 5.6.2).
func isMethod(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}

// isRequestTarget reports whether the URI is a target of a request to the host (RFC 9112 3.2): a path, an absolute URL
// of the host, or *. Any text may follow, because the decision does not depend on it: browsers and other clients send
// characters that URLs should not have.
func (a *Authorizer) isRequestTarget(p proxiedRequest) bool {
	if strings.ContainsFunc(p.uri, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return false
	}
	if strings.HasPrefix(p.uri, "/") || p.uri == "*" {
		return true
	}
	scheme, rest, ok := strings.Cut(p.uri, "://")
	end := strings.IndexAny(rest+"/", "/?#")
	return ok && normalizeScheme(scheme) == a.scheme() && a.trimDefaultPort(strings.ToLower(rest[:end])) == p.host
}

// scheme returns the scheme of the sign-in server, which every host must share.
func (a *Authorizer) scheme() string {
	if a.Pages.Secure {
		return "https"
	}
	return "http"
}

// trimDefaultPort returns a host without the default port of the scheme.
func (a *Authorizer) trimDefaultPort(host string) string {
	if a.Pages.Secure {
		return strings.TrimSuffix(host, ":443")
	}
	return strings.TrimSuffix(host, ":80")
}

// normalizeScheme maps ws and wss to http and https, and unknown schemes to "?".
func normalizeScheme(proto string) string {
	switch strings.ToLower(proto) {
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

func (h *forwardedHeaders) get(name string) string {
	values := h.header[name]
	switch {
	case len(values) == 0:
		return ""
	case len(values) > 1 || values[0] == "":
		h.ambiguous = true
	}
	return values[0]
}

// requireEqual returns the value of two sources that must agree unless one of them is empty.
func (h *forwardedHeaders) requireEqual(a, b string) string {
	if a != "" && b != "" && a != b {
		h.ambiguous = true
	}
	return cmp.Or(a, b)
}

// splitURL splits the absolute URL in a header at fixed places, without decoding.
func (h *forwardedHeaders) splitURL(name string) (scheme, host, uri string) {
	whole := h.get(name)
	scheme, rest, ok := strings.Cut(whole, "://")
	slash := strings.IndexByte(rest, '/')
	if whole == "" || !ok || slash < 0 {
		h.ambiguous = h.ambiguous || whole != ""
		return "", "", ""
	}
	return scheme, rest[:slash], rest[slash:]
}
