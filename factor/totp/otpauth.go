package totp

import (
	"encoding/base32"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// otpauthURI returns the otpauth URI of a key in Google's Key Uri Format. The issuer is in the
// label and in a parameter, because some apps read only one of them. The default parameters are
// included, because some apps reject a URI without them.
func otpauthURI(site, account string, key []byte) string {
	issuer := cleanLabel(site)
	label, parameter := percentEncode(cleanLabel(account)), ""
	if issuer != "" {
		label, parameter = percentEncode(issuer)+":"+label, "&issuer="+percentEncode(issuer)
	}
	return "otpauth://totp/" + label + "?secret=" + base32Key(key) + parameter + "&algorithm=SHA1&digits=6&period=30"
}

// cleanLabel replaces colons, which would end the issuer, and control characters.
func cleanLabel(text string) string {
	text = strings.Map(func(r rune) rune {
		if r == ':' || unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	return strings.Join(strings.Fields(text), " ")
}

// percentEncode encodes a space as %20: apps show a plus sign as it is.
func percentEncode(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

// base32Key returns the key as apps expect it: base32 without padding.
func base32Key(key []byte) string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(key)
}

// groupedBase32Key returns the key in groups of four, for people to type.
func groupedBase32Key(key []byte) string {
	var list []string
	for group := range slices.Chunk([]byte(base32Key(key)), 4) {
		list = append(list, string(group))
	}
	return strings.Join(list, " ")
}
