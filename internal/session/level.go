package session

import "slices"

// Level is how strongly a person has authenticated. Apps can require a level and learn it from the acr claim.
type Level int

// The levels, the weakest first.
const (
	LevelNone     Level = iota
	LevelPassword       // password only: the second step was skipped in a trusted browser
	LevelEmail          // password and a code by email
	LevelCode           // password and a code by SMS, from an authenticator app or a recovery code
	LevelKey            // a passkey with user verification
)

// acrs are the acr values of the levels (OpenID Connect Core 2).
var acrs = []string{
	LevelPassword: "urn:twostep:acr:1",
	LevelEmail:    "urn:twostep:acr:email",
	LevelCode:     "urn:twostep:acr:2",
	LevelKey:      "urn:twostep:acr:3",
}

// ACRs returns the acr values of all levels, the weakest first.
func ACRs() []string { return slices.Clone(acrs[LevelPassword:]) }

// ACR returns the acr value of the level; "" for LevelNone.
func (l Level) ACR() string { return acrs[l] }

// ParseACR returns the level of an acr value; LevelNone if it is unknown.
func ParseACR(name string) Level {
	if name == "" {
		return LevelNone
	}
	return Level(max(slices.Index(acrs, name), 0))
}

// LevelOf returns the level of a list of authentication method references (RFC 8176).
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

// Level returns the level of the session.
func (s Session) Level() Level { return LevelOf(s.AMR) }
