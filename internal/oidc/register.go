package oidc

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/render"
)

// clientMetadata is what an app may say about itself when it registers, and what it gets back (RFC 7591 2; OpenID
// Connect Dynamic Client Registration 2). Other fields are ignored.
type clientMetadata struct {
	Name                   string          `json:"client_name,omitempty"`
	RedirectURIs           []string        `json:"redirect_uris,omitempty"`
	PostLogoutRedirectURIs []string        `json:"post_logout_redirect_uris,omitempty"`
	AuthMethod             string          `json:"token_endpoint_auth_method"`
	JWKS                   json.RawMessage `json:"jwks,omitempty"`
	GrantTypes             []string        `json:"grant_types"`
	ResponseTypes          []string        `json:"response_types"`
	IDTokenAlg             string          `json:"id_token_signed_response_alg"`
	SubjectType            string          `json:"subject_type"`
	MaxAge                 int64           `json:"default_max_age,omitempty"`
}

// register is the client registration endpoint (RFC 7591 3). It needs a registration token, which an operator creates.
// There is no registration access token: an operator changes and removes apps.
func (p *Provider) register(w http.ResponseWriter, r *http.Request) error {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	err := client.ErrRegistrationToken
	if media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media != "application/json" {
		err = newOAuthError(http.StatusUnsupportedMediaType, "invalid_client_metadata",
			"the content type must be application/json")
	} else if strings.EqualFold(scheme, "bearer") {
		err = p.Grants.Clients.CheckRegistrationToken(r.Context(), token)
	}
	var m clientMetadata
	var cl client.Client
	var secret string
	if err == nil {
		m, err = parseClientMetadata(r)
	}
	if err == nil {
		cl, secret = m.client()
		err = p.Grants.Clients.Register(r.Context(), token, cl, p.Pages.Origin(r))
	}
	if err != nil {
		return p.refuseRegistration(w, r, err)
	}
	m.IDTokenAlg = cl.SigningAlg()
	response := struct {
		ID        string `json:"client_id"`
		IssuedAt  int64  `json:"client_id_issued_at"`
		Secret    string `json:"client_secret,omitempty"`
		ExpiresAt *int64 `json:"client_secret_expires_at,omitempty"`
		clientMetadata
	}{ID: cl.ID, IssuedAt: p.Grants.Now().Unix(), Secret: secret, clientMetadata: m}
	if secret != "" {
		response.ExpiresAt = new(int64) // 0: it does not expire
	}
	return render.JSON(w, http.StatusCreated, response)
}

// errRegistrationToken is sent for a registration without a valid token (RFC 6750 3.1).
var errRegistrationToken = reject(newOAuthError(http.StatusUnauthorized, "invalid_token",
	"a valid registration token is needed"), "", "create a token with `twostep app registration-token`")

// refuseRegistration is sendRejection for a registration (RFC 7591 3.2.2).
func (p *Provider) refuseRegistration(w http.ResponseWriter, r *http.Request, err error) error {
	if errors.Is(err, client.ErrRegistrationToken) {
		err = cmp.Or(p.recordFailedAuthentication(r, "", err), errRegistrationToken)
	}
	if invalid, ok := errors.AsType[*client.ValidationError](err); ok {
		code := "invalid_client_metadata"
		if invalid.Field == "redirects" {
			code = "invalid_redirect_uri"
		}
		err = newOAuthError(http.StatusBadRequest, code, invalid.Message)
	}
	return p.sendRejection(w, r, "", client.Client{}, nil, err)
}

// parseClientMetadata reads the body of a registration request and sets the defaults. It returns an *oauthError if this
// server does not support what the app asks for.
func parseClientMetadata(r *http.Request) (m clientMetadata, err error) {
	invalid := func(text string) (clientMetadata, error) {
		return m, newOAuthError(http.StatusBadRequest, "invalid_client_metadata", text)
	}
	body, err := io.ReadAll(r.Body) // the size is limited by render
	if err != nil {
		return invalid("the request is too large")
	}
	if json.Unmarshal(body, &m) != nil {
		return invalid("the body must be a JSON object of client metadata")
	}
	if m.AuthMethod == "" {
		m.AuthMethod = "client_secret_basic"
	}
	if len(m.GrantTypes) == 0 {
		m.GrantTypes = []string{"authorization_code"}
	}
	if len(m.ResponseTypes) == 0 && slices.Contains(m.GrantTypes, "authorization_code") {
		m.ResponseTypes = []string{"code"}
	}
	if m.SubjectType == "" {
		m.SubjectType = "public"
	}
	for _, grantType := range m.GrantTypes {
		if !slices.Contains([]string{"authorization_code", "refresh_token", "client_credentials"}, grantType) {
			return invalid("grant_types must be authorization_code, refresh_token or client_credentials; " +
				"an operator allows others")
		}
	}
	switch {
	case !slices.Contains(clientAuthMethods, m.AuthMethod):
		return invalid("token_endpoint_auth_method must be " + strings.Join(clientAuthMethods, ", "))
	case (m.AuthMethod == "private_key_jwt") != (len(m.JWKS) > 0):
		return invalid("private_key_jwt needs jwks, and no other token_endpoint_auth_method has it")
	case slices.ContainsFunc(m.ResponseTypes, func(one string) bool { return one != "code" }):
		return invalid("response_types must be code")
	case m.SubjectType != "public" && m.SubjectType != "pairwise":
		return invalid("subject_type must be public or pairwise")
	case slices.Contains(m.GrantTypes, "authorization_code") && len(m.RedirectURIs) == 0:
		return m, newOAuthError(http.StatusBadRequest, "invalid_redirect_uri", "redirect_uris is missing")
	}
	return m, nil
}

// client returns the client with a new ID, and its secret. It belongs to somebody else: people are asked for consent.
func (m clientMetadata) client() (cl client.Client, secret string) {
	cl = client.Client{
		ID: "app-" + strings.ToLower(rand.Text()), Name: m.Name, RedirectURIs: m.RedirectURIs,
		PostLogoutRedirectURIs: m.PostLogoutRedirectURIs, JWKSet: m.JWKS, IDTokenAlg: m.IDTokenAlg, ThirdParty: true,
		Pairwise: m.SubjectType == "pairwise", MaxAge: m.MaxAge,
	}
	if strings.HasPrefix(m.AuthMethod, "client_secret_") {
		var hash string
		secret, hash = client.NewSecret()
		cl.SecretHashes = []string{hash}
	}
	return cl, secret
}
