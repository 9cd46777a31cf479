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

// ErrCannotOpen says that a sealed value cannot be opened: its key is not in the ring, it was
// sealed for another row, or it is damaged. The three cases cannot be told apart. Treat the secret
// as lost, never as empty.
var ErrCannotOpen = errors.New("sealed value does not open: other key, other row or damaged")

const (
	keySize    = 32
	maxKeyID   = 32
	keyIDChars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

	// sealedFormat is the first byte of a sealed value: the version of its layout.
	sealedFormat = 1
)

// KeyRing is an ordered set of keys: the first one seals, all of them open, so that an operator can
// rotate keys and old values remain readable. It is immutable and safe for concurrent use.
type KeyRing struct {
	keys []ringKey // at least one, the current one first
}

// ringKey holds the keys derived from one line of the ring; the line itself is not kept.
type ringKey struct {
	id          string
	aead        cipher.AEAD
	macKey      []byte
	fingerprint string
}

// NewKeyLine returns a line for a key file with a random key and ID. As the first line it is the
// current key.
func NewKeyLine() string {
	secret := make([]byte, keySize)
	rand.Read(secret)
	return rand.Text()[:8] + ":" + base64.StdEncoding.EncodeToString(secret)
}

// ParseKeyRing parses a key ring: one key a line as id:base64 of 32 bytes, the current key first.
// It skips empty lines and lines that begin with #. Errors name the line and never quote it.
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
			return nil, fmt.Errorf("seal: key ring: line %d: an earlier line has the same id", number)
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
		return ringKey{}, fmt.Errorf("want id:key, the id in 1 to %d letters, digits, dots, dashes or underscores",
			maxKeyID)
	}
	secret, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || len(secret) != keySize { // err would disclose the position of the mistake in the key
		return ringKey{}, fmt.Errorf("the key is not base64 of %d bytes", keySize)
	}
	if subtle.ConstantTimeCompare(secret, make([]byte, keySize)) == 1 {
		return ringKey{}, errors.New("the key is all zeros: a placeholder, not a key")
	}
	return deriveKeys(id, secret)
}

// deriveKeys derives a key for each purpose with HKDF (RFC 5869), so that a leak of one does not
// affect the others. It runs once, because every request computes MACs.
func deriveKeys(id string, secret []byte) (ringKey, error) {
	sealing, err := hkdf.Key(sha256.New, secret, nil, "twostep seal", keySize)
	if err != nil {
		return ringKey{}, err
	}
	mac, err := hkdf.Key(sha256.New, secret, nil, "twostep mac", keySize)
	if err != nil {
		return ringKey{}, err
	}
	fingerprint, err := hkdf.Key(sha256.New, secret, nil, "twostep mark", 8)
	if err != nil {
		return ringKey{}, err
	}
	block, err := aes.NewCipher(sealing)
	if err != nil {
		return ringKey{}, err
	}
	// 96-bit random nonces are safe for 2^32 values a key (NIST SP 800-38D 8.3), which is 136 years
	// at one enrolment a second.
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return ringKey{}, err
	}
	return ringKey{id: id, aead: aead, macKey: mac, fingerprint: hex.EncodeToString(fingerprint)}, nil
}

// Seal encrypts plain with the current key (AES-256-GCM) and binds it to boundTo, a name such as
// "factor 7GK…" that is not secret. A value copied to another row does not open there. The result
// contains the ID of its key.
func (k *KeyRing) Seal(boundTo string, plain []byte) []byte {
	current := k.keys[0]
	head := append([]byte{sealedFormat, byte(len(current.id))}, current.id...)
	return current.aead.Seal(head, nil, plain, additionalData(head, boundTo))
}

// Open decrypts a value of Seal for the same boundTo. It returns ErrCannotOpen if it cannot.
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

// additionalData returns the additional authenticated data. The head contains its own length, so no
// two pairs of head and boundTo have the same data.
func additionalData(head []byte, boundTo string) []byte {
	return append(append(make([]byte, 0, len(head)+len(boundTo)), head...), boundTo...)
}

// MAC returns the HMAC-SHA256 of the parts under the current key. The parts are framed: ("ab", "c")
// and ("a", "bc") have different MACs, and so have different purposes. It is the form in which we
// store secrets of low entropy, such as verification codes. Compare with VerifyMAC only: the
// current key may have changed in between.
func (k *KeyRing) MAC(purpose string, parts ...string) []byte {
	return k.keys[0].computeMAC(purpose, parts)
}

// Pseudonym returns a keyed hash that replaces an address, a number or a name in tables of
// counters: without the keys nobody can tell or search for the value.
func (k *KeyRing) Pseudonym(value string) string {
	return hex.EncodeToString(k.MAC("pseudonym", value)[:16])
}

// VerifyMAC reports whether mac is the MAC of this purpose and these parts under any key of the
// ring. Its time depends on the number of keys and the length of the parts only.
func (k *KeyRing) VerifyMAC(mac []byte, purpose string, parts ...string) bool {
	same := 0
	for _, one := range k.keys {
		same |= subtle.ConstantTimeCompare(mac, one.computeMAC(purpose, parts))
	}
	return same == 1
}

// computeMAC writes purpose and parts, each preceded by its length.
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

// Fingerprint returns 16 characters that identify the current key and disclose nothing about it. It
// is stored in the database, to detect a database of other keys.
func (k *KeyRing) Fingerprint() string {
	return k.keys[0].fingerprint
}

// HasFingerprint reports whether fingerprint is that of any key of the ring.
func (k *KeyRing) HasFingerprint(fingerprint string) bool {
	for _, one := range k.keys {
		if one.fingerprint == fingerprint {
			return true
		}
	}
	return false
}

// Format prints the type's name whatever the verb, so that keys never reach a log.
func (k *KeyRing) Format(s fmt.State, _ rune) {
	io.WriteString(s, "seal.Keys")
}
