package forwardauth

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/seal"
)

// signInTimeout is for how long somebody may take to sign in, as long as a request waits.
const signInTimeout = time.Hour

// redirectToSignIn sends a browser to sign in. What binds the way back to this browser is PKCE whose
// verifier is in a cookie of the host: a code that somebody else was given opens nothing here,
// and one that was taken from here opens nothing there. Tabs that leave at once share it.
func (s *Authorizer) redirectToSignIn(w http.ResponseWriter, r *http.Request, req proxiedRequest) error {
	verifier := s.Pages.Cookie(r, render.ForwardAuthVerifierCookie)
	if len(verifier) != len(seal.NewToken()) {
		verifier = seal.NewToken()
	}
	s.Pages.SetPersistentCookie(w, render.ForwardAuthVerifierCookie, verifier, signInTimeout)
	query := url.Values{"to": {req.origin + req.returnPath()}, "challenge": {grant.S256Challenge(verifier)}}
	return redirectAbsolute(w, s.Grants.Issuer+startPath+"?"+query.Encode())
}

// saveAuthRequest keeps what a host asks for, on the sign-in server. The way back can only be to a host
// of an app.
func (s *Authorizer) saveAuthRequest(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	req, ok := s.parseReturnURL(singleValue(query["to"]))
	challenge := singleValue(query["challenge"])
	if !ok || !grant.ValidS256Challenge(challenge) {
		return render.ErrInvalidForm
	}
	app, err := s.findClientByHost(r.Context(), req.host)
	if errors.Is(err, client.ErrNotFound) {
		return render.ErrNotFound
	}
	if err != nil {
		return err
	}
	token, err := s.Grants.SaveAuthRequest(r.Context(), grant.AuthRequest{
		ClientID: app.ID, RedirectURI: req.redirectURI(), Scope: hostScopes(), State: req.returnPath(), CodeChallenge: challenge, ResponseMode: "query", RequestedAt: s.Grants.Now(),
	}, s.Pages.Origin(r))
	if err != nil {
		return err
	}
	http.Redirect(w, r, grant.ContinueURL(token), http.StatusSeeOther)
	return nil
}

// parseReturnURL reads the address of a page at a host behind a proxy.
func (s *Authorizer) parseReturnURL(address string) (proxiedRequest, bool) {
	rest, ok := strings.CutPrefix(address, s.scheme()+"://")
	slash := strings.IndexByte(rest, '/')
	if !ok || slash < 0 {
		return proxiedRequest{}, false
	}
	a := proxiedRequest{method: http.MethodGet, host: s.trimDefaultPort(rest[:slash]), uri: rest[slash:]}
	a.origin = s.scheme() + "://" + a.host
	return a, hostPattern.MatchString(a.host) && requestURIPattern.MatchString(a.uri)
}

// handleCallback takes a code for the cookie of the host.
func (s *Authorizer) handleCallback(w http.ResponseWriter, r *http.Request, app client.Client, req proxiedRequest) error {
	query, err := url.ParseQuery(req.query())
	if err != nil || req.method != http.MethodGet {
		return s.writeText(w, r, http.StatusBadRequest, "forward.enter")
	}
	back := proxiedRequest{origin: req.origin, uri: singleValue(query["state"])}
	v, err := s.decide(r, app, req)
	switch {
	case err != nil:
		return err
	case v.step == grant.StepIssueCode: // another tab was faster
		return redirectAbsolute(w, back.origin+back.returnPath())
	case v.step != grant.StepError && query.Get("error") == "access_denied": // by the person
		return s.writeText(w, r, http.StatusForbidden, "forward.declined", "App", app.DisplayName())
	case query.Has("error"):
		return s.writeDenied(w, r, app, query.Get("error"))
	}
	of, err := s.consumeCode(r, app, req, singleValue(query["code"]))
	if errors.Is(err, grant.ErrInvalid) {
		return s.writeText(w, r, http.StatusBadRequest, "forward.enter")
	}
	if err != nil {
		return err
	}
	token, err := s.Grants.IssueHostToken(r.Context(), of)
	if err != nil {
		return err
	}
	s.Pages.SetCookie(w, render.ForwardAuthSessionCookie, token)
	s.Pages.ClearCookie(w, render.ForwardAuthVerifierCookie)
	return redirectAbsolute(w, back.origin+back.returnPath())
}

// consumeCode uses up a code that this browser was sent for. A browser without the cookie keeps
// none, or never asked: it is told, and not sent around in a circle. grant.ErrInvalid.
func (s *Authorizer) consumeCode(r *http.Request, app client.Client, req proxiedRequest, code string) (grant.Grant, error) {
	verifier := s.Pages.Cookie(r, render.ForwardAuthVerifierCookie)
	if verifier == "" || code == "" {
		return grant.Grant{}, grant.ErrInvalid
	}
	return s.Grants.ConsumeCode(r.Context(), grant.CodeExchange{From: s.Pages.Origin(r), Client: app, Code: code, RedirectURI: req.redirectURI(), CodeVerifier: verifier})
}

// redirectAbsolute sends a browser on. The address is written out in full: Traefik would complete it
// with the address under which it asks us.
func redirectAbsolute(w http.ResponseWriter, address string) error {
	w.Header().Set("Location", address)
	w.WriteHeader(http.StatusFound)
	return nil
}

// singleValue is the only value of a parameter.
func singleValue(values []string) string {
	if len(values) != 1 {
		return ""
	}
	return values[0]
}
