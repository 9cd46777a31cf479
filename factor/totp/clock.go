package totp

import (
	"strconv"

	"twostep.example/twostep/factor"
)

// notable is the drift, in seconds, from which a clock set right may be refused.
const notable = period / 2

// refuse says why a code was not accepted, as far as that is known and harmless. stray is
// the step it belongs to, 0 if it belongs to none or to one that was used.
func (s secret) refuse(stray, unix int64) error {
	off := stray - unix/period
	switch {
	case stray == 0 || off == 0 || off == -1:
		if s.Drift > -notable && s.Drift < notable {
			return factor.ErrIncorrect
		}
		// The phone's clock was wrong when it was last used. This is said of any code
		// then, so it tells nothing about the one that was entered.
		return about("clock.drift", 0)
	case off > 0:
		return about("clock.ahead", (off+1)/2)
	case off >= -3 && !s.unproven():
		return about("clock.late", -off/2) // a slow hand rather than a wrong clock
	}
	return about("clock.behind", -off/2) // rounded down: typing takes time as well
}

func about(says string, minutes int64) error {
	r := &factor.Refusal{Err: factor.ErrIncorrect, Field: "code", Says: says}
	if minutes > 0 {
		r.Pairs = []string{"Minutes", strconv.FormatInt(minutes, 10)}
	}
	return r
}
