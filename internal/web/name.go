package web

import (
	"errors"
	"net/http"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/render"
)

// nameView has the names as they were typed, if they were refused.
func nameView(n account.Names) render.View {
	return render.View{Template: "name", Title: "name.title", Focus: "name", Data: n}
}

func (s *Handlers) showName(w http.ResponseWriter, r *http.Request, who signedIn) error {
	n := account.Names{Name: who.Account.Name, GivenName: who.Account.GivenName, FamilyName: who.Account.FamilyName}
	return s.render(w, r, nameView(n))
}

// handleChangeName needs no step-up: the name is no part of signing in, and can be changed back. The parts are never
// guessed from the name: people know them.
func (s *Handlers) handleChangeName(w http.ResponseWriter, r *http.Request, who signedIn) error {
	form, err := render.ParseForm(w, r, "name", "given_name", "family_name")
	if err != nil {
		return err
	}
	n := account.Names{Name: form["name"], GivenName: form["given_name"], FamilyName: form["family_name"]}
	view := nameView(n)
	if view.Problems = emptyFieldProblems(form, nameEmpty); view.Problems != nil {
		view.Status = http.StatusUnprocessableEntity
		return s.render(w, r, view)
	}
	if err := s.Accounts.ChangeNames(r.Context(), who.Ref(), n, s.Pages.Origin(r)); err != nil {
		field := "name"
		switch {
		case errors.Is(err, account.ErrGivenName):
			field = "given_name"
		case errors.Is(err, account.ErrFamilyName):
			field = "family_name"
		}
		return s.renderFormError(w, r, view, field, err)
	}
	return redirect(w, r, "/settings")
}
