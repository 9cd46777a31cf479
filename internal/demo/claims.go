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
		{Name: "sub", Meaning: "Who you are: always the same for your account, also when your email address changes"},
		{Name: "name", Meaning: "Your name"},
		{Name: "email", Meaning: "Your email address"},
		{Name: "email_verified", Meaning: "Whether the address was proven to be yours"},
		{Name: "groups", Meaning: "The groups you are in"},
		{Name: "acr", Meaning: "How much was proven in all"},
		{Name: "amr", Meaning: "By what you have proven it"},
		{Name: "auth_time", Meaning: "When both steps were last taken"},
		{Name: "sid", Meaning: "Which session it is: when it ends, this app is told"},
		{Name: "iss", Meaning: "Who says all this"},
		{Name: "aud", Meaning: "For which app it is said"},
		{Name: "iat", Meaning: "When it was said"},
		{Name: "exp", Meaning: "Until when this app may take it in"},
		{Name: "nonce", Meaning: "That it was said for this sign-in, and not for an earlier one"},
		{Name: "at_hash", Meaning: "That the access token that came with it belongs to it"},
	}
}

// acrTexts describe the values of acr.
var acrTexts = map[string]string{
	"urn:twostep:acr:1":     "the password; this browser is trusted",
	"urn:twostep:acr:email": "the password, and a code sent by email",
	"urn:twostep:acr:2":     "the password, and a code from an app or a phone",
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
