package signin

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
	passwordRight       = "password right"
	signedIn            = "signed in"
	signedOut           = "signed out"
	signedOutEverywhere = "signed out everywhere"
	accountAdded        = "account added"
	passwordChanged     = "password changed"
	passwordReset       = "password reset"
	factorAdded         = "factor added"
	factorRemoved       = "factor removed"
	emailChanged        = "email changed"
	spareUsed           = "spare factor used"
	sessionEnded        = "session ended"
	changeUndone        = "change undone"
)

// event writes down what happened, in the transaction in which it happens.
func (e *Engine) event(ctx context.Context, tx *store.DB, what store.Event, from From) error {
	what.ID, what.At = newID(), store.Millis(e.Now())
	what.Address, what.Browser = from.address(), from.UserAgent
	return tx.AddEvent(ctx, what)
}

func newID() string { return rand.Text() }

// From is where a request came from.
type From struct {
	Address   netip.Addr
	UserAgent string // valid UTF-8 without control characters, at most 256 bytes
	Language  string // BCP 47, of the page it came from
}

// address is "" for what did not come over the network.
func (f From) address() string {
	if !f.Address.IsValid() {
		return ""
	}
	return f.Address.Unmap().WithZone("").String()
}

// network is what one party can be expected to hold: an IPv4 address, an IPv6 /64.
func (f From) network() string {
	a := f.Address.Unmap().WithZone("")
	if !a.Is6() {
		return f.address()
	}
	p, err := a.Prefix(64)
	if err != nil {
		return f.address()
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
