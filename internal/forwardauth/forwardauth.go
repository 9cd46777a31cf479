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

	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/session"
)

// Authorizer answers the proxies of one server.
type Authorizer struct {
	Grants   *grant.Grants
	Sessions *session.Sessions
	Pages    *render.Renderer

	cache allowCache
}

// CheckPath is the path that proxies ask. Envoy writes the path that it asks about behind it.
const CheckPath = "/auth/check"

const (
	startPath = "/auth/start"
	// callbackPath is where a code comes back to, at every host. It must be behind the proxy too.
	callbackPath = client.HostCallbackPath
)

// IsAuthCheck reports whether a request is a proxy's question. The host that it names may be that of
// an app, so whoever refuses strange hosts lets it pass: Check believes proxies only.
func IsAuthCheck(r *http.Request) bool {
	return r.URL.Path == CheckPath || strings.HasPrefix(r.URL.Path, CheckPath+"/")
}

// Routes are the pages of this room on the sign-in server. Check is no page.
func (s *Authorizer) Routes() []render.Route {
	return []render.Route{{Pattern: "GET " + startPath, Access: render.AccessPublic, Handler: s.saveAuthRequest}}
}

// Check answers the question of a proxy.
func (s *Authorizer) Check(w http.ResponseWriter, r *http.Request) error {
	// A proxy passes our headers on, and this one would speak for all below the app's host.
	w.Header().Del("Strict-Transport-Security")
	req, err := s.parseProxiedRequest(r)
	if err != nil {
		return s.writeRejected(w, r, req, err)
	}
	version := s.currentVersion()
	app, err := s.findClientByHost(r.Context(), req.host)
	if errors.Is(err, client.ErrNotFound) {
		return s.writeRejected(w, r, req, errUnknownHost)
	}
	if err != nil {
		return err
	}
	if req.path() != callbackPath {
		return s.respond(w, r, app, req, version)
	}
	if req.noRedirect { // it is asked about once more; the way in is never the app's
		return s.writeText(w, r, http.StatusUnauthorized, "forward.signin")
	}
	return s.handleCallback(w, r, app, req)
}

// findClientByHost is the app that a host belongs to. grant.ErrNoApp.
func (s *Authorizer) findClientByHost(ctx context.Context, host string) (found client.Client, err error) {
	apps, err := s.Grants.Clients.List(ctx)
	if err != nil {
		return found, err
	}
	for _, a := range apps {
		for _, one := range a.Hosts {
			if s.trimDefaultPort(one) != host {
				continue
			}
			if found.ID != "" && found.ID != a.ID {
				return found, fmt.Errorf("forwardauth: the apps %s and %s both have the host %s: which one's rules count?", found.ID, a.ID, host)
			}
			found = a
		}
	}
	if found.ID == "" {
		return found, client.ErrNotFound
	}
	return found, nil
}

// writeRejected refuses a question that no configured proxy asks like this. A browser is never sent
// anywhere for it.
func (s *Authorizer) writeRejected(w http.ResponseWriter, r *http.Request, req proxiedRequest, why error) error {
	status := http.StatusForbidden
	if errors.Is(why, errAmbiguousHeaders) {
		status = http.StatusBadRequest
	}
	s.Grants.Log.Warn("forward-auth: refused", "why", why, "peer", r.RemoteAddr, "host", req.host)
	return s.writeText(w, r, status, "forward.strange")
}

// writeText is an answer that a browser shows as it is: on the app's host our pages have no style.
func (s *Authorizer) writeText(w http.ResponseWriter, r *http.Request, status int, key string, pairs ...any) error {
	words := s.Pages.Localizer(r)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Language", words.Tag())
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, words.Translate(key, pairs...))
	return nil
}
