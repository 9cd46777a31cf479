package web

import (
	"net/http"
	"time"

	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/page"
	"twostep.example/twostep/internal/session"
)

type sessionsPage struct{ Sessions []sessionRow }

type sessionRow struct {
	ID, Browser, Address string
	Since, Used          time.Time
	This                 bool
}

func sessionsSheet(language string, who session.Session, all []session.Session) page.Sheet {
	var rows []sessionRow
	for _, s := range all {
		rows = append(rows, sessionRow{s.ID, origin.DescribeBrowser(s.Browser, language), s.Address, s.StartedAt, s.LastSeenAt, s.ID == who.ID})
	}
	return page.Sheet{Name: "sessions", Title: "sessions.title", Wide: true, Page: sessionsPage{rows}}
}

func (s *Site) showSessions(w http.ResponseWriter, r *http.Request, who person) error {
	all, err := s.Sessions.List(r.Context(), who.Session)
	if err != nil {
		return err
	}
	return s.print(w, r, sessionsSheet(s.Pages.Words(r).Tag(), who.Session, all))
}

// endSession ends another session of the same person; the engine asks whose it is.
func (s *Site) endSession(w http.ResponseWriter, r *http.Request, who person) error {
	if _, err := page.Form(w, r); err != nil {
		return err
	}
	if err := s.Sessions.End(r.Context(), who.Session, r.PathValue("id"), s.Pages.From(r)); err != nil {
		return err
	}
	return redirect(w, r, "/settings/sessions")
}

// endSessions signs out everywhere, here too.
func (s *Site) endSessions(w http.ResponseWriter, r *http.Request, who person) error {
	if _, err := page.Form(w, r); err != nil {
		return err
	}
	if err := s.Sessions.EndAll(r.Context(), who.Session, s.Pages.From(r)); err != nil {
		return err
	}
	s.Pages.SignedOut(w)
	return redirect(w, r, "/signin")
}
