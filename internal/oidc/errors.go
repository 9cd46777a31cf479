package oidc

import (
	"errors"
	"net/http"
	"net/url"

	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/render"
)

// oauthError is an error that an app is told (RFC 6749 4.1.2.1, 5.2).
type oauthError struct {
	status      int
	code        string
	description string // for whoever has written the app
}

func (e *oauthError) Error() string { return e.code + ": " + e.description }

func newOAuthError(status int, code, text string) error { return &oauthError{status, code, text} }

// invalidRequest is a request that makes no sense.
func invalidRequest(text string) error {
	return newOAuthError(http.StatusBadRequest, "invalid_request", text)
}

// errInvalidClient says that an app is not who it says; the log says why. It is one sentence for an unknown app and a
// wrong secret.
var errInvalidClient = newOAuthError(http.StatusUnauthorized, "invalid_client", "no app with this client_id and this proof")

// errInvalidGrant says that a code or a refresh token is no good (any more).
var errInvalidGrant = newOAuthError(http.StatusBadRequest, "invalid_grant", "the code or token is used, too old, another app's or was ended; or the code came with another redirect_uri or code_verifier than it was made for, which uses it up")

// oauthErrorFor is what an app is told of an error, its own or one of other rooms.
func oauthErrorFor(err error) (*oauthError, bool) {
	if told, ok := errors.AsType[*oauthError](err); ok {
		return told, true
	}
	for _, one := range []struct {
		err  error
		told error
	}{
		{grant.ErrInvalid, errInvalidGrant},
		{client.ErrNotFound, errInvalidClient},
		{render.ErrInvalidForm, invalidRequest("a parameter comes twice, or is no text")},
		{render.ErrBodyTooLarge, invalidRequest("the request is too large")},
		{ratelimit.ErrLimited, newOAuthError(http.StatusTooManyRequests, "slow_down", "too many wrong secrets, or requests that nobody proves, from this network")},
	} {
		if errors.Is(err, one.err) {
			return oauthErrorFor(one.told)
		}
	}
	return nil, false
}

// clientEndpoint is a handler that answers an app which has said who it is: errors too are JSON. What is
// not in the table is a fault of ours, and printed and logged like any other.
func (p *Provider) clientEndpoint(h func(http.ResponseWriter, *http.Request, client.Client, url.Values) error) render.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		render.AllowCORS(w)
		values, err := parseParameters(r)
		var a client.Client
		if err == nil {
			a, err = p.authenticateClient(r, values)
		}
		if err == nil {
			err = h(w, r, a, values)
		}
		told, ok := oauthErrorFor(err)
		if err == nil || !ok {
			return err
		}
		if wait, ok := errors.AsType[*ratelimit.LimitedError](err); ok {
			render.SetRetryAfter(w, max(1, p.Pages.SecondsUntil(wait.RetryAt)))
		}
		if told.code == "invalid_client" && r.Header.Get("Authorization") != "" {
			w.Header().Set("WWW-Authenticate", `Basic realm="twostep"`)
		}
		return render.JSON(w, told.status, map[string]string{"error": told.code, "error_description": told.description})
	}
}
