package oidc

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/render"
)

// oauthError is an error response for a client (RFC 6749 4.1.2.1, 5.2).
type oauthError struct {
	status      int // of a direct response; not used in authorization responses
	code        string
	description string // for the app's developers
}

func (e *oauthError) Error() string { return e.code + ": " + e.description }

func newOAuthError(status int, code, text string) error { return &oauthError{status, code, text} }

// invalidRequest returns an *oauthError with the code invalid_request.
func invalidRequest(text string) error {
	return newOAuthError(http.StatusBadRequest, "invalid_request", text)
}

// errInvalidClient is the same for an unknown client and wrong credentials. The audit event has the reason.
var errInvalidClient = newOAuthError(http.StatusUnauthorized, "invalid_client",
	"no app has this client_id and these credentials")

// errInvalidGrant is sent for an invalid authorization code or refresh token.
var errInvalidGrant = newOAuthError(http.StatusBadRequest, "invalid_grant",
	"the code or token is unknown, used, expired, revoked or another app's, "+
		"or redirect_uri or code_verifier does not match the code, which can't be used again")

// oauthErrorFor returns the error response for an error of this package or of a service. It returns false if
// there is none.
func oauthErrorFor(err error) (*oauthError, bool) {
	if oauthErr, ok := errors.AsType[*oauthError](err); ok {
		return oauthErr, true
	}
	for _, one := range []struct {
		err      error
		response error
	}{
		{grant.ErrInvalid, errInvalidGrant},
		{grant.ErrAuthorizationPending, newOAuthError(http.StatusBadRequest, "authorization_pending", "")},
		{grant.ErrPollsEarly, newOAuthError(http.StatusBadRequest, "slow_down",
			"wait 5 seconds longer between two polls than before")},
		{grant.ErrDeviceDenied, newOAuthError(http.StatusBadRequest, "access_denied", "")},
		{grant.ErrDeviceExpired, newOAuthError(http.StatusBadRequest, "expired_token", "")},
		{client.ErrNotFound, errInvalidClient},
		{render.ErrInvalidForm, invalidRequest("a parameter is repeated or is not valid text")},
		{render.ErrBodyTooLarge, invalidRequest("the request is too large")},
		{ratelimit.ErrLimited, newOAuthError(http.StatusTooManyRequests, "slow_down",
			"too many failed client authentications or unauthenticated requests from this network")},
	} {
		if errors.Is(err, one.err) {
			return oauthErrorFor(one.response)
		}
	}
	return nil, false
}

// logRejected logs why a request of a client was rejected, and what the operator can do. Requests of unknown clients
// are security events.
func (p *Provider) logRejected(r *http.Request, cl client.Client, err *oauthError) {
	if cl.ID == "" || slices.Contains(deviceErrors, err.code) {
		return
	}
	remedy := "see docs/apps.md"
	if err.description == noDeviceGrant {
		remedy = "run `twostep app set " + cl.ID + " --device-grant`"
	}
	if strings.HasPrefix(err.description, "code_challenge is missing") && !cl.IsPublic() {
		remedy = "turn on PKCE (S256) in the app, or run `twostep app set " + cl.ID + " --pkce off`"
	}
	p.Grants.Log.Warn("request of an app rejected", "request", render.RequestID(r.Context()), "path", r.URL.Path,
		"app", cl.ID, "error", err.code, "reason", err.description,
		"remedy", remedy)
}

// clientEndpoint wraps a handler for authenticated clients. Errors that oauthErrorFor knows are sent as JSON
// (RFC 6749 5.2); all others are returned.
func (p *Provider) clientEndpoint(
	h func(http.ResponseWriter, *http.Request, client.Client, url.Values) error,
) render.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		render.AllowCORS(w)
		values, err := parseParameters(r)
		var cl client.Client
		if err == nil {
			cl, err = p.authenticateClient(r, values)
		}
		if err == nil {
			err = h(w, r, cl, values)
		}
		oauthErr, ok := oauthErrorFor(err)
		if err == nil || !ok {
			return err
		}
		p.logRejected(r, cl, oauthErr)
		if wait, ok := errors.AsType[*ratelimit.LimitedError](err); ok {
			render.SetRetryAfter(w, max(1, p.Pages.SecondsUntil(wait.RetryAt)))
		}
		if oauthErr.code == "invalid_client" && r.Header.Get("Authorization") != "" {
			w.Header().Set("WWW-Authenticate", `Basic realm="twostep"`)
		}
		return render.JSON(w, oauthErr.status, map[string]string{
			"error": oauthErr.code, "error_description": oauthErr.description,
		})
	}
}
