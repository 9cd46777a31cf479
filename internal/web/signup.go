package web

import (
	"net/http"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/render"
)

type signUpPage struct {
	ReturnTo    returnTo
	Email, Name string
}

func signUpView(p signUpPage) render.View {
	return render.View{Template: "signup", Title: "signup.title", Focus: "email", Data: p}
}

func (s *Handlers) showSignUp(w http.ResponseWriter, r *http.Request, target returnTarget) error {
	if !s.Accounts.SignUpOpen() {
		return account.ErrSignUpClosed
	}
	return s.render(w, r, signUpView(signUpPage{ReturnTo: target.returnTo}))
}

// handleSignUp gives the same response whether or not the address has an account.
func (s *Handlers) handleSignUp(w http.ResponseWriter, r *http.Request, target returnTarget) error {
	form, err := render.ParseForm(w, r, "email", "name")
	if err != nil {
		return err
	}
	if !s.Accounts.SignUpOpen() {
		return account.ErrSignUpClosed
	}
	view := signUpView(signUpPage{target.returnTo, form["email"], form["name"]})
	if view.Problems = emptyFieldProblems(form, render.Problem{Field: "email", Key: "problem.email.empty"},
		nameEmpty); view.Problems != nil {
		view.Status = http.StatusUnprocessableEntity
		return s.render(w, r, view)
	}
	err = s.Accounts.SignUp(r.Context(), form["email"], form["name"], linkQuery(target), s.Pages.Origin(r))
	if err != nil {
		return s.renderFormError(w, r, view, mailedLinkErrorField(err), err)
	}
	return redirect(w, r, target.At("/signup/sent"))
}
