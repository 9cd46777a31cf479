package web

import (
	"net/http"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/page"
)

type signUpPage struct{ Email, Name string }

func signUpSheet(p signUpPage) page.Sheet {
	return page.Sheet{Name: "signup", Title: "signup.title", Focus: "email", Page: p}
}

func (s *Site) showSignUp(w http.ResponseWriter, r *http.Request) error {
	if !s.Accounts.SignUpOpen() {
		return account.ErrSignUpClosed
	}
	return s.print(w, r, signUpSheet(signUpPage{}))
}

// signUp answers the same for a known and an unknown address.
func (s *Site) signUp(w http.ResponseWriter, r *http.Request) error {
	form, err := page.Form(w, r, "email", "name")
	if err != nil {
		return err
	}
	if !s.Accounts.SignUpOpen() {
		return account.ErrSignUpClosed
	}
	sheet := signUpSheet(signUpPage{form["email"], form["name"]})
	if sheet.Problems = missing(form, page.Problem{Field: "email", Key: "problem.email.empty"}, nameEmpty); sheet.Problems != nil {
		sheet.Status = http.StatusUnprocessableEntity
		return s.print(w, r, sheet)
	}
	if err := s.Accounts.SignUp(r.Context(), form["email"], form["name"], s.Pages.From(r)); err != nil {
		return s.reprint(w, r, sheet, linkField(err), err)
	}
	return redirect(w, r, "/signup/sent")
}
