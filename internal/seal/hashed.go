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
	maxTime      = 10
	maxThreads   = 4
	maxHash      = 256 // characters
	minSalt      = 8   // bytes, also of the next three
	maxSalt      = 64
	minSum       = 16
	maxSum       = 64
)

// errHash is not exported: whoever meets it has a damaged row, and there is nothing to
// decide but to say no and to log it.
var errHash = errors.New("seal: password hash is not a form we write or cost we take")

// argon holds the parameters of argon2id.
type argon struct {
	memory  uint32 // KiB
	time    uint32
	threads uint8
}

func (a argon) check() error {
	switch {
	case a.memory < 8*uint32(a.threads), a.memory > maxMemoryKiB,
		a.time < 1, a.time > maxTime,
		a.threads < 1, a.threads > maxThreads:
		return errHash
	}
	return nil
}

// hashed is one stored hash, taken apart.
type hashed struct {
	argon
	salt, sum []byte
}

// String returns the PHC string, the form that other programs read and write too.
func (h hashed) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s",
		h.memory, h.time, h.threads, b64.EncodeToString(h.salt), b64.EncodeToString(h.sum))
}

// parseHash takes what String makes, within the bounds, and nothing else.
func parseHash(text string) (hashed, error) {
	if len(text) > maxHash {
		return hashed{}, errHash
	}
	rest, ok := strings.CutPrefix(text, "$argon2id$v=19$")
	fields := strings.Split(rest, "$")
	if !ok || len(fields) != 3 {
		return hashed{}, errHash
	}
	a, err := parseArgon(fields[0])
	if err != nil {
		return hashed{}, err
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(fields[1])
	sum, err2 := base64.RawStdEncoding.DecodeString(fields[2])
	if err1 != nil || err2 != nil ||
		len(salt) < minSalt || len(salt) > maxSalt || len(sum) < minSum || len(sum) > maxSum {
		return hashed{}, errHash
	}
	h := hashed{argon: a, salt: salt, sum: sum}
	if h.String() != text { // leading zeros, line breaks, stray bits, a p that does not fit
		return hashed{}, errHash
	}
	return h, nil
}

func parseArgon(text string) (argon, error) {
	fields := strings.Split(text, ",")
	if len(fields) != 3 {
		return argon{}, errHash
	}
	var numbers [3]uint32
	for i, name := range []string{"m=", "t=", "p="} {
		digits, ok := strings.CutPrefix(fields[i], name)
		n, err := strconv.ParseUint(digits, 10, 32)
		if !ok || err != nil {
			return argon{}, errHash
		}
		numbers[i] = uint32(n)
	}
	a := argon{memory: numbers[0], time: numbers[1], threads: uint8(numbers[2])}
	return a, a.check()
}
