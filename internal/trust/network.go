package trust

import (
	"net/netip"
	"strings"
)

// ClientNetwork is one network: an IPv4 address, an IPv6 /64, or both if they were seen in the same
// verified sign-in. Browsers use either at their choice.
type ClientNetwork struct {
	V4 netip.Addr
	V6 netip.Prefix
}

// NetworkOf returns the network of the addresses of one sign-in. Of two of one family the last
// counts.
func NetworkOf(addresses ...netip.Addr) ClientNetwork {
	var p ClientNetwork
	for _, a := range addresses {
		switch a = CanonicalAddr(a); {
		case a.Is4():
			p.V4 = a
		case a.Is6():
			p.V6 = prefixOf(a, 64)
		}
	}
	return p
}

// Contains reports whether the network contains an address.
func (p ClientNetwork) Contains(a netip.Addr, n NetworkMatch) bool {
	v4, v6 := 32, 64
	if n == NetworkPrefix {
		v4, v6 = 24, 56
	}
	a = CanonicalAddr(a)
	if a.Is4() {
		return p.V4.IsValid() && prefixOf(a, v4) == prefixOf(p.V4, v4)
	}
	return a.Is6() && p.V6.IsValid() && prefixOf(a, v6) == prefixOf(p.V6.Addr(), v6)
}

// without returns the network without the parts that are also in other.
func (p ClientNetwork) without(other ClientNetwork) ClientNetwork {
	if p.V4 == other.V4 {
		p.V4 = netip.Addr{}
	}
	if p.V6 == other.V6 {
		p.V6 = netip.Prefix{}
	}
	return p
}

// String formats the network for its owner: "203.0.113.5", "2001:db8::/64" or both.
func (p ClientNetwork) String() string {
	switch {
	case !p.V4.IsValid() && !p.V6.IsValid():
		return ""
	case !p.V6.IsValid():
		return p.V4.String()
	case !p.V4.IsValid():
		return p.V6.String()
	}
	return p.V4.String() + ", " + p.V6.String()
}

func prefixOf(a netip.Addr, bits int) netip.Prefix {
	p, _ := a.Prefix(bits) // bits always fits the family
	return p
}

// CanonicalAddr returns the canonical form of an address: IPv4-mapped (RFC 4291 2.5.5.2) and NAT64
// (RFC 6052 2.1) addresses become IPv4, and the zone is removed.
func CanonicalAddr(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if b := a.As16(); a.Is6() && nat64Prefix.Contains(a) {
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return a
}

var (
	nat64Prefix = netip.MustParsePrefix("64:ff9b::/96")
	// specialPurposeNetworks are addresses that no client on the internet has, or that many share
	// (RFC 6890). In Teredo (RFC 4380), 6to4 (RFC 3056) and local NAT64 (RFC 8215) the client is in
	// a part of the address that is not compared.
	specialPurposeNetworks = []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"),
		netip.MustParsePrefix("192.0.0.0/24"),
		netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"),
		netip.MustParsePrefix("::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("100::/64"),
		netip.MustParsePrefix("2001::/32"), netip.MustParsePrefix("2001:2::/48"), netip.MustParsePrefix("2002::/16"),
		netip.MustParsePrefix("5f00::/16"), netip.MustParsePrefix("fec0::/10"),
	}
)

// IsPrivateAddr reports whether an address is not a client on the internet: loopback, private,
// shared or special-purpose.
func IsPrivateAddr(a netip.Addr) bool {
	a = CanonicalAddr(a)
	if !a.IsValid() || a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsMulticast() ||
		a.IsUnspecified() {
		return true
	}
	for _, p := range specialPurposeNetworks {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// IsLoopbackHost reports whether a host of a URL, without its port, is localhost or a loopback address.
func IsLoopbackHost(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.IsLoopback()
}
