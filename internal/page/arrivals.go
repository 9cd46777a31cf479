package page

import (
	"fmt"
	"net/http"
	"net/netip"
	"sync"

	"twostep/internal/trust"
)

// Arrivals watches where requests come from, to notice a proxy that nobody has configured:
// everybody would then come from one place, and nobody could be trusted from theirs. It is
// advice for the operator and decides nothing.
type Arrivals struct {
	mu       sync.Mutex
	all      int
	through  int // over configured proxies
	unclear  int // over configured proxies whose headers cannot be read
	silent   int // from configured proxies that pass nothing on
	unheard  int // with forwarding headers from somebody else
	inside   int // from private addresses without such headers
	unheardP int // of unheard, from private addresses
	one      netip.Addr
	several  bool // private addresses, other than one
	said     string
}

// enough are the requests before anything is said that might be chance.
const enough = 20

// Watch counts a request and returns a warning the first time there is one, and again if
// it changes.
func (a *Arrivals) Watch(r *http.Request, proxies trust.Proxies) (warning string) {
	h := hops(r)
	_, err := proxies.Client(h)
	peer, _ := trust.Proxies(nil).Client(trust.Hops{Peer: h.Peer}) // no proxies, no error
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all++
	switch known := proxies.Has(peer); {
	case known && err != nil:
		a.unclear++
	case known && h.Told():
		a.through++
	case known:
		a.silent++
	case h.Told():
		a.unheard++
		if trust.Private(peer) {
			a.unheardP++
		}
	case trust.Private(peer):
		a.inside++
		a.several = a.several || a.one.IsValid() && a.one != peer
		a.one = peer
	}
	if now := a.verdict(); now != a.said {
		a.said = now
		return now
	}
	return ""
}

// verdict is what is wrong, for the operator; "" if nothing is.
func (a *Arrivals) verdict() string {
	switch {
	case a.unheardP > 0:
		return "a proxy in a private network passes requests on, but trusted_proxies does not name it: nobody's address is known, and no browser can be trusted"
	case a.unheard >= enough && a.unheard*10 > a.all*9:
		return "nearly every request says that it was passed on, but trusted_proxies names no proxy they come from: if a proxy stands in front, everybody has its address"
	case a.inside >= enough && a.inside == a.all && !a.several:
		return "every request comes from one private address: if that is a proxy, let it pass X-Forwarded-For on and name it in trusted_proxies; if it is people, set intranet"
	case a.unclear >= enough && a.unclear*2 > a.through:
		return "the forwarding headers of a trusted proxy cannot be read or contradict each other: let it write X-Forwarded-For, and nothing else, anew"
	case a.silent >= enough && a.silent > 9*a.through:
		return "a trusted proxy passes requests on without X-Forwarded-For or Forwarded: nobody's address is known"
	}
	return ""
}

// String is how requests came so far, and what is wrong with that.
func (a *Arrivals) String() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	text := fmt.Sprintf("requests: %d, %d of them over trusted proxies", a.all, a.through)
	if v := a.verdict(); v != "" {
		text += "\nwarning: " + v
	}
	return text
}
