// Package origin determines where a request comes from: network address, browser and language.
package origin

import (
	"net/netip"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/trust"
)

// Origin is the source of a request.
type Origin struct {
	Address netip.Addr // zero if unknown
	// Unclear is true if the headers of a trusted proxy are unreadable or contradictory: the client may have forged
	// some of them.
	Unclear     bool
	UserAgent   string // valid UTF-8 without control characters, at most 256 bytes
	ClientHints string // Sec-CH-UA, likewise
	Language    string // BCP 47, of the page that sent the request
	DeviceToken string // from the device cookie; "" if there is none
}

// TrustRequest returns the input of the trust decision.
func (o Origin) TrustRequest() trust.Request {
	return trust.Request{
		Address: trust.CanonicalAddr(o.Address),
		Browser: trust.ParseBrowser(o.UserAgent, o.ClientHints),
	}
}

// Source returns what audit events record of the origin.
func (o Origin) Source() audit.Source {
	return audit.Source{Address: o.AddressString(), Network: o.Network(), Browser: o.UserAgent}
}

// AddressString returns the address without zone and IPv4 mapping, or "" if it is unknown.
func (o Origin) AddressString() string {
	if !o.Address.IsValid() {
		return ""
	}
	return trust.CanonicalAddr(o.Address).String()
}

// Network returns the network that limits count by: an IPv4 address or an IPv6 /64, or "" if the address is
// unknown. All unclear origins share one network, so that broken headers evade no limit.
func (o Origin) Network() string {
	if o.Unclear {
		return "unclear"
	}
	return trust.NetworkOf(o.Address).String()
}

// DescribeAddress returns an address for display, or a text that says it is unknown.
func DescribeAddress(address, language string) string {
	if address == "" {
		return i18n.ForTag(language).Translate("address.unknown")
	}
	return address
}

// DescribeBrowser returns the name of a browser for display, such as "Firefox on Windows". The User-Agent
// header can contain any text and the name is sent by email, so only known names are shown.
func DescribeBrowser(b trust.Browser, language string) string {
	w := i18n.ForTag(language)
	if !b.Recognized || b.OS == "" {
		return w.Translate("browser.unknown")
	}
	return w.Translate("browser.on", "Browser", b.Family, "System", b.OS)
}
