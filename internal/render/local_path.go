package render

import (
	"net/url"
	"strings"
)

// maxReturnToLength bounds an address that somebody is sent back to.
const maxReturnToLength = 1024

// LocalPath is the address itself if following it cannot leave this site, whatever a
// browser or a proxy makes of it: a clean absolute path with an optional query.
func LocalPath(address string) (string, bool) {
	if len(address) > maxReturnToLength || !strings.HasPrefix(address, "/") {
		return "", false
	}
	for _, c := range []byte(address) {
		// Browsers drop tabs and line ends and read a backslash as a slash.
		if c <= ' ' || c >= 0x7f || c == '\\' || c == '#' {
			return "", false
		}
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" {
		return "", false
	}
	// The decoded path counts: "/%2f/evil.com" is "///evil.com" to whoever decodes first.
	if !isCleanPath(u.Path) ||
		strings.ContainsFunc(u.Path, func(c rune) bool { return c < ' ' || c == '\\' || c == 0x7f }) {
		return "", false
	}
	return address, true
}
