package web

import (
	"net/http"

	"twostep.example/twostep/internal/render"
)

type joinPage struct{ Token, Name string }

func joinView(p joinPage) render.View {
	focus := "token"
	if p.Token != "" {
		focus = "name"
	}
	return render.View{Template: "join", Title: "join.title", Focus: focus, Data: p}
}

func (s *Handlers) showJoin(w http.ResponseWriter, r *http.Request) error {
	return s.render(w, r, joinView(joinPage{}))
}

// handleJoin creates the account of an invitation or a sign-up.
func (s *Handlers) handleJoin(w http.ResponseWriter, r *http.Request) error {
	form, err := render.ParseForm(w, r, "token", "name", "password")
	if err != nil {
		return err
	}
	view := joinView(joinPage{form["token"], form["name"]})
	if view.Problems = emptyFieldProblems(form, tokenEmpty, nameEmpty, passwordEmpty); view.Problems != nil {
		view.Status = http.StatusUnprocessableEntity
		return s.render(w, r, view)
	}
	if err := s.Accounts.Join(r.Context(), form["token"], form["name"], form["password"],
		s.Pages.Origin(r)); err != nil {
		return s.renderFormError(w, r, view, mailedLinkErrorField(err), err)
	}
	return redirect(w, r, "/join/done")
}
