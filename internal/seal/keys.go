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

// ErrSealed says that a sealed value does not open: it was sealed with a key that is not
// in the ring, for another place, or it is damaged. Which of the three cannot be told.
// The receiver must treat the secret as lost, never as empty.
var ErrSealed = errors.New("sealed value does not open: other key, other place or damaged")

const (
	keySize   = 32
	maxKeyID  = 32
	idLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

	// format is the first byte of what Seal returns; another layout gets another number.
	format = 1
)

// Keys is a ring of keys: the first one seals, all of them open, so that an operator can
// put a new key in front and everything made with the old one still works.
// It never changes after it was made and may be used by any number of goroutines.
type Keys struct {
	ring []key // at least one, current first
}

// key holds what is derived from one line of the ring; the line's own bytes are not kept.
type key struct {
	id   string
	aead cipher.AEAD
	mac  []byte
	mark string
}

// NewKey returns a line for a key file, with a fresh key and a fresh id. Put in front of
// the other lines it becomes the current key.
func NewKey() string {
	secret := make([]byte, keySize)
	rand.Read(secret)
	return rand.Text()[:8] + ":" + base64.StdEncoding.EncodeToString(secret)
}

// ParseKeys reads a key ring: one key a line as id:base64 of 32 bytes, the current key
// first; empty lines and lines that begin with # are skipped. Errors name the line and
// never quote it.
func ParseKeys(text string) (*Keys, error) {
	k := new(Keys)
	seen := make(map[string]bool)
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		one, err := parseKey(line)
		if err != nil {
			return nil, fmt.Errorf("seal: key ring: line %d: %w", number, err)
		}
		if seen[one.id] {
			return nil, fmt.Errorf("seal: key ring: line %d: its id stands on an earlier line too", number)
		}
		seen[one.id] = true
		k.ring = append(k.ring, one)
	}
	if len(k.ring) == 0 {
		return nil, errors.New("seal: key ring: no key in it")
	}
	return k, nil
}

func parseKey(line string) (key, error) {
	id, encoded, _ := strings.Cut(line, ":")
	if id == "" || len(id) > maxKeyID || strings.Trim(id, idLetters) != "" {
		return key{}, fmt.Errorf("want id:key, the id in 1 to %d letters, digits, dots, dashes or underscores", maxKeyID)
	}
	secret, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || len(secret) != keySize { // err itself would say where in the key the fault is
		return key{}, fmt.Errorf("the key is not base64 of %d bytes", keySize)
	}
	if subtle.ConstantTimeCompare(secret, make([]byte, keySize)) == 1 {
		return key{}, errors.New("the key is all zeros: a placeholder, not a key")
	}
	return derive(id, secret)
}

// derive makes a key for each use, so that nothing one of them gives away helps with
// another, and makes it once, because MAC is on every request's way.
func derive(id string, secret []byte) (key, error) {
	sealing, err := hkdf.Key(sha256.New, secret, nil, "twostep seal", keySize)
	if err != nil {
		return key{}, err
	}
	mac, err := hkdf.Key(sha256.New, secret, nil, "twostep mac", keySize)
	if err != nil {
		return key{}, err
	}
	mark, err := hkdf.Key(sha256.New, secret, nil, "twostep mark", 8)
	if err != nil {
		return key{}, err
	}
	block, err := aes.NewCipher(sealing)
	if err != nil {
		return key{}, err
	}
	// 96 random bits per value: good for 2^32 values a key, which at one enrolment a
	// second is 136 years.
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return key{}, err
	}
	return key{id: id, aead: aead, mac: mac, mark: hex.EncodeToString(mark)}, nil
}

// Seal encrypts plain with the current key for one place, which is a name such as
// "factor 7GK…" that is not secret. A value copied to another place does not open there,
// so a row cannot borrow another row's secret. The result says which key opens it.
func (k *Keys) Seal(place string, plain []byte) []byte {
	current := k.ring[0]
	head := append([]byte{format, byte(len(current.id))}, current.id...)
	return current.aead.Seal(head, nil, plain, bound(head, place))
}

// Open returns what Seal was given for the same place, or ErrSealed.
func (k *Keys) Open(place string, sealed []byte) ([]byte, error) {
	if len(sealed) < 2 || sealed[0] != format || len(sealed) < 2+int(sealed[1]) {
		return nil, ErrSealed
	}
	head := sealed[:2+int(sealed[1])]
	for _, one := range k.ring {
		if one.id != string(head[2:]) {
			continue
		}
		plain, err := one.aead.Open(nil, nil, sealed[len(head):], bound(head, place))
		if err != nil {
			return nil, ErrSealed
		}
		return plain, nil
	}
	return nil, ErrSealed
}

// bound is the additional data: the head carries its own length, so no head and place
// read like another head and place.
func bound(head []byte, place string) []byte {
	return append(append(make([]byte, 0, len(head)+len(place)), head...), place...)
}

// MAC returns the HMAC-SHA256 of the parts under the current key. Other purposes and
// other divisions give other results: ("ab", "c") is not ("a", "bc"). It is what we store
// of a secret that is short enough to be tried out, such as a verification code.
// Compare with SameMAC only: the current key may have changed in between.
func (k *Keys) MAC(purpose string, parts ...string) []byte {
	return k.ring[0].sum(purpose, parts)
}

// Pseudonym stands for an address, a number or a name in tables of counts: it is a keyed hash, so
// that nobody without the keys can tell or find what it stands for.
func (k *Keys) Pseudonym(value string) string {
	return hex.EncodeToString(k.MAC("pseudonym", value)[:16])
}

// SameMAC reports whether some key of the ring made mac of this purpose and these parts.
// The time it takes depends on the number of keys and the length of the parts only.
func (k *Keys) SameMAC(mac []byte, purpose string, parts ...string) bool {
	same := 0
	for _, one := range k.ring {
		same |= subtle.ConstantTimeCompare(mac, one.sum(purpose, parts))
	}
	return same == 1
}

// sum writes the length before each part, the purpose first.
func (one key) sum(purpose string, parts []string) []byte {
	h := hmac.New(sha256.New, one.mac)
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

// Mark returns a fingerprint of the current key, 16 characters. It tells nothing about
// the key, so it may be stored in the database, where it later shows whether the database
// was made with these keys or with others.
func (k *Keys) Mark() string {
	return k.ring[0].mark
}

// HasMark reports whether Mark returned mark while one of these keys was the current one.
func (k *Keys) HasMark(mark string) bool {
	for _, one := range k.ring {
		if one.mark == mark {
			return true
		}
	}
	return false
}

// Format prints the type's name whatever the verb, so that keys that reach a log by
// mistake do not become part of it.
func (k *Keys) Format(s fmt.State, _ rune) {
	io.WriteString(s, "seal.Keys")
}
