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

// authDecision is where a request stands: grant.Request.Next decides here as for OpenID Connect.
type authDecision struct {
	grant.AuthProgress
	grant     string // the id of the grant of the host's cookie
	step      grant.AuthStep
	errorCode string
}

// hostScopes is what a host learns of a person, for the page on which somebody allows an app of
// somebody else's.
func hostScopes() []string { return []string{"email", "profile", "groups"} }

// respond is yes with who it is, or no.
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
		if v.Session != nil && req.isNavigation(r) { // not for each part of a page
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

// decide says what is missing until the host may answer this browser.
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

// hostSession is the person whose session the host's cookie goes back to, and the id of the cookie's grant; nil: nobody.
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
		return nil, "", nil // it is another host's
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

// identityHeaders is who it is, as headers. Every header is there in every yes, if need be empty, so that a
// proxy that copies them overwrites what a client has sent under these names.
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

// stripControl is a text without what would end a header.
func stripControl(text string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return -1
		}
		return c
	}, text)
}

// writeDenied is for somebody whom signing in again would not help.
func (s *Authorizer) writeDenied(w http.ResponseWriter, r *http.Request, app client.Client, errorCode string) error {
	key := "forward.denied"
	if errorCode == "unmet_authentication_requirements" {
		key = "forward.unmet"
	}
	return s.writeText(w, r, http.StatusForbidden, key, "App", app.DisplayName())
}
