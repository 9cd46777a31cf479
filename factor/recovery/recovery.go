// Package recovery is the verification method with recovery codes: ten printed single-use codes. They
// are look-up secrets of NIST SP 800-63B-4 3.1.2. The server limits attempts and sends notifications;
// the package does neither.
//
//	Enroll (codes and hashes) ─▶ Provision ─▶ "I have saved them" ─▶ Finalize (hashes only)
package recovery

import (
	"context"
	"crypto/rand"
	"net/url"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/seal"
)

const codesPerSet = 10

// Method verifies recovery codes. Create one with New. It is safe for concurrent use.
type Method struct{ hashSlot chan struct{} }

var _ factor.Provisioner = (*Method)(nil)

// New returns a Method that computes one hash at a time, in 19 MiB of memory.
func New() *Method { return &Method{hashSlot: make(chan struct{}, 1)} }

// Info describes the method. An account has at most one set, as a backup.
func (*Method) Info() factor.Info {
	// RFC 8176 registers no value for look-up secrets. Each code is a one-time password, but not
	// "mfa": paper is easily copied.
	return factor.Info{Method: "recovery", Path: "recovery", Backup: true, MaxPerAccount: 1, AMR: []string{"otp"},
		Words: localizedWords()}
}

// Enroll creates ten codes and hashes them, which takes about 250 ms of CPU. The draft contains the
// codes in plain text until Finalize. Enroll returns ctx's error if ctx ends while it waits for the
// hash slot.
func (m *Method) Enroll(ctx context.Context, _ factor.Request, _ url.Values) (factor.Factor, factor.Challenge, error) {
	s := codeSet{HashParams: argon2Params, Salt: make([]byte, saltSize)}
	rand.Read(s.Salt)
	for range codesPerSet {
		code := seal.NewLongCode()
		sum, err := m.hashCode(ctx, code, s.Salt)
		if err != nil {
			return factor.Factor{}, factor.Challenge{}, err
		}
		s.PlainCodes, s.UnusedHashes = append(s.PlainCodes, code), append(s.UnusedHashes, sum)
	}
	return factor.Factor{Method: "recovery", Secret: s.marshal()}, factor.Challenge{AcknowledgeOnly: true}, nil
}

// Challenge returns an empty challenge: nothing is sent and nothing is stored.
func (*Method) Challenge(context.Context, factor.Request) (factor.Challenge, error) {
	return factor.Challenge{}, nil
}

// ParseResponse reads a code from the form field "code", in any spacing and case. Recovery codes
// are always long codes. It returns factor.ErrMalformed if there is none.
func (*Method) ParseResponse(form url.Values, _ bool) (string, error) {
	code, ok := seal.ParseLongCode(form.Get("code"))
	if !ok {
		return "", factor.ErrMalformed
	}
	return code, nil
}

// Verify accepts each code of the set once and removes it from f.Secret. The work is the same for
// every answer. Verify returns factor.ErrIncorrect if the code is not in the set, and ctx's error
// if ctx ends while it waits for the hash slot.
func (m *Method) Verify(ctx context.Context, f *factor.Factor, answer factor.Response) error {
	s, err := unmarshalSet(f.Secret)
	if err != nil {
		return err
	}
	sum, err := m.hashCode(ctx, answer.Text, s.Salt)
	if err != nil {
		return err
	}
	rest := s.withoutHash(sum)
	if len(rest) == len(s.UnusedHashes) {
		return factor.ErrIncorrect
	}
	s.UnusedHashes, s.PlainCodes = rest, nil
	f.Secret = s.marshal()
	return nil
}

// Provision returns the codes in groups, and none after Finalize.
func (*Method) Provision(_ factor.Request, draft factor.Factor) factor.Provisioning {
	s, err := unmarshalSet(draft.Secret)
	if err != nil {
		return factor.Provisioning{}
	}
	var show factor.Provisioning
	for _, code := range s.PlainCodes {
		show.Codes = append(show.Codes, seal.FormatLongCode(code))
	}
	return show
}

// Finalize returns the draft without the codes: only their hashes are stored.
func (*Method) Finalize(draft factor.Factor) (factor.Factor, error) {
	s, err := unmarshalSet(draft.Secret)
	if err != nil {
		return factor.Factor{}, err
	}
	s.PlainCodes = nil
	draft.Secret = s.marshal()
	return draft, nil
}

// Remaining returns how many codes of the set are unused; 0 if f contains no set.
func (*Method) Remaining(f factor.Factor) int {
	s, err := unmarshalSet(f.Secret)
	if err != nil {
		return 0
	}
	return len(s.UnusedHashes)
}
