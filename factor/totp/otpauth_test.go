package totp

import (
	"bytes"
	"encoding/base32"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestOtpauthURI(t *testing.T) {
	const tail = "&algorithm=SHA1&digits=6&period=30"
	const key = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
	for _, row := range []struct{ site, account, want string }{
		{"Example", "anna@example.com", "Example:anna%40example.com?secret=" + key + "&issuer=Example"},
		{"Big Co", "anna+1@example.com", "Big%20Co:anna%2B1%40example.com?secret=" + key + "&issuer=Big%20Co"},
		{"Acme: Portal", `"a:b"@x.org`, "Acme%20Portal:%22a%20b%22%40x.org?secret=" + key + "&issuer=Acme%20Portal"},
		{"Käse & Wein/50%?", "a@x", "K%C3%A4se%20%26%20Wein%2F50%25%3F:a%40x?secret=" + key +
			"&issuer=K%C3%A4se%20%26%20Wein%2F50%25%3F"},
		{"localhost:8080", "a@x", "localhost%208080:a%40x?secret=" + key + "&issuer=localhost%208080"},
		{" : ", "a@x", "a%40x?secret=" + key},
		{"%3A&secret=AAAA", "a@x", "%253A%26secret%3DAAAA:a%40x?secret=" + key + "&issuer=%253A%26secret%3DAAAA"},
	} {
		if got := otpauthURI(row.site, row.account, rfcKey); got != "otpauth://totp/"+row.want+tail {
			t.Errorf("%q, %q:\n got %s\nwant otpauth://totp/%s", row.site, row.account, got, row.want+tail)
		}
	}
	if got := groupedBase32Key(rfcKey); got != "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ" {
		t.Errorf("got %s", got)
	}
}

// Whatever the names of site and account are, the URI parses back to the same key, issuer and
// account, each once, and has no other parameters than ours.
func FuzzOtpauthURI(f *testing.F) {
	f.Add("Example", "anna@example.com", rfcKey)
	f.Add("Acme: Portal", "evil:anna@example.com", rfcKey)
	f.Add("a&secret=AAAA#?/%3A+", "\xff\x00 \u202e@x", []byte("x"))
	f.Add("", "anna+tag@example.com", []byte{})
	f.Add("Bücher & Söhne", "digits=99&period=0&algorithm=MD5", bytes.Repeat([]byte{0xff}, maxKeyBytes))
	f.Fuzz(func(t *testing.T, site, account string, key []byte) {
		text := otpauthURI(site, account, key)
		u, err := url.Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		q, err := url.ParseQuery(u.RawQuery)
		if err != nil || u.Scheme != "otpauth" || u.Host != "totp" || u.Fragment != "" ||
			strings.ContainsRune(text, '+') {
			t.Fatalf("%s: %v", text, err)
		}
		read, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(q.Get("secret"))
		if err != nil || !slices.Equal(read, key) {
			t.Errorf("%s: key %x, %v, want %x", text, read, err, key)
		}
		issuer, name, both := strings.Cut(strings.TrimPrefix(u.Path, "/"), ":")
		if !both {
			issuer, name = "", issuer
		}
		if issuer != q.Get("issuer") || issuer != cleanLabel(site) || name != cleanLabel(account) ||
			strings.Contains(name, ":") || !utf8.ValidString(u.Path) {
			t.Errorf("%s: issuer %q and account %q, want %q and %q", text, issuer, name, cleanLabel(site),
				cleanLabel(account))
		}
		want := map[string]string{"algorithm": "SHA1", "digits": "6", "period": "30"}
		for name, values := range q {
			if len(values) != 1 || want[name] != "" && want[name] != values[0] {
				t.Errorf("%s: %s is %q", text, name, values)
			}
		}
	})
}
