package account

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// maxEmail is the longest address that SMTP carries (RFC 5321, 4.5.3.1.3, without the brackets).
const maxEmail = 254

// ParseEmail returns the one canonical form of an address: a plain local part in
// ASCII, lower case, and the domain in its ASCII form. Two addresses that reach the
// same mailbox in practice are the same account; nothing else is folded together, so
// that no look-alike letter of another script leads to somebody else. ErrEmail.
func ParseEmail(typed string) (string, error) {
	typed = strings.TrimSpace(typed)
	local, domain, ok := strings.Cut(typed, "@")
	if !ok || !utf8.ValidString(typed) || len(typed) > maxEmail || len(local) > 64 || !dotAtom(local) {
		return "", ErrEmail
	}
	// Only ASCII is lowered by us; the Kelvin sign and its like are for IDNA to judge.
	domain, err := idna.Lookup.ToASCII(domain)
	// The rules for names written from the right are asked of what was typed, before it is mapped:
	// what came out must stand by itself, or nobody could ever type that address again.
	again, unstable := idna.Lookup.ToASCII(domain)
	if err != nil || unstable != nil || again != domain || !hostName(domain) {
		return "", ErrEmail
	}
	email := lowerASCII(local) + "@" + domain
	if len(email) > maxEmail {
		return "", ErrEmail
	}
	return email, nil
}

// dotAtom reports whether s is one (RFC 5322, 3.2.3), in ASCII.
func dotAtom(s string) bool {
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" {
			return false
		}
		for _, r := range atom {
			if !alphanumeric(r) && !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r) {
				return false
			}
		}
	}
	return true
}

// hostName reports whether s is a name of at least two labels, the last not a number.
func hostName(s string) bool {
	labels := strings.Split(s, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' || strings.ContainsFunc(l,
			func(r rune) bool { return !alphanumeric(r) && r != '-' }) {
			return false
		}
	}
	last := labels[len(labels)-1]
	return len(labels) > 1 && strings.ContainsFunc(last, func(r rune) bool { return r < '0' || r > '9' })
}

func alphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// MaskEmail shows the first letter and the domain: enough to know one's own mailbox.
// There are always three dots, so that the length of the name does not show.
func MaskEmail(email string) string {
	at := strings.LastIndexByte(email, '@')
	if at < 1 {
		return "•••"
	}
	return email[:1] + "•••" + email[at:]
}
