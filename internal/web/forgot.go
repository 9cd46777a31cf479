package web

import (
	"net/http"

	"twostep.example/twostep/internal/render"
)

type forgotPage struct {
	ReturnTo returnTo
	Email    string
}

func forgotView(p forgotPage) render.View {
	return render.View{Template: "forgot", Title: "forgot.title", Focus: "email", Data: p}
}

func (s *Handlers) showForgotPassword(w http.ResponseWriter, r *http.Request, target returnTarget) error {
	return s.render(w, r, forgotView(forgotPage{ReturnTo: target.returnTo}))
}

// handleForgotPassword gives the same response whether or not the address has an account.
func (s *Handlers) handleForgotPassword(w http.ResponseWriter, r *http.Request, target returnTarget) error {
	form, err := render.ParseForm(w, r, "email")
	if err != nil {
		return err
	}
	view := forgotView(forgotPage{target.returnTo, form["email"]})
	if view.Problems = emptyFieldProblems(form, render.Problem{Field: "email",
		Key: "problem.email.empty"}); view.Problems != nil {
		view.Status = http.StatusUnprocessableEntity
		return s.render(w, r, view)
	}
	err = s.Accounts.RequestPasswordReset(r.Context(), form["email"], linkQuery(target), s.Pages.Origin(r))
	if err != nil {
		return s.renderFormError(w, r, view, "email", err)
	}
	return redirect(w, r, target.At("/forgot/sent"))
}
