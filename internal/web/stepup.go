package web

import (
	"errors"
	"net/http"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/page"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/signin"
)

// stepUpPage has the address for password managers only.
type stepUpPage struct {
	Email, ReturnTo string
	App             string // that wants it; "": this site does
	Request         string // of the app, under which it waits; "": it cannot be told no
	Meant           bool   // it can be nobody else
}

func stepUpSheet(who session.Session, g goal) page.Sheet {
	return page.Sheet{Name: "stepup", Title: "confirm.title", Focus: "password", Page: stepUpPage{who.Account.Email, g.back, g.App, g.Token, g.Meant}}
}

// showStepUp asks for the password before somebody changes what proves them. The step
// after it is the same as in a sign-in.
func (s *Site) showStepUp(w http.ResponseWriter, r *http.Request, who person) error {
	goal, err := s.goal(w, r, r.URL.Query()["return_to"]...)
	if err != nil {
		return err
	}
	// An app knows how fresh it wants the proof to be; it sends nobody here for nothing.
	if goal.App == "" && who.RecentlyAuthenticated(s.Pages.Clocked()) {
		return redirect(w, r, goal.home())
	}
	return s.print(w, r, stepUpSheet(who.Session, goal))
}

func (s *Site) stepUp(w http.ResponseWriter, r *http.Request, who person) error {
	form, err := page.Form(w, r, "email", "password", "return_to")
	if err != nil {
		return err
	}
	goal, err := s.goal(w, r, form["return_to"])
	if err != nil {
		return err
	}
	sheet := stepUpSheet(who.Session, goal)
	if sheet.Problems = missing(form, page.Problem{Field: "password", Key: "problem.password.empty"}); sheet.Problems != nil {
		sheet.Status = http.StatusUnprocessableEntity
		return s.print(w, r, sheet)
	}
	token, err := s.SignIns.StepUp(r.Context(), who.Session, signin.StepUpRequest{Password: form["password"], ReturnTo: goal.back, Level: goal.Level}, s.Pages.From(r))
	if errors.Is(err, account.ErrCredentials) {
		sheet.Status, sheet.Problems = http.StatusUnprocessableEntity, []page.Problem{{Field: "password", Key: "problem.password.wrong"}}
		return s.print(w, r, sheet)
	}
	if err != nil {
		return err
	}
	s.Pages.SetCookie(w, page.SignInCookie, token)
	return redirect(w, r, "/signin/verify")
}

// confirmFirst sends somebody to prove themselves before they go to the address.
func confirmFirst(w http.ResponseWriter, r *http.Request, address string) error {
	return redirect(w, r, page.ConfirmFor(address, http.MethodGet))
}
