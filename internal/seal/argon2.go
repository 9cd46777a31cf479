package seal

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The bounds of a hash that we agree to compute. Hashes come from imports and from
// backups too; one line with m=4194304 would otherwise end the server.
const (
	maxMemoryKiB = 256 << 10
	maxPasses    = 10
	maxThreads   = 4
	maxHashChars = 256 // characters
	minSaltBytes = 8   // bytes, also of the next three
	maxSaltBytes = 64
	minTagBytes  = 16
	maxTagBytes  = 64
)

// errInvalidHash is not exported: whoever meets it has a damaged row, and there is nothing to
// decide but to say no and to log it.
var errInvalidHash = errors.New("seal: password hash is not a form we write or cost we take")

// argon2Params holds the parameters of argon2id.
type argon2Params struct {
	memoryKiB uint32 // KiB
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

// passwordHash is one stored hash, taken apart.
type passwordHash struct {
	argon2Params
	salt, tag []byte
}

// String returns the PHC string, the form that other programs read and write too.
func (h passwordHash) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s",
		h.memoryKiB, h.passes, h.threads, b64.EncodeToString(h.salt), b64.EncodeToString(h.tag))
}

// parsePHC takes what String makes, within the bounds, and nothing else.
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
	if h.String() != text { // leading zeros, line breaks, stray bits, a p that does not fit
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
