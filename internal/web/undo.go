package web

import (
	"net/http"

	"twostep.example/twostep/internal/page"
)

func undoSheet(token string) page.Sheet {
	return page.Sheet{Name: "undo", Title: "undo.title", Focus: "token", Page: resetPage{token}}
}

// showUndo changes nothing: whatever looks at the links of a mail takes nothing back.
func (s *Site) showUndo(w http.ResponseWriter, r *http.Request) error {
	return s.print(w, r, undoSheet(""))
}

func (s *Site) undo(w http.ResponseWriter, r *http.Request) error {
	form, err := page.Form(w, r, "token")
	if err != nil {
		return err
	}
	sheet := undoSheet(form["token"])
	if sheet.Problems = missing(form, tokenEmpty); sheet.Problems != nil {
		sheet.Status = http.StatusUnprocessableEntity
		return s.print(w, r, sheet)
	}
	if err := s.Accounts.UndoChange(r.Context(), form["token"], s.Pages.From(r)); err != nil {
		return s.reprint(w, r, sheet, "token", err)
	}
	return redirect(w, r, "/undo/done")
}
