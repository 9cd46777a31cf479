package delivery

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// ValidLocalPart reports whether s is a local part of an email address, before the @, that we send to: ASCII characters
// of a dot-atom (RFC 5322 3.2.3), and letters, marks and digits of other scripts (RFC 6531). Unlike in a dot-atom, dots
// may stand anywhere, because docomo and other providers gave such addresses to their customers.
//
// It refuses what another address could be mistaken for: letters that become ASCII when their case changes or when they
// are normalized, and a mixture of scripts whose letters look alike.
func ValidLocalPart(s string) bool {
	if len(s) > maxLocalPartBytes || !utf8.ValidString(s) || strings.Trim(s, ".") == "" {
		return false
	}
	var script *unicode.RangeTable
	for i, r := range s {
		switch {
		case r < utf8.RuneSelf && r != '.' && notAtext(r):
			return false
		case r >= utf8.RuneSelf && !isAddressRune(r), i == 0 && unicode.IsMark(r):
			return false
		}
		if own := alikeScript(r); own != nil {
			if script != nil && script != own {
				return false
			}
			script = own
		}
	}
	return norm.NFKC.IsNormalString(s)
}

// isAddressRune reports whether a character beyond ASCII may be in a local part.
func isAddressRune(r rune) bool {
	if !unicode.In(r, unicode.L, unicode.Mn, unicode.Mc, unicode.Nd) {
		return false
	}
	return unicode.ToUpper(r) >= utf8.RuneSelf && unicode.ToLower(r) >= utf8.RuneSelf
}

// alikeScript returns the script of a letter, if it is one of those with letters that look alike, or nil.
func alikeScript(r rune) *unicode.RangeTable {
	for _, script := range []*unicode.RangeTable{
		unicode.Latin, unicode.Cyrillic, unicode.Greek, unicode.Armenian, unicode.Cherokee,
	} {
		if unicode.Is(script, r) {
			return script
		}
	}
	return nil
}

// isASCII reports whether s has only ASCII characters.
func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}

// quoteLocalPart returns an address as the commands of SMTP need it: a local part that is no dot-atom in quotes (RFC
// 5321 4.1.2). No character of a valid one needs a backslash.
func quoteLocalPart(address string) string {
	local, domain, _ := strings.Cut(address, "@")
	if strings.HasPrefix(local, ".") || strings.HasSuffix(local, ".") || strings.Contains(local, "..") {
		return `"` + local + `"@` + domain
	}
	return address
}
