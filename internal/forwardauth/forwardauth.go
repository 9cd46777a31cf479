// Package forwardauth says yes or no to reverse proxies.
//
//	a host behind a proxy ─▶ /auth/check ─▶ yes, and who it is
//	                              └─ no ─▶ /auth/start ─▶ sign in ─▶ HOST/.twostep/enter ─▶ yes
//
// The session's cookie never leaves the sign-in server. Each host has a cookie of its own, of a
// grant to the app that the host belongs to, so that it ends with the session. A yes is
// remembered until anything changes on which it rests, and for a second at most, since another
// server may have changed it; whatever goes wrong is no yes.
package forwardauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/page"
	"twostep.example/twostep/internal/session"
)

// Site answers the proxies of one server.
type Site struct {
	Grants   *grant.Grants
	Sessions *session.Sessions
	Pages    *page.Printer

	memory memory
}

// Checking is the path that proxies ask. Envoy writes the path that it asks about behind it.
const Checking = "/auth/check"

const (
	starting = "/auth/start"
	// entering is where a code comes back to, at every host. It must be behind the proxy too.
	entering = grant.Entrance
)

// Asks reports whether a request is a proxy's question. The host that it names may be that of
// an app, so whoever refuses strange hosts lets it pass: Check believes proxies only.
func Asks(r *http.Request) bool {
	return r.URL.Path == Checking || strings.HasPrefix(r.URL.Path, Checking+"/")
}

// Routes are the pages of this room on the sign-in server. Check is no page.
func (s *Site) Routes() []page.Route {
	return []page.Route{{Pattern: "GET " + starting, Needs: page.Nothing, Serve: s.start}}
}

// Check answers the question of a proxy.
func (s *Site) Check(w http.ResponseWriter, r *http.Request) error {
	// A proxy passes our headers on, and this one would speak for all below the app's host.
	w.Header().Del("Strict-Transport-Security")
	about, err := s.read(r)
	if err != nil {
		return s.strange(w, r, about, err)
	}
	began := s.now()
	app, err := s.appAt(r.Context(), about.host)
	if errors.Is(err, grant.ErrNoApp) {
		return s.strange(w, r, about, errHost)
	}
	if err != nil {
		return err
	}
	if about.path() != entering {
		return s.answer(w, r, app, about, began)
	}
	if about.quiet { // it is asked about once more; the way in is never the app's
		return s.say(w, r, http.StatusUnauthorized, "forward.signin")
	}
	return s.enter(w, r, app, about)
}

// appAt is the app that a host belongs to. grant.ErrNoApp.
func (s *Site) appAt(ctx context.Context, host string) (found grant.App, err error) {
	apps, err := s.Grants.Apps(ctx)
	if err != nil {
		return found, err
	}
	for _, a := range apps {
		for _, one := range a.Hosts {
			if s.usual(one) != host {
				continue
			}
			if found.ID != "" && found.ID != a.ID {
				return found, fmt.Errorf("forwardauth: the apps %s and %s both have the host %s: which one's rules count?", found.ID, a.ID, host)
			}
			found = a
		}
	}
	if found.ID == "" {
		return found, grant.ErrNoApp
	}
	return found, nil
}

// strange refuses a question that no configured proxy asks like this. A browser is never sent
// anywhere for it.
func (s *Site) strange(w http.ResponseWriter, r *http.Request, about asked, why error) error {
	status := http.StatusForbidden
	if errors.Is(why, errUnclear) {
		status = http.StatusBadRequest
	}
	s.Grants.Log.Warn("forward-auth: refused", "why", why, "peer", r.RemoteAddr, "host", about.host)
	return s.say(w, r, status, "forward.strange")
}

// say is an answer that a browser shows as it is: on the app's host our pages have no style.
func (s *Site) say(w http.ResponseWriter, r *http.Request, status int, key string, pairs ...any) error {
	words := s.Pages.Words(r)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Language", words.Tag())
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, words.Say(key, pairs...))
	return nil
}
