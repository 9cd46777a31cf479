package origin

import (
	"fmt"
	"net/http"
	"net/netip"
	"sync"

	"twostep.example/twostep/internal/trust"
)

// ProxyDetector counts where requests come from, to notice a reverse proxy that is not configured: all clients
// would then seem to have one address, and no browser could be trusted. It only warns the operator. Health
// checks are not counted.
type ProxyDetector struct {
	Resolver

	mu                  sync.Mutex
	counts              requestCounts
	lastPrivatePeer     netip.Addr // the last private peer that sent no forwarding headers
	severalPrivatePeers bool       // more than one private peer was seen
	untrustedProxy      netip.Addr // an address behind a trusted proxy that is not in trusted_proxies
	warned              map[warningKind]bool
}

// requestCounts counts requests. Each request is in total and in at most one other count.
type requestCounts struct {
	total                 int
	viaTrustedProxy       int // through a trusted proxy
	viaUntrustedProxy     int // through a trusted proxy, from a private address, without PrivateClients
	invalidHeaders        int // from a trusted proxy, with unreadable headers
	missingHeaders        int // from a trusted proxy, without forwarding headers
	ignoredHeaders        int // with forwarding headers, from an untrusted public address
	ignoredHeadersPrivate int // with forwarding headers, from an untrusted private address
	directPrivate         int // without forwarding headers, from a private address, without PrivateClients
}

const (
	// minRequests is the number of requests before warnings that a few requests could cause by chance.
	minRequests = 20
	// decayAfter is the number of requests after which all counts are halved.
	decayAfter = 1000
)

// Observe counts a request. It returns a warning the first time that one is due, and "" otherwise.
func (a *ProxyDetector) Observe(r *http.Request) (warning string) {
	if r.URL.Path == "/healthz" || r.URL.Path == "/readyz" {
		return ""
	}
	if !a.mu.TryLock() {
		return ""
	}
	defer a.mu.Unlock()
	a.count(forwardingInfo(r))
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

func (a *ProxyDetector) count(h trust.ForwardingInfo) {
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
	client, err := a.TrustedProxies.ClientAddr(h)
	peer := peerAddr(h.PeerAddr)
	switch known := a.TrustedProxies.Contains(peer); {
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

type warningKind int

// diagnose returns a warning for the operator, or "".
func (a *ProxyDetector) diagnose() (warningKind, string) {
	s := a.counts
	switch {
	case s.ignoredHeadersPrivate*10 > s.total && a.PrivateClients:
		return 1, "a proxy in a private network forwards requests, but is not in trusted_proxies: everybody behind it has its address, and is trusted from everywhere"
	case s.ignoredHeadersPrivate*10 > s.total:
		return 1, "a proxy in a private network forwards requests, but is not in trusted_proxies: nobody's address is known, and no browser can be trusted"
	case s.ignoredHeaders >= minRequests && s.ignoredHeaders*10 > s.total*9:
		return 2, "nearly every request has forwarding headers, but comes from no proxy in trusted_proxies: if there is a proxy, everybody has its address"
	case s.directPrivate >= minRequests && s.directPrivate == s.total && !a.severalPrivatePeers:
		return 3, "every request comes from one private address: if that is a proxy, let it send X-Forwarded-For and add it to trusted_proxies; if these are people, set intranet"
	case s.viaUntrustedProxy >= minRequests && s.viaUntrustedProxy > s.viaTrustedProxy:
		return 4, fmt.Sprintf(
			"a trusted proxy forwards requests from %s: if that is a proxy too, add it to trusted_proxies; if these are people, set intranet",
			a.untrustedProxy,
		)
	case s.invalidHeaders >= minRequests && s.invalidHeaders*2 > s.viaTrustedProxy:
		return 5, "the forwarding headers of a trusted proxy cannot be read or contradict each other: let it replace X-Forwarded-For, and send no other forwarding header"
	case s.missingHeaders >= minRequests && s.missingHeaders > 9*s.viaTrustedProxy:
		return 6, "a trusted proxy forwards requests without X-Forwarded-For or Forwarded: nobody's address is known"
	}
	return 0, ""
}

// String summarizes recent requests and the current warning.
func (a *ProxyDetector) String() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	text := fmt.Sprintf("requests: %d, %d of them through trusted proxies", a.counts.total, a.counts.viaTrustedProxy)
	if _, warning := a.diagnose(); warning != "" {
		text += "\nwarning: " + warning
	}
	return text
}
