package web

import (
	"net/http"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/render"
)

type signUpPage struct{ Email, Name string }

func signUpView(p signUpPage) render.View {
	return render.View{Template: "signup", Title: "signup.title", Focus: "email", Data: p}
}

func (s *Handlers) showSignUp(w http.ResponseWriter, r *http.Request) error {
	if !s.Accounts.SignUpOpen() {
		return account.ErrSignUpClosed
	}
	return s.render(w, r, signUpView(signUpPage{}))
}

// handleSignUp gives the same response whether or not the address has an account.
func (s *Handlers) handleSignUp(w http.ResponseWriter, r *http.Request) error {
	form, err := render.ParseForm(w, r, "email", "name")
	if err != nil {
		return err
	}
	if !s.Accounts.SignUpOpen() {
		return account.ErrSignUpClosed
	}
	view := signUpView(signUpPage{form["email"], form["name"]})
	if view.Problems = emptyFieldProblems(form, render.Problem{Field: "email", Key: "problem.email.empty"},
		nameEmpty); view.Problems != nil {
		view.Status = http.StatusUnprocessableEntity
		return s.render(w, r, view)
	}
	if err := s.Accounts.SignUp(r.Context(), form["email"], form["name"], s.Pages.Origin(r)); err != nil {
		return s.renderFormError(w, r, view, mailedLinkErrorField(err), err)
	}
	return redirect(w, r, "/signup/sent")
}
