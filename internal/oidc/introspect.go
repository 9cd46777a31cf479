package oidc

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/render"
)

// introspect tells an app what a token of its own is worth now, and an API those of all apps (RFC 7662), with how
// much was proven, so that an API may ask for more (RFC 9470).
func (p *Provider) introspect(w http.ResponseWriter, r *http.Request, caller client.Client, values url.Values) error {
	if caller.IsPublic() { // which anybody may say to be
		return errInvalidClient
	}
	if values.Get("token") == "" {
		return invalidRequest("token is missing")
	}
	info, err := p.Grants.IntrospectToken(r.Context(), values.Get("token"))
	if errors.Is(err, grant.ErrInvalid) || err == nil && info.ClientID != caller.ID && (info.IsRefreshToken || !caller.CanIntrospect) {
		return render.JSON(w, http.StatusOK, map[string]bool{"active": false})
	}
	if err != nil {
		return err
	}
	a, err := p.Grants.Clients.Get(r.Context(), info.ClientID)
	if errors.Is(err, client.ErrNotFound) {
		return render.JSON(w, http.StatusOK, map[string]bool{"active": false})
	}
	if err != nil {
		return err
	}
	response := map[string]any{
		"active": true, "client_id": info.ClientID, "aud": info.ClientID, "iss": p.Grants.Issuer, "scope": strings.Join(info.Scope, " "),
		"iat": info.TokenIssuedAt.Unix(), "exp": info.TokenExpiresAt.Unix(), "sub": info.ClientID,
	}
	if !info.IsRefreshToken {
		response["token_type"] = "Bearer"
	}
	if info.AccountID != "" {
		if response["sub"], err = p.Grants.Subject(r.Context(), a, info.AccountID); err != nil {
			return err
		}
		response["auth_time"], response["acr"], response["amr"] = info.AuthTime.Unix(), info.ACR(), info.AMR
	}
	return render.JSON(w, http.StatusOK, response)
}
