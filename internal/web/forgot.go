package web

import (
	"net/http"

	"twostep.example/twostep/internal/page"
)

type forgotPage struct{ Email string }

func forgotSheet(p forgotPage) page.Sheet {
	return page.Sheet{Name: "forgot", Title: "forgot.title", Focus: "email", Page: p}
}

func (s *Site) showForgot(w http.ResponseWriter, r *http.Request) error {
	return s.print(w, r, forgotSheet(forgotPage{}))
}

// forgot answers the same for an address with and without an account.
func (s *Site) forgot(w http.ResponseWriter, r *http.Request) error {
	form, err := page.Form(w, r, "email")
	if err != nil {
		return err
	}
	sheet := forgotSheet(forgotPage{form["email"]})
	if sheet.Problems = missing(form, page.Problem{Field: "email", Key: "problem.email.empty"}); sheet.Problems != nil {
		sheet.Status = http.StatusUnprocessableEntity
		return s.print(w, r, sheet)
	}
	if err := s.Accounts.RequestPasswordReset(r.Context(), form["email"], s.Pages.From(r)); err != nil {
		return s.reprint(w, r, sheet, "email", err)
	}
	return redirect(w, r, "/forgot/sent")
}
