package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"twostep.example/twostep"
)

// appTable is one [[app]] table of the configuration file. It has no flags, since there may be
// several. The tag flag names the flag of app add and app set that does the same.
type appTable struct {
	ID           string   `toml:"id" flag:"ID" allowed:"1 to 64 lower-case letters, digits, dots, dashes and underscores" example:"grafana" help:"Client ID; required"`
	Name         string   `toml:"name" flag:"--name" fallback:"the ID" example:"Grafana" help:"Name that people see"`
	Redirects    []string `toml:"redirects" flag:"--redirect" example:"https://grafana.example.com/login/generic_oauth" help:"Redirect URLs; the app must send one of them exactly"`
	Schemes      []string `toml:"schemes" flag:"--allow-scheme" example:"vscode" help:"Schemes without a dot that redirect URLs may have; another app on the device can take them over"`
	InsecureHTTP bool     `toml:"insecure_http" flag:"--insecure-http" help:"Allow redirect URLs with http in a private network; others in this network can then read the codes"`
	SignedOut    []string `toml:"signed_out" flag:"--signed-out" example:"https://grafana.example.com/login" help:"URLs to which the app may send people after signing out"`
	BackChannel  string   `toml:"back_channel" flag:"--back-channel" example:"https://grafana.example.com/logout" help:"URL for back-channel logout"`
	Secrets      []string `toml:"secrets" example:"ba7a6da1…" help:"Hashes of client secrets, as app secret prints them; two while you replace one"`
	Keys         string   `toml:"keys" flag:"--keys" example:"/etc/twostep/grafana.json" help:"JWK set with the public keys of the app, as a file or as JSON, instead of a secret (private_key_jwt)"`
	Public       bool     `toml:"public" flag:"--public" help:"The app cannot keep a secret, because it runs on a phone or in a browser"`
	Foreign      bool     `toml:"foreign" flag:"--foreign" help:"Ask people for consent, because the app belongs to someone else"`
	Introspects  bool     `toml:"introspects" flag:"--introspects" help:"Let the app, an API, introspect the tokens of other apps"`
	ResponseType []string `toml:"response_types" flag:"--response-type" example:"code id_token" help:"Response types besides code: code id_token or id_token, which send ID tokens through the browser"`
	PKCE         string   `toml:"pkce" flag:"--pkce" default:"auto" values:"auto,required,off" help:"Require PKCE, PKCE or a nonce (auto), or neither (off); public apps always need PKCE"`
	Algorithm    string   `toml:"algorithm" flag:"--algorithm" default:"RS256" values:"RS256,ES256,EdDSA" help:"Signature of ID tokens"`
	Pairwise     bool     `toml:"pairwise" flag:"--pairwise" help:"Use pairwise subject identifiers"`
	Hosts        []string `toml:"hosts" flag:"--host" example:"wiki.example.com" help:"Hosts behind a reverse proxy that asks this server"`
	PublicPaths  []string `toml:"public_paths" flag:"--public-path" example:"/hooks/*" help:"Paths of the hosts that everyone reaches without signing in, with an optional method and host in front"`
	Preflight    bool     `toml:"public_preflight" flag:"--public-preflight" help:"Let CORS preflights of other websites reach the hosts without a sign-in"`
	Encoding     string   `toml:"header_encoding" flag:"--header-encoding" default:"utf-8" values:"utf-8,percent,rfc2047" help:"Encoding of names beyond ASCII in the headers for the hosts"`
	ACR          string   `toml:"acr" flag:"--acr" example:"urn:twostep:acr:2" help:"Lowest authentication level (acr) of every sign-in to the app"`
	MaxAge       string   `toml:"max_age" flag:"--max-age" example:"8h" help:"Ask people to sign in again after this time"`
	IDTokenTTL   string   `toml:"id_token_ttl" flag:"--id-token-ttl" default:"10m" help:"Time for which an ID token is valid" allowed:"1m to 24h"`
	AccessTTL    string   `toml:"access_token_ttl" flag:"--access-token-ttl" default:"10m" help:"Time for which an access token is valid" allowed:"1m to 24h"`
	RefreshTTL   string   `toml:"refresh_token_ttl" flag:"--refresh-token-ttl" default:"720h" help:"Time after the sign-in for which the app can refresh its tokens" allowed:"1h to 8760h"`
	RefreshIdle  string   `toml:"refresh_token_idle" flag:"--refresh-token-idle" fallback:"the time of refresh_token_ttl" help:"Time after which an unused refresh token ends" allowed:"1h to 8760h"`
	DeviceGrant  bool     `toml:"device_grant" flag:"--device-grant" help:"Let people sign in devices without a browser with a code (RFC 8628)"`
	IDTokenClaim []string `toml:"id_token_claims" flag:"--id-token-claim" fallback:"all that the scope gives" example:"email" help:"Claims about a person that ID tokens have, by the names that the app has for them"`
	MapClaims    []string `toml:"map_claims" flag:"--map-claim" example:"groups=roles" help:"Other names for claims"`
	MapGroups    []string `toml:"map_groups" flag:"--map-group" example:"wiki editors=Editors" help:"Other names for groups"`
	Claims       []string `toml:"claims" flag:"--claim" example:"tenant=acme" help:"Claims that are the same for everybody"`
	Groups       []string `toml:"groups" flag:"--group" example:"staff" help:"Let only people in one of these groups use the app"`
}

