package totp

import (
	"crypto/subtle"
	"encoding/json"
	"errors"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/sentcode"
)

const (
	searchSteps     = 20 // steps before and after now whose codes are recognized for clock errors: 10 minutes
	maxDriftSeconds = 2 * stepSeconds
	driftAdjustment = 5  // seconds by which one code may change the drift
	earlySeconds    = 5  // a code entered in the first seconds of its step suggests a phone that is ahead
	lateSeconds     = 25 // and one entered after so many seconds of the next step a phone that is behind
	typingSeconds   = 10 // usual age of a code in seconds when it arrives
	minKeyBytes     = 16 // RFC 4226 4, R6: at least 128 bits
	maxKeyBytes     = 64 // the block size of SHA-1: longer keys are hashed first
)

// acceptedSteps is the number of steps whose code is accepted at any time, and so the number of
// valid answers.
const acceptedSteps = 2

// errDamagedSecret wraps nothing: the decoder's error may quote the secret.
var errDamagedSecret = errors.New("totp: the stored secret is damaged")

// secret is the stored state of an app.
type secret struct {
	Key          []byte `json:"key"`
	LastUsedStep int64  `json:"last"`  // newest step whose code was accepted; 0 is none
	DriftSeconds int64  `json:"drift"` // by which the phone's clock is ahead, as learned; negative: behind
}

func (s secret) marshal() []byte {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // cannot happen: bytes and numbers only
	}
	return text
}

func unmarshalSecret(text []byte) (secret, error) {
	var s secret
	if json.Unmarshal(text, &s) != nil ||
		len(s.Key) < minKeyBytes || len(s.Key) > maxKeyBytes || s.LastUsedStep < 0 ||
		s.DriftSeconds < -maxDriftSeconds || s.DriftSeconds > maxDriftSeconds {
		return secret{}, errDamagedSecret
	}
	return s, nil
}

// enrolling reports whether no code was accepted yet: the key is still shown to the person.
func (s secret) enrolling() bool { return s.LastUsedStep == 0 }

// acceptedWindow returns the first and the last step whose code is accepted at a time, in Unix
// seconds: the phone's current step and the one before (RFC 6238 5.2), so that two of a million
// codes are valid. During enrolment it is the server's current step and two on either side.
func (s secret) acceptedWindow(unix int64) (first, last int64) {
	if s.enrolling() {
		return unix/stepSeconds - 2, unix/stepSeconds + 2
	}
	phone := (unix + s.DriftSeconds) / stepSeconds
	return phone - 1, phone
}

// codesByStep are the codes from searchSteps before a step to searchSteps after it.
type codesByStep [2*searchSteps + 1]string

func (s secret) codesAround(step int64) (c codesByStep) {
	for i := range c {
		c[i] = hotpCode(s.Key, step-searchSteps+int64(i))
	}
	return c
}

// findStep returns the newest accepted step with the code text, and the newest step with it outside
// of the window that may be disclosed; 0 is none. c are the codes around now. If neighbouring steps
// have the same code it takes the newest, so that an observed code is used up in both. It compares
// all codes in constant time.
//
// Future steps are not disclosed: an attacker with a stolen password could wait for the step, and
// each guess would cover twenty more steps. During enrolment there is no harm: the key is on the
// same page.
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

// verifyTwoCodes accepts the codes of two consecutive steps, typed one after the other, and uses up
// both: twelve digits cannot be guessed. It discloses no clock error, since two codes are asked for
// only after many wrong guesses.
func (s *secret) verifyTwoCodes(f *factor.Factor, text string, now int64) error {
	if len(text) != 2*sentcode.Digits {
		return factor.ErrIncorrect
	}
	c, taken := s.codesAround(now/stepSeconds), int64(0)
	first, last := s.acceptedWindow(now)
	for i := range c[1:] {
		step := now/stepSeconds - searchSteps + int64(i) + 1 // of the second code
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

// markUsed records a step as used and learns from it how far the phone's clock is off (RFC 6238 6).
//
// The drift is in seconds, because a drift in whole steps that is wrong by one would reject a
// correct clock forever. Enrolment estimates it. Later a code changes it by driftAdjustment if it
// arrives at the edge of the window: a new code right at its beginning, or an old one just before
// its end. So the window follows the phone, and recovers after slow typing. See
// docs/decisions/totp.md.
func (s *secret) markUsed(step, unix int64) {
	age, phase := unix/stepSeconds-step, unix%stepSeconds
	if s.enrolling() {
		if age < 0 || age > 1 {
			// The middle of the possible range.
			s.DriftSeconds = typingSeconds + stepSeconds/2 - phase - stepSeconds*age
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
