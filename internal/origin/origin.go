// Package origin says who is asking: network address, browser and language.
package origin

import (
	"net/netip"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/fairqueue"
	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/trust"
)

// Origin is where a request came from.
type Origin struct {
	Address netip.Addr // zero: unknown
	// Unclear says that the headers of a trusted proxy do not tell the client address; the client may have forged part
	// of them.
	Unclear     bool
	UserAgent   string // valid UTF-8 without control characters, at most 256 bytes
	ClientHints string // the header Sec-CH-UA, with the same limits
	Language    string // BCP 47, the language of the pages for this request
	DeviceToken string // from the device cookie; "" if there is none
}

// TrustRequest returns what the trust decision looks at.
func (o Origin) TrustRequest() trust.Request {
	return trust.Request{
		Address: trust.CanonicalAddr(o.Address), Browser: trust.ParseBrowser(o.UserAgent, o.ClientHints),
	}
}

// Source returns what audit events record of the origin.
func (o Origin) Source() audit.Source {
	return audit.Source{Address: o.AddressString(), Network: o.Network(), Browser: o.UserAgent}
}

// AddressString returns the address without zone and IPv4 mapping; "" if it is unknown.
func (o Origin) AddressString() string {
	if !o.Address.IsValid() {
		return ""
	}
	return trust.CanonicalAddr(o.Address).String()
}

// Network returns the network that quotas count: the IPv4 address or the IPv6 /64. All origins with an unclear address
// are one network, so that invalid headers evade no limit.
func (o Origin) Network() string {
	if o.Unclear {
		return "unclear"
	}
	return trust.NetworkOf(o.Address).String()
}

// DescribeAddress returns an address for people, or a text that says it is unknown.
func DescribeAddress(address, language string) string {
	if address == "" {
		return i18n.ForTag(language).Translate("address.unknown")
	}
	return address
}

// DescribeBrowser names a browser for people: "Firefox on Windows". A client can send any User-Agent header, and the
// name is part of emails, so only known names are repeated.
func DescribeBrowser(b trust.Browser, language string) string {
	w := i18n.ForTag(language)
	if !b.Recognized || b.OS == "" {
		return w.Translate("browser.unknown")
	}
	return w.Translate("browser.on", "Browser", b.Family, "System", b.OS)
}

// Networks returns the networks that limits count: the IPv4 address and the /24, or the IPv6 /64, /56 and /48, because
// one customer of a provider may have any of these. All origins with an unclear address are one network, and so are all
// that are unknown.
func (o Origin) Networks() ratelimit.Networks {
	address := trust.CanonicalAddr(o.Address)
	switch {
	case o.Unclear:
		return ratelimit.Networks{{Name: "unclear", Weight: 1}}
	case !address.IsValid():
		return ratelimit.Networks{{Weight: ratelimit.UnknownNetworkFactor}}
	case address.Is4():
		return ratelimit.Networks{{Name: o.Network(), Weight: 1}, larger(address, 24, 8)}
	}
	return ratelimit.Networks{{Name: o.Network(), Weight: 1}, larger(address, 56, 4), larger(address, 48, 16)}
}

func larger(address netip.Addr, bits int, weight int64) ratelimit.Network {
	prefix, _ := address.Prefix(bits) // bits always fits the family
	return ratelimit.Network{Name: prefix.String(), Weight: weight}
}

// Parties returns the networks of the origin that share scarce work: those that limits count, and the IPv4 /16 or the
// IPv6 /32.
func (o Origin) Parties() []fairqueue.Party {
	networks := o.Networks()
	if address := trust.CanonicalAddr(o.Address); !o.Unclear && address.IsValid() {
		bits := 32
		if address.Is4() {
			bits = 16
		}
		networks = append(networks, larger(address, bits, 64))
	}
	var all []fairqueue.Party
	for _, n := range networks {
		all = append(all, fairqueue.Party{Name: "network " + n.Name, Weight: int(n.Weight)})
	}
	return all
}
