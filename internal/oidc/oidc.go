// Package oidc is the OpenID Connect provider, one file per endpoint.
//
//	authorize ─▶ (sign in, choose, confirm, consent, settings) ─▶ continue ─▶ the client ─▶ token ─▶ userinfo
//
// Package grant decides what a client may know. Error responses for clients are listed in errors.go; errors for
// people are pages.
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

// Provider handles the OpenID Connect endpoints.
type Provider struct {
	Grants   *grant.Grants
	Sessions *session.Sessions
	Methods  []factor.Method
	Pages    *render.Renderer
}

//go:embed pages
var files embed.FS

var templates = sync.OnceValue(func() render.Templates { return render.Parse(files, "pages") })

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

	deviceAuthorizationPath = "/oauth2/device_authorization"
	devicePath              = "/device"
	registerPath            = "/oauth2/register"

	metadataPath      = "/.well-known/openid-configuration"
	oauthMetadataPath = "/.well-known/oauth-authorization-server"
)

// APIPaths returns the paths that clients call directly, without a browser.
func APIPaths() []string {
	return []string{tokenPath, userinfoPath, introspectPath, revokePath, parPath, deviceAuthorizationPath,
		registerPath}
}

// JSONErrorPaths returns the paths whose errors are JSON: those that programs request.
func JSONErrorPaths() []string {
	return append(APIPaths(), jwksPath, metadataPath, oauthMetadataPath)
}

// JSONBodyPaths returns the paths whose requests have a JSON body. Their handlers check the content type.
func JSONBodyPaths() []string { return []string{registerPath} }

// CSRFExemptPaths returns the paths and patterns that accept cross-site forms. None of them acts on a cookie
// alone.
func CSRFExemptPaths() []string {
	return append(APIPaths(), "POST "+authorizePath, "POST "+logoutPath)
}

// Routes returns the routes of all endpoints.
func (p *Provider) Routes() []render.Route {
	open := func(pattern string, h render.Handler) render.Route { return render.Route{Pattern: pattern, Handler: h} }
	return []render.Route{
		open("GET "+metadataPath, p.discovery),
		open("GET "+metadataPath+"/{$}", p.discovery), // for clients with a slash after the issuer
		open("GET "+oauthMetadataPath, p.discovery),
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
		open("POST "+deviceAuthorizationPath, p.clientEndpoint(p.startDeviceAuthorization)),
		open("POST "+registerPath, p.register),
		{Pattern: "GET " + devicePath, Access: render.AccessSession, Handler: p.showUserCodeForm},
		{Pattern: "POST " + devicePath, Access: render.AccessSession, Handler: p.submitUserCode},
		open("GET "+deviceAllowedPath, p.showDeviceAnswer("device.allowed")),
		open("GET "+deviceDeniedPath, p.showDeviceAnswer("device.denied")),
		open("GET "+logoutPath, p.logout),
		open("POST "+logoutPath, p.logoutByPost),
		open("POST "+logoutPath+"/confirm", p.confirmLogout),
	}
}

// absoluteURL returns the URL of a path on this server.
func (p *Provider) absoluteURL(path string) string { return p.Grants.Issuer + path }

// parseParameters returns the query parameters of a GET, or the form of a POST. It returns an error if one is
// repeated (RFC 6749 3.1), except for resource (RFC 8707 2), which is ignored. Unknown parameters are allowed.
func parseParameters(r *http.Request) (url.Values, error) {
	text := r.URL.RawQuery
	if r.Method == http.MethodPost {
		body, err := io.ReadAll(r.Body) // the size is limited by render
		if err != nil {
			return nil, render.ErrBodyTooLarge
		}
		text = string(body)
	}
	values, err := url.ParseQuery(text)
	if err != nil || len(values) > 64 {
		return nil, render.ErrInvalidForm
	}
	values.Del("resource")
	for _, group := range values {
		if len(group) != 1 || !utf8.ValidString(group[0]) || strings.ContainsRune(group[0], 0) {
			return nil, render.ErrInvalidForm
		}
	}
	return values, nil
}

// preflight answers a CORS preflight request.
func (p *Provider) preflight(w http.ResponseWriter, _ *http.Request) error {
	render.AllowCORS(w)
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "GET, POST")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return nil
}
