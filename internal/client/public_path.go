package client

import (
	"regexp"
	"slices"
	"strings"
)

// publicPathPattern matches an entry of Client.PublicPaths: a method, a host and a path. As in http.ServeMux, the
// method and the host may be left out.
var publicPathPattern = regexp.MustCompile(`^(?:([A-Z][A-Z-]{0,31}) )?([^/ ]*)(/[^*]*?)(\*?)$`)

// validatePublicPath checks an entry of PublicPaths.
func (c Client) validatePublicPath(entry string) error {
	part := publicPathPattern.FindStringSubmatch(entry)
	if part == nil {
		return wrong("path.none")
	}
	method, host, path, wildcard := part[1], part[2], part[3], part[4] != ""
	switch {
	case host != "" && !slices.Contains(c.Hosts, host):
		return wrong("path.host")
	case len(c.Hosts) == 0:
		return wrong("path.nohost")
	case !isPlainPath(path):
		return wrong("path.character")
	case wildcard && !strings.HasSuffix(path, "/"):
		return wrong("path.star")
	case wildcard && path == "/" && method == "":
		return wrong("path.all")
	case strings.HasPrefix(path, "/.twostep/"):
		return wrong("path.own")
	}
	return nil
}

// IsPublicPath reports whether an entry of PublicPaths matches a request, and whether this entry names its method. path
// is the path of the request as it was sent, without the query.
//
// Only plain paths match. A path that a proxy and an app may read in different ways never does: with an escape (%2F,
// %2e), an empty segment (//), a segment of dots (..), a semicolon or a backslash. Upper and lower case differ.
func (c Client) IsPublicPath(method, host, path string) (public, byMethod bool) {
	if !isPlainPath(path) {
		return false, false
	}
	for _, entry := range c.PublicPaths {
		part := publicPathPattern.FindStringSubmatch(entry)
		if part == nil || part[1] != "" && !matchesMethod(part[1], method) || part[2] != "" && part[2] != host {
			continue
		}
		if path == part[3] || part[4] != "" && strings.HasPrefix(path, part[3]) {
			public, byMethod = true, part[1] != ""
		}
		if public && !byMethod {
			break
		}
	}
	return public, byMethod
}

// matchesMethod reports whether an entry for a method allows a request: GET allows HEAD too (RFC 9110 9.3.2).
func matchesMethod(allowed, method string) bool {
	return allowed == method || allowed == "GET" && method == "HEAD"
}

// isPlainPath reports whether all software reads a path in the same way: it has no empty segment except at the end, no
// segment of dots, and no character that has a meaning besides its own.
func isPlainPath(path string) bool {
	rest, ok := strings.CutPrefix(path, "/")
	if !ok || strings.ContainsFunc(rest, func(r rune) bool { return !isPlainRune(r) }) {
		return false
	}
	segments := strings.Split(rest, "/")
	for i, segment := range segments {
		if strings.Trim(segment, ".") == "" && (segment != "" || i < len(segments)-1) {
			return false
		}
	}
	return true
}

func isPlainRune(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("/-._~@:=", r)
}
