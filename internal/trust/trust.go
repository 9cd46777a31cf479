// Package trust decides whether this browser, on this network, is still trusted, and if not,
// why.
//
//	request ─▶ Proxies.Client ─▶ ReadBrowser ─▶ Decide ─▶ Trusted, or the first reason why not
//
// It is pure: it keeps nothing, reads no clock and decides the same for the same
// arguments. Trust skips the second step of a sign-in and nothing else.
package trust

import (
	"net/netip"
	"time"
)

const (
	// Life is the longest that trust lasts, from the verification it comes of; the
	// window is fixed and does not slide ("up to 30 days").
	Life = 30 * 24 * time.Hour
	// MostPlaces are the places of one browser and account; the oldest leaves.
	MostPlaces = 8
	// MostDevices are the browsers that one account trusts; the one that was verified
	// longest ago leaves.
	MostDevices = 10
	// MostKnown are the browsers that are known to be an account's.
	MostKnown = 50
	// Known is for how long a browser that passed step two is known to be its owner's.
	// It skips nothing.
	Known = 400 * 24 * time.Hour
)

// Reason is why somebody is asked for the second step. The zero value is no reason to
// skip it.
type Reason string

// Trusted is the one answer that skips the second step.
const Trusted Reason = "trusted"

// The reasons why not.
const (
	Off             Reason = "off"       // trust is switched off
	NoRecord        Reason = "none"      // this browser has none for this account
	EndedPassword   Reason = "password"  // the password was changed or reset
	EndedFactor     Reason = "factor"    // a factor was added, changed or removed
	EndedRecovery   Reason = "recovery"  // a recovery code was used
	EndedRevoked    Reason = "revoked"   // by the person
	EndedEverywhere Reason = "signedout" // the person signed out everywhere
	EndedOperator   Reason = "operator"  // by the operator
	EndedDisabled   Reason = "disabled"  // the account was disabled
	EndedRestored   Reason = "restored"  // the database was brought back from a backup
	EndedStolen     Reason = "stolen"    // its secret was used in two places
	EndedChanged    Reason = "changed"   // something else has made everything before void
	OtherBrowser    Reason = "browser"   // another browser, system or kind of device
	OlderBrowser    Reason = "older"     // the same browser in an older version
	UnknownNetwork  Reason = "unknown"   // nobody knows where the request comes from
	OtherNetwork    Reason = "network"   // another place
	BehindTime      Reason = "clock"     // the server's clock has been set back
	Expired         Reason = "expired"   // it was verified too long ago
)

// Record is what one verification left behind: the browser, the place and the time. Who
// owns it, and the secret that finds it, are the engine's business.
type Record struct {
	ID       string
	Place    Place
	Browser  Browser
	Verified time.Time
	Ended    Reason // why it ended early; "" if it did not
}

// Request is who asks to come in.
type Request struct {
	Address netip.Addr // of the client, see Proxies.Client; zero: nobody knows
	Browser Browser
}

// Policy is what the owner of the server has chosen.
type Policy struct {
	Life    time.Duration // 0: no trust
	Network Network
	Browser Rule
}

// Network says which addresses are one place.
type Network string

// The choices. The zero value is Exact.
const (
	Exact    Network = "exact"  // one IPv4 address, one IPv6 /64
	Prefix   Network = "prefix" // an IPv4 /24, an IPv6 /56
	Anywhere Network = "off"    // places are not compared
)

// Rule says which browsers are one.
type Rule string

// The choices. The zero value is Family.
const (
	Family   Rule = "family" // the same browser, system and kind of device, not older
	SameText Rule = "exact"  // the same User-Agent header, letter by letter
)

// Check is the trust decision for one record: Trusted, or the first reason why not.
func Check(r Record, q Request, p Policy, now time.Time) Reason {
	switch {
	case p.Life <= 0:
		return Off
	case r.Ended != "":
		return r.Ended
	case !r.Browser.same(q.Browser, p.Browser):
		return OtherBrowser
	case p.Browser != SameText && q.Browser.Major < r.Browser.Major:
		return OlderBrowser
	case p.Network != Anywhere && !q.Address.IsValid():
		return UnknownNetwork
	case p.Network != Anywhere && !r.Place.Holds(q.Address, p.Network):
		return OtherNetwork
	case now.Before(r.Verified.Add(-skew)):
		return BehindTime
	case now.Sub(r.Verified) > p.Life:
		return Expired
	}
	return Trusted
}

// skew is how far the clocks of equal servers may differ.
const skew = time.Minute

// Decision is the answer for all records of one browser and account.
type Decision struct {
	Reason  Reason
	Nearest int      // the record that decided; -1: there is none
	Each    []Reason // for every record
}

// Decide trusts if one record does. If none does, the one that came nearest says why: at
// home after 31 days it is the time and not the network of the office.
func Decide(records []Record, q Request, p Policy, now time.Time) Decision {
	d := Decision{Reason: NoRecord, Nearest: -1}
	if p.Life <= 0 {
		d.Reason = Off
	}
	for i, r := range records {
		reason := Check(r, q, p, now)
		d.Each = append(d.Each, reason)
		if d.Nearest < 0 || nearer(reason, r, d.Reason, records[d.Nearest]) {
			d.Reason, d.Nearest = reason, i
		}
	}
	return d
}

// nearer compares how far two records came, and of two that came equally far, which is
// the newer.
func nearer(reason Reason, r Record, best Reason, of Record) bool {
	if a, b := reason.rank(), best.rank(); a != b {
		return a > b
	}
	return r.Verified.After(of.Verified)
}

// rank is how many of the checks were passed.
func (r Reason) rank() int {
	switch r {
	case Trusted:
		return 5
	case Expired, BehindTime:
		return 4
	case OtherNetwork, UnknownNetwork:
		return 3
	case OtherBrowser, OlderBrowser:
		return 2
	case Off, NoRecord:
		return 0
	}
	return 1 // ended
}

// Ended reports whether trust was there and ended before its time.
func (r Reason) Ended() bool { return r.rank() == 1 }

// Elsewhere reports whether a request with the right secret comes from another kind of
// browser and from another place than every record that has not ended: a browser that is
// updated, or carried about, changes the one or the other.
func Elsewhere(records []Record, q Request, p Policy) bool {
	if p.Network == Anywhere || !q.Address.IsValid() || !q.Browser.Named {
		return false
	}
	some := false
	for _, r := range records {
		if r.Ended != "" {
			continue
		}
		if r.Browser.Family == q.Browser.Family || r.Place.Holds(q.Address, p.Network) {
			return false
		}
		some = true
	}
	return some
}

// Added are the records of a browser and account, the longest verified first, after one
// more verification. An address
// is in one of them only, so each place keeps the time of its own verification; what has
// ended says nothing any more; and of too many the oldest leaves.
func Added(records []Record, fresh Record) []Record {
	var kept []Record
	for _, r := range records {
		if r.Place = r.Place.without(fresh.Place); r.Ended == "" && r.Place != (Place{}) {
			kept = append(kept, r)
		}
	}
	kept = append(kept, fresh)
	return kept[max(0, len(kept)-MostPlaces):]
}
