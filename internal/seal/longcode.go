package seal

import (
	"crypto/rand"
	"strings"
	"unicode"
)

const (
	// LongCodeLength is the length of a long code: 13 characters of 5 bits, 65 bits. NIST SP
	// 800-63B-4 3.1.3.2 and 4.2.1.1 require 64 bits of a secret that needs no rate limit.
	LongCodeLength = 13
	// crockfordAlphabet is Crockford's base32: without I, L and O, which look like digits, and U.
	crockfordAlphabet     = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	maxLongCodeInputBytes = 128 // limit for ParseLongCode
)

// NewLongCode returns a random code that can be typed and cannot be guessed.
func NewLongCode() string { return newTypedCode(LongCodeLength) }

// newTypedCode returns a random code of n characters. 32 divides 256, so every code is equally likely.
func newTypedCode(n int) string {
	code := make([]byte, n)
	rand.Read(code)
	for i, b := range code {
		code[i] = crockfordAlphabet[b%32]
	}
	return string(code)
}

// ParseLongCode parses a long code in any spacing and case. It reads O as 0, and I and L as 1. ok
// is false if typed is not a long code.
func ParseLongCode(typed string) (code string, ok bool) { return parseTypedCode(typed, LongCodeLength) }

// parseTypedCode parses a code of n characters as ParseLongCode does.
func parseTypedCode(typed string, n int) (code string, ok bool) {
	if len(typed) > maxLongCodeInputBytes {
		return "", false
	}
	var b strings.Builder
	for _, r := range typed {
		if unicode.IsSpace(r) || unicode.In(r, unicode.Zs, unicode.Pd, unicode.Cf) {
			continue // spaces, dashes and invisible characters
		}
		if r >= 'a' && r <= 'z' {
			r -= 'a' - 'A' // not unicode.ToUpper, which maps ı and ſ to I and S
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
	return b.String(), b.Len() == n
}

// FormatLongCode formats a long code in groups, to be read and typed.
func FormatLongCode(code string) string { return code[:5] + "-" + code[5:9] + "-" + code[9:] }
