package seal

import (
	"math"
	"strings"
	"testing"
)

// A long code has 65 bits: every character is drawn from the whole alphabet.
func TestNewLongCode(t *testing.T) {
	if bits := LongCodeLength * math.Log2(float64(len(crockfordAlphabet))); bits < 65 {
		t.Errorf("a code has %v bits, want 65", bits)
	}
	var seen [LongCodeLength]map[byte]bool
	for i := range seen {
		seen[i] = map[byte]bool{}
	}
	for range 1000 { // a character is missing at one position by chance once in 10^11
		code := NewLongCode()
		for i := range seen {
			seen[i][code[i]] = true
		}
	}
	for i, letters := range seen {
		if len(letters) != len(crockfordAlphabet) {
			t.Errorf("place %d: %d different characters of %d", i, len(letters), len(crockfordAlphabet))
		}
	}
}

// A long code is parsed in any spacing and case; anything else is rejected.
func TestParseLongCode(t *testing.T) {
	for typed, want := range map[string]string{
		"0123456789ABC": "0123456789ABC", " ol234-5678-9abc\n": "0123456789ABC",
		"OI234\u20135678\u200b9ABC": "0123456789ABC",
	} {
		if got, ok := ParseLongCode(typed); got != want || !ok {
			t.Errorf("%q: got %q, %v, want %q", typed, got, ok, want)
		}
	}
	for _, typed := range []string{"", "123456", "0123456789AB", "0123456789ABCD", "0123456789ABU", "0123456789AB\x00",
		strings.Repeat(" ", maxLongCodeInputBytes) + "0123456789ABC"} {
		if got, ok := ParseLongCode(typed); ok {
			t.Errorf("%q: read %q", typed, got)
		}
	}
}
