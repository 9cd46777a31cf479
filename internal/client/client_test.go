package client_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"math/big"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/store"
)

// registeredURIs are the redirect URIs of the client in TestAllowsRedirectURIOnlyExactMatches.
var registeredURIs = []string{
	"https://app.example.com/cb",
	"https://app.example.com/deep/cb?tenant=a",
	"https://bare.example.com",
	"https://[2001:db8::1]/cb",
	"http://127.0.0.1:8000/cb",
	"http://localhost:8000/cb",
	"http://[::1]:1/cb",
	"http://127.0.0.2/cb",
	"com.example.app:/cb",
}

// Codes are sent to registered URIs only, never to similar ones.
func TestAllowsRedirectURIOnlyExactMatches(t *testing.T) {
	a := client.Client{ID: "app", RedirectURIs: registeredURIs}
	if err := a.Validate(); err != nil {
		t.Fatal(err)
	}
	passes := slices.Concat(registeredURIs, []string{
		// A native app listens on any free port (RFC 8252 7.3).
		"http://127.0.0.1:9/cb", "http://127.0.0.1:65535/cb", "http://localhost:51004/cb", "http://[::1]:51004/cb", "http://[::1]:8000/cb",
		"http://127.0.0.1/cb", "http://127.0.0.2:9000/cb", // with a port or without, on either side
	})
	for _, address := range passes {
		if !a.AllowsRedirectURI(address) {
			t.Errorf("%q is registered", address)
		}
	}
	refused := slices.Concat(unregisteredURIs, confusableURIs, loopbackVariants)
	for _, address := range refused {
		if a.AllowsRedirectURI(address) {
			t.Errorf("%q is not registered", address)
		}
		if a.AllowsPostLogoutRedirectURI(address) {
			t.Errorf("%q is not registered for after signing out", address)
		}
		if client.ExplainRedirectMismatch(a.RedirectURIs, address) == "" {
			t.Errorf("no explanation why %q is not allowed", address)
		}
	}
	if len(refused) < 60 {
		t.Errorf("%d variants, want at least 60", len(refused))
	}
}

// unregisteredURIs differ from the registered ones in the host, the path or the scheme.
var unregisteredURIs = []string{
	"",
	"https://app.example.com",
	"https://app.example.com/",
	"https://app.example.com/cb/", // a trailing slash
	"https://app.example.com/c",   // a prefix
	"https://app.example.com/cbx", // a suffix
	"https://app.example.com/cb/more",
	"https://app.example.com/CB", // capitals
	"https://APP.example.com/cb",
	"HTTPS://app.example.com/cb",
	"https://app.example.com//cb",
	"https://app.example.com/cb?",
	"https://app.example.com/cb?x=1",
	"https://app.example.com/cb#",
	"https://app.example.com/cb#x",
	"https://app.example.com/cb;x",
	"https://app.example.com/deep/cb",
	"https://app.example.com/deep/cb?tenant=b",
	"https://app.example.com/deep/cb?tenant=a&x=1",
	"https://bare.example.com/",
	"http://app.example.com/cb", // http instead of https
	"https://app.example.com:443/cb",
	"https://app.example.com:8443/cb",
	"https://app.example.com:/cb",
	"https://app.example.com./cb",
	"https://example.com/cb", // a parent domain and a subdomain
	"https://x.app.example.com/cb",
	"https://appaexample.com/cb", // matches if a dot is taken for any character
	"https://app.example.com.evil.example/cb",
	"https://evil.example/app.example.com/cb",
	"https://evil.example/?https://app.example.com/cb",
	"https://*.example.com/cb",
	"https://app.example.com/*",
	"https://[2001:db8::2]/cb",
	"https://[2001:db8:0:0:0:0:0:1]/cb", // the same address in another form
	"https://[2001:DB8::1]/cb",
	"https://[2001:db8::1]:443/cb",
	"com.example.app:/cb/",
	"com.example.app:cb",
	"com.example.app://cb",
	"com.example.app2:/cb",
	"com.example:/cb",
	"javascript:alert(1)",
	"javascript://app.example.com/cb",
	"data:text/html,x",
	"intent://app.example.com/cb#Intent;scheme=https;end",
	"vbscript:x",
	"file:///cb",
	"//app.example.com/cb",
	"/cb",
	"app.example.com/cb",
}

