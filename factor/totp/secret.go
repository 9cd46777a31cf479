package totp

import (
	"crypto/subtle"
	"encoding/json"
	"errors"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/sentcode"
)

const (
	searchSteps     = 20 // steps before and after now in which a stray code is recognised: 10 minutes
	maxDriftSeconds = 2 * stepSeconds
	driftAdjustment = 5  // seconds that one code may move the drift
	earlySeconds    = 5  // a code typed this soon, in seconds, comes from a phone that is ahead
	lateSeconds     = 25 // and this late from one that is behind
	typingSeconds   = 10 // seconds that a code is old when it comes in, as a rule
	minKeyBytes     = 16 // bytes; RFC 4226, R6
	maxKeyBytes     = 64 // bytes; SHA-1 uses no more without hashing it
)

// acceptedSteps are those of which a code is accepted at a time: so many answers are right.
const acceptedSteps = 2

// errDamagedSecret says nothing more, because what a decoder says may quote the secret.
var errDamagedSecret = errors.New("totp: the stored secret is damaged")

// secret is what is stored of an app.
type secret struct {
	Key          []byte `json:"key"`
	LastUsedStep int64  `json:"last"`  // the newest step that was accepted; 0: none yet
	DriftSeconds int64  `json:"drift"` // seconds by which the phone is ahead, as learned; negative: behind
}

func (s secret) marshal() []byte {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // bytes and numbers only
	}
	return text
}

func unmarshalSecret(text []byte) (secret, error) {
	var s secret
	if json.Unmarshal(text, &s) != nil ||
		len(s.Key) < minKeyBytes || len(s.Key) > maxKeyBytes || s.LastUsedStep < 0 || s.DriftSeconds < -maxDriftSeconds || s.DriftSeconds > maxDriftSeconds {
		return secret{}, errDamagedSecret
	}
	return s, nil
}

// enrolling says that no code was ever accepted: the person is enrolling, and sees the key.
func (s secret) enrolling() bool { return s.LastUsedStep == 0 }

// acceptedWindow are the first and the last step of which a code is accepted at a time, in Unix
// seconds: the step that the phone is in and the one before, so two in a million guesses
// are right. While the person enrolls, it is our own step and two on either side.
func (s secret) acceptedWindow(unix int64) (first, last int64) {
	if s.enrolling() {
		return unix/stepSeconds - 2, unix/stepSeconds + 2
	}
	phone := (unix + s.DriftSeconds) / stepSeconds
	return phone - 1, phone
}

// codesByStep are those of the steps from reach before a step to reach after it.
type codesByStep [2*searchSteps + 1]string

func (s secret) codesAround(step int64) (c codesByStep) {
	for i := range c {
		c[i] = hotpCode(s.Key, step-searchSteps+int64(i))
	}
	return c
}

// findStep returns the newest step that accepts the text, and the newest one outside that we
// may talk about; 0 is none. c are the codes around now. Where neighbours have the same
// code the newest is taken, so that what somebody read over a shoulder is used up in
// both. It always looks at all of them.
//
// We never talk about a step that is still to come: who guesses with a stolen password
// would wait for it, and each guess would count for twenty steps more. While the person
// enrolls there is no harm: the key is on the same page.
func (s secret) findStep(c codesByStep, text string, unix int64) (taken, outOfWindow int64) {
	first, last := s.acceptedWindow(unix)
	for i := range c {
		step := unix/stepSeconds - searchSteps + int64(i)
		same := subtle.ConstantTimeCompare([]byte(c[i]), []byte(text)) == 1
		switch {
		case !same || step <= s.LastUsedStep:
		case first <= step && step <= last:
			taken = step
		case step < first || s.enrolling():
			outOfWindow = step
		}
	}
	return taken, outOfWindow
}

// verifyTwoCodes accepts the codes of two steps in a row, typed one after the other, and uses up
// both: nobody guesses twelve digits. It says nothing of a clock that is wrong, since who
// guesses here has guessed often.
func (s *secret) verifyTwoCodes(f *factor.Factor, text string, now int64) error {
	if len(text) != 2*sentcode.Digits {
		return factor.ErrIncorrect
	}
	c, taken := s.codesAround(now/stepSeconds), int64(0)
	first, last := s.acceptedWindow(now)
	for i := range c[1:] {
		step := now/stepSeconds - searchSteps + int64(i) + 1 // of the second
		same := subtle.ConstantTimeCompare([]byte(c[i]+c[i+1]), []byte(text)) == 1
		if same && step-1 > s.LastUsedStep && first <= step && step <= last {
			taken = step
		}
	}
	if taken == 0 {
		return factor.ErrIncorrect
	}
	s.markUsed(taken, now)
	f.Secret = s.marshal()
	return nil
}

// markUsed uses up a step and learns from it how far the phone's clock is off.
//
// The drift is counted in seconds, because a drift of whole steps that is wrong by one
// refuses a right clock for good. Enrolment guesses it. Afterwards a code moves it by a
// little if it comes in at the edge of what is accepted: a new code right at its
// beginning, or an old one just before its end. So the window follows the phone, and it
// finds its way back from what a slow hand taught it. See docs/decisions/totp.md.
func (s *secret) markUsed(step, unix int64) {
	age, phase := unix/stepSeconds-step, unix%stepSeconds
	if s.enrolling() {
		if age < 0 || age > 1 {
			s.DriftSeconds = typingSeconds + stepSeconds/2 - phase - stepSeconds*age // the middle of what is possible
		}
	} else {
		age, phase = (unix+s.DriftSeconds)/stepSeconds-step, (unix+s.DriftSeconds)%stepSeconds
		switch {
		case age == 0 && phase < earlySeconds:
			s.DriftSeconds += driftAdjustment
		case age == 1 && phase >= lateSeconds:
			s.DriftSeconds -= driftAdjustment
		}
	}
	s.DriftSeconds = min(max(s.DriftSeconds, -maxDriftSeconds), maxDriftSeconds)
	s.LastUsedStep = step
}
