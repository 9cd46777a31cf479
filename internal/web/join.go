package web

import (
	"net/http"

	"twostep.example/twostep/internal/page"
)

type joinPage struct{ Token, Name string }

func joinSheet(p joinPage) page.Sheet {
	focus := "token"
	if p.Token != "" {
		focus = "name"
	}
	return page.Sheet{Name: "join", Title: "join.title", Focus: focus, Page: p}
}

func (s *Site) showJoin(w http.ResponseWriter, r *http.Request) error {
	return s.print(w, r, joinSheet(joinPage{}))
}

// join accepts an invitation or a sign-up.
func (s *Site) join(w http.ResponseWriter, r *http.Request) error {
	form, err := page.Form(w, r, "token", "name", "password")
	if err != nil {
		return err
	}
	sheet := joinSheet(joinPage{form["token"], form["name"]})
	if sheet.Problems = missing(form, tokenEmpty, nameEmpty, passwordEmpty); sheet.Problems != nil {
		sheet.Status = http.StatusUnprocessableEntity
		return s.print(w, r, sheet)
	}
	if err := s.Accounts.Join(r.Context(), form["token"], form["name"], form["password"], s.Pages.From(r)); err != nil {
		return s.reprint(w, r, sheet, linkField(err), err)
	}
	return redirect(w, r, "/join/done")
}
