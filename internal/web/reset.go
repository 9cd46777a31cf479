package web

import (
	"errors"
	"net/http"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/render"
)

// resetPage has the token alone at first. Email is known once the token was sent.
type resetPage struct {
	ReturnTo     returnTo
	Token, Email string
}

func resetView(p resetPage) render.View {
	focus := "token"
	if p.Email != "" {
		focus = "password"
	}
	return render.View{Template: "reset", Title: "reset.title", Focus: focus, Data: p}
}

func (s *Handlers) showResetPassword(w http.ResponseWriter, r *http.Request, target returnTarget) error {
	return s.render(w, r, resetView(resetPage{ReturnTo: target.returnTo}))
}

// handleResetPassword takes two forms. The first has only the token, and shows whose password it changes; it changes
// nothing. The second sets the password. It never signs in: access to a mailbox is one factor, not two.
func (s *Handlers) handleResetPassword(w http.ResponseWriter, r *http.Request, target returnTarget) error {
	form, err := render.ParseForm(w, r, "token", "password")
	if err != nil {
		return err
	}
	p := resetPage{ReturnTo: target.returnTo, Token: form["token"]}
	view := resetView(p)
	if view.Problems = emptyFieldProblems(form, tokenEmpty); view.Problems != nil {
		view.Status = http.StatusUnprocessableEntity
		return s.render(w, r, view)
	}
	if p.Email, err = s.Accounts.FindReset(r.Context(), form["token"]); err != nil {
		return s.renderFormError(w, r, view, "token", err)
	}
	if _, sent := form["password"]; !sent {
		return s.render(w, r, resetView(p))
	}
	complete := resetView(p)
	if complete.Problems = emptyFieldProblems(form, passwordEmpty); complete.Problems != nil {
		complete.Status = http.StatusUnprocessableEntity
		return s.render(w, r, complete)
	}
	err = s.Accounts.ResetPassword(r.Context(), form["token"], form["password"], s.Pages.Origin(r))
	if errors.Is(err, account.ErrLink) { // used by another request meanwhile
		return s.renderFormError(w, r, view, "token", err)
	}
	if err != nil {
		return s.renderFormError(w, r, complete, mailedLinkErrorField(err), err)
	}
	s.rememberEmail(w, p.Email)
	return redirect(w, r, target.At("/reset/done"))
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
