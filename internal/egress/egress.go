// Package egress decides which network addresses a request of this server may reach.
package egress

import (
	"errors"
	"net/netip"
	"slices"
	"syscall"
)

// ErrNotAllowed means that a host name resolves to an address that may not be reached.
var ErrNotAllowed = errors.New("leads to an address that is not allowed")

func parsePrefixes(all ...string) []netip.Prefix {
	parsed := make([]netip.Prefix, len(all))
	for i, one := range all {
		parsed[i] = netip.MustParsePrefix(one)
	}
	return parsed
}

var (
	// privateNetworks: loopback, RFC 1918, RFC 6598, RFC 4193.
	privateNetworks = parsePrefixes("127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
		"100.64.0.0/10", "fc00::/7")
	// forbiddenNetworks are never allowed: cloud metadata services, the IANA special-purpose address registries, and
	// prefixes that embed another address (Teredo, local NAT64).
	forbiddenNetworks = parsePrefixes("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "100.100.100.200/32",
		"fd20:ce::254/128",
		"0.0.0.0/8", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
		"203.0.113.0/24",
		"224.0.0.0/3", "::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16",
		"fec0::/10", "ff00::/8")
	nat64Prefix     = netip.MustParsePrefix("64:ff9b::/96")
	sixToFourPrefix = netip.MustParsePrefix("2002::/16")
)

func inAnyPrefix(a netip.Addr, all []netip.Prefix) bool {
	return slices.ContainsFunc(all, func(p netip.Prefix) bool { return p.Contains(a) })
}

// Control returns a function for net.Dialer.Control. It returns ErrNotAllowed for an address that a request with this
// scheme may not reach: a private one without allowPrivate, or a public one with plain http. The dialer calls it after
// each name resolution and right before it connects, so a second DNS answer gains nothing (DNS rebinding).
func Control(scheme string, allowPrivate bool) func(network, address string, _ syscall.RawConn) error {
	return func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return ErrNotAllowed
		}
		private, allowed := Classify(to.Addr())
		if !allowed || private && !allowPrivate || !private && scheme != "https" {
			return ErrNotAllowed
		}
		return nil
	}
}

// Classify reports whether an address is in a private network or on this machine, and whether it may be reached at all.
// NAT64 and 6to4 addresses are classified by the IPv4 address within them.
func Classify(a netip.Addr) (private, allowed bool) {
	a = a.Unmap().WithZone("")
	switch bytes := a.As16(); {
	case nat64Prefix.Contains(a):
		return Classify(netip.AddrFrom4([4]byte(bytes[12:16])))
	case sixToFourPrefix.Contains(a):
		return Classify(netip.AddrFrom4([4]byte(bytes[2:6])))
	}
	if a != netip.IPv6Loopback() && inAnyPrefix(a, forbiddenNetworks) {
		return false, false
	}
	return inAnyPrefix(a, privateNetworks), true
}
