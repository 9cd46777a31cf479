package totp

import (
	"crypto/subtle"
	"encoding/json"
	"errors"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/sentcode"
)

const (
	reach    = 20 // steps before and after now in which a stray code is recognised: 10 minutes
	maxDrift = 2 * period
	nudge    = 5  // seconds that one code may move the drift
	early    = 5  // a code typed this soon, in seconds, comes from a phone that is ahead
	late     = 25 // and this late from one that is behind
	typing   = 10 // seconds that a code is old when it comes in, as a rule
	minKey   = 16 // bytes; RFC 4226, R6
	maxKey   = 64 // bytes; SHA-1 uses no more without hashing it
)

// steps are those of which a code is accepted at a time: so many answers are right.
const steps = 2

// errSecret says nothing more, because what a decoder says may quote the secret.
var errSecret = errors.New("totp: the stored secret is damaged")

// secret is what is stored of an app.
type secret struct {
	Key   []byte `json:"key"`
	Last  int64  `json:"last"`  // the newest step that was accepted; 0: none yet
	Drift int64  `json:"drift"` // seconds by which the phone is ahead, as learned; negative: behind
}

func (s secret) seal() []byte {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // bytes and numbers only
	}
	return text
}

func unseal(text []byte) (secret, error) {
	var s secret
	if json.Unmarshal(text, &s) != nil ||
		len(s.Key) < minKey || len(s.Key) > maxKey || s.Last < 0 || s.Drift < -maxDrift || s.Drift > maxDrift {
		return secret{}, errSecret
	}
	return s, nil
}

// unproven says that no code was ever accepted: the person is enrolling, and sees the key.
func (s secret) unproven() bool { return s.Last == 0 }

// accepted are the first and the last step of which a code is accepted at a time, in Unix
// seconds: the step that the phone is in and the one before, so two in a million guesses
// are right. While the person enrolls, it is our own step and two on either side.
func (s secret) accepted(unix int64) (first, last int64) {
	if s.unproven() {
		return unix/period - 2, unix/period + 2
	}
	phone := (unix + s.Drift) / period
	return phone - 1, phone
}

// codes are those of the steps from reach before a step to reach after it.
type codes [2*reach + 1]string

func (s secret) around(step int64) (c codes) {
	for i := range c {
		c[i] = code(s.Key, step-reach+int64(i))
	}
	return c
}

// find returns the newest step that accepts the text, and the newest one outside that we
// may talk about; 0 is none. c are the codes around now. Where neighbours have the same
// code the newest is taken, so that what somebody read over a shoulder is used up in
// both. It always looks at all of them.
//
// We never talk about a step that is still to come: who guesses with a stolen password
// would wait for it, and each guess would count for twenty steps more. While the person
// enrolls there is no harm: the key is on the same page.
func (s secret) find(c codes, text string, unix int64) (taken, stray int64) {
	first, last := s.accepted(unix)
	for i := range c {
		step := unix/period - reach + int64(i)
		same := subtle.ConstantTimeCompare([]byte(c[i]), []byte(text)) == 1
		switch {
		case !same || step <= s.Last:
		case first <= step && step <= last:
			taken = step
		case step < first || s.unproven():
			stray = step
		}
	}
	return taken, stray
}

// pair accepts the codes of two steps in a row, typed one after the other, and uses up
// both: nobody guesses twelve digits. It says nothing of a clock that is wrong, since who
// guesses here has guessed often.
func (s *secret) pair(f *factor.Factor, text string, now int64) error {
	if len(text) != 2*sentcode.Digits {
		return factor.ErrIncorrect
	}
	c, taken := s.around(now/period), int64(0)
	first, last := s.accepted(now)
	for i := range c[1:] {
		step := now/period - reach + int64(i) + 1 // of the second
		same := subtle.ConstantTimeCompare([]byte(c[i]+c[i+1]), []byte(text)) == 1
		if same && step-1 > s.Last && first <= step && step <= last {
			taken = step
		}
	}
	if taken == 0 {
		return factor.ErrIncorrect
	}
	s.take(taken, now)
	f.Secret = s.seal()
	return nil
}

// take uses up a step and learns from it how far the phone's clock is off.
//
// The drift is counted in seconds, because a drift of whole steps that is wrong by one
// refuses a right clock for good. Enrolment guesses it. Afterwards a code moves it by a
// little if it comes in at the edge of what is accepted: a new code right at its
// beginning, or an old one just before its end. So the window follows the phone, and it
// finds its way back from what a slow hand taught it. See docs/decisions/totp.md.
func (s *secret) take(step, unix int64) {
	age, phase := unix/period-step, unix%period
	if s.unproven() {
		if age < 0 || age > 1 {
			s.Drift = typing + period/2 - phase - period*age // the middle of what is possible
		}
	} else {
		age, phase = (unix+s.Drift)/period-step, (unix+s.Drift)%period
		switch {
		case age == 0 && phase < early:
			s.Drift += nudge
		case age == 1 && phase >= late:
			s.Drift -= nudge
		}
	}
	s.Drift = min(max(s.Drift, -maxDrift), maxDrift)
	s.Last = step
}
