package seal

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
)

// NewToken returns 256 random bits for a cookie or a URL: 43 characters of base64url without
// padding. Store its HashToken, never the token.
func NewToken() string {
	b := make([]byte, 32)
	rand.Read(b) // never fails: it ends the program instead
	return base64.RawURLEncoding.EncodeToString(b)
}

// NewLinkToken returns 130 random bits for a link that a person may copy: 26 capital letters and
// digits without punctuation, so that a double click selects all of it and mail programs do not
// break it. Store its HashToken, never the token.
func NewLinkToken() string {
	return rand.Text()
}

// seriesLength is the length of rand.Text.
const seriesLength = 26

// NewDeviceToken returns the first value of a device cookie: a series of 130 random bits, which
// stays, followed by a secret of 256 bits, which changes with every use. An old secret in a known
// series reveals a copied cookie. Store the HashToken of both, never the token.
func NewDeviceToken() string { return rand.Text() + NewToken() }

// NextDeviceToken returns the successor of a device token for a random salt. It is unpredictable
// without the keys and the salt. With the same salt it is the same, so that concurrent requests of
// one browser can get the same successor although no server stores it. The salt and the keys do not
// reveal it without the token.
func (k *KeyRing) NextDeviceToken(token string, salt []byte) string {
	return token[:seriesLength] + base64.RawURLEncoding.EncodeToString(k.MAC("next device", token, string(salt)))
}

// NextToken returns the successor of a token of NewToken. It is deterministic, and unpredictable
// without the keys.
func (k *KeyRing) NextToken(token string) string {
	return base64.RawURLEncoding.EncodeToString(k.MAC("next token", token))
}

// SplitDeviceToken splits the value of a device cookie. ok is false if it is not a device token.
func SplitDeviceToken(token string) (series, secret string, ok bool) {
	if len(token) != seriesLength+43 {
		return "", "", false
	}
	return token[:seriesLength], token[seriesLength:], true
}

// HashToken returns the SHA-256 of a token, for storage and lookup. It has no key and no salt, so
// it is safe only for secrets that cannot be guessed: use KeyRing.MAC for codes and PasswordHasher
// for passwords.
func HashToken(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// EqualTokenHash reports in constant time whether two hashes are equal. Empty hashes are never
// equal.
func EqualTokenHash(a, b []byte) bool { return len(a) > 0 && subtle.ConstantTimeCompare(a, b) == 1 }

// RandomDigits returns n random decimal digits. Every number of the range is equally likely,
// leading zeros included: the guessing odds depend on it.
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
