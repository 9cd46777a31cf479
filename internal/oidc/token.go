package oidc

import (
	"net/http"
	"net/url"
	"strings"

	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/render"
)

// token is the token endpoint, for authorization codes, refresh tokens, client credentials and device codes (RFC 6749
// 4.1.3, 6, 4.4; RFC 8628 3.4).
func (p *Provider) token(w http.ResponseWriter, r *http.Request, cl client.Client, values url.Values) error {
	switch values.Get("grant_type") {
	case "authorization_code":
		return p.authorizationCodeGrant(w, r, cl, values)
	case "refresh_token":
		return p.refreshTokenGrant(w, r, cl, values)
	case "client_credentials":
		return p.clientCredentialsGrant(w, r, cl)
	case grant.DeviceGrantType:
		return p.deviceCodeGrant(w, r, cl, values)
	}
	return newOAuthError(http.StatusBadRequest, "unsupported_grant_type", "grant_type must be authorization_code, "+
		"refresh_token, client_credentials or "+grant.DeviceGrantType)
}

func (p *Provider) authorizationCodeGrant(
	w http.ResponseWriter, r *http.Request, cl client.Client, values url.Values,
) error {
	redirect := values.Get("redirect_uri")
	if redirect == grant.DeviceGrantType { // what a device was allowed is for its polls
		return grant.ErrInvalid
	}
	if redirect == "" && len(cl.RedirectURIs) == 1 {
		redirect = cl.RedirectURIs[0]
	}
	g, t, err := p.Grants.ExchangeCode(r.Context(), grant.CodeExchange{
		From:         p.Pages.Origin(r),
		Client:       cl,
		Code:         values.Get("code"),
		RedirectURI:  redirect,
		CodeVerifier: values.Get("code_verifier"),
	})
	if err != nil {
		return err
	}
	return p.writeTokenResponse(w, r, cl, issuedTokens{g, t, g.Nonce()})
}

// refreshTokenGrant issues tokens with the scope of the grant. A scope parameter is ignored; the response
// contains the scope.
func (p *Provider) refreshTokenGrant(
	w http.ResponseWriter, r *http.Request, cl client.Client, values url.Values,
) error {
	g, t, err := p.Grants.RefreshTokens(r.Context(), cl, values.Get("refresh_token"), p.Pages.Origin(r))
	if err != nil {
		return err
	}
	return p.writeTokenResponse(w, r, cl, issuedTokens{g, t, ""})
}

func (p *Provider) clientCredentialsGrant(w http.ResponseWriter, r *http.Request, cl client.Client) error {
	if cl.IsPublic() {
		return newOAuthError(http.StatusBadRequest, "unauthorized_client",
			"client_credentials needs an app with a secret or keys")
	}
	g, t, err := p.Grants.IssueClientCredentialsToken(r.Context(), cl, nil)
	if err != nil {
		return err
	}
	return p.writeTokenResponse(w, r, cl, issuedTokens{g, t, ""})
}

// issuedTokens is what a token response is made of.
type issuedTokens struct {
	grant.Grant
	grant.Tokens
	nonce string
}

func (p *Provider) writeTokenResponse(w http.ResponseWriter, r *http.Request, cl client.Client, g issuedTokens) error {
	ttl := min(cl.AccessTokenLifetime(), g.ExpiresAt.Sub(p.Grants.Now()))
	body := map[string]any{
		"access_token": g.AccessToken,
		"token_type":   "Bearer",
		"expires_in":   int(ttl.Seconds()),
		"scope":        strings.Join(g.Scope, " "),
	}
	if g.RefreshToken != "" {
		body["refresh_token"] = g.RefreshToken
	}
	if g.HasScope("openid") && g.AccountID != "" {
		token, err := p.signIDToken(r, cl, g.Grant, idTokenFor{nonce: g.nonce, accessToken: g.AccessToken})
		if err != nil {
			return err
		}
		body["id_token"] = token
	}
	return render.JSON(w, http.StatusOK, body)
}