// confusableURIs are read as the registered URI by some parsers and as another one by others.
var confusableURIs = []string{
	"https://app.example.com@evil.example/cb",
	"https://app.example.com:x@evil.example/cb",
	"https://x@app.example.com/cb",
	"https://evil.example\\@app.example.com/cb",
	"https://app.example.com\\@evil.example/cb",
	"https:\\\\app.example.com\\cb",
	"https:/\\app.example.com/cb",
	"https://app.example.com\\cb",
	"https://evil.example/\\app.example.com/cb",
	"https://app.example.com%40evil.example/cb",
	"https://app.example.com%2fcb",
	"https://app.example.com/%63b", // encoded, once and twice
	"https://app.example.com/%2563b",
	"https://app.example.com%2Fevil.example/cb",
	"https://app.example.com%252fevil.example/cb",
	"https://evil.example%2f@app.example.com/cb",
	"https://app.example.com/x/../cb",
	"https://app.example.com/cb/../x",
	"https://app.example.com/./cb",
	"https://app.example.com/%2e%2e/cb",
	"https://app.example.com/cb%2f..%2fx",
	"https://app.example.com/cb%00",
	"https://app.example.com/cb%0d%0aLocation:x",
	" https://app.example.com/cb",
	"https://app.example.com/cb ",
	"https://app.example.com/cb\t",
	"https://app.exa\tmple.com/cb",
	"ht\ntps://app.example.com/cb",
	"https://app.example.com/cb\r\n",
	"https://app.example.com/cb\x00",
	"\ufeffhttps://app.example.com/cb",
	"https://аpp.example.com/cb", // a Cyrillic а
	"https://app。example.com/cb", // an ideographic full stop
	"https://app.example.com／cb", // a full-width slash
	"https:app.example.com/cb",
	"https:///app.example.com/cb",
	"https:/app.example.com/cb",
	"https://https://app.example.com/cb",
	"https://app.example.com/cb https://evil.example/",
	"https://app.example.com/cb,https://evil.example/",
}

// loopbackVariants resemble the loopback URIs whose port may vary.
var loopbackVariants = []string{
	"http://127.0.0.1:/cb",
	"http://127.0.0.1:0/cb",
	"http://127.0.0.1:65536/cb",
	"http://127.0.0.1:x/cb",
	"http://127.0.0.1:9000:8000/cb",
	"http://127.0.0.1:9000/",
	"http://127.0.0.1:9000/cb/",
	"http://127.0.0.1:9000/cb?x=1",
	"http://127.0.0.1:9000/cb#x",
	"http://127.0.0.1:9000/CB",
	"http://127.0.0.1:9000/x/../cb",
	"https://127.0.0.1:9000/cb",
	"http://127.0.0.3:9000/cb", // another loopback address, and other forms of it
	"http://127.1:9000/cb",
	"http://0177.0.0.1:9000/cb",
	"http://2130706433:9000/cb",
	"http://0.0.0.0:9000/cb",
	"http://[::ffff:127.0.0.1]:9000/cb",
	"http://[0:0:0:0:0:0:0:1]:9000/cb",
	"http://[::2]:9000/cb",
	"http://[::1%25lo]:9000/cb",
	"http://[:]:1/cb",
	"http://LOCALHOST:9000/cb",
	"HTTP://localhost:9000/cb",
	"http://localhost.:9000/cb",
	"http://localhost.evil.example:9000/cb",
	"http://127.0.0.1.evil.example:9000/cb",
	"http://127.0.0.1:8000.evil.example/cb",
	"http://127.0.0.1:9000@evil.example/cb",
	"http://127.0.0.1:9000@evil.example:8000/cb",
	"http://evil.example:9000@127.0.0.1:9000/cb",
	"http://evil.example#@127.0.0.1:9000/cb",
	"http://evil.example/127.0.0.1:9000/cb",
	"http://evil.example\\127.0.0.1:9000/cb",
	"http://127.0.0.1%3a9000/cb",
}

