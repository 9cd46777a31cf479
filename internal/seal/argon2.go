package seal

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Bounds of a hash that is verified. Hashes also come from imports and backups; a single one with
// m=4194304 could exhaust the server's memory.
const (
	maxMemoryKiB = 256 << 10
	maxPasses    = 10
	maxThreads   = 4
	maxHashChars = 256
	minSaltBytes = 8
	maxSaltBytes = 64
	minTagBytes  = 16
	maxTagBytes  = 64
)

// errInvalidHash is not exported: it means a damaged row, and callers can only fail and log it.
var errInvalidHash = errors.New("seal: password hash is malformed or its cost is out of bounds")

// argon2Params are the parameters of Argon2id (RFC 9106 3.1).
type argon2Params struct {
	memoryKiB uint32
	passes    uint32
	threads   uint8
}

func (a argon2Params) check() error {
	switch {
	case a.memoryKiB < 8*uint32(a.threads), a.memoryKiB > maxMemoryKiB,
		a.passes < 1, a.passes > maxPasses,
		a.threads < 1, a.threads > maxThreads:
		return errInvalidHash
	}
	return nil
}

// passwordHash is a parsed PHC string.
type passwordHash struct {
	argon2Params
	salt, tag []byte
}

// String returns the PHC string, which other programs read and write too.
func (h passwordHash) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s",
		h.memoryKiB, h.passes, h.threads, b64.EncodeToString(h.salt), b64.EncodeToString(h.tag))
}

// parsePHC parses what String returns, within the bounds, and nothing else.
func parsePHC(text string) (passwordHash, error) {
	if len(text) > maxHashChars {
		return passwordHash{}, errInvalidHash
	}
	rest, ok := strings.CutPrefix(text, "$argon2id$v=19$")
	fields := strings.Split(rest, "$")
	if !ok || len(fields) != 3 {
		return passwordHash{}, errInvalidHash
	}
	a, err := parseArgon2Params(fields[0])
	if err != nil {
		return passwordHash{}, err
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(fields[1])
	sum, err2 := base64.RawStdEncoding.DecodeString(fields[2])
	if err1 != nil || err2 != nil ||
		len(salt) < minSaltBytes || len(salt) > maxSaltBytes || len(sum) < minTagBytes || len(sum) > maxTagBytes {
		return passwordHash{}, errInvalidHash
	}
	h := passwordHash{argon2Params: a, salt: salt, tag: sum}
	// Leading zeros, line breaks, unused bits, a p that overflows.
	if h.String() != text {
		return passwordHash{}, errInvalidHash
	}
	return h, nil
}

func parseArgon2Params(text string) (argon2Params, error) {
	fields := strings.Split(text, ",")
	if len(fields) != 3 {
		return argon2Params{}, errInvalidHash
	}
	var numbers [3]uint32
	for i, name := range []string{"m=", "t=", "p="} {
		digits, ok := strings.CutPrefix(fields[i], name)
		n, err := strconv.ParseUint(digits, 10, 32)
		if !ok || err != nil {
			return argon2Params{}, errInvalidHash
		}
		numbers[i] = uint32(n)
	}
	a := argon2Params{memoryKiB: numbers[0], passes: numbers[1], threads: uint8(numbers[2])}
	return a, a.check()
}
