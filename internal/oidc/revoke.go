package oidc

import (
	"net/http"
	"net/url"

	"twostep.example/twostep/internal/grant"
)

// revoke ends a token that an app needs no more (RFC 7009). It answers the same whether there
// was one.
func (p *Provider) revoke(w http.ResponseWriter, r *http.Request, a grant.App, values url.Values) error {
	if values.Get("token") == "" {
		return invalid("token is missing")
	}
	if err := p.Grants.Revoke(r.Context(), a, values.Get("token"), p.Pages.From(r)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}
