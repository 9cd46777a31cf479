package totp

import (
	"strconv"

	"twostep.example/twostep/factor"
)

// minReportedDrift is the drift, in seconds, from which a clock set right may be refused.
const minReportedDrift = stepSeconds / 2

// rejectionError says why a code was not accepted, as far as that is known and harmless. stray is
// the step it belongs to, 0 if it belongs to none or to one that was used.
func (s secret) rejectionError(outOfWindow, unix int64) error {
	off := outOfWindow - unix/stepSeconds
	switch {
	case outOfWindow == 0 || off == 0 || off == -1:
		if s.DriftSeconds > -minReportedDrift && s.DriftSeconds < minReportedDrift {
			return factor.ErrIncorrect
		}
		// The phone's clock was wrong when it was last used. This is said of any code
		// then, so it tells nothing about the one that was entered.
		return clockError("clock.drift", 0)
	case off > 0:
		return clockError("clock.ahead", (off+1)/2)
	case off >= -3 && !s.enrolling():
		return clockError("clock.late", -off/2) // a slow hand rather than a wrong clock
	}
	return clockError("clock.behind", -off/2) // rounded down: typing takes time as well
}

func clockError(says string, minutes int64) error {
	r := &factor.UserError{Err: factor.ErrIncorrect, Field: "code", MessageKey: says}
	if minutes > 0 {
		r.MessageArgs = []string{"Minutes", strconv.FormatInt(minutes, 10)}
	}
	return r
}
