// Package sentcode is what email and sms share: a code that is sent. It neither
// composes nor sends the message.
package sentcode

import (
	"net/url"
	"strings"
	"time"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/seal"
)

const (
	// Digits is the length of a code: 19.93 bits, drawn over the whole range.
	Digits = 6
	// CodeTTL is how long a code works, counted from its own sending ("The code sent to
	// your email is valid for 15 mins").
	CodeTTL = 15 * time.Minute
)

// New draws a code: six digits, or one that cannot be guessed at all if hard.
func New(hard bool) string {
	if hard {
		return seal.NewLongCode()
	}
	return seal.RandomDigits(Digits)
}

// Format is a code from New as it stands in a message: a long one in groups.
func Format(code string) string {
	if len(code) == seal.LongCodeLength {
		return seal.FormatLongCode(code)
	}
	return code
}

// Parse takes a code from New from the field "code". factor.ErrMalformed.
func Parse(form url.Values, hard bool) (string, error) {
	if !hard {
		return ParseDigits(form, Digits)
	}
	code, ok := seal.ParseLongCode(form.Get("code"))
	if !ok {
		return "", factor.ErrMalformed
	}
	return code, nil
}

// ParseDigits takes so many digits from the field "code". People paste codes with spaces,
// dashes and invisible characters, and some keyboards type other digits than ASCII.
// factor.ErrMalformed.
func ParseDigits(form url.Values, n int) (string, error) {
	field := form.Get("code")
	if len(field) > 64 {
		return "", factor.ErrMalformed
	}
	var code strings.Builder
	for _, r := range field {
		digit, ok := asciiDigit(r)
		switch {
		case ok:
			code.WriteByte(digit)
		case !isIgnorable(r):
			return "", factor.ErrMalformed
		}
	}
	if code.Len() != n {
		return "", factor.ErrMalformed
	}
	return code.String(), nil
}

// asciiDigit is the ASCII digit of an ASCII, Arabic-Indic, Persian or full-width one.
func asciiDigit(r rune) (byte, bool) {
	for _, zero := range []rune{'0', '\u0660', '\u06f0', '\uff10'} {
		if r >= zero && r <= zero+9 {
			return byte('0' + r - zero), true
		}
	}
	return 0, false
}

// isIgnorable are the characters that come along with a pasted code.
func isIgnorable(r rune) bool {
	return strings.ContainsRune(" \t\r\n-\u00a0\u2007\u2009\u202f\u2010\u2011\u2012\u2013\u200b\u200c\u200d\u200e\u200f\u2060\ufeff", r)
}

// Verify compares the answer with the codes that are still good.
func Verify(answer factor.Response) error {
	if !answer.Matches(answer.Text) {
		return factor.ErrIncorrect
	}
	return nil
}
