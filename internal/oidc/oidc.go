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
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/client"
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

	metadata, keySet document

	droppedGroups sync.Map // app and group of each line that was logged by mapGroups
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
	pathMetadataPath  = "/oauth2" + metadataPath
	oauthMetadataPath = "/.well-known/oauth-authorization-server"
)

// APIPaths returns the paths that clients call directly, without a browser.
func APIPaths() []string {
	return []string{tokenPath, userinfoPath, introspectPath, revokePath, parPath, deviceAuthorizationPath,
		registerPath}
}

// pagePaths are the paths below /oauth2/ that a person sees.
var pagePaths = []string{authorizePath, grant.ContinuePath, consentPath, logoutPath, logoutPath + "/confirm"}

// HasJSONErrors reports whether the errors of a path are JSON: programs request it, to no avail if the client has a
// wrong issuer or there is no such endpoint.
func HasJSONErrors(path string) bool {
	return strings.HasPrefix(path, "/oauth2/") && !slices.Contains(pagePaths, path) ||
		strings.Contains(path, metadataPath) || strings.Contains(path, oauthMetadataPath)
}

// JSONBodyPaths returns the paths whose requests have a JSON body. Their handlers check the content type.
func JSONBodyPaths() []string { return []string{registerPath} }

// IssuerHint tells the developer of a client where the metadata is.
func IssuerHint(issuer string) string {
	return "the issuer is " + issuer + ", its metadata is at " + issuer + metadataPath
}

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
		open("GET "+pathMetadataPath, p.discovery),    // for clients that want an issuer with a path: MSAL for Python
		open("GET "+oauthMetadataPath, p.discovery),
		open("OPTIONS "+metadataPath, p.preflight),
		open("OPTIONS "+metadataPath+"/{$}", p.preflight),
		open("OPTIONS "+oauthMetadataPath, p.preflight),
		open("GET "+jwksPath, p.jwks),
		open("OPTIONS "+jwksPath, p.preflight),
		open("GET "+authorizePath, popup(p.authorize)),
		open("POST "+authorizePath, popup(p.authorize)),
		open("GET "+grant.ContinuePath, popup(p.continueRequest)),
		{Pattern: "POST " + consentPath, Access: render.AccessSession, Handler: popup(p.submitConsent)},
		open("POST "+tokenPath, p.clientEndpoint(p.token)),
		open("OPTIONS "+tokenPath, p.preflight),
		open("GET "+userinfoPath, p.userinfo),
		open("POST "+userinfoPath, p.userinfo),
		open("OPTIONS "+userinfoPath, p.preflight),
		open("POST "+introspectPath, p.clientEndpoint(p.introspect)),
		open("POST "+revokePath, p.clientEndpoint(p.revoke)),
		open("OPTIONS "+revokePath, p.preflight),
		open("POST "+parPath, p.clientEndpoint(p.pushAuthRequest)),
		open("OPTIONS "+parPath, p.preflight),
		open("POST "+deviceAuthorizationPath, p.clientEndpoint(p.startDeviceAuthorization)),
		open("POST "+registerPath, p.register),
		{Pattern: "GET " + devicePath, Access: render.AccessSession, Handler: p.showUserCodeForm},
		{Pattern: "POST " + devicePath, Access: render.AccessSession, Handler: p.submitUserCode},
		open("GET "+deviceAllowedPath, p.showDeviceAnswer("device.allowed")),
		open("GET "+deviceDeniedPath, p.showDeviceAnswer("device.denied")),
		open("GET "+logoutPath, popup(p.logout)),
		open("POST "+logoutPath, popup(p.logoutByPost)),
		open("POST "+logoutPath+"/confirm", popup(p.confirmLogout)),
	}
}

// popup lets an app show a page in a popup that it opened, and the redirects on the way to it.
func popup(h render.Handler) render.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		render.KeepOpener(w)
		return h(w, r)
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
	for name, group := range values {
		if len(group) != 1 || !utf8.ValidString(group[0]) || strings.ContainsRune(group[0], 0) {
			return nil, reject(render.ErrInvalidForm,
				"the parameter "+strconv.Quote(truncate(name))+" is repeated or is not text in UTF-8", defaultRemedy)
		}
	}
	return values, nil
}

// parsePageParameters is parseParameters for a request that a person's browser makes. It logs an error.
func (p *Provider) parsePageParameters(r *http.Request) (url.Values, error) {
	values, err := parseParameters(r)
	if err != nil {
		p.logRejected(r, "", client.Client{}, values, err)
	}
	return values, err
}

// preflight answers a CORS preflight request. Any header may be sent: no endpoint that programs call reads a cookie.
// The wildcard does not cover Authorization (Fetch Standard, CORS protocol and HTTP caches).
func (p *Provider) preflight(w http.ResponseWriter, _ *http.Request) error {
	render.AllowCORS(w)
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "GET, POST")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, *")
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return nil
}
