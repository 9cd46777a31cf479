package web

import (
	"errors"
	"net/http"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/render"
)

type resetPage struct{ Token string }

func resetView(p resetPage) render.View {
	focus := "token"
	if p.Token != "" {
		focus = "password"
	}
	return render.View{Template: "reset", Title: "reset.title", Focus: focus, Data: p}
}

func (s *Handlers) showResetPassword(w http.ResponseWriter, r *http.Request) error {
	return s.render(w, r, resetView(resetPage{}))
}

// handleResetPassword never signs in: access to a mailbox is one factor, not two.
func (s *Handlers) handleResetPassword(w http.ResponseWriter, r *http.Request) error {
	form, err := render.ParseForm(w, r, "token", "password")
	if err != nil {
		return err
	}
	view := resetView(resetPage{form["token"]})
	if view.Problems = emptyFieldProblems(form, tokenEmpty, passwordEmpty); view.Problems != nil {
		view.Status = http.StatusUnprocessableEntity
		return s.render(w, r, view)
	}
	if err := s.Accounts.ResetPassword(r.Context(), form["token"], form["password"], s.Pages.Origin(r)); err != nil {
		return s.renderFormError(w, r, view, mailedLinkErrorField(err), err)
	}
	return redirect(w, r, "/reset/done")
}

var (
	tokenEmpty    = render.Problem{Field: "token", Key: "problem.token.empty"}
	passwordEmpty = render.Problem{Field: "password", Key: "problem.password.new.empty"}
	nameEmpty     = render.Problem{Field: "name", Key: "problem.name.empty"}
)

// mailedLinkErrorField returns the field that an error of a form with a mailed link belongs to.
func mailedLinkErrorField(err error) string {
	switch {
	case errors.Is(err, account.ErrLink):
		return "token"
	case errors.Is(err, account.ErrName):
		return "name"
	case errors.Is(err, account.ErrEmail):
		return "email"
	}
	return "password"
}
