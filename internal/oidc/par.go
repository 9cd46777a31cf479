package oidc

import (
	"net/http"
	"net/url"

	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/render"
)

// pushAuthRequest is the pushed authorization request endpoint (RFC 9126).
func (p *Provider) pushAuthRequest(w http.ResponseWriter, r *http.Request, cl client.Client, values url.Values) error {
	if values.Has("request_uri") {
		return invalidRequest("request_uri is not allowed here")
	}
	if redirect := values.Get("redirect_uri"); !cl.AllowsRedirectURI(redirect) {
		// The client is registered, so it may see its own redirect URIs.
		return reject(invalidRequest(
			"redirect_uri is not registered: "+client.ExplainRedirectMismatch(cl.RedirectURIs, redirect)), "",
			"correct it in the app, or run `twostep app set "+cl.ID+" --redirect URL` with all that the app uses")
	}
	authReq, err := p.parseAuthRequest(r, cl, values.Get("redirect_uri"), values)
	if err != nil {
		return err
	}
	requestURI, err := p.Grants.PushAuthRequest(r.Context(), cl, authReq, p.Pages.Origin(r))
	if err != nil {
		return err
	}
	return render.JSON(w, http.StatusCreated, map[string]any{
		"request_uri": requestURI, "expires_in": int(grant.PushedRequestTTL.Seconds()),
	})
}
