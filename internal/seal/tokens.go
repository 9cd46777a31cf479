package seal

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
)

// NewToken returns 256 random bits for a cookie or a URL: 43 characters of base64url
// without padding. Store Hash of it, never the token.
func NewToken() string {
	b := make([]byte, 32)
	rand.Read(b) // never fails: it ends the program instead
	return base64.RawURLEncoding.EncodeToString(b)
}

// NewLinkToken returns 130 random bits that a person may have to copy: 26 capital letters
// and digits without signs, so that a double click selects all of it and a mail program
// does not cut it. Store Hash of it, never the token.
func NewLinkToken() string {
	return rand.Text()
}

// seriesLength is that of rand.Text.
const seriesLength = 26

// NewDeviceToken returns the first value of a device cookie: a series of 130 random bits,
// which stays, and behind it a secret of 256, which changes with every use. A secret of
// before in the right series betrays a copy. Store Hash of both, never the token.
func NewDeviceToken() string { return rand.Text() + NewToken() }

// NextDeviceToken returns the value that follows a token from DeviceToken. It is the same
// each time, so that a browser that asks twice at once ends up with one, in whichever order
// the answers arrive; nobody without the keys can say what it is.
func (k *KeyRing) NextDeviceToken(token string) string {
	return token[:seriesLength] + base64.RawURLEncoding.EncodeToString(k.MAC("next device", token))
}

// NextToken returns the token that follows one from Token, the same each time; nobody without
// the keys can say what it is.
func (k *KeyRing) NextToken(token string) string {
	return base64.RawURLEncoding.EncodeToString(k.MAC("next token", token))
}

// SplitDeviceToken takes the value of a device cookie apart; false if it is none.
func SplitDeviceToken(token string) (series, secret string, ok bool) {
	if len(token) != seriesLength+43 {
		return "", "", false
	}
	return token[:seriesLength], token[seriesLength:], true
}

// HashToken returns the SHA-256 of a token from Token or LinkToken, which is how it is stored
// and looked up. It has no key and no salt, so it is safe only for secrets that cannot be
// guessed: use Keys.MAC for codes and Passwords for passwords.
func HashToken(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// EqualTokenHash reports whether two hashes from Hash are of one token. No hash is the same as
// none.
func EqualTokenHash(a, b []byte) bool { return len(a) > 0 && subtle.ConstantTimeCompare(a, b) == 1 }

// RandomDigits returns n random decimal digits. Every number of the range is equally likely,
// leading zeros included, because the odds we promise are counted in whole ranges.
func RandomDigits(n int) string {
	if n <= 0 {
		return ""
	}
	digits := make([]byte, 0, n)
	random := make([]byte, n)
	for {
		rand.Read(random)
		for _, b := range random {
			if b >= 250 { // 256 is no multiple of 10: the last six values would favour 0 to 5
				continue
			}
			digits = append(digits, '0'+b%10)
			if len(digits) == n {
				return string(digits)
			}
		}
	}
}
