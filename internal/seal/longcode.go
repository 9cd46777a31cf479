package seal

import (
	"crypto/rand"
	"strings"
	"unicode"
)

const (
	// LongCodeLength is the characters of a code from Long, of 5 bits each: 65 bits, where NIST
	// SP 800-63B-4 (3.1.3.2, 4.2.1.1) wants 64 of what need not be guarded against guessing.
	LongCodeLength = 13
	// crockfordAlphabet is Crockford's base32: no I, L, O, which look like digits, and no U.
	crockfordAlphabet     = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	maxLongCodeInputBytes = 128 // bytes that ReadLong looks at
)

// NewLongCode returns a code that a person can copy and nobody can guess. 32 divides 256, so every
// one is equally likely.
func NewLongCode() string {
	code := make([]byte, LongCodeLength)
	rand.Read(code)
	for i, b := range code {
		code[i] = crockfordAlphabet[b%32]
	}
	return string(code)
}

// ParseLongCode is the code from Long that somebody typed, however it is spaced and in whichever
// case; false if it is none. O counts as 0, I and L count as 1.
func ParseLongCode(typed string) (code string, ok bool) {
	if len(typed) > maxLongCodeInputBytes {
		return "", false
	}
	var b strings.Builder
	for _, r := range typed {
		if unicode.IsSpace(r) || unicode.In(r, unicode.Zs, unicode.Pd, unicode.Cf) {
			continue // spaces, dashes and what is invisible
		}
		if r >= 'a' && r <= 'z' {
			r -= 'a' - 'A' // not unicode.ToUpper: it makes letters of the alphabet out of ı and ſ
		}
		switch r {
		case 'O':
			r = '0'
		case 'I', 'L':
			r = '1'
		}
		if !strings.ContainsRune(crockfordAlphabet, r) {
			return "", false
		}
		b.WriteRune(r)
	}
	return b.String(), b.Len() == LongCodeLength
}

// FormatLongCode sets a code from Long in groups, to be read and typed.
func FormatLongCode(code string) string { return code[:5] + "-" + code[5:9] + "-" + code[9:] }
