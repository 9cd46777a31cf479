package origin

import (
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"twostep.example/twostep/internal/fault"
	"twostep.example/twostep/internal/trust"
)

// ProxyDetector looks at how requests arrive, to notice a proxy that is missing from trusted_proxies: all clients would
// seem to come from its address. It only advises the operator and decides nothing. It ignores health checks, and
// requests that arrive while it counts another one: a sample is enough, and no request waits for it.
type ProxyDetector struct {
	Resolver

	mu                  sync.Mutex
	counts              requestCounts
	lastPrivatePeer     netip.Addr // the last private peer without forwarding headers
	severalPrivatePeers bool       // there was more than one
	untrustedProxy      netip.Addr // a private address behind a trusted proxy
	warned              map[warningKind]bool
	secretMissing       fault.Throttle
}

// requestCounts counts requests. Each request is in total and in at most one other count.
type requestCounts struct {
	total                 int
	viaTrustedProxy       int // over trusted proxies, with a client address
	viaUntrustedProxy     int // over trusted proxies, from a private address
	invalidHeaders        int // over trusted proxies, with headers that cannot be parsed
	missingHeaders        int // from trusted proxies, without forwarding headers
	ignoredHeaders        int // with forwarding headers, from an untrusted peer
	ignoredHeadersPrivate int // with forwarding headers, from an untrusted peer with a private address
	directPrivate         int // from private addresses, without forwarding headers
}

const (
	// minRequests is how many requests are needed before a pattern is reported.
	minRequests = 20
	// decayAfter is after how many requests the counts are halved.
	decayAfter = 1000
)

// Observe counts a request at the time now. It returns a warning for the log, or "". Each kind of warning is returned
// once; that about a missing secret once a minute.
func (a *ProxyDetector) Observe(r *http.Request, now time.Time) (warning string) {
	if len(a.secret) > 0 && forwardingInfo(r).HasHeaders() && !a.IsFromTrustedProxy(r) {
		if a.secretMissing.Allow(now) {
			return secretWarning
		}
		return ""
	}
	if r.URL.Path == "/healthz" || r.URL.Path == "/readyz" {
		return ""
	}
	if !a.mu.TryLock() {
		return ""
	}
	defer a.mu.Unlock()
	a.count(r)
	kind, warning := a.diagnose()
	if warning == "" || a.warned[kind] {
		return ""
	}
	if a.warned == nil {
		a.warned = map[warningKind]bool{}
	}
	a.warned[kind] = true
	return warning
}

// secretWarning is the warning about forwarding headers that are ignored because the secret is missing.
const secretWarning = "requests have forwarding headers, but not the proxy_secret, so the headers are ignored: let " +
	"the proxy set the header " + ProxySecretHeader + " to the value of proxy_secret"

func (a *ProxyDetector) count(r *http.Request) {
	if s := &a.counts; s.total >= decayAfter {
		*s = requestCounts{
			s.total / 2,
			s.viaTrustedProxy / 2,
			s.viaUntrustedProxy / 2,
			s.invalidHeaders / 2,
			s.missingHeaders / 2,
			s.ignoredHeaders / 2,
			s.ignoredHeadersPrivate / 2,
			s.directPrivate / 2,
		}
	}
	a.counts.total++
	client, err := a.clientAddr(r)
	h, peer := forwardingInfo(r), peerAddr(r.RemoteAddr)
	switch known := a.IsFromTrustedProxy(r); {
	case known && !h.HasHeaders():
		a.counts.missingHeaders++
	case known && err != nil:
		a.counts.invalidHeaders++
	case known && !a.PrivateClients && trust.IsPrivateAddr(client):
		a.counts.viaUntrustedProxy++
		a.untrustedProxy = client
	case known:
		a.counts.viaTrustedProxy++
	case h.HasHeaders() && trust.IsPrivateAddr(peer):
		a.counts.ignoredHeadersPrivate++
	case h.HasHeaders():
		a.counts.ignoredHeaders++
	case trust.IsPrivateAddr(peer) && !a.PrivateClients:
		a.counts.directPrivate++
		a.severalPrivatePeers = a.severalPrivatePeers || a.lastPrivatePeer.IsValid() && a.lastPrivatePeer != peer
		a.lastPrivatePeer = peer
	}
}

// warningKind is a kind of warning.
type warningKind int

// diagnose returns what is wrong, for the operator; "" if nothing is.
func (a *ProxyDetector) diagnose() (warningKind, string) {
	s := a.counts
	switch {
	case s.ignoredHeadersPrivate*10 > s.total && a.PrivateClients:
		return 1, "a proxy in a private network forwards requests, but is not in trusted_proxies: " +
			"all clients have its address, and a trusted device is trusted everywhere"
	case s.ignoredHeadersPrivate*10 > s.total:
		return 1, "a proxy in a private network forwards requests, but is not in trusted_proxies: " +
			"client addresses are unknown, and no device can be trusted"
	case s.ignoredHeaders >= minRequests && s.ignoredHeaders*10 > s.total*9:
		return 2, "nearly every request has a forwarding header, but comes from no proxy in trusted_proxies: " +
			"if there is a proxy, all clients have its address"
	case s.directPrivate >= minRequests && s.directPrivate == s.total && !a.severalPrivatePeers:
		return 3, "every request comes from one private address: if it is a proxy, let it set X-Forwarded-For " +
			"and add it to trusted_proxies; if it is a client, set intranet = true"
	case s.viaUntrustedProxy >= minRequests && s.viaUntrustedProxy > s.viaTrustedProxy:
		return 4, fmt.Sprintf(
			"a trusted proxy forwards requests from %s: if it is a proxy too, add it to trusted_proxies; "+
				"if it is a client, set intranet = true",
			a.untrustedProxy,
		)
	case s.invalidHeaders >= minRequests && s.invalidHeaders*2 > s.viaTrustedProxy:
		return 5, "the forwarding headers of a trusted proxy cannot be read or contradict each other: " +
			"let it overwrite X-Forwarded-For and remove Forwarded"
	case s.missingHeaders >= minRequests && s.missingHeaders > 9*s.viaTrustedProxy:
		return 6, "a trusted proxy forwards requests without X-Forwarded-For or Forwarded: client addresses are unknown"
	}
	return 0, ""
}

// Found reports whether requests arrive in a way that an operator should correct; false for a nil ProxyDetector.
func (a *ProxyDetector) Found() bool {
	if a == nil {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	_, warning := a.diagnose()
	return warning != ""
}

// String returns the counts of recent requests and the current warning; "" for a nil ProxyDetector.
func (a *ProxyDetector) String() string {
	if a == nil {
		return ""
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	text := fmt.Sprintf("requests: %d, of these through trusted proxies: %d", a.counts.total, a.counts.viaTrustedProxy)
	if _, warning := a.diagnose(); warning != "" {
		text += "\nwarning: " + warning
	}
	return text
}
