package render

import (
	"net/url"
	"strings"
)

// MaxReturnToLength bounds a return address, in bytes.
const MaxReturnToLength = 1024

// LocalPath returns the address if following it cannot leave this site, however a browser or a proxy parses it: a clean
// absolute path with an optional query. Otherwise ok is false.
func LocalPath(address string) (string, bool) {
	if len(address) > MaxReturnToLength || !strings.HasPrefix(address, "/") {
		return "", false
	}
	for _, c := range []byte(address) {
		// Browsers drop tabs and line ends and read a backslash as a slash (URL Standard 4.4).
		if c <= ' ' || c >= 0x7f || c == '\\' || c == '#' {
			return "", false
		}
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" {
		return "", false
	}
	// Check the decoded path: "/%2f/evil.com" is "///evil.com" for software that decodes first.
	if !isCleanPath(u.Path) ||
		strings.ContainsFunc(u.Path, func(c rune) bool { return c < ' ' || c == '\\' || c == 0x7f }) {
		return "", false
	}
	return address, true
}
