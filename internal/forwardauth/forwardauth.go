// Package forwardauth decides for reverse proxies whether a request may reach a host behind them (forward
// authentication).
//
//	a host behind a proxy ─▶ /auth/check ─▶ 200 with identity headers
//	                              └─ 401 or 302 ─▶ /auth/start ─▶ sign in ─▶ HOST/.twostep/enter ─▶ 200
//
// The session cookie stays on the sign-in server. Each host has its own cookie, which belongs to a grant of the
// host's client, and so ends with the session. Allowed requests are cached until something changes that they
// depend on. Every error denies the request.
package forwardauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/fault"
	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/session"
)

// Authorizer answers the checks of reverse proxies.
type Authorizer struct {
	Grants   *grant.Grants
	Sessions *session.Sessions
	Pages    *render.Renderer

	cache allowCache
}

// CheckPath is the path that proxies call. Envoy appends the path of the request it asks about.
const CheckPath = "/auth/check"

const (
	startPath = "/auth/start"
	// callbackPath receives the code on each host. The proxy must protect it as well.
	callbackPath = client.HostCallbackPath
)

// IsAuthCheck reports whether a request is a check by a proxy. Its Host header may name an app's host, so it is
// exempt from the host check of the server; Check accepts trusted proxies only.
func IsAuthCheck(r *http.Request) bool {
	return r.URL.Path == CheckPath || strings.HasPrefix(r.URL.Path, CheckPath+"/")
}

// Routes returns the routes on the sign-in server. Check is not among them: it is not a page.
func (a *Authorizer) Routes() []render.Route {
	return []render.Route{{Pattern: "GET " + startPath, Access: render.AccessPublic, Handler: a.saveAuthRequest}}
}

// Check answers the check of a proxy: 200 with identity headers, a redirect to sign in, 401 or 403. While the server
// cannot decide, for example because the database cannot be reached, it is 503: the person may be signed in.
func (a *Authorizer) Check(w http.ResponseWriter, r *http.Request) error {
	err := a.check(w, r)
	if !fault.Temporary(err) {
		return err
	}
	a.Pages.LogFault(err)
	return a.WriteUnavailable(w, r, "fault.unavailable")
}

// WriteUnavailable answers the check of a proxy while the server cannot decide. text is the message that says why.
func (a *Authorizer) WriteUnavailable(w http.ResponseWriter, r *http.Request, text string) error {
	removeHSTS(w)
	render.SetRetryAfter(w, fault.RetrySeconds)
	return a.writeText(w, r, http.StatusServiceUnavailable, text)
}

// removeHSTS removes a header that proxies pass on, because the host belongs to the app.
func removeHSTS(w http.ResponseWriter) { w.Header().Del("Strict-Transport-Security") }

func (a *Authorizer) check(w http.ResponseWriter, r *http.Request) error {
	removeHSTS(w)
	render.KeepOpener(w) // the proxy passes the headers of a redirect on
	req, err := a.parseProxiedRequest(r)
	if err != nil {
		return a.writeRejected(w, r, req, err)
	}
	basis := a.Grants.Basis()
	cl, err := a.findClientByHost(r.Context(), req.host)
	if errors.Is(err, client.ErrNotFound) {
		return a.writeRejected(w, r, req, errUnknownHost)
	}
	if err != nil {
		return err
	}
	if req.path() != callbackPath {
		return a.respond(w, r, cl, req, basis)
	}
	if req.noRedirect { // the proxy calls again without reply=401; the callback never reaches the app
		return a.writeText(w, r, http.StatusUnauthorized, "forward.signin")
	}
	return a.handleCallback(w, r, cl, req)
}

// findClientByHost returns the client that a host belongs to. It returns client.ErrNotFound if there is none.
func (a *Authorizer) findClientByHost(ctx context.Context, host string) (found client.Client, err error) {
	clients, err := a.Grants.Clients.List(ctx)
	if err != nil {
		return found, err
	}
	for _, cl := range clients {
		for _, known := range cl.Hosts {
			if a.trimDefaultPort(known) != host {
				continue
			}
			if found.ID != "" && found.ID != cl.ID {
				return found, fmt.Errorf("forwardauth: the apps %s and %s both have the host %s: "+
					"remove it from one of them", found.ID, cl.ID, host)
			}
			found = cl
		}
	}
	if found.ID == "" {
		return found, client.ErrNotFound
	}
	return found, nil
}

// writeRejected rejects a check that did not come from a correctly configured proxy. It never redirects.
func (a *Authorizer) writeRejected(w http.ResponseWriter, r *http.Request, req proxiedRequest, reason error) error {
	status := http.StatusForbidden
	if errors.Is(reason, errAmbiguousHeaders) {
		status = http.StatusBadRequest
	}
	a.Grants.Log.Warn("forward-auth check rejected", "reason", reason, "peer", r.RemoteAddr, "host", req.host)
	return a.writeText(w, r, status, "forward.strange")
}

// writeText responds with plain text, because style sheets cannot be loaded on the app's host.
func (a *Authorizer) writeText(w http.ResponseWriter, r *http.Request, status int, key string, pairs ...any) error {
	words := a.Pages.Localizer(r)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Language", words.Tag())
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, words.Translate(key, pairs...))
	return nil
}
