package oidc

import (
	"errors"
	"net/http"
	"net/url"

	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/page"
	"twostep.example/twostep/internal/ratelimit"
)

// refusal is an error that an app is told (RFC 6749 4.1.2.1, 5.2).
type refusal struct {
	status int
	code   string
	text   string // for whoever has written the app
}

func (e *refusal) Error() string { return e.code + ": " + e.text }

func refuse(status int, code, text string) error { return &refusal{status, code, text} }

// invalid is a request that makes no sense.
func invalid(text string) error { return refuse(http.StatusBadRequest, "invalid_request", text) }

// errClient says that an app is not who it says; the log says why. It is one sentence for an unknown app and a
// wrong secret.
var errClient = refuse(http.StatusUnauthorized, "invalid_client", "no app with this client_id and this proof")

// errGrant says that a code or a refresh token is no good (any more).
var errGrant = refuse(http.StatusBadRequest, "invalid_grant", "the code or token is used, too old, another app's or was ended; or the code came with another redirect_uri or code_verifier than it was made for, which uses it up")

// explained is what an app is told of an error, its own or one of other rooms.
func explained(err error) (*refusal, bool) {
	if told, ok := errors.AsType[*refusal](err); ok {
		return told, true
	}
	for _, one := range []struct {
		err  error
		told error
	}{
		{grant.ErrInvalid, errGrant},
		{grant.ErrNoApp, errClient},
		{page.ErrForm, invalid("a parameter comes twice, or is no text")},
		{page.ErrTooLarge, invalid("the request is too large")},
		{ratelimit.ErrLimited, refuse(http.StatusTooManyRequests, "slow_down", "too many wrong secrets, or requests that nobody proves, from this network")},
	} {
		if errors.Is(err, one.err) {
			return explained(one.told)
		}
	}
	return nil, false
}

// api is a handler that answers an app which has said who it is: errors too are JSON. What is
// not in the table is a fault of ours, and printed and logged like any other.
func (p *Provider) api(h func(http.ResponseWriter, *http.Request, grant.App, url.Values) error) page.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		page.Share(w)
		values, err := parameters(r)
		var a grant.App
		if err == nil {
			a, err = p.client(r, values)
		}
		if err == nil {
			err = h(w, r, a, values)
		}
		told, ok := explained(err)
		if err == nil || !ok {
			return err
		}
		if wait, ok := errors.AsType[*ratelimit.LimitedError](err); ok {
			page.RetryAfter(w, max(1, p.Pages.Left(wait.RetryAt)))
		}
		if told.code == "invalid_client" && r.Header.Get("Authorization") != "" {
			w.Header().Set("WWW-Authenticate", `Basic realm="twostep"`)
		}
		return page.JSON(w, told.status, map[string]string{"error": told.code, "error_description": told.text})
	}
}
