package seal

import (
	"math"
	"strings"
	"testing"
)

// A long code has 65 bits: every character is drawn from the whole alphabet.
func TestLong(t *testing.T) {
	if bits := LongSize * math.Log2(float64(len(alphabet))); bits < 65 {
		t.Errorf("a code has %v bits, want 65", bits)
	}
	var seen [LongSize]map[byte]bool
	for i := range seen {
		seen[i] = map[byte]bool{}
	}
	for range 1000 { // a character is missing in one place by chance once in 10^11
		code := Long()
		for i := range seen {
			seen[i][code[i]] = true
		}
	}
	for i, letters := range seen {
		if len(letters) != len(alphabet) {
			t.Errorf("place %d: %d different characters of %d", i, len(letters), len(alphabet))
		}
	}
}

// However a long code is typed, it is read as it was drawn; and what is none is not.
func TestReadLong(t *testing.T) {
	for typed, want := range map[string]string{
		"0123456789ABC": "0123456789ABC", " ol234-5678-9abc\n": "0123456789ABC", "OI234\u20135678\u200b9ABC": "0123456789ABC",
	} {
		if got, ok := ReadLong(typed); got != want || !ok {
			t.Errorf("%q: got %q, %v, want %q", typed, got, ok, want)
		}
	}
	for _, typed := range []string{"", "123456", "0123456789AB", "0123456789ABCD", "0123456789ABU", "0123456789AB\x00", strings.Repeat(" ", maxTyped) + "0123456789ABC"} {
		if got, ok := ReadLong(typed); ok {
			t.Errorf("%q: read %q", typed, got)
		}
	}
}
