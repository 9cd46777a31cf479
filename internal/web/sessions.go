package web

import (
	"net/http"
	"time"

	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/session"
)

type sessionsPage struct{ Sessions []sessionRow }

type sessionRow struct {
	ID, Browser, Address string
	Since, Used          time.Time
	Current              bool
}

func sessionsView(language string, who session.Session, all []session.Session) render.View {
	var rows []sessionRow
	for _, s := range all {
		rows = append(
			rows,
			sessionRow{
				s.ID,
				origin.DescribeBrowser(s.Browser, language),
				s.Address,
				s.StartedAt,
				s.LastSeenAt,
				s.ID == who.ID,
			},
		)
	}
	return render.View{Template: "sessions", Title: "sessions.title", Wide: true, Data: sessionsPage{rows}}
}

func (s *Handlers) showSessions(w http.ResponseWriter, r *http.Request, who signedIn) error {
	all, err := s.Sessions.List(r.Context(), who.Session)
	if err != nil {
		return err
	}
	return s.render(w, r, sessionsView(s.Pages.Localizer(r).Tag(), who.Session, all))
}

// handleEndSession ends another session of the same account. End checks whose it is.
func (s *Handlers) handleEndSession(w http.ResponseWriter, r *http.Request, who signedIn) error {
	if _, err := render.ParseForm(w, r); err != nil {
		return err
	}
	if err := s.Sessions.End(r.Context(), who.Session, r.PathValue("id"), s.Pages.Origin(r)); err != nil {
		return err
	}
	return redirect(w, r, "/settings/sessions")
}

// handleSignOutEverywhere ends every session of the account, this one included.
func (s *Handlers) handleSignOutEverywhere(w http.ResponseWriter, r *http.Request, who signedIn) error {
	if _, err := render.ParseForm(w, r); err != nil {
		return err
	}
	if err := s.Sessions.EndAll(r.Context(), who.Session, s.Pages.Origin(r)); err != nil {
		return err
	}
	s.Pages.ClearSessionCookies(w)
	return redirect(w, r, "/signin")
}
