package page

import (
	"fmt"
	"net/http"
	"net/netip"
	"sync"

	"twostep.example/twostep/internal/trust"
)

// Arrivals watches where requests come from, to notice a proxy that nobody has configured:
// everybody would then come from one place, and nobody could be trusted from theirs. It is
// advice for the operator and decides nothing. Health checks do not count.
type Arrivals struct {
	Proxies trust.Proxies
	Private bool // people come from private addresses

	mu      sync.Mutex
	seen    arrived
	one     netip.Addr // the last private peer that sent no forwarding headers
	several bool       // there were others
	far     netip.Addr // a proxy behind a trusted one that is not named
	said    map[fault]bool
}

// arrived counts requests; each but for all is in one count at most.
type arrived struct {
	all      int
	through  int // over trusted proxies
	far      int // over trusted proxies, from a private address that is not a person's
	unclear  int // over trusted proxies whose headers cannot be read
	silent   int // from trusted proxies that pass nothing on
	unheard  int // with forwarding headers from somebody else
	unheardP int // likewise, from a private address
	inside   int // from private addresses without such headers, that are not people's
}

const (
	// enough are the requests before anything is said that might be chance.
	enough = 20
	// window are the requests after which the older ones count half.
	window = 1000
)

// Watch counts a request and returns a warning, each kind of it once.
func (a *Arrivals) Watch(r *http.Request) (warning string) {
	if r.URL.Path == "/healthz" || r.URL.Path == "/readyz" {
		return ""
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.count(hops(r))
	what, warning := a.verdict()
	if warning == "" || a.said[what] {
		return ""
	}
	if a.said == nil {
		a.said = map[fault]bool{}
	}
	a.said[what] = true
	return warning
}

func (a *Arrivals) count(h trust.Hops) {
	if s := &a.seen; s.all >= window {
		*s = arrived{s.all / 2, s.through / 2, s.far / 2, s.unclear / 2, s.silent / 2, s.unheard / 2, s.unheardP / 2, s.inside / 2}
	}
	a.seen.all++
	client, err := a.Proxies.Client(h)
	peer, _ := trust.Proxies(nil).Client(trust.Hops{Peer: h.Peer}) // no proxies, no error
	switch known := a.Proxies.Has(peer); {
	case known && !h.Told():
		a.seen.silent++
	case known && err != nil:
		a.seen.unclear++
	case known && !a.Private && trust.Private(client):
		a.seen.far++
		a.far = client
	case known:
		a.seen.through++
	case h.Told() && trust.Private(peer):
		a.seen.unheardP++
	case h.Told():
		a.seen.unheard++
	case trust.Private(peer) && !a.Private:
		a.seen.inside++
		a.several = a.several || a.one.IsValid() && a.one != peer
		a.one = peer
	}
}

// fault is a kind of warning.
type fault int

// verdict is what is wrong, for the operator; "" if nothing is.
func (a *Arrivals) verdict() (fault, string) {
	s := a.seen
	switch {
	case s.unheardP*10 > s.all && a.Private:
		return 1, "a proxy in a private network passes requests on, but trusted_proxies does not name it: everybody behind it has its address, and is trusted from everywhere"
	case s.unheardP*10 > s.all:
		return 1, "a proxy in a private network passes requests on, but trusted_proxies does not name it: nobody's address is known, and no browser can be trusted"
	case s.unheard >= enough && s.unheard*10 > s.all*9:
		return 2, "nearly every request says that it was passed on, but trusted_proxies names no proxy they come from: if a proxy stands in front, everybody has its address"
	case s.inside >= enough && s.inside == s.all && !a.several:
		return 3, "every request comes from one private address: if that is a proxy, let it pass X-Forwarded-For on and name it in trusted_proxies; if it is people, set intranet"
	case s.far >= enough && s.far > s.through:
		return 4, fmt.Sprintf("a trusted proxy passes on requests from %s: if that is a proxy too, name it in trusted_proxies; if it is people, set intranet", a.far)
	case s.unclear >= enough && s.unclear*2 > s.through:
		return 5, "the forwarding headers of a trusted proxy cannot be read or contradict each other: let it write X-Forwarded-For, and nothing else, anew"
	case s.silent >= enough && s.silent > 9*s.through:
		return 6, "a trusted proxy passes requests on without X-Forwarded-For or Forwarded: nobody's address is known"
	}
	return 0, ""
}

// String is how requests came lately, and what is wrong with that.
func (a *Arrivals) String() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	text := fmt.Sprintf("requests: %d, %d of them over trusted proxies", a.seen.all, a.seen.through)
	if _, warning := a.verdict(); warning != "" {
		text += "\nwarning: " + warning
	}
	return text
}

// Insider reports whether a request comes from this machine or its network, and not over
// a proxy.
func Insider(r *http.Request) bool {
	peer, _ := trust.Proxies(nil).Client(trust.Hops{Peer: r.RemoteAddr}) // no proxies, no error
	return trust.Private(peer) && !hops(r).Told()
}
