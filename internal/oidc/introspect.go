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

// introspect is the introspection endpoint (RFC 7662). A client may introspect its own tokens and, with
// CanIntrospect, the access tokens of all clients. The response contains acr, amr and auth_time, so that a
// resource server can require a step-up (RFC 9470 6.2).
func (p *Provider) introspect(w http.ResponseWriter, r *http.Request, caller client.Client, values url.Values) error {
	if caller.IsPublic() { // not authenticated
		return reject(errInvalidClient, "a public app may not introspect tokens",
			"run `twostep app set "+caller.ID+" --public=false`")
	}
	if values.Get("token") == "" {
		return invalidRequest("token is missing")
	}
	info, err := p.Grants.IntrospectToken(r.Context(), values.Get("token"))
	if errors.Is(err, grant.ErrInvalid) ||
		err == nil && info.ClientID != caller.ID && (info.IsRefreshToken || !caller.CanIntrospect) {
		return render.JSON(w, http.StatusOK, map[string]bool{"active": false})
	}
	if err != nil {
		return err
	}
	cl, err := p.Grants.Clients.Get(r.Context(), info.ClientID)
	if errors.Is(err, client.ErrNotFound) {
		return render.JSON(w, http.StatusOK, map[string]bool{"active": false})
	}
	if err != nil {
		return err
	}
	response := map[string]any{
		"active": true, "client_id": info.ClientID, "aud": info.ClientID, "iss": p.Grants.Issuer,
		"scope": strings.Join(info.Scope, " "),
		"iat":   info.TokenIssuedAt.Unix(), "exp": info.TokenExpiresAt.Unix(), "sub": info.ClientID,
	}
	if !info.IsRefreshToken {
		response["token_type"] = "Bearer"
	}
	if info.AccountID != "" {
		if response["sub"], err = p.Grants.Subject(r.Context(), cl, info.AccountID); err != nil {
			return err
		}
		response["auth_time"], response["acr"], response["amr"] = info.AuthTime.Unix(), info.ACR(), info.AMR
	}
	return render.JSON(w, http.StatusOK, response)
}