// parse validates the table. Its error is a *twostep.AppError.
func (t *appTable) parse() (twostep.App, error) {
	a := twostep.App{
		ID: t.ID, Name: t.Name, RedirectURIs: t.Redirects, PostLogoutRedirectURIs: t.SignedOut,
		BackChannelLogoutURI: t.BackChannel, AllowedSchemes: t.Schemes, InsecureHTTP: t.InsecureHTTP,
		SecretHashes: t.Secrets, ResponseTypes: t.ResponseType, IDTokenClaims: t.IDTokenClaim,
		ThirdParty: t.Foreign, CanIntrospect: t.Introspects, PKCE: t.PKCE,
		IDTokenAlg: t.Algorithm, Pairwise: t.Pairwise,
		Hosts: t.Hosts, PublicPaths: t.PublicPaths, PublicPreflight: t.Preflight, HeaderEncoding: t.Encoding,
		RequiredACR: t.ACR, RequiredGroups: t.Groups, DeviceGrant: t.DeviceGrant,
	}
	wrong := func(key, what string) error { return &twostep.AppError{ClientID: t.ID, Field: key, Message: what} }
	keys, err := readJWKSet(t.Keys)
	if err != nil {
		return a, wrong("keys", err.Error())
	}
	typed := twostep.AppChange{Fields: map[string][]string{
		"keys": {keys}, "max_age": {t.MaxAge}, "id_token_ttl": {t.IDTokenTTL}, "access_token_ttl": {t.AccessTTL},
		"refresh_token_ttl": {t.RefreshTTL}, "refresh_token_idle": {t.RefreshIdle},
		"map_claims": t.MapClaims, "map_groups": t.MapGroups, "claims": t.Claims,
	}}
	if err := typed.SetFields(&a); err != nil {
		return a, err
	}
	switch {
	case t.Public && !a.IsPublic():
		return a, wrong("public", "public = true is for an app without secrets and keys: remove public, or "+
			"the secrets and keys")
	// A forgotten key must not make a client public.
	case !t.Public && a.IsPublic() && (len(a.RedirectURIs) > 0 || a.DeviceGrant):
		return a, wrong("redirects", "it has neither secrets nor keys: add the hash that twostep app secret "+
			"prints, or public = true if the app runs on a phone or in a browser")
	}
	return a, a.Validate()
}

// readJWKSet reads a JWK set (RFC 7517 5) as JSON: the JSON itself, or the name of a file with it.
func readJWKSet(text string) (string, error) {
	if text = strings.TrimSpace(text); text == "" || strings.HasPrefix(text, "{") {
		return text, nil
	}
	content, err := os.ReadFile(text)
	if unnamed := new(fs.PathError); errors.As(err, &unnamed) {
		err = unnamed.Err // the file name may be a pasted private key
	}
	if err != nil {
		return "", fmt.Errorf("keys is neither JSON nor a readable file, want a JWK set: %w", err)
	}
	return string(content), nil
}

// readApps parses all app tables of a file. Each error has its line.
func readApps(name string, text []byte, tables []appTable) (apps []twostep.App, err error) {
	_, lines := keyLines(text)
	var wrong []error
	for i, t := range tables {
		a, err := t.parse()
		for _, other := range apps {
			err = cmp.Or(err, a.CheckConflict(other))
		}
		if err != nil {
			wrong = append(wrong, withLine(name, lines, i, err))
		}
		apps = append(apps, a)
	}
	return apps, errors.Join(wrong...)
}

// withLine prefixes the error of app number i with a line: that of the key, or else that of its
// table. Apps in an inline array have no lines.
func withLine(name string, lines []map[string]int, i int, err error) error {
	var flaw *twostep.AppError
	if !errors.As(err, &flaw) || i >= len(lines) {
		return fmt.Errorf("%s: %w", name, err)
	}
	return fmt.Errorf("%s:%d: %w", name, cmp.Or(lines[i][flaw.Field], lines[i][""]), err)
}