// URIs that could be confused with others cannot be registered.
func TestValidateRejectsAmbiguousRedirectURIs(t *testing.T) {
	for address, want := range map[string]string{
		"https://app.example.com/cb":                     "",
		"https://app.example.com":                        "",
		"https://my_app:3000/cb":                         "",
		"https://192.0.2.7:8443/cb?tenant=a":             "",
		"https://xn--bcher-kva.example/cb":               "",
		"http://localhost:3000/cb":                       "",
		"http://127.0.0.1/cb":                            "",
		"com.example.app:/cb":                            "",
		"com.example.app://cb":                           "",
		"com.example.app:///cb":                          "",
		"":                                               "with https:// at the start",
		"app.example.com/cb":                             "with https:// at the start",
		"//app.example.com/cb":                           "with https:// at the start",
		"localhost:3000/cb":                              "with https:// at the start",
		"app.example.com:3000/cb":                        "with https:// at the start",
		"http://app.example.com/cb":                      "use https",
		"http://localhost.evil.example/cb":               "use https",
		"http://0.0.0.0:8000/cb":                         "use https",
		"https://*.example.com/cb":                       "wildcard",
		"https://app.example.com/*":                      "wildcard",
		"https://app.example.com/cb#":                    "fragment",
		"https://app.example.com/#/cb":                   "fragment",
		"https://good.example@evil.example/cb":           "has a user",
		"https://@evil.example/cb":                       "has a user",
		"https://evil.example\\@good.example/cb":         "backslash",
		"https://app.example.com/cb ":                    "has a space",
		"https://app.exa\tmple.com/cb":                   "has a space",
		"https://bücher.example/cb":                      "xn--",
		"https://app.example.com%40evil.example/cb":      "is not a URL",
		"https://app.example.com:x/cb":                   "is not a URL",
		"https://app.example.com:0/cb":                   "port",
		"https://app.example.com:65536/cb":               "port",
		"https://app.example.com:/cb":                    "port",
		"https:///cb":                                    "has no host",
		"https://:443/cb":                                "has no host",
		"https:app.example.com/cb":                       "has no host",
		"https://a;script-src%20x/cb":                    "is not a URL",
		"https://a;b.example/cb":                         "neither a name nor an IP address",
		"https://a'b.example/cb":                         "neither a name nor an IP address",
		"https://a..example/cb":                          "neither a name nor an IP address",
		"https://app.example.com/x/../cb":                "..",
		"https://app.example.com/%2e%2e/cb":              "..",
		"HTTPS://app.example.com/cb":                     "capital letters",
		"javascript:alert(1)":                            "has the scheme javascript",
		"JavaScript:alert(1)":                            "capital letters",
		"javascript://app.example.com/%0aalert(1)":       "has the scheme javascript",
		"data:text/html,x":                               "has the scheme data",
		"intent://app.example.com/cb":                    "has the scheme intent",
		"vbscript:x":                                     "has the scheme vbscript",
		"file:///etc/passwd":                             "has the scheme file",
		"blob:https://app.example.com/1":                 "has the scheme blob",
		"urn:ietf:wg:oauth:2.0:oob":                      "has the scheme urn",
		"myapp://cb":                                     "reversed",
		"com.example.app:cb":                             "no slash",
		"com.example.app:":                               "no slash",
		"com.example.app://a;b/cb":                       "has an invalid host",
		"https://app.example.com/cb, https://b.example/": "has a space",
	} {
		err := client.Client{ID: "app", RedirectURIs: []string{address}}.Validate()
		if errorText(err) != want && !(want != "" && strings.Contains(errorText(err), want)) {
			t.Errorf("%q: got %q, want %q", address, errorText(err), want)
		}
		if err := (client.Client{ID: "app", RedirectURIs: registeredURIs, PostLogoutRedirectURIs: []string{address}}).Validate(); (err == nil) != (want == "") {
			t.Errorf("after signing out, %q: got %q", address, errorText(err))
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func newJWKSet(t *testing.T, key any) json.RawMessage {
	t.Helper()
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key, KeyID: "1"}}})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// The error names the field and the reason, and never contains the secret.
func TestValidateNamesFieldAndReason(t *testing.T) {
	const redirect = "https://app.example.com/cb"
	secret, hash := client.NewSecret()
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	short := &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 1023), E: 65537}
	for name, row := range map[string]struct {
		change func(*client.Client)
		key    string
		want   string
	}{
		"fine":             {func(*client.Client) {}, "", ""},
		"no id":            {func(a *client.Client) { a.ID = "" }, "id", "lower-case letters"},
		"capital id":       {func(a *client.Client) { a.ID = "Grafana" }, "id", "lower-case letters"},
		"id of dots":       {func(a *client.Client) { a.ID = ".." }, "id", "start with"},
		"name":             {func(a *client.Client) { a.Name = strings.Repeat("ß", 64) }, "", ""},
		"long name":        {func(a *client.Client) { a.Name = strings.Repeat("x", 65) }, "name", "at most 64"},
		"name turned":      {func(a *client.Client) { a.Name = "knaB \u202e" }, "name", "printable"},
		"name on lines":    {func(a *client.Client) { a.Name = "a\nb" }, "name", "printable"},
		"nothing":          {func(a *client.Client) { a.RedirectURIs, a.SecretHashes = nil, nil }, "redirects", "needs a redirect URL"},
		"algorithm":        {func(a *client.Client) { a.IDTokenAlg = "none" }, "algorithm", "want RS256, ES256 or EdDSA"},
		"HMAC":             {func(a *client.Client) { a.IDTokenAlg = "HS256" }, "algorithm", "want RS256, ES256 or EdDSA"},
		"public, no PKCE":  {func(a *client.Client) { a.PKCE, a.SecretHashes = client.PKCEOff, nil }, "pkce", "only PKCE protects"},
		"unknown PKCE":     {func(a *client.Client) { a.PKCE = "maybe" }, "pkce", "want auto, required or off"},
		"acr":              {func(a *client.Client) { a.RequiredACR = "2" }, "acr", "urn:twostep:acr:2"},
		"max_age":          {func(a *client.Client) { a.MaxAge = -1 }, "max_age", "max_age is negative"},
		"response types":   {func(a *client.Client) { a.ResponseTypes = []string{"id_token code", "id_token", "code"} }, "", ""},
		"access token":     {func(a *client.Client) { a.ResponseTypes = []string{"id_token token"} }, "response_types", "never sent through the browser"},
		"ID token by http": {func(a *client.Client) { a.ResponseTypes, a.InsecureHTTP = []string{"id_token"}, true }, "response_types", "needs https"},
		"lifetimes":        {func(a *client.Client) { a.IDTokenTTL, a.RefreshTokenTTL = 86400, 31536000 }, "", ""},
		"long ID token":    {func(a *client.Client) { a.IDTokenTTL = 86401 }, "id_token_ttl", "want 1m to 24h"},
		"short token":      {func(a *client.Client) { a.AccessTokenTTL = 59 }, "access_token_ttl", "want 1m to 24h"},
		"negative time":    {func(a *client.Client) { a.AccessTokenTTL = -600 }, "access_token_ttl", "want 1m to 24h"},
		"endless refresh":  {func(a *client.Client) { a.RefreshTokenTTL = 1 << 62 }, "refresh_token_ttl", "want 1h to 8760h"},
		"long idle time":   {func(a *client.Client) { a.RefreshTokenIdle = 721 * 3600 }, "refresh_token_idle", "longer than refresh_token_ttl"},
		"useless refresh":  {func(a *client.Client) { a.AccessTokenTTL, a.RefreshTokenIdle = 86400, 3600 }, "refresh_token_idle", "never be used"},
		"claims": {func(a *client.Client) {
			a.ClaimNames = map[string]string{"groups": "roles", "preferred_username": "username", "given_name": "first_name"}
			a.StaticClaims = map[string]string{"tenant": "acme", "https://example.com/claims": "a=b c"}
			a.IDTokenClaims = []string{"sub", "roles", "tenant", "email"}
		}, "", ""},
		"reserved claim":   {func(a *client.Client) { a.ClaimNames = map[string]string{"groups": "aud"} }, "map_claims", `"aud" is reserved`},
		"static sub":       {func(a *client.Client) { a.StaticClaims = map[string]string{"sub": "root"} }, "claims", `"sub" is reserved`},
		"taken claim":      {func(a *client.Client) { a.ClaimNames = map[string]string{"groups": "email"} }, "map_claims", `"email" is taken`},
		"static email":     {func(a *client.Client) { a.StaticClaims = map[string]string{"email_verified": "true"} }, "claims", "is taken"},
		"chosen claim":     {func(a *client.Client) { a.ClaimNames = map[string]string{"name": "roles"} }, "map_claims", "people choose their name"},
		"chosen user name": {func(a *client.Client) { a.ClaimNames = map[string]string{"given_name": "username"} }, "map_claims", "people choose their given_name"},
		"no such claim":    {func(a *client.Client) { a.ClaimNames = map[string]string{"sub": "id"} }, "map_claims", "no claim about a person"},
		"one name":         {func(a *client.Client) { a.ClaimNames = map[string]string{"groups": "x", "email": "x"} }, "map_claims", "two claims have the name"},
		"one name, static": {func(a *client.Client) {
			a.ClaimNames, a.StaticClaims = map[string]string{"groups": "x"}, map[string]string{"x": "y"}
		}, "map_claims", "two claims have the name"},
		"claim with space": {func(a *client.Client) { a.StaticClaims = map[string]string{"a b": "c"} }, "claims", "letters, digits"},
		"long claim":       {func(a *client.Client) { a.StaticClaims = map[string]string{"a": strings.Repeat("x", 257)} }, "claims", "1 to 256"},
		"unknown claim":    {func(a *client.Client) { a.IDTokenClaims = []string{"picture"} }, "id_token_claims", `gets no claim "picture"`},
		"renamed claim": {func(a *client.Client) {
			a.ClaimNames, a.IDTokenClaims = map[string]string{"groups": "roles"}, []string{"groups"}
		}, "id_token_claims", `gets no claim "groups"`},
		"group with comma": {func(a *client.Client) { a.GroupNames = map[string]string{"a": "b,c"} }, "map_groups", "has a comma"},
		"secret":           {func(a *client.Client) { a.SecretHashes = []string{hash, secret} }, "secrets", "stop using it"},
		"capital hash":     {func(a *client.Client) { a.SecretHashes = []string{strings.ToUpper(hash)} }, "secrets", "64 lower-case"},
		"empty hash":       {func(a *client.Client) { a.SecretHashes = []string{""} }, "secrets", "is not a hash"},
		"http":             {func(a *client.Client) { a.RedirectURIs = []string{"http://app.example.com/cb"} }, "redirects", "use https"},
		"own scheme":       {func(a *client.Client) { a.RedirectURIs = []string{"vscode://login"} }, "redirects", "--allow-scheme vscode"},
		"browser's scheme": {func(a *client.Client) { a.AllowedSchemes = []string{"javascript"} }, "schemes", "cannot be allowed"},
		"no scheme":        {func(a *client.Client) { a.AllowedSchemes = []string{"vscode:"} }, "schemes", "cannot be allowed"},
		"public http":      {func(a *client.Client) { a.InsecureHTTP, a.RedirectURIs = true, []string{"http://app.example.com/cb"} }, "redirects", "use https"},
		"private http":     {func(a *client.Client) { a.RedirectURIs = []string{"http://192.168.1.10/cb"} }, "redirects", "--insecure-http"},
		"signed out":       {func(a *client.Client) { a.PostLogoutRedirectURIs = []string{"/"} }, "signed_out", "after signing out \"/\" has no scheme"},
		"back channel":     {func(a *client.Client) { a.BackChannelLogoutURI = "http://app:3000/out" }, "back_channel", "use https"},
		"back to phone":    {func(a *client.Client) { a.BackChannelLogoutURI = "com.example.app:/out" }, "back_channel", "cannot call"},
		"keys":             {func(a *client.Client) { a.JWKSet = newJWKSet(t, curve.Public()) }, "", ""},
		"private key":      {func(a *client.Client) { a.JWKSet = newJWKSet(t, curve) }, "keys", "complete public keys only"},
		"shared key":       {func(a *client.Client) { a.JWKSet = newJWKSet(t, []byte("0123456789abcdef")) }, "keys", "complete public keys only"},
		"short key":        {func(a *client.Client) { a.JWKSet = newJWKSet(t, short) }, "keys", "2048 or more"},
		"no key":           {func(a *client.Client) { a.JWKSet = json.RawMessage(`{"keys":[]}`) }, "keys", "at least one key"},
		"a key, no set":    {func(a *client.Client) { a.JWKSet = json.RawMessage(`{"kty":"EC"}`) }, "keys", "no JWK set"},
		"null":             {func(a *client.Client) { a.JWKSet = json.RawMessage(`null`) }, "keys", "no JWK set"},
		"host":             {func(a *client.Client) { a.Hosts = []string{"wiki.example.com", "wiki:8443"} }, "", ""},
		"host as address":  {func(a *client.Client) { a.Hosts = []string{"https://wiki.example.com"} }, "hosts", "want only the host"},
		"host with path":   {func(a *client.Client) { a.Hosts = []string{"wiki.example.com/"} }, "hosts", "has a path"},
		"host by pattern":  {func(a *client.Client) { a.Hosts = []string{"*.example.com"} }, "hosts", "wildcard"},
		"host in capitals": {func(a *client.Client) { a.Hosts = []string{"Wiki.example.com"} }, "hosts", "capital letters"},
		"host and port":    {func(a *client.Client) { a.Hosts = []string{"wiki.example.com:99999"} }, "hosts", "is not a host name"},
		"host and https":   {func(a *client.Client) { a.Hosts = []string{"wiki.example.com:443"} }, "hosts", "leave out"},
		"host with user":   {func(a *client.Client) { a.Hosts = []string{"x@wiki.example.com"} }, "hosts", "is not a host name"},
		"group":            {func(a *client.Client) { a.RequiredGroups = []string{"staff,admins"} }, "groups", "staff,admins"},
	} {
		a := client.Client{ID: "app", RedirectURIs: []string{redirect}, SecretHashes: []string{hash}}
		row.change(&a)
		err := a.Validate()
		var flaw *client.ValidationError
		errors.As(err, &flaw)
		switch {
		case row.want == "" && err != nil, row.want != "" && !strings.Contains(errorText(err), row.want):
			t.Errorf("%s: got %q, want %q", name, errorText(err), row.want)
		case flaw != nil && (flaw.Field != row.key || flaw.ClientID != a.ID):
			t.Errorf("%s: got %s of %s, want %s", name, flaw.Field, flaw.ClientID, row.key)
		case strings.Contains(errorText(err), secret):
			t.Errorf("%s: the error contains the secret", name)
		}
	}
}

