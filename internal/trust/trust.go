// Package trust decides whether a device is still trusted on a network, and if not, why.
//
//	request ─▶ TrustedProxies.ClientAddr ─▶ ParseBrowser ─▶ Decide ─▶ Trusted, or the reason why not
//
// It is pure: it stores nothing, reads no clock and decides the same for the same arguments. Trust
// skips the second step of a sign-in and nothing else.
package trust

import (
	"net/netip"
	"slices"
	"time"
)

const (
	// MaxTTL is the longest time that trust lasts, from the verification; it is not extended by
	// use. Source: help page: "You can optionally skip 2-Step verification for up to {Days} days."
	MaxTTL = 30 * 24 * time.Hour
	// MaxNetworks is the number of networks of one device and account; a new one replaces the
	// oldest.
	MaxNetworks = 8
	// MaxTrustedDevices is the number of trusted devices of one account; a new one replaces the one
	// whose verification is the oldest.
	MaxTrustedDevices = 10
	// MaxKnownDevices is the number of known devices of one account.
	MaxKnownDevices = 50
	// KnownDeviceTTL is how long a device that passed the second step is known. A known device does
	// not skip the second step.
	KnownDeviceTTL = 400 * 24 * time.Hour
)

// Reason is the reason why the second step is required. The zero value does not skip it.
type Reason string

// Trusted is the only Reason that skips the second step.
const Trusted Reason = "trusted"

// The reasons why the second step is required.
const (
	TrustDisabled            Reason = "off"       // trust is disabled by policy
	NoRecord                 Reason = "none"      // the device has no record for this account
	RevokedPasswordChanged   Reason = "password"  // the password was changed or reset
	RevokedFactorChanged     Reason = "factor"    // a factor was added, changed or removed
	RevokedRecoveryCodeUsed  Reason = "recovery"  // a recovery code was used
	RevokedDeskCodeUsed      Reason = "desk"      // a code from the help desk was used
	RevokedByOwner           Reason = "revoked"   // revoked by the person
	RevokedSignOutEverywhere Reason = "signedout" // the person signed out everywhere
	RevokedByOperator        Reason = "operator"  // revoked by an operator
	RevokedAccountDisabled   Reason = "disabled"  // the account was disabled
	RevokedBackupRestored    Reason = "restored"  // the database was restored from a backup
	RevokedTokenReuse        Reason = "stolen"    // the device token was used in two places
	RevokedEpochChanged      Reason = "changed"   // another change has revoked all older records
	OtherBrowser             Reason = "browser"   // another browser or system
	BrowserDowngrade         Reason = "older"     // the same browser in an older version
	UnknownNetwork           Reason = "unknown"   // the client address is unknown
	OtherNetwork             Reason = "network"   // another network
	ClockSetBack             Reason = "clock"     // the server's clock was set back
	MethodNotAllowed         Reason = "method"    // it was verified by a method that the policy does not allow
	Expired                  Reason = "expired"   // the verification is too old
)

// Reasons returns every Reason, Trusted first.
func Reasons() []Reason {
	return []Reason{
		Trusted, TrustDisabled, NoRecord, RevokedPasswordChanged, RevokedFactorChanged, RevokedRecoveryCodeUsed,
		RevokedDeskCodeUsed, RevokedByOwner, RevokedSignOutEverywhere, RevokedByOperator, RevokedAccountDisabled, RevokedBackupRestored,
		RevokedTokenReuse, RevokedEpochChanged, OtherBrowser, BrowserDowngrade, UnknownNetwork, OtherNetwork, ClockSetBack,
		MethodNotAllowed, Expired,
	}
}

// Record is the stored result of one verification: browser, network and time. Its owner and its
// token are stored with it and are not needed for the decision. Source: help page: "This record
// stores the following details."
type Record struct {
	ID           string
	Network      ClientNetwork
	Browser      Browser
	VerifiedAt   time.Time
	RevokeReason Reason // why it was revoked; "" if it was not
	// TTL is how long the person was told that the device is trusted; 0: as long as the policy says.
	TTL time.Duration
	// Method is the method by which it was verified; "": not known.
	Method string
}

