package trust

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Proxies are the networks whose forwarding headers are believed.
type Proxies []netip.Prefix

// ParseProxies reads addresses and networks (CIDR), separated by commas or white space.
func ParseProxies(text string) (Proxies, error) {
	var list Proxies
	for _, word := range strings.FieldsFunc(text, func(c rune) bool { return c == ',' || unicode.IsSpace(c) }) {
		p, err := netip.ParsePrefix(word)
		if err != nil {
			a, err := netip.ParseAddr(word)
			if err != nil {
				return nil, fmt.Errorf("%q is no address and no network like 10.0.0.0/8", word)
			}
			p = netip.PrefixFrom(a.WithZone(""), a.BitLen())
		}
		list = append(list, p)
	}
	return list.Checked()
}

// Checked are the proxies in the form in which they are compared. A network that holds
// everybody is refused: then anybody could say where they are.
func (p Proxies) Checked() (Proxies, error) {
	var list Proxies
	for _, network := range p {
		if a := network.Addr(); a.Is4In6() && network.Bits() >= 96 {
			network = netip.PrefixFrom(a.Unmap(), network.Bits()-96)
		}
		if !network.IsValid() || network.Bits() < 7 || network.Addr().Is4() && network.Bits() < 8 {
			return nil, fmt.Errorf("%s holds too much of the internet: anybody there could say where they are", network)
		}
		list = append(list, network.Masked())
	}
	return list, nil
}

// Has reports whether an address is a proxy's.
func (p Proxies) Has(a netip.Addr) bool {
	a = Plain(a)
	for _, network := range p {
		if network.Contains(a) {
			return true
		}
	}
	return false
}

// Hops is how a request came: the address of the connection ("192.0.2.1:443") and the
// forwarding headers, a line each.
type Hops struct {
	Peer         string
	ForwardedFor []string // X-Forwarded-For
	Forwarded    []string // Forwarded (RFC 7239)
}

// Told reports whether a header says that the request was passed on.
func (h Hops) Told() bool { return len(h.ForwardedFor)+len(h.Forwarded) > 0 }

// ErrUnclear says that the headers of a proxy do not tell where a request comes from:
// they are not there, cannot be read, or contradict each other. The sender may have had a part in that.
var ErrUnclear = errors.New("trust: the forwarding headers are unclear")

// Client is the address that a request comes from; zero if nobody knows. It is that of the
// connection, unless that is a proxy's: then the headers are walked from the right, over
// proxies, to the first address that is none. What stands left of it anybody may have
// written. Where both headers are there, they must agree. ErrUnclear.
func (p Proxies) Client(h Hops) (netip.Addr, error) {
	peer := peerOf(h.Peer)
	switch {
	case !p.Has(peer):
		return peer, nil
	case !h.Told():
		return netip.Addr{}, ErrUnclear // a proxy is not where people are
	}
	chain, err := forwarded(h.Forwarded)
	if err != nil {
		return netip.Addr{}, err
	}
	var found []netip.Addr
	for _, told := range []struct{ lines, chain []string }{{h.ForwardedFor, listed(h.ForwardedFor)}, {h.Forwarded, chain}} {
		if len(told.lines) == 0 {
			continue
		}
		a, err := p.walk(told.chain)
		if err != nil {
			return netip.Addr{}, err
		}
		found = append(found, a)
	}
	if found[0] != found[len(found)-1] {
		return netip.Addr{}, ErrUnclear
	}
	return found[0], nil
}

// walk goes from the right to the first address that is no proxy's, or to the end.
func (p Proxies) walk(chain []string) (a netip.Addr, err error) {
	for _, node := range slices.Backward(chain) {
		var ok bool
		if a, ok = nodeOf(node); !ok {
			return netip.Addr{}, ErrUnclear
		}
		if !p.Has(a) {
			return a, nil
		}
	}
	if !a.IsValid() {
		return a, ErrUnclear // the header is there, and empty
	}
	return a, nil
}

func peerOf(remote string) netip.Addr {
	if a, err := netip.ParseAddrPort(remote); err == nil {
		return Plain(a.Addr())
	}
	if a, err := netip.ParseAddr(remote); err == nil {
		return Plain(a)
	}
	return netip.Addr{} // a Unix socket has none
}

// nodeOf reads "192.0.2.1", "192.0.2.1:443", "2001:db8::1" or "[2001:db8::1]:443".
func nodeOf(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	if inner, ok := strings.CutPrefix(text, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); ok {
			text = inner
		}
	}
	a := peerOf(text)
	return a, a.IsValid() && !a.IsUnspecified()
}

// listed cuts header lines at their commas and leaves out what is empty.
func listed(lines []string) []string {
	var parts []string
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ",") {
			if part = strings.TrimSpace(part); part != "" {
				parts = append(parts, part)
			}
		}
	}
	return parts
}

// forwarded is the chain of a Forwarded header (RFC 7239, 4): the "for" of each hop, ""
// where it is missing or hidden. Whoever wrote the left of a line wrote it before the proxy
// added its own: a quote that they left open would swallow that, so a line that is not
// wholly right says nothing. ErrUnclear.
func forwarded(lines []string) ([]string, error) {
	var chain []string
	for _, line := range lines {
		for rest := line; strings.Trim(rest, " \t") != ""; {
			hop, tail, ok := forwardedHop(rest)
			if !ok {
				return nil, ErrUnclear
			}
			chain, rest = append(chain, hop), tail
		}
	}
	return chain, nil
}

// forwardedHop reads the pairs of one hop, and the comma behind it if there is one. An
// address may stand there without its quotes: many proxies forget them.
func forwardedHop(text string) (node string, rest string, ok bool) {
	told := false
	for {
		pair := hopPair.FindStringSubmatch(text)
		if pair == nil {
			return "", "", false
		}
		if strings.EqualFold(pair[1], "for") {
			if told {
				return "", "", false
			}
			told, node = true, pair[2]
			if inner, quoted := strings.CutPrefix(node, `"`); quoted {
				node = strings.ReplaceAll(strings.TrimSuffix(inner, `"`), `\`, "")
			}
		}
		text = text[len(pair[0]):]
		if pair[3] != ";" {
			return node, text, true
		}
	}
}

var hopPair = regexp.MustCompile("^[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=([!#$%&'*+.^_`|~0-9A-Za-z:\\[\\]-]*|\"(?:[^\"\\\\]|\\\\.)*\")[ \t]*([,;]|$)")
