package web

import (
	"errors"
	"net/http"

	"twostep/internal/account"
	"twostep/internal/page"
	"twostep/internal/signin"
)

// stepUpPage has the address for password managers only.
type stepUpPage struct{ Email, ReturnTo string }

func stepUpSheet(who signin.Session, back string) page.Sheet {
	return page.Sheet{Name: "stepup", Title: "confirm.title", Focus: "password", Page: stepUpPage{who.Account.Email, back}}
}

// showStepUp asks for the password before somebody changes what proves them. The step
// after it is the same as in a sign-in.
func (s *Site) showStepUp(w http.ResponseWriter, r *http.Request, who person) error {
	back := returnTo(r.URL.Query()["return_to"]...)
	if who.Fresh(s.Pages.Clocked()) {
		return redirect(w, r, home(back))
	}
	return s.print(w, r, stepUpSheet(who.Session, back))
}

func (s *Site) stepUp(w http.ResponseWriter, r *http.Request, who person) error {
	form, err := page.Form(w, r, "email", "password", "return_to")
	if err != nil {
		return err
	}
	back := returnTo(form["return_to"])
	sheet := stepUpSheet(who.Session, back)
	if sheet.Problems = missing(form, page.Problem{Field: "password", Key: "problem.password.empty"}); sheet.Problems != nil {
		sheet.Status = http.StatusUnprocessableEntity
		return s.print(w, r, sheet)
	}
	token, err := s.Engine.StepUp(r.Context(), who.Session, signin.Proof{Password: form["password"], ReturnTo: back}, s.Pages.From(r))
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
