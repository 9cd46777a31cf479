package oidc

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/ratelimit"
)

// wrongSecrets are those of one network in a minute. Nobody guesses 256 bits; but whoever
// tries costs us something.
const wrongSecrets = 10

// proof is what an app brings to say who it is.
type proof struct {
	id, secret, assertion string
}

// client is the app that a request comes from, by one proof alone. errClient, *account.WaitError.
func (p *Provider) client(r *http.Request, values url.Values) (grant.App, error) {
	given, err := proofOf(r, values)
	if err != nil {
		return grant.App{}, err
	}
	a, err := p.Grants.App(r.Context(), given.id)
	if err == nil {
		err = p.proven(r, a, given)
	}
	if errors.Is(err, errClient) || errors.Is(err, grant.ErrNoApp) || errors.Is(err, grant.ErrInvalid) {
		from := p.Pages.From(r)
		wait := p.Grants.Limits.Spend(r.Context(), p.Grants.Store, ratelimit.Quota{Kind: "wrong_client_secrets_network", Subject: from.Network(), Window: time.Minute, Amount: 1, Limit: wrongSecrets})
		if errors.Is(wait, ratelimit.ErrLimited) {
			e := audit.Event{Client: a.ID, Reason: "client secrets"}
			return grant.App{}, p.Grants.Accounts.Refused(r.Context(), wait, e, from)
		}
		if wait != nil {
			return grant.App{}, wait
		}
		rejected := audit.Event{Kind: audit.ClientRejected, Client: a.ID, Reason: cut(err.Error())}
		if failed := p.Grants.Accounts.Failure(r.Context(), rejected, from); failed != nil {
			return grant.App{}, failed
		}
		return grant.App{}, errClient
	}
	return a, err
}

// proofOf reads the proof. Two of them are an error (RFC 6749 2.3).
func proofOf(r *http.Request, values url.Values) (given proof, err error) {
	given = proof{values.Get("client_id"), values.Get("client_secret"), values.Get("client_assertion")}
	user, password, basic := r.BasicAuth()
	if basic {
		// Both are encoded as in a form before they are joined (RFC 6749 2.3.1).
		id, err1 := url.QueryUnescape(user)
		secret, err2 := url.QueryUnescape(password)
		if err1 != nil || err2 != nil || given.secret != "" || given.id != "" && given.id != id {
			return given, invalid("the app proves itself in two ways at once, or names itself twice")
		}
		given.id, given.secret = id, secret
	}
	if given.assertion == "" {
		return given, nil
	}
	if given.secret != "" || values.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
		return given, invalid("client_assertion stands beside a secret, or its type is not that of a JWT")
	}
	named := grant.Asserts(given.assertion)
	if given.id != "" && given.id != named {
		return given, errClient
	}
	given.id = named
	return given, nil
}

func (p *Provider) proven(r *http.Request, a grant.App, given proof) error {
	switch {
	case given.assertion != "":
		return p.Grants.Asserted(r.Context(), a, given.assertion, p.Grants.Issuer, p.at(tokenPath), p.at(r.URL.Path))
	case given.secret != "" && a.Secret(given.secret):
		return nil
	case given.secret == "" && a.Public():
		return nil
	case given.secret == "":
		return fmt.Errorf("%w: it came without one, and has one", errClient)
	}
	return fmt.Errorf("%w: it is another secret", errClient)
}