// The operator's log names the common mistakes.
func TestExplainRedirectMismatch(t *testing.T) {
	a := client.Client{ID: "app", RedirectURIs: []string{"https://app.example.com/cb"}}
	for address, want := range map[string]string{
		"https://app.example.com/cb/": "a slash at the end makes it different from https://app.example.com/cb",
		"http://app.example.com/cb":   "it is http, but the registered one is https://app.example.com/cb",
		"https://app.example.com/CB":  "it differs in capital letters from https://app.example.com/cb",
		"https://evil.example/cb":     "registered are: https://app.example.com/cb",
	} {
		if got := client.ExplainRedirectMismatch(a.RedirectURIs, address); got != want {
			t.Errorf("%s: got %q, want %q", address, got, want)
		}
	}
	if got := client.ExplainRedirectMismatch(nil, "https://app.example.com/cb"); got != "none is registered yet" {
		t.Errorf("without any: got %q", got)
	}
}

// Clients of the settings cannot be changed through the database. Each id and each host belongs to one client.
func TestClientIDsAndHostsAreUniqueAndStaticClientsFixed(t *testing.T) {
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	host := func(id, host string) client.Client { return client.Client{ID: id, Hosts: []string{host}} }
	by := account.By{}
	g := client.Clients{Store: db, Now: time.Now, Accounts: &account.Accounts{Store: db, Now: time.Now, NotifyOutbox: func() {}}, Static: []client.Client{host("wiki", "wiki.example.com")}}
	var flaw *client.ValidationError
	for _, row := range []struct {
		what string
		err  error
		good bool
	}{
		{"an app of the settings is added", g.Create(t.Context(), by, host("wiki", "other.example.com")), false},
		{"a host is added twice", g.Create(t.Context(), by, host("thief", "wiki.example.com")), false},
		{"a new app", g.Create(t.Context(), by, host("news", "news.example.com")), true},
		{"it is added again", g.Create(t.Context(), by, host("news", "news.example.com")), false},
		{"it is changed", g.Update(t.Context(), by, host("news", "paper.example.com"), ""), true},
		{"it takes a host", g.Update(t.Context(), by, host("news", "wiki.example.com"), ""), false},
		{"one that is not there is changed", g.Update(t.Context(), by, host("none", "none.example.com"), ""), false},
		{"one of the settings is changed", g.Update(t.Context(), by, host("wiki", "wiki.example.com"), ""), false},
		{"one of the settings is removed", g.Delete(t.Context(), by, "wiki"), false},
		{"it is removed", g.Delete(t.Context(), by, "news"), true},
		{"it is removed again", g.Delete(t.Context(), by, "news"), false},
	} {
		known := errors.Is(row.err, client.ErrExists) || errors.Is(row.err, client.ErrReadOnly) || errors.Is(row.err, client.ErrNotFound) || errors.As(row.err, &flaw)
		if (row.err == nil) != row.good || row.err != nil && !known {
			t.Errorf("%s: got %v", row.what, row.err)
		}
	}
}

