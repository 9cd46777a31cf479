package totp

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
)

const (
	stepSeconds = 30        // length of a step; Google Authenticator ignores other values
	codeModulus = 1_000_000 // six digits
)

// hotpTruncate returns the 31-bit number of a step (T in RFC 6238 4.2) before the reduction to
// digits (RFC 4226 5.3).
func hotpTruncate(key []byte, step int64) uint32 {
	mac := hmac.New(sha1.New, key)
	var counter [8]byte
	binary.BigEndian.PutUint64(counter[:], uint64(step))
	mac.Write(counter[:])
	sum := mac.Sum(nil)
	return binary.BigEndian.Uint32(sum[sum[len(sum)-1]&15:]) & 0x7fffffff
}

// hotpCode returns the six digits of a step, with leading zeros.
func hotpCode(key []byte, step int64) string {
	return fmt.Sprintf("%06d", hotpTruncate(key, step)%codeModulus)
}
