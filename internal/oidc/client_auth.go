package oidc

import (
	"context"
	"errors"
	"fmt"
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
// failed too often.
func (p *Provider) authenticateClient(r *http.Request, values url.Values) (client.Client, error) {
	credentials, err := parseClientCredentials(r, values)
	if err != nil {
		return client.Client{}, err
	}
	find := p.Grants.Clients.Get
	if r.URL.Path == parPath { // it begins a request, like authorize
		find = func(ctx context.Context, id string) (client.Client, error) {
			return p.Grants.FindClient(ctx, id, p.Pages.Origin(r))
		}
	}
	cl, err := find(r.Context(), credentials.id)
	if err == nil {
		err = p.verifyClientCredentials(r, cl, credentials)
	}
	if errors.Is(err, errInvalidClient) || errors.Is(err, client.ErrNotFound) || errors.Is(err, grant.ErrInvalid) ||
		errors.As(err, new(*metadata.Error)) {
		return client.Client{}, p.rejectClient(r, cl.ID, err)
	}
	return cl, err
}

// rejectClient counts and records a failed authentication of a client, and returns errInvalidClient, or an error that is
// ratelimit.ErrLimited if the network has failed too often.
func (p *Provider) rejectClient(r *http.Request, id string, reason error) error {
	from := p.Pages.Origin(r)
	err := p.Grants.Limits.Spend(r.Context(), p.Grants.Store,
		ratelimit.PerNetwork("wrong_client_secrets_network", from.Networks(), time.Minute, clientAuthFailuresPerMinute)...)
	if errors.Is(err, ratelimit.ErrLimited) {
		return p.Grants.Accounts.Refused(r.Context(), err, audit.Event{Client: id, Reason: "client secrets"}, from)
	}
	if err != nil {
		return err
	}
	rejected := audit.Event{Kind: audit.ClientRejected, Client: id, Reason: truncate(reason.Error())}
	if err := p.Grants.Accounts.Failure(r.Context(), rejected, from); err != nil {
		return err
	}
	return errInvalidClient
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
		return credentials, errInvalidClient
	}
	credentials.id = issuer
	return credentials, nil
}

func (p *Provider) verifyClientCredentials(r *http.Request, cl client.Client, credentials clientCredentials) error {
	switch {
	case credentials.assertion != "":
		return p.Grants.VerifyClientAssertion(r.Context(), cl, credentials.assertion, p.Grants.Issuer,
			p.absoluteURL(tokenPath), p.absoluteURL(r.URL.Path))
	case credentials.secret != "" && cl.MatchesSecret(credentials.secret):
		return nil
	case credentials.secret == "" && cl.IsPublic():
		return nil
	case credentials.secret == "":
		return fmt.Errorf("%w: the app has a secret and sent none", errInvalidClient)
	}
	return fmt.Errorf("%w: wrong client secret", errInvalidClient)
}
