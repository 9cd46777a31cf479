package account

import (
	"context"
	"crypto/rand"
	"net/netip"

	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// The kinds of event.
const (
	accountAdded     = "account added"
	accountDisabled  = "account disabled"
	accountEnabled   = "account enabled"
	passwordReset    = "password reset"
	changeUndone     = "change undone"
	devicesForgotten = "devices forgotten by the operator"
	groupsChanged    = "groups changed by the operator"
)

// Event writes down what happened, in the transaction in which it happens.
func (r *Accounts) Event(ctx context.Context, tx *store.DB, what store.Event, from Origin) error {
	what.ID, what.At = rand.Text(), store.Millis(r.Now())
	what.Address, what.Browser = from.AddressString(), from.UserAgent
	return tx.AddEvent(ctx, what)
}

// Origin is where a request came from.
type Origin struct {
	Address     netip.Addr // zero: nobody knows
	Unclear     bool       // the headers of a proxy do not tell the address, and the sender may have had a part in that
	UserAgent   string     // valid UTF-8 without control characters, at most 256 bytes
	ClientHints string     // Sec-CH-UA, likewise
	Language    string     // BCP 47, of the page it came from
	DeviceToken string     // the token in the cookie of the browser; "" if there is none
}

// TrustRequest is what the trust decision looks at.
func (f Origin) TrustRequest() trust.Request {
	return trust.Request{Address: trust.Plain(f.Address), Browser: trust.ReadBrowser(f.UserAgent, f.ClientHints)}
}

// AddressString is "" if nobody knows the address, as of what did not come over the network.
func (f Origin) AddressString() string {
	if !f.Address.IsValid() {
		return ""
	}
	return trust.Plain(f.Address).String()
}

// Network is what one party can be expected to hold: an IPv4 address, an IPv6 /64. Those
// whose address is unclear are one network: nobody gets rid of a limit by garbage.
func (f Origin) Network() string {
	if f.Unclear {
		return "unclear"
	}
	return trust.At(f.Address).String()
}

// DescribeAddress is a network address for people, who are told if we do not know it.
func DescribeAddress(address, language string) string {
	if address == "" {
		return i18n.For(language).Say("address.unknown")
	}
	return address
}

// DescribeBrowser names the browser of a User-Agent header for people: "Firefox on Windows".
// The header is whatever its sender likes, and the name goes into mails: only names
// that we know are repeated.
func DescribeBrowser(b trust.Browser, language string) string {
	w := i18n.For(language)
	if !b.Named || b.System == "" {
		return w.Say("browser.unknown")
	}
	return w.Say("browser.on", "Browser", b.Family, "System", b.System)
}
