package account

import (
	"context"
	"crypto/rand"
	"net/netip"

	"github.com/mileusna/useragent"

	"twostep/internal/i18n"
	"twostep/internal/store"
)

// The kinds of event.
const (
	accountAdded  = "account added"
	passwordReset = "password reset"
	changeUndone  = "change undone"
)

// Event writes down what happened, in the transaction in which it happens.
func (r *Registry) Event(ctx context.Context, tx *store.DB, what store.Event, from From) error {
	what.ID, what.At = rand.Text(), store.Millis(r.Now())
	what.Address, what.Browser = from.AddressText(), from.UserAgent
	return tx.AddEvent(ctx, what)
}

// From is where a request came from.
type From struct {
	Address   netip.Addr
	UserAgent string // valid UTF-8 without control characters, at most 256 bytes
	Language  string // BCP 47, of the page it came from
}

// AddressText is "" for what did not come over the network.
func (f From) AddressText() string {
	if !f.Address.IsValid() {
		return ""
	}
	return f.Address.Unmap().WithZone("").String()
}

// Network is what one party can be expected to hold: an IPv4 address, an IPv6 /64.
func (f From) Network() string {
	a := f.Address.Unmap().WithZone("")
	if !a.Is6() {
		return f.AddressText()
	}
	p, err := a.Prefix(64)
	if err != nil {
		return f.AddressText()
	}
	return p.String()
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
func Browser(userAgent, language string) string {
	w := i18n.For(language)
	ua := useragent.Parse(userAgent)
	switch ua.Name {
	case useragent.Chrome, useragent.HeadlessChrome, useragent.Firefox, useragent.Safari, useragent.MobileSafari, useragent.Edge,
		useragent.Opera, useragent.OperaMini, useragent.OperaTouch, useragent.Vivaldi, useragent.SamsungBrowser, useragent.InternetExplorer:
	default:
		return w.Say("browser.unknown")
	}
	switch ua.OS {
	case useragent.Windows, useragent.Android, useragent.MacOS, useragent.IOS, useragent.Linux, useragent.FreeBSD, useragent.ChromeOS, useragent.CrOS, useragent.Harmony:
	default:
		return w.Say("browser.unknown")
	}
	return w.Say("browser.on", "Browser", ua.Name, "System", ua.OS)
}
