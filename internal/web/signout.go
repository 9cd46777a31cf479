package web

import (
	"errors"
	"net/http"

	"twostep/internal/page"
	"twostep/internal/signin"
)

// signOut forgets the session here first, so that this browser is out even if the
// engine fails. Only the cache is cleared: cookies also hold trust, which outlives a
// session.
func (s *Site) signOut(w http.ResponseWriter, r *http.Request) error {
	if _, err := page.Form(w, r); err != nil {
		return err
	}
	token := s.Pages.Cookie(r, page.SessionCookie)
	s.Pages.ClearCookie(w, page.SessionCookie)
	s.Pages.ClearCookie(w, page.SignInCookie) // a step-up belongs to the session
	w.Header().Set("Clear-Site-Data", `"cache"`)
	if token != "" {
		if err := s.Engine.SignOut(r.Context(), token, s.Pages.From(r)); err != nil && !errors.Is(err, signin.ErrNoSession) {
			return err
		}
	}
	return redirect(w, r, "/signin")
}
