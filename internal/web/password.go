package web

import (
	"errors"
	"net/http"

	"twostep/internal/account"
	"twostep/internal/page"
	"twostep/internal/signin"
)

// passwordPage has the address for password managers only.
type passwordPage struct{ Email string }

func passwordSheet(who signin.Session) page.Sheet {
	return page.Sheet{Name: "password", Title: "password.title", Focus: "current", Page: passwordPage{who.Account.Email}}
}

func (s *Site) showPassword(w http.ResponseWriter, r *http.Request, who person) error {
	if !who.Fresh(s.Pages.Clocked()) {
		return confirmFirst(w, r, "/settings/password")
	}
	return s.print(w, r, passwordSheet(who.Session))
}

func (s *Site) changePassword(w http.ResponseWriter, r *http.Request, who person) error {
	// The address comes along because the browser sends it; the session says whose it is.
	form, err := page.Form(w, r, "email", "current", "password")
	if err != nil {
		return err
	}
	sheet := passwordSheet(who.Session)
	if sheet.Problems = missing(form, page.Problem{Field: "current", Key: "problem.password.empty"}, passwordEmpty); sheet.Problems != nil {
		sheet.Status = http.StatusUnprocessableEntity
		return s.print(w, r, sheet)
	}
	token, err := s.Engine.ChangePassword(r.Context(), who.Session, form["current"], form["password"], s.Pages.From(r))
	if errors.Is(err, signin.ErrStepUp) {
		return confirmFirst(w, r, "/settings/password")
	}
	if errors.Is(err, account.ErrCredentials) {
		sheet.Status, sheet.Problems = http.StatusUnprocessableEntity, []page.Problem{{Field: "current", Key: "problem.password.current"}}
		return s.print(w, r, sheet)
	}
	if err != nil {
		return s.reprint(w, r, sheet, "password", err)
	}
	s.Pages.SetCookie(w, page.SessionCookie, token)
	return redirect(w, r, "/settings/password/done")
}

func (s *Site) passwordDone(w http.ResponseWriter, r *http.Request, _ person) error {
	return s.print(w, r, noticeSheet(passwordDone))
}
