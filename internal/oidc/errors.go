package oidc

import (
	"cmp"
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
	status      int // of a direct response; 0: bad request
	code        string
	description string // for the app's developers
}

func (e *oauthError) Error() string { return e.code + ": " + e.description }

func newOAuthError(status int, code, text string) error { return &oauthError{status, code, text} }

// pageError is an error in a request whose redirect URI is not known to be good: it is shown to the person,
// never sent to the client.
type pageError struct{ messageKey, reason string }

func (e *pageError) Error() string { return e.reason }

// rejection is an error of a request of a client with what the operator reads about it.
type rejection struct {
	error
	reason string // "": the text of the error
	remedy string
}

func (e *rejection) Unwrap() error { return e.error }

// reject adds to err why a request was rejected, unless err says it, and what the operator can do. The reason is not
// sent to the client.
func reject(err error, reason, remedy string) error { return &rejection{err, reason, remedy} }

// invalidRequest returns an *oauthError with the code invalid_request.
func invalidRequest(text string) error {
	return newOAuthError(http.StatusBadRequest, "invalid_request", text)
}

// errInvalidClient is the same for an unknown client and wrong credentials. The log and the audit event have the
// reason.
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

// loggedParameters are the parameters whose values may be logged: none is secret.
var loggedParameters = []string{
	"response_type", "response_mode", "redirect_uri", "post_logout_redirect_uri", "scope", "prompt", "max_age",
	"acr_values", "code_challenge_method", "grant_type", "client_assertion_type", "twostep_action",
}

// describeParameters returns the loggedParameters of a request: "response_type=token scope=openid".
func describeParameters(values url.Values) string {
	var sent []string
	for _, name := range loggedParameters {
		if values.Has(name) {
			sent = append(sent, name+"="+truncate(withoutQuery(values.Get(name))))
		}
	}
	return strings.Join(sent, " ")
}

// withoutQuery cuts a URL after its path: an app may put anything into the rest, also secrets.
func withoutQuery(address string) string {
	if i := strings.IndexAny(address, "?#"); i >= 0 {
		return address[:i+1] + "…"
	}
	return address
}

// defaultRemedy is what helps if the app sends something that is not supported.
const defaultRemedy = "change it in the app, see docs/apps.md"

// logRejected logs in one line why a request of a client was rejected and what the operator can do, and records it for
// "twostep app doctor". cl is zero if there is no client with this ID.
func (p *Provider) logRejected(r *http.Request, clientID string, cl client.Client, values url.Values, err error) {
	said := client.Rejection{
		Reason: err.Error(), Path: r.URL.Path, Sent: describeParameters(values), Remedy: defaultRemedy,
	}
	if slices.ContainsFunc(pollErrors, func(one error) bool { return errors.Is(err, one) }) {
		return // no mistake of the app
	}
	if e, ok := oauthErrorFor(err); ok {
		said.Reason = e.description
	}
	if errors.Is(err, ratelimit.ErrLimited) {
		said.Remedy = "see docs/reference/limits.md"
	}
	if text, ok := strings.CutPrefix(err.Error(), grant.ErrInvalid.Error()+": "); ok {
		said.Reason = text // the client is not told
	}
	if e, ok := errors.AsType[*rejection](err); ok {
		said.Reason, said.Remedy = cmp.Or(e.reason, said.Reason), e.remedy
	}
	p.Grants.Log.Warn("request of an app rejected", "request", render.RequestID(r.Context()), "path", said.Path,
		"app", truncate(clientID), "reason", said.Reason, "sent", said.Sent, "remedy", said.Remedy)
	if cl.ID == "" || client.IsDocumentID(cl.ID) {
		return // anybody can make up IDs, and documents
	}
	if err := p.Grants.Clients.RecordRejection(r.Context(), cl.ID, said); err != nil {
		p.Pages.LogFault(err)
	}
}

// remedyForUnknown says what helps if there is no client with this ID.
func remedyForUnknown(id string) string {
	if client.IsDocumentID(id) {
		return "to allow apps that are not registered, set client_metadata = true"
	}
	return "compare the client ID in the app with `twostep app list`"
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
		var id string
		if err == nil {
			id, cl, err = p.authenticateClient(r, values)
		}
		if err == nil {
			err = h(w, r, cl, values)
		}
		if err != nil {
			return p.sendRejection(w, r, id, cl, values, err)
		}
		return nil
	}
}

// sendRejection logs why a request of a client was rejected with logRejected, and sends the client an error response
// (RFC 6749 5.2). It returns every error that oauthErrorFor does not know.
func (p *Provider) sendRejection(
	w http.ResponseWriter, r *http.Request, clientID string, cl client.Client, values url.Values, err error,
) error {
	oauthErr, ok := oauthErrorFor(err)
	if !ok {
		return err
	}
	p.logRejected(r, clientID, cl, values, err)
	if wait, ok := errors.AsType[*ratelimit.LimitedError](err); ok {
		render.SetRetryAfter(w, max(1, p.Pages.SecondsUntil(wait.RetryAt)))
	}
	switch {
	case oauthErr.code == "invalid_client" && r.Header.Get("Authorization") != "":
		w.Header().Set("WWW-Authenticate", `Basic realm="twostep"`)
	case oauthErr.code == "invalid_token":
		w.Header().Set("WWW-Authenticate", `Bearer realm="twostep", error="invalid_token"`) // RFC 6750 3
	}
	return render.JSON(w, cmp.Or(oauthErr.status, http.StatusBadRequest), map[string]string{
		"error": oauthErr.code, "error_description": oauthErr.description,
	})
}
