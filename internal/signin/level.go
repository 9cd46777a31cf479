package signin

import (
	"slices"
	"time"

	"twostep.example/twostep/factor"
)

// Level is how much somebody has proven. Apps ask for one, and are told which it is.
type Level int

// The levels, each more than the one before.
const (
	LevelNone     Level = iota
	LevelPassword       // trust in the browser skipped the second step
	LevelEmail          // and a code by email
	LevelCode           // and a code from an app, a phone or paper
	LevelKey            // a passkey that has verified its user
)

// acrs are their names for apps (OpenID Connect Core 2, "acr").
var acrs = []string{LevelPassword: "urn:twostep:acr:1", LevelEmail: "urn:twostep:acr:email", LevelCode: "urn:twostep:acr:2", LevelKey: "urn:twostep:acr:3"}

// ACRs are the names of all levels, the lowest first.
func ACRs() []string { return slices.Clone(acrs[LevelPassword:]) }

// ACR is the name of a level.
func (l Level) ACR() string { return acrs[l] }

// ParseACR is the level of a name; LevelNone of any other.
func ParseACR(name string) Level {
	if name == "" {
		return LevelNone
	}
	return Level(max(slices.Index(acrs, name), 0))
}

// LevelOf is the level of the methods of an AMR (RFC 8176).
func LevelOf(amr []string) Level {
	has := func(method string) bool { return slices.Contains(amr, method) }
	switch {
	case has("user") && has("mfa"):
		return LevelKey
	case has("otp"):
		return LevelCode
	case has("email"):
		return LevelEmail
	case has("pwd"):
		return LevelPassword
	}
	return LevelNone
}

// levelBy is what a password and one more proof come to.
func levelBy(m factor.Method) Level { return LevelOf(append([]string{"pwd"}, m.About().AMR...)) }

// Level is how much the person has proven.
func (s Session) Level() Level { return LevelOf(s.AMR) }

// AuthTime is when both steps were last taken: in this session, or in the one in which the
// browser was verified. It is never the time of a skipped step.
func (s Session) AuthTime() time.Time {
	if s.AuthenticatedAt.After(s.TrustVerifiedAt) {
		return s.AuthenticatedAt
	}
	return s.TrustVerifiedAt
}

// atLeast are the ways that come to a level; all of them if none does, so that nobody is kept
// out: whoever has asked for the level sees that it was not reached.
func atLeast(ways []enrolled, level Level) []enrolled {
	enough := slices.DeleteFunc(slices.Clone(ways), func(f enrolled) bool { return levelBy(f.method) < level })
	if len(enough) == 0 {
		return ways
	}
	return enough
}
