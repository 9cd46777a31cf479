package trust

import "net/netip"

// ClientNetwork is one network: an IPv4 address, an IPv6 /64, or one of each that were seen in
// the same verified sign-in. Browsers go over the one or the other as they like.
type ClientNetwork struct {
	V4 netip.Addr
	V6 netip.Prefix
}

// NetworkOf is the place of the addresses of one sign-in. Of two of a family the last counts.
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

// Contains reports whether the place is where an address is.
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

// without is what is left of the place for records of before.
func (p ClientNetwork) without(other ClientNetwork) ClientNetwork {
	if p.V4 == other.V4 {
		p.V4 = netip.Addr{}
	}
	if p.V6 == other.V6 {
		p.V6 = netip.Prefix{}
	}
	return p
}

// String is the place for its owner: "203.0.113.5", "2001:db8::/64" or both.
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
	p, _ := a.Prefix(bits) // they fit the family
	return p
}

// CanonicalAddr is the one form of an address: an IPv4 address that is written as an IPv6 one
// (RFC 4291, 2.5.5.2; RFC 6052, 2.1) is itself, and a zone says nothing outside its host.
func CanonicalAddr(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if b := a.As16(); a.Is6() && nat64Prefix.Contains(a) {
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return a
}

var (
	nat64Prefix = netip.MustParsePrefix("64:ff9b::/96")
	// specialPurposeNetworks are addresses that no person has on the internet, or that many share
	// (RFC 6890): Teredo (RFC 4380), 6to4 (RFC 3056) and a translator of one's own
	// (RFC 8215) have their person in a part that is not compared.
	specialPurposeNetworks = []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
		netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"),
		netip.MustParsePrefix("::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("100::/64"),
		netip.MustParsePrefix("2001::/32"), netip.MustParsePrefix("2001:2::/48"), netip.MustParsePrefix("2002::/16"),
		netip.MustParsePrefix("5f00::/16"), netip.MustParsePrefix("fec0::/10"),
	}
)

// IsPrivateAddr reports whether an address is of no use on the internet: of this machine, of a
// private or a shared network, or of nobody.
func IsPrivateAddr(a netip.Addr) bool {
	a = CanonicalAddr(a)
	if !a.IsValid() || a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() {
		return true
	}
	for _, p := range specialPurposeNetworks {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
