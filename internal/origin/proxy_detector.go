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
func (d *ProxyDetector) Observe(r *http.Request) (warning string) {
	if r.URL.Path == "/healthz" || r.URL.Path == "/readyz" {
		return ""
	}
	if !d.mu.TryLock() {
		return ""
	}
	defer d.mu.Unlock()
	d.count(forwardingInfo(r))
	kind, warning := d.diagnose()
	if warning == "" || d.warned[kind] {
		return ""
	}
	if d.warned == nil {
		d.warned = map[warningKind]bool{}
	}
	d.warned[kind] = true
	return warning
}

func (d *ProxyDetector) count(info trust.ForwardingInfo) {
	if s := &d.counts; s.total >= decayAfter {
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
	d.counts.total++
	client, err := d.TrustedProxies.ClientAddr(info)
	peer := peerAddr(info.PeerAddr)
	switch trusted := d.TrustedProxies.Contains(peer); {
	case trusted && !info.HasHeaders():
		d.counts.missingHeaders++
	case trusted && err != nil:
		d.counts.invalidHeaders++
	case trusted && !d.PrivateClients && trust.IsPrivateAddr(client):
		d.counts.viaUntrustedProxy++
		d.untrustedProxy = client
	case trusted:
		d.counts.viaTrustedProxy++
	case info.HasHeaders() && trust.IsPrivateAddr(peer):
		d.counts.ignoredHeadersPrivate++
	case info.HasHeaders():
		d.counts.ignoredHeaders++
	case trust.IsPrivateAddr(peer) && !d.PrivateClients:
		d.counts.directPrivate++
		d.severalPrivatePeers = d.severalPrivatePeers || d.lastPrivatePeer.IsValid() && d.lastPrivatePeer != peer
		d.lastPrivatePeer = peer
	}
}

// warningKind numbers the warnings of diagnose.
type warningKind int

// diagnose returns a warning for the operator, or "".
func (d *ProxyDetector) diagnose() (warningKind, string) {
	counts := d.counts
	switch {
	case counts.ignoredHeadersPrivate*10 > counts.total && d.PrivateClients:
		return 1, "a proxy in a private network forwards requests, but is not in trusted_proxies: " +
			"everybody behind it has its address, and is trusted from everywhere"
	case counts.ignoredHeadersPrivate*10 > counts.total:
		return 1, "a proxy in a private network forwards requests, but is not in trusted_proxies: " +
			"nobody's address is known, and no browser can be trusted"
	case counts.ignoredHeaders >= minRequests && counts.ignoredHeaders*10 > counts.total*9:
		return 2, "nearly every request has forwarding headers, but comes from no proxy in trusted_proxies: " +
			"if there is a proxy, everybody has its address"
	case counts.directPrivate >= minRequests && counts.directPrivate == counts.total && !d.severalPrivatePeers:
		return 3, "every request comes from one private address: if that is a proxy, let it send X-Forwarded-For " +
			"and add it to trusted_proxies; if these are people, set intranet"
	case counts.viaUntrustedProxy >= minRequests && counts.viaUntrustedProxy > counts.viaTrustedProxy:
		return 4, fmt.Sprintf(
			"a trusted proxy forwards requests from %s: if that is a proxy too, add it to trusted_proxies; "+
				"if these are people, set intranet",
			d.untrustedProxy,
		)
	case counts.invalidHeaders >= minRequests && counts.invalidHeaders*2 > counts.viaTrustedProxy:
		return 5, "the forwarding headers of a trusted proxy cannot be read or contradict each other: " +
			"let it replace X-Forwarded-For, and send no other forwarding header"
	case counts.missingHeaders >= minRequests && counts.missingHeaders > 9*counts.viaTrustedProxy:
		return 6, "a trusted proxy forwards requests without X-Forwarded-For or Forwarded: nobody's address is known"
	}
	return 0, ""
}

// String summarizes recent requests and the current warning.
func (d *ProxyDetector) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	text := fmt.Sprintf("requests: %d, %d of them through trusted proxies", d.counts.total, d.counts.viaTrustedProxy)
	if _, warning := d.diagnose(); warning != "" {
		text += "\nwarning: " + warning
	}
	return text
}
