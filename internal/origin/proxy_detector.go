package origin

import (
	"fmt"
	"net/http"
	"net/netip"
	"sync"

	"twostep.example/twostep/internal/trust"
)

// ProxyDetector watches where requests come from, to notice a proxy that nobody has configured:
// everybody would then come from one place, and nobody could be trusted from theirs. It is
// advice for the operator and decides nothing. Health checks do not count.
type ProxyDetector struct {
	Resolver

	mu                  sync.Mutex
	counts              requestCounts
	lastPrivatePeer     netip.Addr // the last private peer that sent no forwarding headers
	severalPrivatePeers bool       // there were others
	untrustedProxy      netip.Addr // a proxy behind a trusted one that is not named
	warned              map[warningKind]bool
}

// requestCounts counts requests; each but for all is in one count at most.
type requestCounts struct {
	total                 int
	viaTrustedProxy       int // over trusted proxies
	viaUntrustedProxy     int // over trusted proxies, from a private address that is not a person's
	invalidHeaders        int // over trusted proxies whose headers cannot be read
	missingHeaders        int // from trusted proxies that pass nothing on
	ignoredHeaders        int // with forwarding headers from somebody else
	ignoredHeadersPrivate int // likewise, from a private address
	directPrivate         int // from private addresses without such headers, that are not people's
}

const (
	// minRequests are the requests before anything is said that might be chance.
	minRequests = 20
	// decayAfter are the requests after which the older ones count half.
	decayAfter = 1000
)

// Observe counts a request and returns a warning, each kind of it once.
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

// warningKind is a kind of warning.
type warningKind int

// diagnose is what is wrong, for the operator; "" if nothing is.
func (a *ProxyDetector) diagnose() (warningKind, string) {
	s := a.counts
	switch {
	case s.ignoredHeadersPrivate*10 > s.total && a.PrivateClients:
		return 1, "a proxy in a private network passes requests on, but trusted_proxies does not name it: everybody behind it has its address, and is trusted from everywhere"
	case s.ignoredHeadersPrivate*10 > s.total:
		return 1, "a proxy in a private network passes requests on, but trusted_proxies does not name it: nobody's address is known, and no browser can be trusted"
	case s.ignoredHeaders >= minRequests && s.ignoredHeaders*10 > s.total*9:
		return 2, "nearly every request says that it was passed on, but trusted_proxies names no proxy they come from: if a proxy stands in front, everybody has its address"
	case s.directPrivate >= minRequests && s.directPrivate == s.total && !a.severalPrivatePeers:
		return 3, "every request comes from one private address: if that is a proxy, let it pass X-Forwarded-For on and name it in trusted_proxies; if it is people, set intranet"
	case s.viaUntrustedProxy >= minRequests && s.viaUntrustedProxy > s.viaTrustedProxy:
		return 4, fmt.Sprintf(
			"a trusted proxy passes on requests from %s: if that is a proxy too, name it in trusted_proxies; if it is people, set intranet",
			a.untrustedProxy,
		)
	case s.invalidHeaders >= minRequests && s.invalidHeaders*2 > s.viaTrustedProxy:
		return 5, "the forwarding headers of a trusted proxy cannot be read or contradict each other: let it write X-Forwarded-For, and nothing else, anew"
	case s.missingHeaders >= minRequests && s.missingHeaders > 9*s.viaTrustedProxy:
		return 6, "a trusted proxy passes requests on without X-Forwarded-For or Forwarded: nobody's address is known"
	}
	return 0, ""
}

// String is how requests came lately, and what is wrong with that.
func (a *ProxyDetector) String() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	text := fmt.Sprintf("requests: %d, %d of them over trusted proxies", a.counts.total, a.counts.viaTrustedProxy)
	if _, warning := a.diagnose(); warning != "" {
		text += "\nwarning: " + warning
	}
	return text
}