// Redirect URIs of apps that have no better ones are allowed by an explicit word.
func TestAllowedRedirectURIs(t *testing.T) {
	a := client.Client{
		ID: "app", AllowedSchemes: []string{"audiobookshelf", "vscode", "home-assistant", "nc"}, InsecureHTTP: true,
		RedirectURIs: []string{
			"audiobookshelf://oauth", "vscode://vscode.github-authentication/did-authenticate", "home-assistant://auth-callback",
			"nc://login/flow", "http://192.168.1.10/cb", "http://[fd00::1]:8123/cb", "http://nas/cb", "http://nas.local:8080/cb",
			"http://nas.home.arpa/cb",
		},
	}
	if err := a.Validate(); err != nil {
		t.Error(err)
	}
	for _, address := range []string{
		"vscode:login", "vscode://user@host/", "vscode:/\\evil", "javascript://x/%0aalert(1)", "other://x",
		"http://8.8.8.8/cb", "http://nas.example.com/cb", "http://nas.local.example.com/cb", "http://192.168.1.10/a/../b",
	} {
		a.RedirectURIs = []string{address}
		if err := a.Validate(); err == nil {
			t.Errorf("%s is allowed", address)
		}
	}
}

// A group that has the name of a mapped one by itself is dropped, whatever its letter case.
func TestMapGroups(t *testing.T) {
	c := client.Client{GroupNames: map[string]string{
		"wiki editors": "Editors", "wiki authors": "Editors", "staff": "members", "members": "board", "x": "x",
	}}
	for _, row := range []struct{ groups, mapped, dropped string }{
		{"", "", ""},
		{"wiki editors", "Editors", ""},
		{"wiki editors,wiki authors,other", "Editors,other", ""},
		{"Editors,editors,EDITORS,other", "other", "Editors,editors,EDITORS"},
		{"wiki editors,Editors", "Editors", "Editors"},
		{"staff", "members", ""},
		{"members", "board", ""}, // mapped itself, so it is not dropped
		{"Board,board", "", "Board,board"},
		{"x,X", "x", "X"},
	} {
		mapped, dropped := c.MapGroups(account.SplitGroups(row.groups))
		if got, want := strings.Join(mapped, ","), row.mapped; got != want || mapped == nil || strings.Join(dropped, ",") != row.dropped {
			t.Errorf("%s: got %q without %q, want %q", row.groups, mapped, dropped, row.mapped)
		}
	}
}
