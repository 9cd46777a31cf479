package account

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"twostep.example/twostep/delivery"
)

// maxEmail is the longest address that SMTP carries (RFC 5321 4.5.3.1.3, without the angle brackets).
const maxEmail = 254

// ParseEmail returns the canonical form of an email address: the local part (delivery.ValidLocalPart) with its ASCII
// letters in lower case, and the domain in its ASCII form (RFC 5891). Two addresses with the same canonical form are
// the same account. Nothing else is treated as equal, so that a look-alike letter of another script cannot lead to
// another person's account. ParseEmail returns ErrEmail if it does not accept the address.
func ParseEmail(typed string) (string, error) {
	typed = strings.TrimSpace(typed)
	local, domain, ok := strings.Cut(typed, "@")
	if !ok || !utf8.ValidString(typed) || len(typed) > maxEmail || !delivery.ValidLocalPart(local) {
		return "", ErrEmail
	}
	// We lower only ASCII. IDNA decides about letters like the Kelvin sign.
	domain, err := domains.ToASCII(domain)
	// IDNA checks the rules for right-to-left names before it maps the domain. The mapped domain must pass
	// them too: otherwise the canonical form would not be a valid address.
	again, unstable := domains.ToASCII(domain)
	if err != nil || unstable != nil || again != domain || domain != localDomain && !hostName(domain) {
		return "", ErrEmail
	}
	email := lowerASCII(local) + "@" + domain
	if len(email) > maxEmail {
		return "", ErrEmail
	}
	return email, nil
}

// domains is idna.Lookup without the rule that a label has no hyphens in the third and fourth place: many names have
// them, like r3---sn.example.com.
var domains = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false), idna.CheckHyphens(false))

// localDomain is the domain of mailboxes on the machine of the server.
const localDomain = "localhost"

// ParseNewEmail is ParseEmail for an address that gets an account. Only in local mode, which sends no email, it may be
// at localhost: the mail server would deliver to its own machine.
func (a *Accounts) ParseNewEmail(typed string) (string, error) {
	email, err := ParseEmail(typed)
	if err == nil && strings.HasSuffix(email, "@"+localDomain) && !a.Settings.Local {
		return "", ErrEmail
	}
	return email, err
}

// hostName reports whether s is a host name of at least two labels whose last label is not a number.
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

// MaskEmail returns the first letter and the domain, enough to recognize one's own address. It always has three dots,
// so that it does not reveal the length of the local part.
func MaskEmail(email string) string {
	at := strings.LastIndexByte(email, '@')
	if at < 1 {
		return "•••"
	}
	_, size := utf8.DecodeRuneInString(email)
	return email[:size] + "•••" + email[at:]
}
