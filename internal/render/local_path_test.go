package render

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var schemePrefix = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*):`)

// resolveLikeBrowser returns where a browser goes that follows a reference on https://site/signin/verify (URL Standard
// 4.4). It is written from the standard, not from LocalPath. The host is "" if the reference leads to no host.
func resolveLikeBrowser(reference string) (host, path string) {
	reference = strings.TrimFunc(reference, func(c rune) bool { return c <= ' ' })
	reference = strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(reference)
	relative := true
	if m := schemePrefix.FindStringSubmatch(reference); m != nil {
		reference = reference[len(m[0]):]
		switch scheme := strings.ToLower(m[1]); {
		case scheme == "https": // the scheme of the page: without two slashes the reference is relative
			relative = !strings.HasPrefix(reference, "//")
		case slices.Contains([]string{"http", "ws", "wss", "ftp"}, scheme):
			relative = false
		default:
			return "", ""
		}
	}
	reference, _, _ = strings.Cut(reference, "#")
	reference, _, _ = strings.Cut(reference, "?")
	reference = strings.ReplaceAll(reference, `\`, "/")
	host = "site"
	if !relative || strings.HasPrefix(reference, "//") {
		authority, rest, _ := strings.Cut(strings.TrimLeft(reference, "/"), "/")
		host, reference = authority[strings.LastIndex(authority, "@")+1:], "/"+rest
	}
	if !strings.HasPrefix(reference, "/") {
		reference = "/signin/" + reference
	}
	var way []string
	for part := range strings.SplitSeq(reference[1:], "/") {
		switch strings.ReplaceAll(strings.ToLower(part), "%2e", ".") {
		case "..":
			way = way[:max(0, len(way)-1)]
		case ".":
		default:
			way = append(way, part)
		}
	}
	return host, "/" + strings.Join(way, "/")
}

// resolveLikeBrowser agrees with cases of the Web Platform Tests (url/resources).
func TestResolveLikeBrowserFollowsWPT(t *testing.T) {
	for reference, want := range map[string]string{
		"/a/b": "site /a/b", "a": "site /signin/a", "../a": "site /a", "/../a": "site /a",
		"/a/%2E%2e/b?c/../d": "site /b", "": "site /signin/", "/.//x": "site //x",
		"//evil/a": "evil /a", "///evil/a": "evil /a", `/\evil`: "evil /", `\\evil`: "evil /", `\a\..\b`: "site /b",
		"/\t/evil": "evil /", "\x00 //evil ": "evil /", "/\n\\evil": "evil /",
		"https://evil/": "evil /", "https:/a": "site /a", "https:a": "site /signin/a", "HTTPS:\\\\evil": "evil /",
		"http:a": "a /", "http:/a": "a /", "//site@evil": "evil /", "ht\ntps://evil": "evil /",
		"javascript:alert(1)": " ", "data:a": " ", "/a#//evil": "site /a", "/a?//evil": "site /a",
		"1http://evil": "site /signin/1http://evil",
	} {
		if host, path := resolveLikeBrowser(reference); host+" "+path != want {
			t.Errorf("%q leads to %s %s, want %s", reference, host, path, want)
		}
	}
}

// A browser that is sent to an address LocalPath accepted stays on this site and requests exactly that path: as a link,
// in a redirect, and behind a proxy that decodes.
func FuzzLocalPath(f *testing.F) {
	for _, address := range []string{
		"/settings", "/", "/settings/", "/oauth2/authorize?a=b&c=https%3A%2F%2Fapp.example%2F", "/a%20b",
		"//evil.com", "///evil.com", `/\evil.com`, `\/evil.com`,
		"/%2f", "/%2f/evil.com", "/%5cevil.com", "/.//evil", "/..//evil.com", "/%2e%2e//evil.com", "/a/%2e%2e/b",
		"/%252e%252e//evil", "https:evil.com", "https:/evil.com", "\thttps:evil",
		"/\t/evil.com", "/a\r\nSet-Cookie: x", "//good.com@evil", "javascript:alert(1)", "/a#b", " /a",
		"/%09/evil.com", "/%00", "/a%3f/../b", "/?/../..//evil", "/a%23//evil", "/a;b=c/.;/d",
	} {
		f.Add(address)
	}
	f.Fuzz(func(t *testing.T, address string) {
		back, ok := LocalPath(address)
		if !ok {
			if back != "" {
				t.Errorf("%q: refused and %q", address, back)
			}
			return
		}
		if again, ok := LocalPath(back); back != address || again != back || !ok {
			t.Errorf("%q became %q, then %q, %v", address, back, again, ok)
		}
		w := httptest.NewRecorder()
		http.Redirect(
			w, &http.Request{Method: "POST", URL: &url.URL{Path: "/signin/verify"}}, back, http.StatusSeeOther,
		)
		if got := w.Header()["Location"]; len(got) != 1 || got[0] != address {
			t.Errorf("%q: sent to %q", address, got)
		}
		path, _, _ := strings.Cut(address, "?")
		if host, got := resolveLikeBrowser(address); host != "site" || got != path {
			t.Errorf("%q: a browser goes to %s %s", address, host, got)
		}
		decoded, err := url.PathUnescape(path)
		if err != nil {
			t.Fatalf("%q: %v", address, err)
		}
		if host, got := resolveLikeBrowser(decoded); host != "site" || strings.HasPrefix(got, "//") {
			t.Errorf("%q: decoded, a browser goes to %s %s", address, host, got)
		}
	})
}
