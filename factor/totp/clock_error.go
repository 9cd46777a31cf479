package totp

import (
	"strconv"

	"twostep.example/twostep/factor"
)

// minReportedDrift is the learned drift, in seconds, from which a corrected clock may be rejected.
const minReportedDrift = stepSeconds / 2

// rejectionError returns the reason why a code was rejected, as far as it is known and safe to
// tell. outOfWindow is the step that the code belongs to; 0 if it belongs to none or to a used one.
func (s secret) rejectionError(outOfWindow, unix int64) error {
	off := outOfWindow - unix/stepSeconds
	switch {
	case outOfWindow == 0 || off == 0 || off == -1:
		if s.DriftSeconds > -minReportedDrift && s.DriftSeconds < minReportedDrift {
			return factor.ErrIncorrect
		}
		// The phone's clock was wrong when it was last used. Any rejected code gets this message
		// then, so it says nothing about the code.
		return clockError("clock.drift", 0)
	case off > 0:
		return clockError("clock.ahead", (off+1)/2)
	case off >= -3 && !s.enrolling():
		return clockError("clock.late", 0) // about a minute; more likely slow typing than a wrong clock
	}
	return clockError("clock.behind", -off/2) // rounded down: typing takes time as well
}

func clockError(says string, minutes int64) error {
	r := &factor.UserError{Err: factor.ErrIncorrect, Field: "code", MessageKey: says}
	switch {
	case minutes == 1:
		r.MessageKey += ".one"
	case minutes > 1:
		r.MessageArgs = []string{"Minutes", strconv.FormatInt(minutes, 10)}
	}
	return r
}
