package oidc

import (
	"errors"
	"net/http"
	"strings"

	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/page"
)

// userinfo says who the person of an access token is (OpenID Connect Core 5.3). The token
// comes in the header or in a form, never in an address.
func (p *Provider) userinfo(w http.ResponseWriter, r *http.Request) error {
	page.Share(w)
	token, err := bearer(r)
	if err != nil {
		return unauthorized(w, http.StatusBadRequest, "invalid_request")
	}
	if token == "" {
		return unauthorized(w, http.StatusUnauthorized, "")
	}
	g, err := p.Grants.Access(r.Context(), token)
	if errors.Is(err, grant.ErrInvalid) {
		return unauthorized(w, http.StatusUnauthorized, "invalid_token")
	}
	if err != nil {
		return err
	}
	if !g.Has("openid") {
		return unauthorized(w, http.StatusForbidden, "insufficient_scope")
	}
	a, err := p.Grants.App(r.Context(), g.App)
	if errors.Is(err, grant.ErrNoApp) {
		return unauthorized(w, http.StatusUnauthorized, "invalid_token")
	}
	if err != nil {
		return err
	}
	claims, err := p.claims(r, a, g)
	if err != nil {
		return err
	}
	return page.JSON(w, http.StatusOK, claims)
}

// bearer is the token of a request (RFC 6750 2); two are an error.
func bearer(r *http.Request) (string, error) {
	kind, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(kind, "bearer") {
		token = ""
	}
	if r.Method != http.MethodPost {
		return token, nil
	}
	values, err := parameters(r)
	if err != nil {
		return "", err
	}
	sent := values.Get("access_token")
	if sent != "" && token != "" {
		return "", invalid("two tokens")
	}
	return token + sent, nil
}

func unauthorized(w http.ResponseWriter, status int, code string) error {
	said := `Bearer realm="twostep"`
	body := map[string]string{}
	if code != "" {
		said += `, error="` + code + `"`
		body["error"] = code
	}
	w.Header().Set("WWW-Authenticate", said)
	return page.JSON(w, status, body)
}