// Request is what a sign-in is compared with.
type Request struct {
	Address netip.Addr // of the client, from TrustedProxies.ClientAddr; zero: unknown
	Browser Browser
}

// Policy is the trust settings for one sign-in.
type Policy struct {
	TTL     time.Duration // 0 disables trust
	Network NetworkMatch
	Browser BrowserMatch
	Methods []string // by which a device may have been verified; nil: all, empty: none
}

// TTLOf returns how long a record is trusted.
func (p Policy) TTLOf(r Record) time.Duration {
	if r.TTL > 0 {
		return min(p.TTL, r.TTL)
	}
	return p.TTL
}

// NetworkMatch defines which addresses are the same network.
type NetworkMatch string

// Values of NetworkMatch. The zero value means NetworkExact.
const (
	NetworkExact   NetworkMatch = "exact"  // the IPv4 address, the IPv6 /64
	NetworkPrefix  NetworkMatch = "prefix" // the IPv4 /24, the IPv6 /56
	NetworkIgnored NetworkMatch = "off"    // networks are not compared
)

// BrowserMatch defines which browsers are the same.
type BrowserMatch string

// Values of BrowserMatch. The zero value means BrowserFamily.
const (
	BrowserFamily BrowserMatch = "family" // the same browser and system, not an older version
	BrowserExact  BrowserMatch = "exact"  // the same User-Agent header, byte for byte
)

// CheckRecord decides for one record. It returns Trusted, or the first reason why not.
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
	case p.Methods != nil && !slices.Contains(p.Methods, r.Method):
		return MethodNotAllowed
	case now.Sub(r.VerifiedAt) > p.TTLOf(r):
		return Expired
	}
	return Trusted
}

// clockSkew is how far the clocks of several servers may differ.
const clockSkew = time.Minute

// Decision is the result for all records of one device and account.
type Decision struct {
	Reason        Reason
	NearestIndex  int      // index of the record that decided; -1 is none
	RecordReasons []Reason // for every record
}

// Decide returns Trusted if any record is trusted. Otherwise the reason is that of the record that
// passed the most checks: at home after 31 days it is Expired, not the other network of the office.
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

// isNearer reports whether a record passed more checks than the best one, or as many and is newer.
func isNearer(reason Reason, r Record, best Reason, of Record) bool {
	if a, b := reason.checksPassed(), best.checksPassed(); a != b {
		return a > b
	}
	return r.VerifiedAt.After(of.VerifiedAt)
}

// checksPassed returns how many checks passed before r failed.
func (r Reason) checksPassed() int {
	switch r {
	case Trusted:
		return 5
	case Expired, ClockSetBack, MethodNotAllowed:
		return 4
	case OtherNetwork, UnknownNetwork:
		return 3
	case OtherBrowser, BrowserDowngrade:
		return 2
	case TrustDisabled, NoRecord:
		return 0
	}
	return 1 // revoked
}

// IsRevoked reports whether there was trust that ended early.
func (r Reason) IsRevoked() bool { return r.checksPassed() == 1 }

// IsLikelyCopy reports whether a request with a valid device token differs in browser family and in
// network from every record that is not revoked. An update changes neither and a moved device only
// one of them, so the token was probably copied.
func IsLikelyCopy(records []Record, q Request, p Policy) bool {
	if p.Network == NetworkIgnored || !q.Address.IsValid() || !q.Browser.Recognized {
		return false
	}
	compared := false
	for _, r := range records {
		if r.RevokeReason != "" {
			continue
		}
		if r.Browser.Family == q.Browser.Family || r.Network.Contains(q.Address, p.Network) {
			return false
		}
		compared = true
	}
	return compared
}

// AddRecord returns the records of a device and account after one more verification, oldest first.
// Each address is in one record only, so that every network keeps the time of its own verification.
// Revoked records are dropped, and the oldest if there are more than MaxNetworks.
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
