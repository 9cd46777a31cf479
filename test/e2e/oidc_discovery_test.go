package e2e

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"twostep.example/twostep"
	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/email"
	"twostep.example/twostep/factor/totp"
	"twostep.example/twostep/test/e2e/live"
)

// The metadata advertises the levels that people can reach with the methods of the server. It is also at the address
// with a slash at its end, and below /oauth2 for clients that want an issuer with a path.
func TestMetadataAdvertisesWhatIsThere(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		methods []factor.Method
		want    []string
	}{
		{[]factor.Method{email.Method{}}, []string{"urn:twostep:acr:1", "urn:twostep:acr:email"}},
		{[]factor.Method{email.Method{}, totp.Method{}}, []string{"urn:twostep:acr:1", "urn:twostep:acr:email", "urn:twostep:acr:2"}},
	} {
		s := live.Start(t, "", func(o *twostep.Options) { o.Methods = c.methods })
		for _, path := range []string{
			"/.well-known/openid-configuration", "/.well-known/openid-configuration/", "/oauth2/.well-known/openid-configuration",
		} {
			a := s.Browser().Get(path)
			var metadata struct {
				Issuer string   `json:"issuer"`
				ACRs   []string `json:"acr_values_supported"`
				Claims []string `json:"claims_supported"`
				Modes  []string `json:"response_modes_supported"`
			}
			if err := json.Unmarshal([]byte(a.Body), &metadata); err != nil || metadata.Issuer != s.URL {
				t.Fatalf("%s: %d, %v\n%s", path, a.StatusCode, err, a.Body)
			}
			if !slices.Equal(metadata.ACRs, c.want) {
				t.Errorf("levels %q, want %q", metadata.ACRs, c.want)
			}
			if !slices.Contains(metadata.Claims, "preferred_username") || !slices.Contains(metadata.Modes, "fragment") {
				t.Errorf("claims %q, modes %q", metadata.Claims, metadata.Modes)
			}
		}
	}
}

// A client that names resources (RFC 8707), once or several times, and an app without any setting: its ID token is
// signed with RS256 and names the person.
func TestDefaultsOfClientsAreAccepted(t *testing.T) {
	t.Parallel()
	const back = "https://app.example/cb"
	secret, hash := twostep.NewAppSecret()
	s := live.Start(t, "", func(o *twostep.Options) {
		o.Apps = []twostep.App{{ID: "app", RedirectURIs: []string{back}, SecretHashes: []string{hash}}}
	})
	b := s.Browser()
	b.SignIn()
	a := b.Get("/oauth2/authorize?" + url.Values{
		"client_id": {"app"}, "redirect_uri": {back}, "response_type": {"code"}, "scope": {"openid profile email"},
		"nonce": {"n"}, "resource": {"https://api.example/", "https://other.example/"},
	}.Encode())
	to, err := url.Parse(a.Header.Get("Location"))
	if err != nil || to.Query().Get("code") == "" {
		t.Fatalf("the answer goes to %q\n%s", a.Header.Get("Location"), a.Body)
	}
	resp, err := s.Client().PostForm(s.URL+"/oauth2/token", url.Values{
		"grant_type": {"authorization_code"}, "code": {to.Query().Get("code")}, "redirect_uri": {back},
		"client_id": {"app"}, "client_secret": {secret},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var tokens struct {
		IDToken string `json:"id_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&tokens); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("tokens: %d, %v", resp.StatusCode, err)
	}
	header, payload := decodeJWT(t, tokens.IDToken)
	if header["alg"] != "RS256" || payload["preferred_username"] != live.AnnaEmail || payload["nonce"] != "n" {
		t.Errorf("header %v, claims %v", header, payload)
	}
}

// decodeJWT returns the header and the claims of a token without checking it.
func decodeJWT(t *testing.T, token string) (header, claims map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no JWT", token)
	}
	for i, into := range []*map[string]any{&header, &claims} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err == nil {
			err = json.Unmarshal(text, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}
