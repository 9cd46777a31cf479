package web

import (
	"net/http"

	"twostep.example/twostep/internal/render"
)

// namePage has the name as it was typed, if it was refused.
type namePage struct{ Name string }

func nameView(name string) render.View {
	return render.View{Template: "name", Title: "name.title", Focus: "name", Data: namePage{name}}
}

func (s *Handlers) showName(w http.ResponseWriter, r *http.Request, who signedIn) error {
	return s.render(w, r, nameView(who.Account.Name))
}

// handleChangeName needs no step-up: the name is no part of signing in, and can be changed back.
func (s *Handlers) handleChangeName(w http.ResponseWriter, r *http.Request, who signedIn) error {
	form, err := render.ParseForm(w, r, "name")
	if err != nil {
		return err
	}
	view := nameView(form["name"])
	if view.Problems = emptyFieldProblems(form, nameEmpty); view.Problems != nil {
		view.Status = http.StatusUnprocessableEntity
		return s.render(w, r, view)
	}
	if err := s.Accounts.ChangeName(r.Context(), who.Ref(), form["name"], s.Pages.Origin(r)); err != nil {
		return s.renderFormError(w, r, view, "name", err)
	}
	return redirect(w, r, "/settings")
}
