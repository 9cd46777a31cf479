package origin

import (
	"net/http"
	"regexp"
	"slices"
)

// proxyHeader matches the names of headers that reverse proxies, load balancers, CDNs and tunnels add, and browsers do
// not: Forwarded (RFC 7239), Via (RFC 9110 7.6.3), X-Forwarded-For, X-Real-IP, True-Client-IP, CF-Ray, X-Amzn-Trace-Id
// and so on.
var proxyHeader = regexp.MustCompile(`(?i)^via$|forward|prox(y|ied)|^x-real-|` +
	`(client|cluster|connecting|originating|remote|source|user|true|edge|peer|host)-?(ip|addr|address)$|` +
	`^(x-)?(cf|cdn|fastly|fly|akamai|envoy|amz|amzn|azure|arr|appengine|cloud-trace|google|vercel|varnish|nf|sucuri|` +
	`incap|ali|original|haproxy|traefik|nginx|kong|ngrok|tailscale|heroku|render|do|b3)-|` +
	`^x-(host|scheme|url-scheme|server|varnish|request-start|request-id|envoy.*|original.*|ssl.*)$|^front-end-https$`)

// ForwardedBy returns what shows that a request has passed through a proxy: the name of a header, or HTTP/1.0, which
// nginx speaks by default and no browser does. It returns "" if nothing shows it; a proxy may add nothing.
func ForwardedBy(r *http.Request) string {
	if !r.ProtoAtLeast(1, 1) {
		return r.Proto
	}
	var found []string
	for name := range r.Header {
		if proxyHeader.MatchString(name) {
			found = append(found, name)
		}
	}
	if len(found) == 0 {
		return ""
	}
	return slices.Min(found)
}
