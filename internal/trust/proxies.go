package trust

import (
	"errors"
	"fmt"
	"net/netip"
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
// they cannot be read, or contradict each other. The sender may have had a part in that.
var ErrUnclear = errors.New("trust: the forwarding headers are unclear")

// Client is the address that a request comes from; zero if nobody knows. It is that of the
// connection, unless that is a proxy's: then the headers are walked from the right, over
// proxies, to the first address that is none. What stands left of it anybody may have
// written. Where both headers are there, they must agree. ErrUnclear.
func (p Proxies) Client(h Hops) (netip.Addr, error) {
	peer := peerOf(h.Peer)
	switch {
	case !p.Has(peer), !h.Told() && Private(peer):
		return peer, nil
	case !h.Told():
		return netip.Addr{}, nil // a proxy that says nothing is not where people are
	}
	var found []netip.Addr
	for _, chain := range [][]string{split(h.ForwardedFor, ',', false), forwarded(h.Forwarded)} {
		if len(chain) == 0 {
			continue
		}
		a, err := p.walk(chain)
		if err != nil {
			return netip.Addr{}, err
		}
		found = append(found, a)
	}
	if len(found) == 0 || found[0] != found[len(found)-1] {
		return netip.Addr{}, ErrUnclear
	}
	return found[0], nil
}

// walk goes from the right to the first address that is no proxy's, or to the end.
func (p Proxies) walk(chain []string) (netip.Addr, error) {
	for i := len(chain) - 1; ; i-- {
		a, ok := nodeOf(chain[i])
		if !ok {
			return netip.Addr{}, ErrUnclear
		}
		if i == 0 || !p.Has(a) {
			return a, nil
		}
	}
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

// forwarded is the chain of a Forwarded header: the "for" of each hop, "" where it is
// missing or hidden.
func forwarded(lines []string) []string {
	var chain []string
	for _, hop := range split(lines, ',', true) {
		node := ""
		for _, pair := range split([]string{hop}, ';', true) {
			name, value, _ := strings.Cut(pair, "=")
			if strings.EqualFold(strings.TrimSpace(name), "for") {
				node = unquoted(strings.TrimSpace(value))
			}
		}
		chain = append(chain, node)
	}
	return chain
}

// split cuts header lines at a separator and leaves out what is empty; quotes says
// whether a separator between quotes is text.
func split(lines []string, at byte, quotes bool) []string {
	var parts []string
	for _, line := range lines {
		begin, inside := 0, false
		for i := 0; i <= len(line); i++ {
			switch {
			case i == len(line) || line[i] == at && !inside:
				if part := strings.TrimSpace(line[begin:i]); part != "" {
					parts = append(parts, part)
				}
				begin = i + 1
			case quotes && line[i] == '"':
				inside = !inside
			case inside && line[i] == '\\':
				i++ // what follows is text
			}
		}
	}
	return parts
}

func unquoted(text string) string {
	if len(text) >= 2 && text[0] == '"' && text[len(text)-1] == '"' {
		return strings.ReplaceAll(text[1:len(text)-1], `\`, "")
	}
	return text
}
