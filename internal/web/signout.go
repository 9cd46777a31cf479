package web

import (
	"errors"
	"net/http"

	"twostep.example/twostep/internal/page"
	"twostep.example/twostep/internal/session"
)

// signOut forgets the session here first, so that this browser is out even if the
// engine fails.
func (s *Site) signOut(w http.ResponseWriter, r *http.Request) error {
	if _, err := page.Form(w, r); err != nil {
		return err
	}
	token := s.Pages.Cookie(r, page.SessionCookie)
	s.Pages.SignedOut(w)
	if token != "" {
		if err := s.Sessions.SignOut(r.Context(), token, s.Pages.From(r)); err != nil {
			return err
		}
	}
	return redirect(w, r, "/signin")
}

// signedOut says so, to whoever is.
func (s *Site) signedOut(w http.ResponseWriter, r *http.Request) error {
	_, err := s.in(r)
	if errors.Is(err, session.ErrNoSession) {
		return s.print(w, r, noticeSheet(signOutDone))
	}
	if err != nil {
		return err
	}
	return redirect(w, r, "/settings")
}
