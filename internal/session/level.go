package session

import "slices"

// Level is how much a person has proven. Apps ask for one, and are told which it is.
type Level int

// The levels, each more than the one before.
const (
	LevelNone     Level = iota
	LevelPassword       // trust in the browser skipped the second step
	LevelEmail          // and a code by email
	LevelCode           // and a code from an app, a phone or paper
	LevelKey            // a passkey that has verified its user
)

// acrs are the names of the levels for apps (OpenID Connect Core 2, acr).
var acrs = []string{
	LevelPassword: "urn:twostep:acr:1", LevelEmail: "urn:twostep:acr:email", LevelCode: "urn:twostep:acr:2", LevelKey: "urn:twostep:acr:3",
}

// ACRs are the names of all levels, the lowest first.
func ACRs() []string { return slices.Clone(acrs[LevelPassword:]) }

// ACR is the name of a level; "" of LevelNone.
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

// Level is how much the person of the session has proven.
func (s Session) Level() Level { return LevelOf(s.AMR) }
