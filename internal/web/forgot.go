package web

import (
	"net/http"

	"twostep.example/twostep/internal/render"
)

type forgotPage struct{ Email string }

func forgotView(p forgotPage) render.View {
	return render.View{Template: "forgot", Title: "forgot.title", Focus: "email", Data: p}
}

func (s *Handlers) showForgotPassword(w http.ResponseWriter, r *http.Request) error {
	return s.render(w, r, forgotView(forgotPage{}))
}

// handleForgotPassword gives the same response whether or not the address has an account.
func (s *Handlers) handleForgotPassword(w http.ResponseWriter, r *http.Request) error {
	form, err := render.ParseForm(w, r, "email")
	if err != nil {
		return err
	}
	view := forgotView(forgotPage{form["email"]})
	if view.Problems = emptyFieldProblems(form, render.Problem{Field: "email",
		Key: "problem.email.empty"}); view.Problems != nil {
		view.Status = http.StatusUnprocessableEntity
		return s.render(w, r, view)
	}
	if err := s.Accounts.RequestPasswordReset(r.Context(), form["email"], s.Pages.Origin(r)); err != nil {
		return s.renderFormError(w, r, view, "email", err)
	}
	return redirect(w, r, "/forgot/sent")
}
