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

// TrustedProxies are the networks whose forwarding headers are trusted.
type TrustedProxies []netip.Prefix

// ParseTrustedProxies parses addresses and networks (CIDR), separated by commas or white space.
func ParseTrustedProxies(text string) (TrustedProxies, error) {
	var list TrustedProxies
	for _, word := range strings.FieldsFunc(text, func(c rune) bool { return c == ',' || unicode.IsSpace(c) }) {
		p, err := netip.ParsePrefix(word)
		if err != nil {
			a, err := netip.ParseAddr(word)
			if err != nil {
				return nil, fmt.Errorf("%q is neither an address like 127.0.0.1 nor a network like 10.0.0.0/8", word)
			}
			p = netip.PrefixFrom(a.WithZone(""), a.BitLen())
		}
		list = append(list, p)
	}
	return list.Normalize()
}

// Normalize returns the networks in canonical form. It returns an error if a network is larger than
// /8 (IPv4) or /7 (IPv6): any client within it could forge its address.
func (p TrustedProxies) Normalize() (TrustedProxies, error) {
	var list TrustedProxies
	for _, network := range p {
		if a := network.Addr(); a.Is4In6() && network.Bits() >= 96 {
			network = netip.PrefixFrom(a.Unmap(), network.Bits()-96)
		}
		if !network.IsValid() || network.Bits() < 7 || network.Addr().Is4() && network.Bits() < 8 {
			return nil, fmt.Errorf("%s is too large: any client in it could forge its address", network)
		}
		list = append(list, network.Masked())
	}
	return list, nil
}

// Contains reports whether an address is a trusted proxy.
func (p TrustedProxies) Contains(a netip.Addr) bool {
	a = CanonicalAddr(a)
	for _, network := range p {
		if network.Contains(a) {
			return true
		}
	}
	return false
}

// ForwardingInfo is the peer address of a connection ("192.0.2.1:443") and the forwarding headers,
// one element per header line.
type ForwardingInfo struct {
	PeerAddr     string
	FromProxy    bool     // the peer is a trusted proxy, whatever its address
	ForwardedFor []string // X-Forwarded-For
	Forwarded    []string // Forwarded (RFC 7239)
}

// HasHeaders reports whether the request has a forwarding header.
func (h ForwardingInfo) HasHeaders() bool { return len(h.ForwardedFor)+len(h.Forwarded) > 0 }

// ErrInvalidForwarding says that a trusted proxy's headers do not determine the client address:
// they are missing, malformed, or contradict each other. The client may have caused that.
var ErrInvalidForwarding = errors.New("trust: the forwarding headers do not determine the client address")

// ClientAddr returns the client's address; zero if it is unknown. It is the peer address unless
// the peer is a trusted proxy. Then it is the rightmost address of the headers that is not a trusted
// proxy; anything to the left of it can be forged by the client. If both headers are present they
// must agree. ClientAddr returns ErrInvalidForwarding if the headers do not determine the address.
func (p TrustedProxies) ClientAddr(h ForwardingInfo) (netip.Addr, error) {
	peer := parseAddr(h.PeerAddr)
	switch {
	case !h.FromProxy && !p.Contains(peer):
		return peer, nil
	case !h.HasHeaders():
		return netip.Addr{}, ErrInvalidForwarding // no client connects from the proxy itself
	}
	chain, err := parseForwarded(h.Forwarded)
	if err != nil {
		return netip.Addr{}, err
	}
	var found []netip.Addr
	for _, header := range []struct{ lines, chain []string }{
		{h.ForwardedFor, splitList(h.ForwardedFor)}, {h.Forwarded, chain},
	} {
		if len(header.lines) == 0 {
			continue
		}
		a, err := p.rightmostUntrusted(header.chain)
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

// rightmostUntrusted returns the rightmost address that is not a trusted proxy, or the leftmost
// one.
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
		return a, ErrInvalidForwarding // the header is present and empty
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
	return netip.Addr{} // a Unix socket
}

// parseForwardedNode parses "192.0.2.1", "192.0.2.1:443", "2001:db8::1" or "[2001:db8::1]:443" (RFC
// 7239 6).
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

// splitList splits header lines at commas and drops empty elements.
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

// parseForwarded returns the "for" parameter of each element of the Forwarded header (RFC 7239 4),
// "" if it is missing or obfuscated. A client can send the start of a line to which the proxy
// appends its own element: an open quote would swallow that element, so parseForwarded returns
// ErrInvalidForwarding if any part of a line is malformed.
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

// parseForwardedElement parses one element and the comma after it. It accepts addresses without
// quotes, which many proxies send.
func parseForwardedElement(text string) (node string, rest string, ok bool) {
	seen := false
	for {
		pair := forwardedPair.FindStringSubmatch(text)
		if pair == nil {
			return "", "", false
		}
		if strings.EqualFold(pair[1], "for") {
			if seen {
				return "", "", false
			}
			seen, node = true, pair[2]
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
