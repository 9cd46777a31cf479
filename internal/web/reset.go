package web

import (
	"errors"
	"net/http"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/page"
)

type resetPage struct{ Token string }

func resetSheet(p resetPage) page.Sheet {
	focus := "token"
	if p.Token != "" {
		focus = "password"
	}
	return page.Sheet{Name: "reset", Title: "reset.title", Focus: focus, Page: p}
}

func (s *Site) showReset(w http.ResponseWriter, r *http.Request) error {
	return s.print(w, r, resetSheet(resetPage{}))
}

// reset never signs anybody in: who can read a mailbox has one step, not two.
func (s *Site) reset(w http.ResponseWriter, r *http.Request) error {
	form, err := page.Form(w, r, "token", "password")
	if err != nil {
		return err
	}
	sheet := resetSheet(resetPage{form["token"]})
	if sheet.Problems = missing(form, tokenEmpty, passwordEmpty); sheet.Problems != nil {
		sheet.Status = http.StatusUnprocessableEntity
		return s.print(w, r, sheet)
	}
	if err := s.Accounts.ResetPassword(r.Context(), form["token"], form["password"], s.Pages.From(r)); err != nil {
		return s.reprint(w, r, sheet, linkField(err), err)
	}
	return redirect(w, r, "/reset/done")
}

var (
	tokenEmpty    = page.Problem{Field: "token", Key: "problem.token.empty"}
	passwordEmpty = page.Problem{Field: "password", Key: "problem.password.new.empty"}
	nameEmpty     = page.Problem{Field: "name", Key: "problem.name.empty"}
)

// linkField is the field that an error of a mailed link's form belongs to.
func linkField(err error) string {
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
