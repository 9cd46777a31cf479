package web

import (
	"net/http"

	"twostep.example/twostep/internal/render"
)

func undoView(token string) render.View {
	return render.View{Template: "undo", Title: "undo.title", Focus: "token", Data: resetPage{Token: token}}
}

// showUndo changes nothing: mail scanners that open links must not undo a change.
func (s *Handlers) showUndo(w http.ResponseWriter, r *http.Request) error {
	return s.render(w, r, undoView(""))
}

func (s *Handlers) handleUndo(w http.ResponseWriter, r *http.Request) error {
	form, err := render.ParseForm(w, r, "token")
	if err != nil {
		return err
	}
	view := undoView(form["token"])
	if view.Problems = emptyFieldProblems(form, tokenEmpty); view.Problems != nil {
		view.Status = http.StatusUnprocessableEntity
		return s.render(w, r, view)
	}
	if err := s.Accounts.UndoChange(r.Context(), form["token"], s.Pages.Origin(r)); err != nil {
		return s.renderFormError(w, r, view, "token", err)
	}
	return redirect(w, r, "/undo/done")
}
