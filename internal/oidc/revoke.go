package oidc

import (
	"net/http"
	"net/url"

	"twostep.example/twostep/internal/client"
)

// revoke is the revocation endpoint (RFC 7009). The response is the same whether or not the token exists.
func (p *Provider) revoke(w http.ResponseWriter, r *http.Request, cl client.Client, values url.Values) error {
	if values.Get("token") == "" {
		return invalidRequest("token is missing")
	}
	if err := p.Grants.RevokeToken(r.Context(), cl, values.Get("token"), p.Pages.Origin(r)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}
