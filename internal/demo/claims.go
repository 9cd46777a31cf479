package demo

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// claim is one row of the table of claims.
type claim struct{ Name, Meaning, Value string }

// knownClaims returns the claims that have a description, in the order of the table.
func knownClaims() []claim {
	return []claim{
		{Name: "sub", Meaning: "Your account's ID. It stays the same if your email address changes"},
		{Name: "name", Meaning: "Your name"},
		{Name: "email", Meaning: "Your email address"},
		{Name: "email_verified", Meaning: "Whether your email address is verified"},
		{Name: "groups", Meaning: "Your groups"},
		{Name: "acr", Meaning: "How strong the sign-in was"},
		{Name: "amr", Meaning: "The methods you signed in with"},
		{Name: "auth_time", Meaning: "When you last completed both steps"},
		{Name: "sid", Meaning: "Your session's ID. The server notifies this app when the session ends"},
		{Name: "iss", Meaning: "The server that issued the token"},
		{Name: "aud", Meaning: "The app that the token is for"},
		{Name: "iat", Meaning: "When the token was issued"},
		{Name: "exp", Meaning: "When the token expires"},
		{Name: "nonce", Meaning: "Links the token to this sign-in, so that an old token is refused"},
		{Name: "at_hash", Meaning: "Links the token to the access token issued with it"},
	}
}

// acrTexts describe the values of acr.
var acrTexts = map[string]string{
	"urn:twostep:acr:1":     "password, in a trusted browser",
	"urn:twostep:acr:email": "password and a code sent by email",
	"urn:twostep:acr:2":     "password and a code from an authenticator app or phone",
	"urn:twostep:acr:3":     "a passkey",
}

// describeClaims returns the table for the claims of an ID token, unknown claims included.
func describeClaims(all map[string]any) (list []claim) {
	unknown := maps.Clone(all)
	for _, c := range knownClaims() {
		value, ok := all[c.Name]
		if !ok {
			continue
		}
		delete(unknown, c.Name)
		c.Value = claimText(c.Name, value)
		if words := acrTexts[c.Value]; c.Name == "acr" && words != "" {
			c.Meaning += ": " + words
		}
		list = append(list, c)
	}
	for _, name := range slices.Sorted(maps.Keys(unknown)) {
		list = append(list, claim{Name: name, Value: claimText(name, unknown[name])})
	}
	return list
}

func claimText(name string, value any) string {
	switch v := value.(type) {
	case string:
		return v
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case float64:
		if name == "auth_time" || name == "iat" || name == "exp" {
			return time.Unix(int64(v), 0).UTC().Format("2 January 2006, 15:04:05 UTC")
		}
	case []any:
		var words []string
		for _, one := range v {
			words = append(words, fmt.Sprint(one))
		}
		if len(words) == 0 {
			return "none"
		}
		return strings.Join(words, ", ")
	}
	body, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(body)
}
