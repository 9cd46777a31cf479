package render

import (
	"net/http"
	"strings"
	"testing"
)

// countCookies counts the cookies in a header whose name is exactly name.
func countCookies(header, name string) (n int) {
	for pair := range strings.SplitSeq(strings.ReplaceAll(header, "\n", ";"), ";") {
		if before, _, _ := strings.Cut(pair, "="); strings.Trim(before, " \t\r") == name {
			n++
		}
	}
	return n
}

// Cookies that somebody plants before or after ours never replace it: Cookie returns ours, or nothing if a planted one
// has the same name. A planted cookie that would be read alone is not read next to ours, and one with another name is
// never read.
func FuzzCookie(f *testing.F) {
	for _, planted := range []string{
		"", "a=b", "session=evil", "__Host-session=evil", "__host-session=evil", "__HOST-SESSION=evil",
		"__Host-session", "=__Host-session=evil", " __Host-session =evil", "__Host-session=Tok-en_1",
		`a="`, `a="; __Host-session=evil; b="`, "__Host-session\x00=evil",
		"__Host-session=evil; __Host-session=worse", "a=b\n__Host-session=evil", ";;,", "__Host-session=evil, b=c",
		"$Version=1; __Host-session=evil", "__Host-session=a.b", `__Host-session=";__Host-session=0`,
		"__Host-session=\"evil\"", "%5F%5FHost-session=evil", "\u00a0__Host-session=evil",
		"__Host-sessio\u1e45=evil", "\x0b__Host-session=evil",
	} {
		f.Add(planted, true, true)
		f.Add(planted, true, false)
		f.Add(strings.ReplaceAll(planted, "__Host-", ""), false, true)
	}
	f.Fuzz(func(t *testing.T, planted string, secure, first bool) {
		if strings.Count(planted, ";")+strings.Count(planted, "\n") > 1000 {
			return // net/http reads at most 3,000 cookies
		}
		p := &Renderer{Secure: secure}
		read := func(header string) string {
			r := &http.Request{Header: http.Header{"Cookie": strings.Split(header, "\n")}}
			return p.Cookie(r, SessionCookie)
		}
		const ours = "Tok-en_1"
		name := "session"
		if secure {
			name = "__Host-session"
		}
		both := planted + "; " + name + "=" + ours
		if first {
			both = name + "=" + ours + "; " + planted
		}
		got, alone, n := read(both), read(planted), countCookies(planted, name)
		switch {
		case got != ours && (got != "" || n == 0):
			t.Errorf("%q: read %q, want %q", both, got, ours)
		case alone != "" && (got != "" || n == 0):
			t.Errorf("%q: read %q, and %q beside ours", planted, alone, got)
		}
	})
}
