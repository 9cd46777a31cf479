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
	"twostep.example/twostep/internal/session"
)

// signInTimeout is the time to sign in, the same as the lifetime of a stored authorization request.
const signInTimeout = time.Hour

// redirectToSignIn redirects the browser to the sign-in server. The PKCE verifier is in a cookie of the host,
// which binds the code to this browser: an injected code does not work, and neither does a stolen one in
// another browser (RFC 9700 4.5.3). Tabs that are redirected at the same time share the verifier.
func (a *Authorizer) redirectToSignIn(w http.ResponseWriter, r *http.Request, req proxiedRequest) error {
	verifier := a.Pages.Cookie(r, render.ForwardAuthVerifierCookie)
	if len(verifier) != len(seal.NewToken()) {
		verifier = seal.NewToken()
	}
	a.Pages.SetPersistentCookie(w, render.ForwardAuthVerifierCookie, verifier, signInTimeout)
	query := url.Values{"to": {req.origin + req.returnPath()}, "challenge": {grant.S256Challenge(verifier)}}
	return redirectAbsolute(w, a.Grants.Issuer+startPath+"?"+query.Encode())
}

// saveAuthRequest stores an authorization request for a host, on the sign-in server. The return URL must be on
// the host of a client.
func (a *Authorizer) saveAuthRequest(w http.ResponseWriter, r *http.Request) error {
	render.KeepOpener(w)
	query := r.URL.Query()
	req, ok := a.parseReturnURL(singleValue(query["to"]))
	challenge := singleValue(query["challenge"])
	if !ok || !grant.ValidS256Challenge(challenge) {
		return render.ErrInvalidForm
	}
	cl, err := a.findClientByHost(r.Context(), req.host)
	if errors.Is(err, client.ErrNotFound) {
		return render.ErrNotFound
	}
	if err != nil {
		return err
	}
	token, err := a.Grants.SaveAuthRequest(r.Context(), grant.AuthRequest{
		ClientID:      cl.ID,
		RedirectURI:   req.redirectURI(),
		Scope:         hostScopes(),
		State:         req.returnPath(),
		CodeChallenge: challenge,
		ResponseMode:  "query",
		RequestedAt:   a.Grants.Now(),
		Browser:       seal.HashToken(a.Pages.Browser(w, r)),
	}, a.Pages.Origin(r))
	if err != nil {
		return err
	}
	http.Redirect(w, r, grant.ContinueURL(token), http.StatusSeeOther)
	return nil
}

// parseReturnURL parses the URL of a page on a host behind a proxy; ok is false if it is not one.
func (a *Authorizer) parseReturnURL(address string) (proxiedRequest, bool) {
	rest, ok := strings.CutPrefix(address, a.scheme()+"://")
	slash := strings.IndexByte(rest, '/')
	if !ok || slash < 0 {
		return proxiedRequest{}, false
	}
	p := proxiedRequest{method: http.MethodGet, host: a.trimDefaultPort(rest[:slash]), uri: rest[slash:]}
	p.origin = a.scheme() + "://" + p.host
	_, local := render.LocalPath(p.uri)
	return p, local && hostPattern.MatchString(p.host)
}

// handleCallback exchanges the code at HostCallbackPath for the cookie of the host.
func (a *Authorizer) handleCallback(
	w http.ResponseWriter, r *http.Request, cl client.Client, req proxiedRequest,
) error {
	query, err := url.ParseQuery(req.query())
	if err != nil || req.method != http.MethodGet {
		return a.writeText(w, r, http.StatusBadRequest, "forward.enter")
	}
	page := proxiedRequest{origin: req.origin, uri: singleValue(query["state"])}
	d, err := a.decide(r, cl, req)
	switch {
	case err != nil:
		return err
	case d.step == grant.StepIssueCode: // another tab has finished the sign-in
		return redirectAbsolute(w, page.origin+page.returnPath())
	case d.step != grant.StepError && query.Get("error") == "access_denied": // the person refused consent
		return a.writeText(w, r, http.StatusForbidden, "forward.declined", "App", cl.DisplayName())
	case query.Has("error"):
		return a.writeDenied(w, r, cl, query.Get("error"))
	}
	g, err := a.consumeCode(r, cl, req, singleValue(query["code"]))
	if errors.Is(err, grant.ErrInvalid) {
		return a.writeText(w, r, http.StatusBadRequest, "forward.enter")
	}
	if err != nil {
		return err
	}
	token, err := a.Grants.IssueHostToken(r.Context(), g)
	if err != nil {
		return err
	}
	who, err := a.Sessions.GetByID(r.Context(), g.SessionID)
	if err != nil && !errors.Is(err, session.ErrNoSession) { // the next check refuses the cookie of an ended session
		return err
	}
	a.Pages.SetPersistentCookie(w, render.ForwardAuthSessionCookie, token, who.CookieMaxAge(a.Grants.Now()))
	a.Pages.ClearCookie(w, render.ForwardAuthVerifierCookie)
	return redirectAbsolute(w, page.origin+page.returnPath())
}

// consumeCode uses the code of this browser. It returns grant.ErrInvalid if the code or the verifier cookie is
// missing or wrong. The caller shows an error then: redirecting a browser without cookies would loop.
func (a *Authorizer) consumeCode(
	r *http.Request, cl client.Client, req proxiedRequest, code string,
) (grant.Grant, error) {
	verifier := a.Pages.Cookie(r, render.ForwardAuthVerifierCookie)
	if verifier == "" || code == "" {
		return grant.Grant{}, grant.ErrInvalid
	}
	return a.Grants.ConsumeCode(r.Context(), grant.CodeExchange{
		From:         a.Pages.Origin(r),
		Client:       cl,
		Code:         code,
		RedirectURI:  req.redirectURI(),
		CodeVerifier: verifier,
	})
}

// redirectAbsolute redirects to an absolute URL. Traefik resolves a relative one against the address of this
// server.
func redirectAbsolute(w http.ResponseWriter, address string) error {
	w.Header().Set("Location", address)
	w.WriteHeader(http.StatusFound)
	return nil
}

// singleValue returns the value of a parameter that is given once, or "".
func singleValue(values []string) string {
	if len(values) != 1 {
		return ""
	}
	return values[0]
}
