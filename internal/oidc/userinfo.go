package oidc

import (
	"errors"
	"net/http"
	"strings"

	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/render"
)

// userinfo is the UserInfo endpoint (OpenID Connect Core 5.3). It accepts the access token in the Authorization
// header or in a form, not in the query.
func (p *Provider) userinfo(w http.ResponseWriter, r *http.Request) error {
	render.AllowCORS(w)
	token, err := bearerToken(r)
	if err != nil {
		return writeBearerError(w, http.StatusBadRequest, "invalid_request")
	}
	if token == "" {
		return writeBearerError(w, http.StatusUnauthorized, "")
	}
	g, err := p.Grants.FindGrantByAccessToken(r.Context(), token)
	if errors.Is(err, grant.ErrInvalid) {
		return writeBearerError(w, http.StatusUnauthorized, "invalid_token")
	}
	if err != nil {
		return err
	}
	if !g.HasScope("openid") {
		return writeBearerError(w, http.StatusForbidden, "insufficient_scope")
	}
	cl, err := p.Grants.Clients.Get(r.Context(), g.ClientID)
	if errors.Is(err, client.ErrNotFound) {
		return writeBearerError(w, http.StatusUnauthorized, "invalid_token")
	}
	if err != nil {
		return err
	}
	claims, err := p.userInfoClaims(r, cl, g)
	if err != nil {
		return err
	}
	return render.JSON(w, http.StatusOK, claims)
}

// bearerToken returns the access token of a request (RFC 6750 2.1, 2.2), or "" if there is none. It returns an
// error if there are two.
func bearerToken(r *http.Request) (string, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") {
		token = ""
	}
	if r.Method != http.MethodPost {
		return token, nil
	}
	values, err := parseParameters(r)
	if err != nil {
		return "", err
	}
	inForm := values.Get("access_token")
	if inForm != "" && token != "" {
		return "", invalidRequest("use one method to send the access token")
	}
	return token + inForm, nil
}

func writeBearerError(w http.ResponseWriter, status int, code string) error {
	challenge := `Bearer realm="twostep"`
	body := map[string]string{}
	if code != "" {
		challenge += `, error="` + code + `"`
		body["error"] = code
	}
	w.Header().Set("WWW-Authenticate", challenge)
	return render.JSON(w, status, body)
}
