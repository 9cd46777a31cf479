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
	// MaxTTL is the longest that trust lasts, from the verification it comes of; the
	// window is fixed and does not slide ("up to 30 days").
	MaxTTL = 30 * 24 * time.Hour
	// MaxNetworks are the places of one browser and account; the oldest leaves.
	MaxNetworks = 8
	// MaxTrustedDevices are the browsers that one account trusts; the one that was verified
	// longest ago leaves.
	MaxTrustedDevices = 10
	// MaxKnownDevices are the browsers that are known to be an account's.
	MaxKnownDevices = 50
	// KnownDeviceTTL is for how long a browser that passed step two is known to be its owner's.
	// It skips nothing.
	KnownDeviceTTL = 400 * 24 * time.Hour
)

// Reason is why somebody is asked for the second step. The zero value is no reason to
// skip it.
type Reason string

// Trusted is the one answer that skips the second step.
const Trusted Reason = "trusted"

// The reasons why not.
const (
	TrustDisabled            Reason = "off"       // trust is switched off
	NoRecord                 Reason = "none"      // this browser has none for this account
	RevokedPasswordChanged   Reason = "password"  // the password was changed or reset
	RevokedFactorChanged     Reason = "factor"    // a factor was added, changed or removed
	RevokedRecoveryCodeUsed  Reason = "recovery"  // a recovery code was used
	RevokedByOwner           Reason = "revoked"   // by the person
	RevokedSignOutEverywhere Reason = "signedout" // the person signed out everywhere
	RevokedByOperator        Reason = "operator"  // by the operator
	RevokedAccountDisabled   Reason = "disabled"  // the account was disabled
	RevokedBackupRestored    Reason = "restored"  // the database was brought back from a backup
	RevokedTokenReuse        Reason = "stolen"    // its secret was used in two places
	RevokedEpochChanged      Reason = "changed"   // something else has made everything before void
	OtherBrowser             Reason = "browser"   // another browser, system or kind of device
	BrowserDowngrade         Reason = "older"     // the same browser in an older version
	UnknownNetwork           Reason = "unknown"   // nobody knows where the request comes from
	OtherNetwork             Reason = "network"   // another place
	ClockSetBack             Reason = "clock"     // the server's clock has been set back
	Expired                  Reason = "expired"   // it was verified too long ago
)

// Record is what one verification left behind: the browser, the place and the time. Who
// owns it, and the secret that finds it, are the engine's business.
type Record struct {
	ID           string
	Network      ClientNetwork
	Browser      Browser
	VerifiedAt   time.Time
	RevokeReason Reason // why it ended early; "" if it did not
}

// Request is who asks to come in.
type Request struct {
	Address netip.Addr // of the client, see Proxies.Client; zero: nobody knows
	Browser Browser
}

// Policy is what the owner of the server has chosen.
type Policy struct {
	TTL     time.Duration // 0: no trust
	Network NetworkMatch
	Browser BrowserMatch
}

// NetworkMatch says which addresses are one place.
type NetworkMatch string

// The choices. The zero value is Exact.
const (
	NetworkExact   NetworkMatch = "exact"  // one IPv4 address, one IPv6 /64
	NetworkPrefix  NetworkMatch = "prefix" // an IPv4 /24, an IPv6 /56
	NetworkIgnored NetworkMatch = "off"    // places are not compared
)

// BrowserMatch says which browsers are one.
type BrowserMatch string

// The choices. The zero value is Family.
const (
	BrowserFamily BrowserMatch = "family" // the same browser, system and kind of device, not older
	BrowserExact  BrowserMatch = "exact"  // the same User-Agent header, letter by letter
)

// CheckRecord is the trust decision for one record: Trusted, or the first reason why not.
func CheckRecord(r Record, q Request, p Policy, now time.Time) Reason {
	switch {
	case p.TTL <= 0:
		return TrustDisabled
	case r.RevokeReason != "":
		return r.RevokeReason
	case !r.Browser.matches(q.Browser, p.Browser):
		return OtherBrowser
	case p.Browser != BrowserExact && q.Browser.MajorVersion < r.Browser.MajorVersion:
		return BrowserDowngrade
	case p.Network != NetworkIgnored && !q.Address.IsValid():
		return UnknownNetwork
	case p.Network != NetworkIgnored && !r.Network.Contains(q.Address, p.Network):
		return OtherNetwork
	case now.Before(r.VerifiedAt.Add(-clockSkew)):
		return ClockSetBack
	case now.Sub(r.VerifiedAt) > p.TTL:
		return Expired
	}
	return Trusted
}

// clockSkew is how far the clocks of equal servers may differ.
const clockSkew = time.Minute

// Decision is the answer for all records of one browser and account.
type Decision struct {
	Reason        Reason
	NearestIndex  int      // the record that decided; -1: there is none
	RecordReasons []Reason // for every record
}

// Decide trusts if one record does. If none does, the one that came nearest says why: at
// home after 31 days it is the time and not the network of the office.
func Decide(records []Record, q Request, p Policy, now time.Time) Decision {
	d := Decision{Reason: NoRecord, NearestIndex: -1}
	if p.TTL <= 0 {
		d.Reason = TrustDisabled
	}
	for i, r := range records {
		reason := CheckRecord(r, q, p, now)
		d.RecordReasons = append(d.RecordReasons, reason)
		if d.NearestIndex < 0 || isNearer(reason, r, d.Reason, records[d.NearestIndex]) {
			d.Reason, d.NearestIndex = reason, i
		}
	}
	return d
}

// isNearer compares how far two records came, and of two that came equally far, which is
// the newer.
func isNearer(reason Reason, r Record, best Reason, of Record) bool {
	if a, b := reason.checksPassed(), best.checksPassed(); a != b {
		return a > b
	}
	return r.VerifiedAt.After(of.VerifiedAt)
}

// checksPassed is how many of the checks were passed.
func (r Reason) checksPassed() int {
	switch r {
	case Trusted:
		return 5
	case Expired, ClockSetBack:
		return 4
	case OtherNetwork, UnknownNetwork:
		return 3
	case OtherBrowser, BrowserDowngrade:
		return 2
	case TrustDisabled, NoRecord:
		return 0
	}
	return 1 // ended
}

// IsRevoked reports whether trust was there and ended before its time.
func (r Reason) IsRevoked() bool { return r.checksPassed() == 1 }

// IsLikelyCopy reports whether a request with the right secret comes from another kind of
// browser and from another place than every record that has not ended: a browser that is
// updated, or carried about, changes the one or the other.
func IsLikelyCopy(records []Record, q Request, p Policy) bool {
	if p.Network == NetworkIgnored || !q.Address.IsValid() || !q.Browser.Recognized {
		return false
	}
	some := false
	for _, r := range records {
		if r.RevokeReason != "" {
			continue
		}
		if r.Browser.Family == q.Browser.Family || r.Network.Contains(q.Address, p.Network) {
			return false
		}
		some = true
	}
	return some
}

// AddRecord are the records of a browser and account, the longest verified first, after one
// more verification. An address
// is in one of them only, so each place keeps the time of its own verification; what has
// ended says nothing any more; and of too many the oldest leaves.
func AddRecord(records []Record, fresh Record) []Record {
	var kept []Record
	for _, r := range records {
		if r.Network = r.Network.without(fresh.Network); r.RevokeReason == "" && r.Network != (ClientNetwork{}) {
			kept = append(kept, r)
		}
	}
	kept = append(kept, fresh)
	return kept[max(0, len(kept)-MaxNetworks):]
}
