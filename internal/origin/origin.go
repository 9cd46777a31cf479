// Package origin says who is asking: network address, browser and language.
package origin

import (
	"net/netip"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/trust"
)

// Origin is where a request came from.
type Origin struct {
	Address netip.Addr // zero: unknown
	// Unclear says that the headers of a proxy do not tell the address, and that the sender may
	// have written some of them.
	Unclear     bool
	UserAgent   string // valid UTF-8 without control characters, at most 256 bytes
	ClientHints string // Sec-CH-UA, likewise
	Language    string // BCP 47, of the page the request came from
	DeviceToken string // in the cookie of the browser; "" if there is none
}

// TrustRequest is what the trust decision looks at.
func (o Origin) TrustRequest() trust.Request {
	return trust.Request{
		Address: trust.CanonicalAddr(o.Address), Browser: trust.ParseBrowser(o.UserAgent, o.ClientHints),
	}
}

// Source is what audit events record of it.
func (o Origin) Source() audit.Source {
	return audit.Source{Address: o.AddressString(), Network: o.Network(), Browser: o.UserAgent}
}

// AddressString is the address without zone and IPv4 mapping; "" if it is unknown, as for what
// did not come over the network.
func (o Origin) AddressString() string {
	if !o.Address.IsValid() {
		return ""
	}
	return trust.CanonicalAddr(o.Address).String()
}

// Network is what one party can be expected to hold: an IPv4 address or an IPv6 /64. All
// origins whose address is unclear are one network, so that garbage headers evade no limit.
func (o Origin) Network() string {
	if o.Unclear {
		return "unclear"
	}
	return trust.NetworkOf(o.Address).String()
}

// DescribeAddress is a network address for people, who are told if it is unknown.
func DescribeAddress(address, language string) string {
	if address == "" {
		return i18n.ForTag(language).Translate("address.unknown")
	}
	return address
}

// DescribeBrowser names the browser of a User-Agent header for people: "Firefox on Windows".
// The header is whatever its sender likes, and the name is sent by mail: only names that we
// know are repeated.
func DescribeBrowser(b trust.Browser, language string) string {
	w := i18n.ForTag(language)
	if !b.Recognized || b.OS == "" {
		return w.Translate("browser.unknown")
	}
	return w.Translate("browser.on", "Browser", b.Family, "System", b.OS)
}
