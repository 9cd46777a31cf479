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

const count = 10 // codes in a set

// Method is a set of recovery codes for each account. New makes one; its users may be
// any number of goroutines.
type Method struct{ slot chan struct{} }

var _ factor.Shower = (*Method)(nil)

// New returns a Method that computes one hash at a time, with 19 MiB.
func New() *Method { return &Method{slot: make(chan struct{}, 1)} }

// About says that an account has one set at most, and that it is a spare way.
func (*Method) About() factor.About {
	// RFC 8176 has no value for look-up secrets. Each code is a one-time password and
	// no more than that: not "mfa", since paper is easily copied.
	return factor.About{Method: "recovery", Path: "recovery", Spare: true, Most: 1, AMR: []string{"otp"}, Words: words()}
}

// Enroll draws ten codes and hashes them, which takes about a quarter of a second. The
// draft holds the codes in plain text, until Keep. The errors are ctx's, while it waits
// for others to be hashed.
func (m *Method) Enroll(ctx context.Context, _ factor.Ask, _ url.Values) (factor.Factor, factor.Challenge, error) {
	s := set{How: how, Salt: make([]byte, saltSize)}
	rand.Read(s.Salt)
	for range count {
		code := seal.Long()
		sum, err := m.hash(ctx, code, s.Salt)
		if err != nil {
			return factor.Factor{}, factor.Challenge{}, err
		}
		s.Codes, s.Left = append(s.Codes, code), append(s.Left, sum)
	}
	return factor.Factor{Method: "recovery", Secret: s.seal()}, factor.Challenge{Seen: true}, nil
}

// Challenge has nothing to send and nothing to remember.
func (*Method) Challenge(context.Context, factor.Ask) (factor.Challenge, error) {
	return factor.Challenge{}, nil
}

// Read takes a code from the field "code", however it is spaced and in whichever case.
// It is long in any case. factor.ErrMalformed.
func (*Method) Read(form url.Values, _ bool) (string, error) {
	code, ok := seal.ReadLong(form.Get("code"))
	if !ok {
		return "", factor.ErrMalformed
	}
	return code, nil
}

// Verify accepts each code of the set once: it takes it out of f.Secret. The work is the
// same for every answer. factor.ErrIncorrect, or ctx's error.
func (m *Method) Verify(ctx context.Context, f *factor.Factor, answer factor.Answer) error {
	s, err := unseal(f.Secret)
	if err != nil {
		return err
	}
	sum, err := m.hash(ctx, answer.Text, s.Salt)
	if err != nil {
		return err
	}
	rest := s.without(sum)
	if len(rest) == len(s.Left) {
		return factor.ErrIncorrect
	}
	s.Left, s.Codes = rest, nil
	f.Secret = s.seal()
	return nil
}

// Show is the codes, in groups; none once they are kept.
func (*Method) Show(_ factor.Ask, draft factor.Factor) factor.Show {
	s, err := unseal(draft.Secret)
	if err != nil {
		return factor.Show{}
	}
	var show factor.Show
	for _, code := range s.Codes {
		show.Codes = append(show.Codes, seal.LongGroups(code))
	}
	return show
}

// Keep is the draft without the codes: only their hashes are stored.
func (*Method) Keep(draft factor.Factor) (factor.Factor, error) {
	s, err := unseal(draft.Secret)
	if err != nil {
		return factor.Factor{}, err
	}
	s.Codes = nil
	draft.Secret = s.seal()
	return draft, nil
}

// Left is how many codes of a set are not used yet; 0 if f holds no set.
func (*Method) Left(f factor.Factor) int {
	s, err := unseal(f.Secret)
	if err != nil {
		return 0
	}
	return len(s.Left)
}
