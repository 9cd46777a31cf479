package sentcode

import (
	"net/url"
	"strings"
	"testing"

	"twostep/factor"
)

func read(text string) (string, error) { return Read(url.Values{"code": {text}}, false) }

func TestRead(t *testing.T) {
	for text, want := range map[string]string{
		"012345":             "012345",
		" 012 345 ":          "012345",
		"012-345":            "012345",
		"012\u00a0345":       "012345",
		"\u200b012345\ufeff": "012345",
		"012–345\r\n":        "012345",
		"٠١٢٣٤٥":             "012345",
		"۰۱۲۳۴۵":             "012345",
		"０１２３４５":             "012345",
	} {
		if got, err := read(text); got != want || err != nil {
			t.Errorf("%q: got %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", " ", "12345", "1234567", "12345x", "1e5", "-", "null", "123456 123457", "12345½", "⑫③④⑤⑥", "१२३४५६", // Devanagari is not on the list
		strings.Repeat(" ", 65) + "123456", strings.Repeat("1", 1<<20), "123456\x00",
	} {
		if got, err := read(text); err != factor.ErrMalformed {
			t.Errorf("%.20q: got %q, %v, want ErrMalformed", text, got, err)
		}
	}
}

// What is read is six ASCII digits, and reading them again changes nothing.
func FuzzRead(f *testing.F) {
	for _, s := range []string{"123456", "12 34-56", "٠١٢٣٤٥", "abc"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		code, err := read(text)
		if err != nil {
			return
		}
		if len(code) != Digits || strings.Trim(code, "0123456789") != "" {
			t.Errorf("%q: read %q", text, code)
		}
		var typed strings.Builder
		for _, r := range text {
			if r >= '0' && r <= '9' {
				typed.WriteRune(r)
			}
		}
		if typed.Len() == Digits && typed.String() != code {
			t.Errorf("%q: read %q", text, code)
		}
	})
}
