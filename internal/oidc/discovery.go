package oidc

import (
	"context"
	"net/http"
	"slices"

	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/session"
)

// supportedScopes are the known scope values. Others are ignored (OpenID Connect Core 3.1.2.1).
var supportedScopes = []string{"openid", "profile", "email", "groups", "offline_access"}

// supportedPrompts are the known values of prompt (OpenID Connect Core 3.1.2.1).
var supportedPrompts = []string{"none", "login", "consent", "select_account"}

// responseModes are the values of response_mode (OAuth 2.0 Multiple Response Types 2.1, Form Post Response Mode).
var responseModes = []string{"query", "fragment", "form_post"}

// clientAuthMethods are the client authentication methods (OpenID Connect Core 9).
var clientAuthMethods = []string{"client_secret_basic", "client_secret_post", "private_key_jwt", "none"}

// discovery returns the provider's metadata (OpenID Connect Discovery 3, RFC 8414 2).
func (p *Provider) discovery(w http.ResponseWriter, r *http.Request) error {
	return p.metadata.serve(w, r, p.Grants, func() (any, error) { return p.metadataFields(r.Context()), nil })
}

func (p *Provider) metadataFields(ctx context.Context) map[string]any {
	clients := p.Grants.Clients.LastKnown(ctx)
	return map[string]any{
		"issuer":                                           p.Grants.Issuer,
		"authorization_endpoint":                           p.absoluteURL(authorizePath),
		"token_endpoint":                                   p.absoluteURL(tokenPath),
		"userinfo_endpoint":                                p.absoluteURL(userinfoPath),
		"jwks_uri":                                         p.absoluteURL(jwksPath),
		"introspection_endpoint":                           p.absoluteURL(introspectPath),
		"revocation_endpoint":                              p.absoluteURL(revokePath),
		"pushed_authorization_request_endpoint":            p.absoluteURL(parPath),
		"device_authorization_endpoint":                    p.absoluteURL(deviceAuthorizationPath),
		"end_session_endpoint":                             p.absoluteURL(logoutPath),
		"scopes_supported":                                 supportedScopes,
		"response_types_supported":                         responseTypes(clients),
		"response_modes_supported":                         responseModes,
		"grant_types_supported":                            grantTypes(clients),
		"subject_types_supported":                          []string{"public", "pairwise"},
		"id_token_signing_alg_values_supported":            p.Grants.SigningAlgorithms(ctx),
		"token_endpoint_auth_methods_supported":            clientAuthMethods,
		"token_endpoint_auth_signing_alg_values_supported": []string{"ES256", "RS256", "PS256", "EdDSA"},
		"code_challenge_methods_supported":                 []string{"S256"},
		"acr_values_supported":                             p.reachableACRs(),
		"claims_supported": []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid",
			"at_hash", "c_hash", "name", "given_name", "family_name", "updated_at", "preferred_username", "email",
			"email_verified", "groups"},
		"prompt_values_supported":                        supportedPrompts,
		"ui_locales_supported":                           p.Pages.Languages(),
		"claims_parameter_supported":                     false,
		"request_parameter_supported":                    false,
		"request_uri_parameter_supported":                false,
		"require_pushed_authorization_requests":          false,
		"authorization_response_iss_parameter_supported": true,
		"client_id_metadata_document_supported":          p.Grants.Documents != nil,
		"backchannel_logout_supported":                   true,
		"backchannel_logout_session_supported":           true,
	}
}

// responseTypes returns the response types that an app may use.
func responseTypes(clients []client.Client) []string {
	types := []string{client.ResponseTypeCode}
	for _, one := range []string{client.ResponseTypeCodeIDToken, client.ResponseTypeIDToken} {
		if slices.ContainsFunc(clients, func(cl client.Client) bool { return cl.AllowsResponseType(one) }) {
			types = append(types, one)
		}
	}
	return types
}

// grantTypes returns the grant types that an app may use. An ID token in an authorization response is "implicit"
// (OpenID Connect Dynamic Client Registration 2).
func grantTypes(clients []client.Client) []string {
	types := []string{"authorization_code", "refresh_token", "client_credentials"}
	if len(responseTypes(clients)) > 1 {
		types = append(types, "implicit")
	}
	if slices.ContainsFunc(clients, func(cl client.Client) bool { return cl.DeviceGrant }) {
		types = append(types, grant.DeviceGrantType)
	}
	return types
}

// reachableACRs returns the acr values that people can reach with the methods of this server.
func (p *Provider) reachableACRs() (reachable []string) {
	highest := session.LevelPassword
	for _, m := range p.Methods {
		highest = max(highest, challenge.LevelBy(m))
	}
	for _, acr := range session.ACRs() {
		if session.ParseACR(acr) <= highest {
			reachable = append(reachable, acr)
		}
	}
	return reachable
}

// jwks returns the public signing keys. A new key is published a day before it signs.
func (p *Provider) jwks(w http.ResponseWriter, r *http.Request) error {
	return p.keySet.serve(w, r, p.Grants, func() (any, error) { return p.Grants.PublicJWKS(r.Context()) })
}
