package web

import (
	"net/http"
	"net/url"
	"time"

	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/session"
)

// sessionsPerPage is how many other sessions a page of the list shows.
const sessionsPerPage = 50

type sessionsPage struct {
	Sessions []sessionRow
	Older    string // the URL of the next page; "": there is none
	First    bool   // the page has this browser's session and the newest others
}

type sessionRow struct {
	ID, Browser, Address string
	Since, Used          time.Time
	Current              bool
}

// sessionsView shows the session who on the first page, and one page of the others, of which there are more if others
// has more than sessionsPerPage.
func sessionsView(language string, who session.Session, others []session.Session, first bool) render.View {
	p := sessionsPage{First: first}
	if len(others) > sessionsPerPage {
		others = others[:sessionsPerPage]
		p.Older = "/settings/sessions?before=" + url.QueryEscape(others[sessionsPerPage-1].Cursor().String())
	}
	if first {
		p.Sessions = append(p.Sessions, newSessionRow(language, who))
		p.Sessions[0].Current = true
	}
	for _, s := range others {
		p.Sessions = append(p.Sessions, newSessionRow(language, s))
	}
	return render.View{Template: "sessions", Title: "sessions.title", Wide: true, Data: p}
}

func newSessionRow(language string, s session.Session) sessionRow {
	return sessionRow{
		ID: s.ID, Browser: origin.DescribeBrowser(s.Browser, language),
		Address: origin.DescribeAddress(s.Address, language), Since: s.StartedAt, Used: s.LastSeenAt,
	}
}

// showSessions shows where the person is signed in: this browser first, then the newest sign-ins.
func (s *Handlers) showSessions(w http.ResponseWriter, r *http.Request, who signedIn) error {
	// An invalid cursor starts at the newest session.
	before, older := session.ParseCursor(r.URL.Query().Get("before"))
	others, err := s.Sessions.ListOthers(r.Context(), who.Session, before, sessionsPerPage+1)
	if err != nil {
		return err
	}
	return s.render(w, r, sessionsView(s.Pages.Localizer(r).Tag(), who.Session, others, !older))
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
