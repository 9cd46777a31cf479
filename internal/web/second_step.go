package web

import (
	"net/http"
	"time"

	"twostep.example/twostep/internal/enroll"
	"twostep.example/twostep/internal/render"
)

// secondStepPage says whether codes by email are a second step beside another method.
type secondStepPage struct {
	enroll.EmailSecondStep
	PauseHours int // how long they are none after a password reset by email
}

const secondStepPath = "/settings/second-step"

func (s *Handlers) secondStepView(choice enroll.EmailSecondStep) render.View {
	return render.View{Template: "secondstep", Title: "second.title", Data: secondStepPage{choice, s.pauseHours()}}
}

// pauseHours returns for how many hours after a password reset by email the mailbox is no second step.
func (s *Handlers) pauseHours() int { return int(s.Challenges.Email.PauseAfterReset / time.Hour) }

func (s *Handlers) showSecondStep(w http.ResponseWriter, r *http.Request, who signedIn) error {
	if !who.RecentlyAuthenticated(s.Pages.CurrentTime()) {
		return redirectToStepUp(w, r, secondStepPath)
	}
	choice, err := s.Enrollments.GetEmailSecondStep(r.Context(), who.Session)
	if err != nil {
		return err
	}
	return s.render(w, r, s.secondStepView(choice))
}

// handleSecondStep stores the choice. The session gets a new token.
func (s *Handlers) handleSecondStep(w http.ResponseWriter, r *http.Request, who signedIn) error {
	form, err := render.ParseForm(w, r, "email")
	if err != nil {
		return err
	}
	if form["email"] != "until-another" && form["email"] != "always" {
		return render.ErrInvalidForm
	}
	token, err := s.Enrollments.SetEmailSecondStep(
		r.Context(), who.Session, form["email"] == "until-another", s.Pages.Origin(r),
	)
	if err != nil {
		return err
	}
	s.setSessionCookie(w, token, who.Session)
	return redirect(w, r, "/settings")
}
