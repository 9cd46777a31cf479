package account

import (
	"context"
	"net/netip"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// Audit is the log of security events.
func (r *Registry) Audit() *audit.Log {
	if r.Events != nil {
		return r.Events
	}
	return &audit.Log{Store: r.Store, Now: r.Now, Logger: r.Log}
}

// Event records e in the transaction in which it happens.
func (r *Registry) Event(ctx context.Context, tx *store.DB, e audit.Event, from From) error {
	return r.Audit().Record(ctx, tx, e, from.Source())
}

// Failure records e as a failure, in a transaction of its own. Do not call it inside of one.
func (r *Registry) Failure(ctx context.Context, e audit.Event, from From) error {
	return r.Audit().RecordFailure(ctx, e, from.Source())
}

// Refused records that a limit refused something, and returns err, which says so. Do not call it
// inside of a transaction.
func (r *Registry) Refused(ctx context.Context, err error, e audit.Event, from From) error {
	e.Kind, e.Actor = audit.LimitReached, audit.Anonymous()
	if failed := r.Failure(ctx, e, from); failed != nil {
		return failed
	}
	return err
}

// From is where a request came from.
type From struct {
	Address   netip.Addr // zero: nobody knows
	Unclear   bool       // the headers of a proxy do not tell the address, and the sender may have had a part in that
	UserAgent string     // valid UTF-8 without control characters, at most 256 bytes
	Hints     string     // Sec-CH-UA, likewise
	Language  string     // BCP 47, of the page it came from
	Device    string     // the token in the cookie of the browser; "" if there is none
}

// Request is what the trust decision looks at.
func (f From) Request() trust.Request {
	return trust.Request{Address: trust.Plain(f.Address), Browser: trust.ReadBrowser(f.UserAgent, f.Hints)}
}

// Source is what events record of it.
func (f From) Source() audit.Source {
	return audit.Source{Address: f.AddressText(), Network: f.Network(), Browser: f.UserAgent}
}

// AddressText is "" if nobody knows the address, as of what did not come over the network.
func (f From) AddressText() string {
	if !f.Address.IsValid() {
		return ""
	}
	return trust.Plain(f.Address).String()
}

// Network is what one party can be expected to hold: an IPv4 address, an IPv6 /64. Those
// whose address is unclear are one network: nobody gets rid of a limit by garbage.
func (f From) Network() string {
	if f.Unclear {
		return "unclear"
	}
	return trust.At(f.Address).String()
}

// Address is a network address for people, who are told if we do not know it.
func Address(address, language string) string {
	if address == "" {
		return i18n.For(language).Say("address.unknown")
	}
	return address
}

// Browser names the browser of a User-Agent header for people: "Firefox on Windows".
// The header is whatever its sender likes, and the name goes into mails: only names
// that we know are repeated.
func Browser(b trust.Browser, language string) string {
	w := i18n.For(language)
	if !b.Named || b.System == "" {
		return w.Say("browser.unknown")
	}
	return w.Say("browser.on", "Browser", b.Family, "System", b.System)
}
