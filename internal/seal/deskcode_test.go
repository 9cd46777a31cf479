package seal

import (
	"math"
	"strings"
	"testing"
)

// A desk code has the entropy that the odds are computed from, and none of the characters that look alike.
func TestNewDeskCode(t *testing.T) {
	if bits := DeskCodeLength * math.Log2(float64(len(crockfordAlphabet))); bits != DeskCodeBits {
		t.Errorf("a desk code has %v bits, want %d", bits, DeskCodeBits)
	}
	seen := map[string]bool{}
	for range 1000 {
		code := NewDeskCode()
		if len(code) != DeskCodeLength || strings.ContainsAny(code, "ILOU") || strings.Trim(code, crockfordAlphabet) != "" {
			t.Fatalf("the code %q is not of 10 characters of the alphabet", code)
		}
		if seen[code] {
			t.Fatalf("the code %q came twice in 1000", code)
		}
		seen[code] = true
		if back, ok := ParseDeskCode(FormatDeskCode(code)); !ok || back != code {
			t.Fatalf("%q reads as %q, %v", FormatDeskCode(code), back, ok)
		}
	}
}

// People type a code that they hear in any case and grouping, and with letters that look like digits.
func TestParseDeskCode(t *testing.T) {
	for typed, want := range map[string]string{
		"K7M2Q-X9HTB": "K7M2QX9HTB", "k7m2q x9htb": "K7M2QX9HTB", " K7M-2QX-9HTB ": "K7M2QX9HTB", "K7M2Q\u2013X9HTB": "K7M2QX9HTB",
		"oil00-11111": "0110011111", "K7M2QX9HT": "", "K7M2QX9HTBB": "", "K7M2QX9HTU": "", "K7M2QX9HT!": "", "": "",
		strings.Repeat(" ", 200) + "K7M2QX9HTB": "", "ſ7M2QX9HTB": "",
	} {
		code, ok := ParseDeskCode(typed)
		if ok != (want != "") || ok && code != want {
			t.Errorf("%q reads as %q, %v, want %q", typed, code, ok, want)
		}
	}
}
