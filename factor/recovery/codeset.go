package recovery

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/argon2"

	"twostep.example/twostep/internal/seal"
)

const (
	saltSize = 32 // one salt for a set, so that an attempt costs one hash, not ten
	hashSize = 32
	// The cost of a password hash; docs/decisions/recovery.md has the reasons. It is stored in
	// every set: if you change it, keep the old value for the old sets.
	argon2MemoryKiB, argon2Passes = 19 << 10, 2
	argon2Params                  = "argon2id m=19456,t=2,p=1"
)

var (
	// errDamagedSet wraps nothing: the decoder's error may quote a code.
	errDamagedSet = errors.New("recovery: the stored set is damaged")
	errNotFromNew = errors.New("recovery: the method was not made by New")
)

// codeSet is the stored set of an account's codes.
type codeSet struct {
	HashParams   string   `json:"how"`
	Salt         []byte   `json:"salt"`
	UnusedHashes [][]byte `json:"left"`
	PlainCodes   []string `json:"codes,omitempty"` // until the person has confirmed that they saved them
}

func (s codeSet) marshal() []byte {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // cannot happen: bytes and ASCII only
	}
	return text
}

func unmarshalSet(text []byte) (codeSet, error) {
	var s codeSet
	if json.Unmarshal(text, &s) != nil || s.HashParams != argon2Params || len(s.Salt) != saltSize ||
		len(s.UnusedHashes) > codesPerSet ||
		slices.ContainsFunc(s.UnusedHashes, func(sum []byte) bool { return len(sum) != hashSize }) ||
		len(s.PlainCodes) > codesPerSet ||
		slices.ContainsFunc(s.PlainCodes, func(code string) bool { return len(code) != seal.LongCodeLength }) {
		return codeSet{}, errDamagedSet
	}
	return s, nil
}

// withoutHash returns the hashes without sum. It compares all of them, so that the time does not
// disclose which one matched.
func (s codeSet) withoutHash(sum []byte) [][]byte {
	rest := make([][]byte, 0, codesPerSet)
	for _, one := range s.UnusedHashes {
		if subtle.ConstantTimeCompare(one, sum) == 0 {
			rest = append(rest, one)
		}
	}
	return rest
}

// hashCode waits for the slot and hashes one code. Ten codes take the slot ten times, so that an
// enrolment does not delay a sign-in.
func (m *Method) hashCode(ctx context.Context, code string, salt []byte) ([]byte, error) {
	if m.hashSlot == nil {
		return nil, errNotFromNew // would block forever
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("recovery: hash a code: %w", err)
	}
	select {
	case m.hashSlot <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("recovery: wait to hash a code: %w", ctx.Err())
	}
	defer func() { <-m.hashSlot }()
	return argon2.IDKey([]byte(code), salt, argon2Passes, argon2MemoryKiB, 1, hashSize), nil
}
