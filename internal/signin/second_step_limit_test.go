package signin_test

import (
	"testing"

	"twostep.example/twostep/internal/ratelimit"
)

// Each choice about codes by email sends an email, so an account cannot make as many as it likes.
func TestChoicesAboutEmailAreLimited(t *testing.T) {
	withAccount(t, func(h *fixture) {
		sessionToken, n := h.signIn(), len(h.mails())
		for i := range ratelimit.SecondStepChangesPerHour + 5 {
			next, err := h.Enrollments.SetEmailSecondStep(h.Context(), h.getSession(sessionToken), i%2 == 0, home)
			if i < ratelimit.SecondStepChangesPerHour {
				h.wantErr("a choice", err, nil)
				sessionToken = next
				continue
			}
			h.wantErr("one choice too many", err, ratelimit.ErrLimited)
		}
		if got := len(h.mails()) - n; got != ratelimit.SecondStepChangesPerHour {
			h.Errorf("%d emails, want %d", got, ratelimit.SecondStepChangesPerHour)
		}
		_, err := h.start(annaEmail, annaPassword, home)
		h.wantErr("signing in", err, nil)
	})
}
