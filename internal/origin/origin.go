// Package origin says who is asking: network address, browser and language.
package origin

import (
	"net/netip"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/fairqueue"
	"twostep.example/twostep/internal/i18n"
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

// Parties returns the networks of the origin that share scarce work: for IPv4 the address, the /24 and the /16, for
// IPv6 the /64, the /56, the /48 and the /32, because one attacker may have any of them. The weights say how many
// people such a network may well stand for. All unknown addresses are one network.
func (o Origin) Parties() []fairqueue.Party {
	address := trust.CanonicalAddr(o.Address)
	if o.Unclear || !address.IsValid() {
		return []fairqueue.Party{{Name: "network unknown", Weight: unknownWeight}}
	}
	networks := []struct{ bits, weight int }{{64, 1}, {56, 4}, {48, 16}, {32, 64}}
	if address.Is4() {
		networks = []struct{ bits, weight int }{{32, 1}, {24, 8}, {16, 64}}
	}
	var all []fairqueue.Party
	for _, n := range networks {
		prefix, _ := address.Prefix(n.bits) // bits always fits the family
		all = append(all, fairqueue.Party{Name: "network " + prefix.String(), Weight: n.weight})
	}
	return all
}

// unknownWeight is the weight of all requests from unknown addresses together: behind a proxy that is not configured
// they are those of everybody.
const unknownWeight = 8
