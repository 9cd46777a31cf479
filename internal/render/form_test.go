package render

import (
	"encoding/hex"
	"errors"
	"maps"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"
)

// formDecode decodes a name or a value of a form, independently of net/url.
func formDecode(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '+':
			b.WriteByte(' ')
		case '%':
			if i+3 > len(text) {
				return "\xff broken"
			}
			one, err := hex.DecodeString(text[i+1 : i+3])
			if err != nil {
				return "\xff broken"
			}
			b.Write(one)
			i += 2
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// ParseForm returns exactly what was sent: every name was asked for and sent once, and both databases can store every
// value. It reads nothing from the query, and nothing from a body of another type.
func FuzzParseForm(f *testing.F) {
	for _, body := range []string{
		"email=a%40b&password=x", "", "email=a&email=b", "Email=a", "email%5B%5D=a", "email=a&_method=PUT",
		"email=a%00", "email=%ff", "email=%ed%a0%80", "email=%zz", "email=a;password=b",
		"email", "=a", "&&email=a&", "e%6dail=a&email=b", " email=a", "email=a=b&password=%26", `{"email":"a"}`,
		"email=a\x00", "email=\u2028+%2B", "email%00=a", "password=%C3%A4%f0%9f%92%a9",
	} {
		f.Add(urlencoded, body)
	}
	for _, kind := range []string{"", urlencoded + "; charset=UTF-8", urlencoded + "; charset=utf-16",
		"application/json", "text/plain", "multipart/form-data; boundary=x", urlencoded + ", text/plain",
		"Application/X-WWW-Form-Urlencoded ;"} {
		f.Add(kind, "email=a")
	}
	f.Fuzz(func(t *testing.T, kind, body string) {
		r := httptest.NewRequest("POST", "/signin?email=query&password=query", strings.NewReader(body))
		r.Header["Content-Type"] = []string{kind}
		got, err := ParseForm(httptest.NewRecorder(), r, "email", "password")
		if err != nil {
			if got != nil ||
				!errors.Is(err, ErrInvalidForm) && !errors.Is(err, ErrContentType) && !errors.Is(err, ErrBodyTooLarge) {
				t.Errorf("got %q, %v", got, err)
			}
			return
		}
		want := FormValues{}
		for pair := range strings.SplitSeq(body, "&") {
			name, text, _ := strings.Cut(pair, "=")
			name, text = formDecode(name), formDecode(text)
			if _, twice := want[name]; pair != "" &&
				(twice || name != "email" && name != "password" || !utf8.ValidString(text) ||
					strings.ContainsRune(text, 0)) {
				t.Errorf("%q: %q passed", body, pair)
			}
			if pair != "" {
				want[name] = text
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("%q: read %q, want %q", body, got, want)
		}
		media, _, _ := strings.Cut(kind, ";")
		if !strings.EqualFold(strings.TrimSpace(media), urlencoded) && kind+body != "" {
			t.Errorf("type %q passed", kind)
		}
	})
}
