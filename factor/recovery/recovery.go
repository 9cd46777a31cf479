// Package recovery is the method of printed single-use codes, for when nothing else is
// at hand. It neither counts tries nor tells anybody that a code was used.
//
//	Enroll: ten codes and their hashes ─▶ Show ─▶ "I have saved them" ─▶ Keep: the hashes
package recovery

import (
	"context"
	"crypto/rand"
	"net/url"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/seal"
)

const codesPerSet = 10 // codes in a set

// Method is a set of recovery codes for each account. New makes one; its users may be
// any number of goroutines.
type Method struct{ hashSlot chan struct{} }

var _ factor.Provisioner = (*Method)(nil)

// New returns a Method that computes one hash at a time, with 19 MiB.
func New() *Method { return &Method{hashSlot: make(chan struct{}, 1)} }

// Info says that an account has one set at most, and that it is a spare way.
func (*Method) Info() factor.Info {
	// RFC 8176 has no value for look-up secrets. Each code is a one-time password and
	// no more than that: not "mfa", since paper is easily copied.
	return factor.Info{Method: "recovery", Path: "recovery", Backup: true, MaxPerAccount: 1, AMR: []string{"otp"}, Words: localizedWords()}
}

// Enroll draws ten codes and hashes them, which takes about a quarter of a second. The
// draft holds the codes in plain text, until Keep. The errors are ctx's, while it waits
// for others to be hashed.
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

// Challenge has nothing to send and nothing to remember.
func (*Method) Challenge(context.Context, factor.Request) (factor.Challenge, error) {
	return factor.Challenge{}, nil
}

// ParseResponse takes a code from the field "code", however it is spaced and in whichever case.
// It is long in any case. factor.ErrMalformed.
func (*Method) ParseResponse(form url.Values, _ bool) (string, error) {
	code, ok := seal.ParseLongCode(form.Get("code"))
	if !ok {
		return "", factor.ErrMalformed
	}
	return code, nil
}

// Verify accepts each code of the set once: it takes it out of f.Secret. The work is the
// same for every answer. factor.ErrIncorrect, or ctx's error.
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

// Provision is the codes, in groups; none once they are kept.
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

// Finalize is the draft without the codes: only their hashes are stored.
func (*Method) Finalize(draft factor.Factor) (factor.Factor, error) {
	s, err := unmarshalSet(draft.Secret)
	if err != nil {
		return factor.Factor{}, err
	}
	s.PlainCodes = nil
	draft.Secret = s.marshal()
	return draft, nil
}

// Remaining is how many codes of a set are not used yet; 0 if f holds no set.
func (*Method) Remaining(f factor.Factor) int {
	s, err := unmarshalSet(f.Secret)
	if err != nil {
		return 0
	}
	return len(s.UnusedHashes)
}
