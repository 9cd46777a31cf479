package forwardauth

import (
	"errors"
	"maps"
	"net/http"
	"strings"
	"unicode"

	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/session"
)

// authDecision is the result of grant.AuthRequest.NextStep for a request to a host.
type authDecision struct {
	grant.AuthProgress
	grant     string // id of the grant of the host's cookie
	step      grant.AuthStep
	errorCode string
}

// hostScopes returns the scope that a host gets; it is shown on the consent page.
func hostScopes() []string { return []string{"email", "profile", "groups"} }

// respond decides about a request and answers the proxy.
func (s *Authorizer) respond(w http.ResponseWriter, r *http.Request, app client.Client, req proxiedRequest, version dataVersion) error {
	v, err := s.decide(r, app, req)
	switch {
	case err != nil:
		return err
	case v.step == grant.StepIssueCode:
		headers := newIdentityHeaders(v.AuthProgress)
		version.basis = version.basis.Of(v.grant, *v.Session)
		s.cache.put(s.cacheKeyFor(r, req), version, headers)
		headers.write(w)
		return nil
	case v.step == grant.StepError:
		if v.Session != nil && req.isNavigation(r) { // one event per page, not one for each image
			if err := s.Grants.Deny(r.Context(), *v.Session, app.ID, v.errorCode, s.Pages.Origin(r)); err != nil {
				return err
			}
		}
		return s.writeDenied(w, r, app, v.errorCode)
	case req.noRedirect || !req.isNavigation(r):
		return s.writeText(w, r, http.StatusUnauthorized, "forward.signin")
	}
	return s.redirectToSignIn(w, r, req)
}

// decide returns the next step until the browser may use the host.
func (s *Authorizer) decide(r *http.Request, app client.Client, req proxiedRequest) (v authDecision, err error) {
	who, id, err := s.hostSession(r, app, req)
	if err != nil {
		return v, err
	}
	v.grant = id
	request := grant.AuthRequest{ClientID: app.ID, RedirectURI: req.redirectURI(), Scope: hostScopes(), RequestedAt: s.Grants.Now()}
	if v.AuthProgress, err = s.Grants.LoadAuthProgress(r.Context(), request, who); err != nil {
		return v, err
	}
	v.step, v.errorCode = request.NextStep(v.AuthProgress)
	return v, nil
}

// hostSession returns the session behind the host's cookie and the id of the cookie's grant, or nil if there is
// no live session.
func (s *Authorizer) hostSession(r *http.Request, app client.Client, req proxiedRequest) (who *session.Session, id string, err error) {
	token := s.Pages.Cookie(r, render.ForwardAuthSessionCookie)
	if token == "" {
		return nil, "", nil
	}
	of, err := s.Grants.FindGrantByHostToken(r.Context(), token)
	if errors.Is(err, grant.ErrInvalid) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	if of.ClientID != app.ID || of.RedirectURI() != req.redirectURI() {
		return nil, "", nil // the cookie belongs to another host
	}
	found, err := s.Sessions.GetByID(r.Context(), of.SessionID)
	if errors.Is(err, session.ErrNoSession) {
		return nil, "", nil
	}
	if err != nil || found.Account.ID != of.AccountID {
		return nil, "", err
	}
	return &found, of.ID, nil
}

// identityHeaders are the response headers with the person's data. All of them are always present, if necessary
// empty, so that a proxy that copies them replaces forged ones of the client.
type identityHeaders map[string][]string

func newIdentityHeaders(of grant.AuthProgress) identityHeaders {
	who := of.Session.Account
	return identityHeaders{
		"Remote-User": {stripControl(of.Subject)}, "Remote-Email": {stripControl(who.Email)}, "Remote-Name": {stripControl(who.Name)},
		"Remote-Groups": {stripControl(strings.Join(who.Groups, ","))}, "Remote-Amr": {strings.Join(of.Session.AMR, " ")}, "Remote-Acr": {of.Session.Level().ACR()},
	}
}

func (y identityHeaders) write(w http.ResponseWriter) {
	maps.Copy(w.Header(), y)
	w.WriteHeader(http.StatusOK)
}

// stripControl removes control characters, which could end a header line.
func stripControl(text string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return -1
		}
		return c
	}, text)
}

// writeDenied responds to a person who is signed in and may not use the client.
func (s *Authorizer) writeDenied(w http.ResponseWriter, r *http.Request, app client.Client, errorCode string) error {
	key := "forward.denied"
	if errorCode == "unmet_authentication_requirements" {
		key = "forward.unmet"
	}
	return s.writeText(w, r, http.StatusForbidden, key, "App", app.DisplayName())
}
