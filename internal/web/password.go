package web

import (
	"errors"
	"net/http"
	"net/url"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/page"
	"twostep.example/twostep/internal/session"
)

// passwordPage has the address for password managers only.
type passwordPage struct{ Email, ReturnTo string }

func passwordSheet(who session.Session, g goal) page.Sheet {
	return page.Sheet{Name: "password", Title: "password.title", Focus: "current", Page: passwordPage{who.Account.Email, g.back}}
}

// passwordAt is the page of the password, or below it, that knows the way back.
func passwordAt(below string, g goal) string {
	if g.back == "" {
		return "/settings/password" + below
	}
	return "/settings/password" + below + "?" + url.Values{"return_to": {g.back}}.Encode()
}

func (s *Site) showPassword(w http.ResponseWriter, r *http.Request, who person) error {
	goal, err := s.goal(w, r, r.URL.Query()["return_to"]...)
	if err != nil {
		return err
	}
	if !who.RecentlyAuthenticated(s.Pages.Clocked()) {
		return confirmFirst(w, r, passwordAt("", goal))
	}
	return s.print(w, r, passwordSheet(who.Session, goal))
}

func (s *Site) changePassword(w http.ResponseWriter, r *http.Request, who person) error {
	// The address comes along because the browser sends it; the session says whose it is.
	form, err := page.Form(w, r, "email", "current", "password", "return_to")
	if err != nil {
		return err
	}
	goal, err := s.goal(w, r, form["return_to"])
	if err != nil {
		return err
	}
	sheet := passwordSheet(who.Session, goal)
	if sheet.Problems = missing(form, page.Problem{Field: "current", Key: "problem.password.empty"}, passwordEmpty); sheet.Problems != nil {
		sheet.Status = http.StatusUnprocessableEntity
		return s.print(w, r, sheet)
	}
	token, err := s.SignIns.ChangePassword(r.Context(), who.Session, form["current"], form["password"], s.Pages.From(r))
	if errors.Is(err, session.ErrStepUpRequired) {
		return confirmFirst(w, r, passwordAt("", goal))
	}
	if errors.Is(err, account.ErrCredentials) {
		sheet.Status, sheet.Problems = http.StatusUnprocessableEntity, []page.Problem{{Field: "current", Key: "problem.password.current"}}
		return s.print(w, r, sheet)
	}
	if err != nil {
		return s.reprint(w, r, sheet, "password", err)
	}
	s.Pages.SetCookie(w, page.SessionCookie, token)
	return redirect(w, r, passwordAt("/done", goal))
}

func (s *Site) passwordDone(w http.ResponseWriter, r *http.Request, _ person) error {
	goal, err := s.goal(w, r, r.URL.Query()["return_to"]...)
	if err != nil {
		return err
	}
	done := passwordDone
	if goal.back != "" {
		done.Link, done.To = "draft.continue", goal.back
	}
	return s.print(w, r, noticeSheet(done))
}
