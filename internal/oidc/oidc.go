// Package oidc is the OpenID Connect provider, one file for each endpoint.
//
//	authorize ─▶ (sign in, choose, confirm, consent, settings) ─▶ continue ─▶ the app ─▶ token ─▶ userinfo
//
// What an app may know is decided in grant; here it is asked for and answered. Errors for apps
// have a table of their own, in errors.go; those for people are pages.
package oidc

import (
	"embed"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"unicode/utf8"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/session"
)

// Provider is the provider of one server.
type Provider struct {
	Grants   *grant.Grants
	Sessions *session.Sessions
	Methods  []factor.Method
	Pages    *render.Renderer
}

//go:embed pages
var files embed.FS

var templates = sync.OnceValue(func() render.Templates { return render.Parse(files, "pages") })

// The paths of the contract.
const (
	authorizePath  = "/oauth2/authorize"
	consentPath    = "/oauth2/consent"
	tokenPath      = "/oauth2/token"
	userinfoPath   = "/oauth2/userinfo"
	jwksPath       = "/oauth2/jwks"
	introspectPath = "/oauth2/introspect"
	revokePath     = "/oauth2/revoke"
	parPath        = "/oauth2/par"
	logoutPath     = "/oauth2/logout"
)

// APIPaths are the paths that apps ask, and no person.
func APIPaths() []string {
	return []string{tokenPath, userinfoPath, introspectPath, revokePath, parPath}
}

// CSRFExemptPaths are the paths to which other sites may send forms: none of them lets a cookie alone
// do anything.
func CSRFExemptPaths() []string {
	return append(APIPaths(), "POST "+authorizePath, "POST "+logoutPath)
}

// Routes are the endpoints.
func (p *Provider) Routes() []render.Route {
	open := func(pattern string, h render.Handler) render.Route { return render.Route{Pattern: pattern, Handler: h} }
	return []render.Route{
		open("GET /.well-known/openid-configuration", p.discovery),
		open("GET /.well-known/oauth-authorization-server", p.discovery),
		open("GET "+jwksPath, p.jwks),
		open("GET "+authorizePath, p.authorize),
		open("POST "+authorizePath, p.authorize),
		open("GET "+grant.ContinuePath, p.continueRequest),
		{Pattern: "POST " + consentPath, Access: render.AccessSession, Handler: p.submitConsent},
		open("POST "+tokenPath, p.clientEndpoint(p.token)),
		open("OPTIONS "+tokenPath, p.preflight),
		open("GET "+userinfoPath, p.userinfo),
		open("POST "+userinfoPath, p.userinfo),
		open("OPTIONS "+userinfoPath, p.preflight),
		open("POST "+introspectPath, p.clientEndpoint(p.introspect)),
		open("POST "+revokePath, p.clientEndpoint(p.revoke)),
		open("OPTIONS "+revokePath, p.preflight),
		open("POST "+parPath, p.clientEndpoint(p.pushAuthRequest)),
		open("GET "+logoutPath, p.logout),
		open("POST "+logoutPath, p.logoutByPost),
		open("POST "+logoutPath+"/confirm", p.confirmLogout),
	}
}

// absoluteURL is the whole address of a path.
func (p *Provider) absoluteURL(path string) string { return p.Grants.Issuer + path }

// parseParameters are those of the query of a GET, or of the body of a POST: each once at most, as
// OAuth wants it (RFC 6749 3.1). Unknown ones are no error.
func parseParameters(r *http.Request) (url.Values, error) {
	text := r.URL.RawQuery
	if r.Method == http.MethodPost {
		body, err := io.ReadAll(r.Body) // page.Limits has bounded it
		if err != nil {
			return nil, render.ErrBodyTooLarge
		}
		text = string(body)
	}
	values, err := url.ParseQuery(text)
	if err != nil || len(values) > 64 {
		return nil, render.ErrInvalidForm
	}
	for _, all := range values {
		if len(all) != 1 || !utf8.ValidString(all[0]) || strings.ContainsRune(all[0], 0) {
			return nil, render.ErrInvalidForm
		}
	}
	return values, nil
}

// preflight answers a browser that asks whether a page of another origin may send a token.
func (p *Provider) preflight(w http.ResponseWriter, _ *http.Request) error {
	render.AllowCORS(w)
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "GET, POST")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return nil
}
