package oidc

import (
	"net/http"

	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/page"
	"twostep.example/twostep/internal/session"
)

// scopes are those that mean something here; others are left out of what is granted.
var scopes = []string{"openid", "profile", "email", "groups", "offline_access"}

// prompts are what an app may want a person to be asked (OpenID Connect Core 3.1.2.1).
var prompts = []string{"none", "login", "consent", "select_account"}

// proofs are the ways in which an app may prove itself.
var proofs = []string{"client_secret_basic", "client_secret_post", "private_key_jwt", "none"}

// discovery tells apps where everything is (OpenID Connect Discovery 3, RFC 8414).
func (p *Provider) discovery(w http.ResponseWriter, _ *http.Request) error {
	page.Share(w)
	w.Header().Set("Cache-Control", "public, max-age=300")
	w.Header().Del("Vary")
	return page.JSON(w, http.StatusOK, map[string]any{
		"issuer":                                           p.Grants.Issuer,
		"authorization_endpoint":                           p.at(authorizePath),
		"token_endpoint":                                   p.at(tokenPath),
		"userinfo_endpoint":                                p.at(userinfoPath),
		"jwks_uri":                                         p.at(keysPath),
		"introspection_endpoint":                           p.at(introspectPath),
		"revocation_endpoint":                              p.at(revokePath),
		"pushed_authorization_request_endpoint":            p.at(pushPath),
		"end_session_endpoint":                             p.at(logoutPath),
		"scopes_supported":                                 scopes,
		"response_types_supported":                         []string{"code"},
		"response_modes_supported":                         []string{"query", "form_post"},
		"grant_types_supported":                            []string{"authorization_code", "refresh_token", "client_credentials"},
		"subject_types_supported":                          []string{"public", "pairwise"},
		"id_token_signing_alg_values_supported":            grant.Algorithms(),
		"token_endpoint_auth_methods_supported":            proofs,
		"token_endpoint_auth_signing_alg_values_supported": []string{"ES256", "RS256", "PS256", "EdDSA"},
		"code_challenge_methods_supported":                 []string{"S256"},
		"acr_values_supported":                             session.ACRs(),
		"claims_supported":                                 []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "name", "email", "email_verified", "groups"},
		"prompt_values_supported":                          prompts,
		"ui_locales_supported":                             p.Pages.Languages(),
		"claims_parameter_supported":                       false,
		"request_parameter_supported":                      false,
		"request_uri_parameter_supported":                  false,
		"require_pushed_authorization_requests":            false,
		"authorization_response_iss_parameter_supported":   true,
		"backchannel_logout_supported":                     true,
		"backchannel_logout_session_supported":             true,
	})
}

// keys are the public keys of our tokens. A new one stands here a day before it signs.
func (p *Provider) keys(w http.ResponseWriter, r *http.Request) error {
	set, err := p.Grants.Published(r.Context())
	if err != nil {
		return err
	}
	page.Share(w)
	w.Header().Set("Cache-Control", "public, max-age=300")
	w.Header().Del("Vary")
	return page.JSON(w, http.StatusOK, set)
}
