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

// TrustedProxies are the networks whose forwarding headers are believed.
type TrustedProxies []netip.Prefix

// ParseTrustedProxies reads addresses and networks (CIDR), separated by commas or white space.
func ParseTrustedProxies(text string) (TrustedProxies, error) {
	var list TrustedProxies
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
	return list.Normalize()
}

// Normalize are the proxies in the form in which they are compared. A network that holds
// everybody is refused: then anybody could say where they are.
func (p TrustedProxies) Normalize() (TrustedProxies, error) {
	var list TrustedProxies
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

// Contains reports whether an address is a proxy's.
func (p TrustedProxies) Contains(a netip.Addr) bool {
	a = CanonicalAddr(a)
	for _, network := range p {
		if network.Contains(a) {
			return true
		}
	}
	return false
}

// ForwardingInfo is how a request came: the address of the connection ("192.0.2.1:443") and the
// forwarding headers, a line each.
type ForwardingInfo struct {
	PeerAddr     string
	ForwardedFor []string // X-Forwarded-For
	Forwarded    []string // Forwarded (RFC 7239)
}

// HasHeaders reports whether a header says that the request was passed on.
func (h ForwardingInfo) HasHeaders() bool { return len(h.ForwardedFor)+len(h.Forwarded) > 0 }

// ErrInvalidForwarding says that the headers of a proxy do not tell where a request comes from:
// they are not there, cannot be read, or contradict each other. The sender may have had a part in that.
var ErrInvalidForwarding = errors.New("trust: the forwarding headers are unclear")

// ClientAddr is the address that a request comes from; zero if nobody knows. It is that of the
// connection, unless that is a proxy's: then the headers are walked from the right, over
// proxies, to the first address that is none. What stands left of it anybody may have
// written. Where both headers are there, they must agree. ErrUnclear.
func (p TrustedProxies) ClientAddr(h ForwardingInfo) (netip.Addr, error) {
	peer := parseAddr(h.PeerAddr)
	switch {
	case !p.Contains(peer):
		return peer, nil
	case !h.HasHeaders():
		return netip.Addr{}, ErrInvalidForwarding // a proxy is not where people are
	}
	chain, err := parseForwarded(h.Forwarded)
	if err != nil {
		return netip.Addr{}, err
	}
	var found []netip.Addr
	for _, told := range []struct{ lines, chain []string }{{h.ForwardedFor, splitList(h.ForwardedFor)}, {h.Forwarded, chain}} {
		if len(told.lines) == 0 {
			continue
		}
		a, err := p.rightmostUntrusted(told.chain)
		if err != nil {
			return netip.Addr{}, err
		}
		found = append(found, a)
	}
	if found[0] != found[len(found)-1] {
		return netip.Addr{}, ErrInvalidForwarding
	}
	return found[0], nil
}

// rightmostUntrusted goes from the right to the first address that is no proxy's, or to the end.
func (p TrustedProxies) rightmostUntrusted(chain []string) (a netip.Addr, err error) {
	for _, node := range slices.Backward(chain) {
		var ok bool
		if a, ok = parseForwardedNode(node); !ok {
			return netip.Addr{}, ErrInvalidForwarding
		}
		if !p.Contains(a) {
			return a, nil
		}
	}
	if !a.IsValid() {
		return a, ErrInvalidForwarding // the header is there, and empty
	}
	return a, nil
}

func parseAddr(remote string) netip.Addr {
	if a, err := netip.ParseAddrPort(remote); err == nil {
		return CanonicalAddr(a.Addr())
	}
	if a, err := netip.ParseAddr(remote); err == nil {
		return CanonicalAddr(a)
	}
	return netip.Addr{} // a Unix socket has none
}

// parseForwardedNode reads "192.0.2.1", "192.0.2.1:443", "2001:db8::1" or "[2001:db8::1]:443".
func parseForwardedNode(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	if inner, ok := strings.CutPrefix(text, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); ok {
			text = inner
		}
	}
	a := parseAddr(text)
	return a, a.IsValid() && !a.IsUnspecified()
}

// splitList cuts header lines at their commas and leaves out what is empty.
func splitList(lines []string) []string {
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

// parseForwarded is the chain of a Forwarded header (RFC 7239, 4): the "for" of each hop, ""
// where it is missing or hidden. Whoever wrote the left of a line wrote it before the proxy
// added its own: a quote that they left open would swallow that, so a line that is not
// wholly right says nothing. ErrUnclear.
func parseForwarded(lines []string) ([]string, error) {
	var chain []string
	for _, line := range lines {
		for rest := line; strings.Trim(rest, " \t") != ""; {
			hop, tail, ok := parseForwardedElement(rest)
			if !ok {
				return nil, ErrInvalidForwarding
			}
			chain, rest = append(chain, hop), tail
		}
	}
	return chain, nil
}

// parseForwardedElement reads the pairs of one hop, and the comma behind it if there is one. An
// address may stand there without its quotes: many proxies forget them.
func parseForwardedElement(text string) (node string, rest string, ok bool) {
	told := false
	for {
		pair := forwardedPair.FindStringSubmatch(text)
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

var forwardedPair = regexp.MustCompile("^[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=([!#$%&'*+.^_`|~0-9A-Za-z:\\[\\]-]*|\"(?:[^\"\\\\]|\\\\.)*\")[ \t]*([,;]|$)")
