package web

import (
	"errors"
	"net/http"

	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/session"
)

// handleSignOut clears the cookies first, so that this browser is signed out even if ending the session fails.
func (s *Handlers) handleSignOut(w http.ResponseWriter, r *http.Request) error {
	if _, err := render.ParseForm(w, r); err != nil {
		return err
	}
	token := s.Pages.Cookie(r, render.SessionCookie)
	if token != "" {
		if err := s.Sessions.SignOut(r.Context(), token, s.Pages.Origin(r)); err != nil {
			return err // the browser keeps the cookie, so that it can try again
		}
	}
	s.Pages.ClearSessionCookies(w)
	return redirect(w, r, "/signin")
}

// showSignedOut says that the browser is signed out; with a session it redirects to the settings.
func (s *Handlers) showSignedOut(w http.ResponseWriter, r *http.Request) error {
	_, err := s.requireSession(r)
	if errors.Is(err, session.ErrNoSession) {
		return s.render(w, r, noticeView(signOutDone, ""))
	}
	if err != nil {
		return err
	}
	return redirect(w, r, "/settings")
}
