package sentcode

import (
	"net/url"
	"strings"
	"testing"
	"unicode"

	"twostep.example/twostep/factor"
)

func parseCode(text string) (string, error) { return Parse(url.Values{"code": {text}}, false) }

func TestParse(t *testing.T) {
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
		if got, err := parseCode(text); got != want || err != nil {
			t.Errorf("%q: got %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{
		// Devanagari digits are not supported.
		"", " ", "12345", "1234567", "12345x", "1e5", "-", "null", "123456 123457", "12345½", "⑫③④⑤⑥", "१२३४५६",
		strings.Repeat(" ", 65) + "123456", strings.Repeat("1", 1<<20), "123456\x00",
	} {
		if got, err := parseCode(text); err != factor.ErrMalformed {
			t.Errorf("%.20q: got %q, %v, want ErrMalformed", text, got, err)
		}
	}
}

// visibleDigits is what a person sees in the field: the digits of any script as ASCII, and
// everything else except blanks, dashes and invisible characters.
func visibleDigits(text string) string {
	var seen strings.Builder
	for _, r := range text {
		switch {
		case unicode.IsDigit(r):
			value := 0 // the digits of a script are consecutive in Unicode
			for unicode.IsDigit(r - 1 - rune(value)) {
				value++
			}
			seen.WriteByte(byte('0' + value%10))
		case !unicode.IsSpace(r) && !unicode.In(r, unicode.Zs, unicode.Pd, unicode.Cf):
			seen.WriteRune(r)
		}
	}
	return seen.String()
}

// The result is six ASCII digits, the ones that a person sees, so that no two different codes are
// read as the same.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"123456", "12 34-56", "\u200b123456\ufeff", "123–456\r\n", "٠١٢٣٤٥", "۰۱۲۳۴۵", "０１２３４５",
		"१२३४५६", "⑫③④⑤⑥", "123456½", "12१३3456", "123456x", "abc"} {
		f.Add(s, "123456")
		f.Add("012345", s)
	}
	f.Fuzz(func(t *testing.T, one, other string) {
		first, err := parseCode(one)
		if err != nil {
			return
		}
		if len(first) != Digits || strings.Trim(first, "0123456789") != "" || first != visibleDigits(one) {
			t.Errorf("%q: read %q, want %q", one, first, visibleDigits(one))
		}
		if again, err := parseCode(first); again != first || err != nil {
			t.Errorf("%q: read %q, then %q, %v", one, first, again, err)
		}
		if second, err := parseCode(other); err == nil && second == first &&
			visibleDigits(one) != visibleDigits(other) {
			t.Errorf("%q and %q are both %q", one, other, first)
		}
	})
}
