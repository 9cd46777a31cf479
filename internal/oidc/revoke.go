package oidc

import (
	"net/http"
	"net/url"

	"twostep.example/twostep/internal/client"
)

// revoke ends a token that an app needs no more (RFC 7009). It answers the same whether there
// was one.
func (p *Provider) revoke(w http.ResponseWriter, r *http.Request, a client.Client, values url.Values) error {
	if values.Get("token") == "" {
		return invalidRequest("token is missing")
	}
	if err := p.Grants.RevokeToken(r.Context(), a, values.Get("token"), p.Pages.Origin(r)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}
