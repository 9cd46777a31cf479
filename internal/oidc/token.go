package oidc

import (
	"net/http"
	"net/url"
	"strings"

	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/page"
)

// token gives tokens for a code, for a refresh token, or to the app itself (RFC 6749 4.1.3, 6, 4.4).
func (p *Provider) token(w http.ResponseWriter, r *http.Request, a grant.App, values url.Values) error {
	switch values.Get("grant_type") {
	case "authorization_code":
		return p.forCode(w, r, a, values)
	case "refresh_token":
		return p.forRefresh(w, r, a, values)
	case "client_credentials":
		return p.forItself(w, r, a)
	}
	return refuse(http.StatusBadRequest, "unsupported_grant_type", "grant_type is none of authorization_code, refresh_token and client_credentials")
}

func (p *Provider) forCode(w http.ResponseWriter, r *http.Request, a grant.App, values url.Values) error {
	redirect := values.Get("redirect_uri")
	if redirect == "" && len(a.Redirects) == 1 {
		redirect = a.Redirects[0]
	}
	g, t, err := p.Grants.Exchange(r.Context(), grant.Redemption{From: p.Pages.From(r), App: a, Code: values.Get("code"), Redirect: redirect, Verifier: values.Get("code_verifier")})
	if err != nil {
		return err
	}
	return p.giveTokens(w, r, a, given{g, t, g.Nonce()})
}

// forRefresh gives tokens of the same scope, whatever is asked for: the answer says which.
func (p *Provider) forRefresh(w http.ResponseWriter, r *http.Request, a grant.App, values url.Values) error {
	g, t, err := p.Grants.Refresh(r.Context(), a, values.Get("refresh_token"), p.Pages.From(r))
	if err != nil {
		return err
	}
	return p.giveTokens(w, r, a, given{g, t, ""})
}

func (p *Provider) forItself(w http.ResponseWriter, r *http.Request, a grant.App) error {
	if a.Public() {
		return refuse(http.StatusBadRequest, "unauthorized_client", "an app that keeps no secret is nobody by itself")
	}
	g, t, err := p.Grants.Own(r.Context(), a, nil)
	if err != nil {
		return err
	}
	return p.giveTokens(w, r, a, given{g, t, ""})
}

// given is what an app is given.
type given struct {
	grant.Grant
	grant.Tokens
	nonce string
}

func (p *Provider) giveTokens(w http.ResponseWriter, r *http.Request, a grant.App, g given) error {
	life := min(grant.AccessLife, g.Ends.Sub(p.Grants.Now()))
	body := map[string]any{"access_token": g.Access, "token_type": "Bearer", "expires_in": int(life.Seconds()), "scope": strings.Join(g.Scope, " ")}
	if g.Refresh != "" {
		body["refresh_token"] = g.Refresh
	}
	if g.Has("openid") && g.Account != "" {
		token, err := p.idToken(r, a, g)
		if err != nil {
			return err
		}
		body["id_token"] = token
	}
	return page.JSON(w, http.StatusOK, body)
}
