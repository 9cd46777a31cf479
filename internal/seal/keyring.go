package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrCannotOpen says that a sealed value does not open: it was sealed with a key that is not
// in the ring, for another place, or it is damaged. Which of the three cannot be told.
// The receiver must treat the secret as lost, never as empty.
var ErrCannotOpen = errors.New("sealed value does not open: other key, other place or damaged")

const (
	keySize    = 32
	maxKeyID   = 32
	keyIDChars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

	// sealedFormat is the first byte of what Seal returns; another layout gets another number.
	sealedFormat = 1
)

// KeyRing is a ring of keys: the first one seals, all of them open, so that an operator can
// put a new key in front and everything made with the old one still works.
// It never changes after it was made and may be used by any number of goroutines.
type KeyRing struct {
	keys []ringKey // at least one, current first
}

// ringKey holds what is derived from one line of the ring; the line's own bytes are not kept.
type ringKey struct {
	id          string
	aead        cipher.AEAD
	macKey      []byte
	fingerprint string
}

// NewKeyLine returns a line for a key file, with a fresh key and a fresh id. Put in front of
// the other lines it becomes the current key.
func NewKeyLine() string {
	secret := make([]byte, keySize)
	rand.Read(secret)
	return rand.Text()[:8] + ":" + base64.StdEncoding.EncodeToString(secret)
}

// ParseKeyRing reads a key ring: one key a line as id:base64 of 32 bytes, the current key
// first; empty lines and lines that begin with # are skipped. Errors name the line and
// never quote it.
func ParseKeyRing(text string) (*KeyRing, error) {
	k := new(KeyRing)
	seen := make(map[string]bool)
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		one, err := parseKeyLine(line)
		if err != nil {
			return nil, fmt.Errorf("seal: key ring: line %d: %w", number, err)
		}
		if seen[one.id] {
			return nil, fmt.Errorf("seal: key ring: line %d: its id stands on an earlier line too", number)
		}
		seen[one.id] = true
		k.keys = append(k.keys, one)
	}
	if len(k.keys) == 0 {
		return nil, errors.New("seal: key ring: no key in it")
	}
	return k, nil
}

func parseKeyLine(line string) (ringKey, error) {
	id, encoded, _ := strings.Cut(line, ":")
	if id == "" || len(id) > maxKeyID || strings.Trim(id, keyIDChars) != "" {
		return ringKey{}, fmt.Errorf("want id:key, the id in 1 to %d letters, digits, dots, dashes or underscores", maxKeyID)
	}
	secret, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || len(secret) != keySize { // err itself would say where in the key the fault is
		return ringKey{}, fmt.Errorf("the key is not base64 of %d bytes", keySize)
	}
	if subtle.ConstantTimeCompare(secret, make([]byte, keySize)) == 1 {
		return ringKey{}, errors.New("the key is all zeros: a placeholder, not a key")
	}
	return deriveKeys(id, secret)
}

// deriveKeys makes a key for each use, so that nothing one of them gives away helps with
// another, and makes it once, because MAC is on every request's way.
func deriveKeys(id string, secret []byte) (ringKey, error) {
	sealing, err := hkdf.Key(sha256.New, secret, nil, "twostep seal", keySize)
	if err != nil {
		return ringKey{}, err
	}
	mac, err := hkdf.Key(sha256.New, secret, nil, "twostep mac", keySize)
	if err != nil {
		return ringKey{}, err
	}
	mark, err := hkdf.Key(sha256.New, secret, nil, "twostep mark", 8)
	if err != nil {
		return ringKey{}, err
	}
	block, err := aes.NewCipher(sealing)
	if err != nil {
		return ringKey{}, err
	}
	// 96 random bits per value: good for 2^32 values a key, which at one enrolment a
	// second is 136 years.
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return ringKey{}, err
	}
	return ringKey{id: id, aead: aead, macKey: mac, fingerprint: hex.EncodeToString(mark)}, nil
}

// Seal encrypts plain with the current key for one place, which is a name such as
// "factor 7GK…" that is not secret. A value copied to another place does not open there,
// so a row cannot borrow another row's secret. The result says which key opens it.
func (k *KeyRing) Seal(boundTo string, plain []byte) []byte {
	current := k.keys[0]
	head := append([]byte{sealedFormat, byte(len(current.id))}, current.id...)
	return current.aead.Seal(head, nil, plain, additionalData(head, boundTo))
}

// Open returns what Seal was given for the same place, or ErrSealed.
func (k *KeyRing) Open(boundTo string, sealed []byte) ([]byte, error) {
	if len(sealed) < 2 || sealed[0] != sealedFormat || len(sealed) < 2+int(sealed[1]) {
		return nil, ErrCannotOpen
	}
	head := sealed[:2+int(sealed[1])]
	for _, one := range k.keys {
		if one.id != string(head[2:]) {
			continue
		}
		plain, err := one.aead.Open(nil, nil, sealed[len(head):], additionalData(head, boundTo))
		if err != nil {
			return nil, ErrCannotOpen
		}
		return plain, nil
	}
	return nil, ErrCannotOpen
}

// additionalData is the additional data: the head carries its own length, so no head and place
// read like another head and place.
func additionalData(head []byte, boundTo string) []byte {
	return append(append(make([]byte, 0, len(head)+len(boundTo)), head...), boundTo...)
}

// MAC returns the HMAC-SHA256 of the parts under the current key. Other purposes and
// other divisions give other results: ("ab", "c") is not ("a", "bc"). It is what we store
// of a secret that is short enough to be tried out, such as a verification code.
// Compare with SameMAC only: the current key may have changed in between.
func (k *KeyRing) MAC(purpose string, parts ...string) []byte {
	return k.keys[0].computeMAC(purpose, parts)
}

// Pseudonym stands for an address, a number or a name in tables of counts: it is a keyed hash, so
// that nobody without the keys can tell or find what it stands for.
func (k *KeyRing) Pseudonym(value string) string {
	return hex.EncodeToString(k.MAC("pseudonym", value)[:16])
}

// VerifyMAC reports whether some key of the ring made mac of this purpose and these parts.
// The time it takes depends on the number of keys and the length of the parts only.
func (k *KeyRing) VerifyMAC(mac []byte, purpose string, parts ...string) bool {
	same := 0
	for _, one := range k.keys {
		same |= subtle.ConstantTimeCompare(mac, one.computeMAC(purpose, parts))
	}
	return same == 1
}

// computeMAC writes the length before each part, the purpose first.
func (one ringKey) computeMAC(purpose string, parts []string) []byte {
	h := hmac.New(sha256.New, one.macKey)
	write := func(part string) {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		io.WriteString(h, part)
	}
	write(purpose)
	for _, part := range parts {
		write(part)
	}
	return h.Sum(nil)
}

// Fingerprint returns a fingerprint of the current key, 16 characters. It tells nothing about
// the key, so it may be stored in the database, where it later shows whether the database
// was made with these keys or with others.
func (k *KeyRing) Fingerprint() string {
	return k.keys[0].fingerprint
}

// HasFingerprint reports whether Mark returned mark while one of these keys was the current one.
func (k *KeyRing) HasFingerprint(mark string) bool {
	for _, one := range k.keys {
		if one.fingerprint == mark {
			return true
		}
	}
	return false
}

// Format prints the type's name whatever the verb, so that keys that reach a log by
// mistake do not become part of it.
func (k *KeyRing) Format(s fmt.State, _ rune) {
	io.WriteString(s, "seal.Keys")
}
