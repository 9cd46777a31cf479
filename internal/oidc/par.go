package oidc

import (
	"net/http"
	"net/url"

	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/render"
)

// pushAuthRequest keeps a request that an app sends before it sends the person (RFC 9126), so that nobody
// on the way can read or change it.
func (p *Provider) pushAuthRequest(w http.ResponseWriter, r *http.Request, a client.Client, values url.Values) error {
	if values.Has("request_uri") {
		return invalidRequest("request_uri cannot be pushed")
	}
	if redirect := values.Get("redirect_uri"); !a.AllowsRedirectURI(redirect) {
		return invalidRequest("redirect_uri is not registered: " + client.ExplainRedirectMismatch(a.RedirectURIs, redirect)) // the app may know
	}
	authReq, err := p.parseAuthRequest(r, a, values.Get("redirect_uri"), values)
	if err != nil {
		return parError(err)
	}
	requestURI, err := p.Grants.PushAuthRequest(r.Context(), a, authReq, p.Pages.Origin(r))
	if err != nil {
		return err
	}
	return render.JSON(w, http.StatusCreated, map[string]any{"request_uri": requestURI, "expires_in": int(grant.PushedRequestTTL.Seconds())})
}

// parError is an error of the request as the app itself gets it.
func parError(err error) error {
	if told, ok := oauthErrorFor(err); ok {
		return newOAuthError(http.StatusBadRequest, told.code, told.description)
	}
	return err
}
