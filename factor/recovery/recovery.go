// Package recovery is the method of printed single-use codes, for when nothing else is
// at hand. It neither counts tries nor tells anybody that a code was used.
//
//	Enroll: ten codes and their hashes ─▶ Show ─▶ "I have saved them" ─▶ Keep: the hashes
package recovery

import (
	"context"
	"crypto/rand"
	"net/url"
	"strings"
	"unicode"

	"twostep/factor"
)

const (
	count      = 10 // codes in a set
	characters = 13 // of a code, 5 bits each: 65 bits, where NIST SP 800-63B-4 (4.2.1.1) wants 64
	// alphabet is Crockford's base32: no I, L, O, which look like digits, and no U.
	alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	maxField = 128 // bytes of the form field that we look at
)

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
		code := draw()
		sum, err := m.hash(ctx, code, s.Salt)
		if err != nil {
			return factor.Factor{}, factor.Challenge{}, err
		}
		s.Codes, s.Left = append(s.Codes, code), append(s.Left, sum)
	}
	return factor.Factor{Method: "recovery", Secret: s.seal()}, factor.Challenge{Seen: true}, nil
}

// draw draws a code. 32 divides 256, so every one is equally likely.
func draw() string {
	code := make([]byte, characters)
	rand.Read(code)
	for i, b := range code {
		code[i] = alphabet[b%32]
	}
	return string(code)
}

// Challenge has nothing to send and nothing to remember.
func (*Method) Challenge(context.Context, factor.Ask) (factor.Challenge, error) {
	return factor.Challenge{}, nil
}

// Read takes a code from the field "code", however it is spaced and in whichever case.
// O counts as 0, I and L count as 1. factor.ErrMalformed.
func (*Method) Read(form url.Values) (string, error) {
	field := form.Get("code")
	if len(field) > maxField {
		return "", factor.ErrMalformed
	}
	var code strings.Builder
	for _, r := range field {
		if unicode.IsSpace(r) || unicode.In(r, unicode.Zs, unicode.Pd, unicode.Cf) {
			continue // spaces, dashes and what is invisible
		}
		if r >= 'a' && r <= 'z' {
			r -= 'a' - 'A' // not unicode.ToUpper: it makes letters of the alphabet out of ı and ſ
		}
		switch r {
		case 'O':
			r = '0'
		case 'I', 'L':
			r = '1'
		}
		if !strings.ContainsRune(alphabet, r) {
			return "", factor.ErrMalformed
		}
		code.WriteRune(r)
	}
	if code.Len() != characters {
		return "", factor.ErrMalformed
	}
	return code.String(), nil
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
		show.Codes = append(show.Codes, code[:5]+"-"+code[5:9]+"-"+code[9:])
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
