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
	saltSize = 32 // bytes, one salt for a set, so that a try costs one hash and not ten
	sumSize  = 32 // bytes
	// The cost that passwords have, for the reasons in docs/decisions/recovery.md. It is
	// written into every set: whoever changes it keeps the old one for the old sets.
	memory, passes = 19 << 10, 2
	how            = "argon2id m=19456,t=2,p=1"
)

var (
	// errSet says nothing more, because what a decoder says may quote a code.
	errSet = errors.New("recovery: the stored set is damaged")
	errNew = errors.New("recovery: the method was not made by New")
)

// set is what is stored of an account's codes.
type set struct {
	How   string   `json:"how"`
	Salt  []byte   `json:"salt"`
	Left  [][]byte `json:"left"`            // hashes of the codes that are not used yet
	Codes []string `json:"codes,omitempty"` // in plain text, while the person has not saved them
}

func (s set) seal() []byte {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // bytes and ASCII only
	}
	return text
}

func unseal(text []byte) (set, error) {
	var s set
	if json.Unmarshal(text, &s) != nil || s.How != how || len(s.Salt) != saltSize ||
		len(s.Left) > count || slices.ContainsFunc(s.Left, func(sum []byte) bool { return len(sum) != sumSize }) ||
		len(s.Codes) > count || slices.ContainsFunc(s.Codes, func(code string) bool { return len(code) != seal.LongSize }) {
		return set{}, errSet
	}
	return s, nil
}

// without is what is left when the code with this hash is used. It looks at all of them,
// so that the time does not tell which it was.
func (s set) without(sum []byte) [][]byte {
	rest := make([][]byte, 0, count)
	for _, one := range s.Left {
		if subtle.ConstantTimeCompare(one, sum) == 0 {
			rest = append(rest, one)
		}
	}
	return rest
}

// hash waits for the slot and hashes one code. Ten codes take the slot ten times, so that
// somebody who is signing in does not wait for somebody who is printing.
func (m *Method) hash(ctx context.Context, code string, salt []byte) ([]byte, error) {
	if m.slot == nil {
		return nil, errNew // it would wait for ever
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("recovery: hash a code: %w", err)
	}
	select {
	case m.slot <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("recovery: wait to hash a code: %w", ctx.Err())
	}
	defer func() { <-m.slot }()
	return argon2.IDKey([]byte(code), salt, passes, memory, 1, sumSize), nil
}
