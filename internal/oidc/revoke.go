package oidc

import "net/http"

// revoke ends a token that an app needs no more (RFC 7009). It answers the same whether there
// was one.
func (p *Provider) revoke(w http.ResponseWriter, r *http.Request) error {
	values, err := parameters(r)
	if err != nil {
		return err
	}
	a, err := p.client(r, values)
	if err != nil {
		return err
	}
	if values.Get("token") == "" {
		return invalid("token is missing")
	}
	if err := p.Revoke(r.Context(), a, values.Get("token")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}
