// Package sentcode creates, reads and compares the codes of the methods that send one: email and sms.
// The methods compose the messages.
package sentcode

import (
	"net/url"
	"strings"
	"time"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/seal"
)

const (
	// Digits is the length of a code: 19.9 bits of entropy.
	Digits = 6
	// CodeTTL is how long a code is valid after it is sent. Source: help page: "The code sent to
	// your email is valid for {Minutes} mins."
	CodeTTL = 15 * time.Minute
)

// New returns a random code: six digits, or a long code of 65 bits if longCode is set.
func New(longCode bool) string {
	if longCode {
		return seal.NewLongCode()
	}
	return seal.RandomDigits(Digits)
}

// Format formats a code from New for a message: a long code in groups.
func Format(code string) string {
	if len(code) == seal.LongCodeLength {
		return seal.FormatLongCode(code)
	}
	return code
}

// Parse reads a code from the form field "code", of the kind that New returns for longCode. It
// returns factor.ErrMalformed if there is none.
func Parse(form url.Values, longCode bool) (string, error) {
	if !longCode {
		return ParseDigits(form, Digits)
	}
	code, ok := seal.ParseLongCode(form.Get("code"))
	if !ok {
		return "", factor.ErrMalformed
	}
	return code, nil
}

// ParseDigits reads exactly n digits from the form field "code". It ignores spaces, dashes and
// invisible characters, which pasted codes can contain. It converts digits of other scripts, which
// some keyboards type. It returns factor.ErrMalformed if there are not n digits.
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

// asciiDigit converts an ASCII, Arabic-Indic, Persian or full-width digit to ASCII.
func asciiDigit(r rune) (byte, bool) {
	for _, zero := range []rune{'0', '\u0660', '\u06f0', '\uff10'} {
		if r >= zero && r <= zero+9 {
			return byte('0' + r - zero), true
		}
	}
	return 0, false
}

// isIgnorable reports whether r may come with a pasted code.
func isIgnorable(r rune) bool {
	return strings.ContainsRune(" \t\r\n-\u00a0\u2007\u2009\u202f\u2010\u2011\u2012\u2013\u200b\u200c\u200d\u200e\u200f\u2060\ufeff", r)
}

// Verify returns factor.ErrIncorrect if answer.Text is not one of the valid codes.
func Verify(answer factor.Response) error {
	if !answer.Matches(answer.Text) {
		return factor.ErrIncorrect
	}
	return nil
}
