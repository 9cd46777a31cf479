package oidc

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/metadata"
	"twostep.example/twostep/internal/ratelimit"
)

// clientAuthFailuresPerMinute limits failed client authentications per network. Secrets of 256 bits can't be
// guessed, but each failure costs work and an audit event.
const clientAuthFailuresPerMinute = 10

// jwtBearerAssertion is the client_assertion_type of a JWT (RFC 7523 2.2).
const jwtBearerAssertion = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// clientCredentials is what a request contains for client authentication (RFC 6749 2.3, RFC 7523 2.2).
type clientCredentials struct {
	id, secret, assertion string
}

// authenticateClient authenticates the client of a request. It returns errInvalidClient if that fails, an
// *oauthError if the request uses several methods, and an error that is ratelimit.ErrLimited if the network has
// failed too often. It also returns the ID that the request names, and the client with this ID, if there is one.
func (p *Provider) authenticateClient(r *http.Request, values url.Values) (id string, cl client.Client, err error) {
	credentials, err := parseClientCredentials(r, values)
	if err != nil {
		return credentials.id, cl, err
	}
	if r.URL.Path == parPath { // it begins a request, like authorize
		cl, err = p.Grants.FindClient(r.Context(), credentials.id, p.Pages.Origin(r))
	} else {
		cl, err = p.Grants.Clients.Get(r.Context(), credentials.id)
	}
	refused, isRefused := errors.AsType[*metadata.Error](err)
	switch {
	case errors.Is(err, client.ErrNotFound):
		err = reject(errInvalidClient, "there is no app with this client_id", remedyForUnknown(credentials.id))
	case isRefused:
		err = reject(errInvalidClient, "the metadata document of the app is refused: "+refused.Reason, defaultRemedy)
	case err == nil:
		err = p.verifyClientCredentials(r, cl, credentials)
	}
	if errors.Is(err, errInvalidClient) {
		if failed := p.recordFailedAuthentication(r, cl.ID, err); failed != nil {
			err = failed
		}
	}
	return credentials.id, cl, err
}

// recordFailedAuthentication counts and records that the client with this ID failed to authenticate. It returns an
// error that is ratelimit.ErrLimited if the network has failed too often.
func (p *Provider) recordFailedAuthentication(r *http.Request, id string, err error) error {
	from := p.Pages.Origin(r)
	limitErr := p.Grants.Limits.Spend(r.Context(), p.Grants.Store,
		ratelimit.PerNetwork("wrong_client_secrets_network", from.Networks(), time.Minute, clientAuthFailuresPerMinute)...)
	if errors.Is(limitErr, ratelimit.ErrLimited) {
		e := audit.Event{Client: id, Reason: "client secrets"}
		return p.Grants.Accounts.Refused(r.Context(), limitErr, e, from)
	}
	if limitErr != nil {
		return limitErr
	}
	rejected := audit.Event{Kind: audit.ClientRejected, Client: id, Reason: truncate(err.Error())}
	if e, ok := errors.AsType[*rejection](err); ok {
		rejected.Reason = e.reason
	}
	return p.Grants.Accounts.Failure(r.Context(), rejected, from)
}

// parseClientCredentials reads the credentials. A request may use one method only (RFC 6749 2.3).
func parseClientCredentials(r *http.Request, values url.Values) (credentials clientCredentials, err error) {
	credentials = clientCredentials{values.Get("client_id"), values.Get("client_secret"),
		values.Get("client_assertion")}
	user, password, basic := r.BasicAuth()
	if basic {
		// Both are form-encoded (RFC 6749 2.3.1).
		id, err1 := url.QueryUnescape(user)
		secret, err2 := url.QueryUnescape(password)
		if err1 != nil || err2 != nil || credentials.secret != "" || credentials.id != "" && credentials.id != id {
			return credentials, invalidRequest("use one client authentication method, and one client_id")
		}
		credentials.id, credentials.secret = id, secret
	}
	if credentials.assertion == "" {
		return credentials, nil
	}
	if credentials.secret != "" || values.Get("client_assertion_type") != jwtBearerAssertion {
		return credentials,
			invalidRequest("client_assertion comes with a secret, or client_assertion_type is not jwt-bearer")
	}
	issuer := grant.AssertionIssuer(credentials.assertion)
	if credentials.id != "" && credentials.id != issuer {
		return credentials, reject(errInvalidClient, "client_id is not the issuer of the client_assertion", defaultRemedy)
	}
	credentials.id = issuer
	return credentials, nil
}

// verifyClientCredentials returns errInvalidClient, with the reason for the operator, if the credentials are not those
// of the client.
func (p *Provider) verifyClientCredentials(r *http.Request, cl client.Client, credentials clientCredentials) error {
	enterSecret := "enter the client secret in the app again; `twostep app rotate " + cl.ID + "` creates a new one"
	switch {
	case credentials.assertion != "":
		err := p.Grants.VerifyClientAssertion(r.Context(), cl, credentials.assertion, p.Grants.Issuer,
			p.absoluteURL(tokenPath), p.absoluteURL(r.URL.Path))
		if errors.Is(err, grant.ErrInvalid) {
			return reject(errInvalidClient, truncate(err.Error()),
				"compare the keys and the clock of the app; `twostep app set "+cl.ID+" --keys FILE` replaces its keys")
		}
		return err
	case credentials.secret != "" && cl.MatchesSecret(credentials.secret):
		return nil
	case credentials.secret == "" && cl.IsPublic():
		return nil
	case cl.IsPublic():
		return reject(errInvalidClient, "the app is registered as public and sent a client secret",
			"remove the secret in the app, or run `twostep app set "+cl.ID+" --public=false`")
	case credentials.secret == "":
		return reject(errInvalidClient, "the app sent no client secret",
			enterSecret+"; an app without a secret needs `twostep app set "+cl.ID+" --public`")
	}
	return reject(errInvalidClient, "wrong client secret", enterSecret)
}
