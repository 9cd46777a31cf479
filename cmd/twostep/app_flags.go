package main

import (
	"strconv"

	"twostep.example/twostep"
)

// appFlags are the flags of app add and app set. A flag that is not given is nil, so that set
// leaves the setting as it is; an empty value clears it.
type appFlags struct {
	Name         *string  `placeholder:"NAME" help:"Show people this name (default: the ID)"`
	Redirect     []string `sep:"none" placeholder:"URL" help:"Allow this redirect URL, which the app must send exactly; can be repeated"`
	AllowScheme  []string `sep:"none" name:"allow-scheme" placeholder:"SCHEME" help:"Allow redirect URLs with this scheme without a dot, like vscode; another app on the device can take it over; can be repeated"`
	InsecureHTTP *bool    `name:"insecure-http" help:"Allow redirect URLs with http in a private network; others in this network can then read the codes"`
	SignedOut    []string `sep:"none" name:"signed-out" placeholder:"URL" help:"Allow the app to send people to this URL after signing out; can be repeated"`
	BackChannel  *string  `name:"back-channel" placeholder:"URL" help:"Notify the app at this URL when a session ends (back-channel logout)"`
	Host         []string `sep:"none" placeholder:"HOST" help:"Protect this host behind a reverse proxy that asks this server; can be repeated"`
	PublicPath   []string `sep:"none" name:"public-path" placeholder:"PATH" help:"Let everyone reach this path of the hosts without signing in, like /hooks/* or 'POST /hooks/*'; can be repeated"`
	Preflight    *bool    `name:"public-preflight" help:"Let CORS preflights of other websites reach the hosts without a sign-in"`
	Encoding     *string  `name:"header-encoding" placeholder:"HOW" help:"Send names beyond ASCII to the hosts as utf-8, percent or rfc2047 (default: utf-8)"`
	Public       *bool    `help:"Create no secret, for an app on a phone or in a browser; with set, --public=false creates one"`
	Foreign      *bool    `help:"Ask people for consent, for an app that belongs to someone else"`
	Introspects  *bool    `help:"Let the app, an API, introspect the tokens of other apps"`
	ResponseType []string `sep:"none" name:"response-type" placeholder:"TYPE" help:"Allow this response type besides code: \"code id_token\" or id_token, which send ID tokens through the browser; can be repeated"`
	PKCE         *string  `name:"pkce" placeholder:"MODE" help:"Require PKCE (required), PKCE or a nonce (auto), or neither (off); default: auto"`
	Algorithm    *string  `placeholder:"ALG" help:"Sign ID tokens with this algorithm, RS256, ES256 or EdDSA (default: RS256)"`
	DeviceGrant  *bool    `name:"device-grant" help:"Let people sign in devices without a browser with a code (RFC 8628)"`
	Pairwise     *bool    `help:"Use pairwise subject identifiers"`
	ACR          *string  `name:"acr" placeholder:"ACR" help:"Require at least this authentication level (acr), like urn:twostep:acr:2"`
	MaxAge       *string  `name:"max-age" placeholder:"TIME" help:"Ask people to sign in again after this time, like 8h"`
	IDTokenTTL   *string  `name:"id-token-ttl" placeholder:"TIME" help:"Time for which an ID token is valid, 1m to 24h (default: 10m)"`
	AccessTTL    *string  `name:"access-token-ttl" placeholder:"TIME" help:"Time for which an access token is valid, 1m to 24h (default: 10m)"`
	RefreshTTL   *string  `name:"refresh-token-ttl" placeholder:"TIME" help:"Time after the sign-in for which the app can refresh its tokens, 1h to 8760h (default: 720h)"`
	RefreshIdle  *string  `name:"refresh-token-idle" placeholder:"TIME" help:"Time after which an unused refresh token ends, 1h to 8760h (default: the time of --refresh-token-ttl)"`
	IDTokenClaim []string `sep:"none" name:"id-token-claim" placeholder:"NAME" help:"Put only this claim about a person into ID tokens, by the name that the app has for it; can be repeated (default: all that the scope gives)"`
	MapClaim     []string `sep:"none" name:"map-claim" placeholder:"CLAIM=NAME" help:"Send this claim under another name, like groups=roles; can be repeated"`
	MapGroup     []string `sep:"none" name:"map-group" placeholder:"GROUP=NAME" help:"Send this group under another name, like \"wiki editors=Editors\"; can be repeated"`
	Claim        []string `sep:"none" placeholder:"NAME=TEXT" help:"Send this claim about everybody, like tenant=acme; can be repeated"`
	Group        []string `sep:"none" placeholder:"GROUP" help:"Let only people in this group use the app; can be repeated, then one of the groups is enough"`
	Keys         *string  `placeholder:"FILE" help:"Read the public keys of the app from this JWK set, instead of a secret (private_key_jwt)"`
}

// change returns the change of an app by the given flags.
func (f *appFlags) change() (ch twostep.AppChange, err error) {
	ch = twostep.AppChange{Fields: map[string][]string{}, Public: f.Public, ByFlag: true}
	text := func(name string, given *string) {
		if given != nil {
			ch.Fields[name] = []string{*given}
		}
	}
	list := func(name string, given []string) {
		if given != nil {
			ch.Fields[name] = given
		}
	}
	yes := func(name string, given *bool) {
		if given != nil {
			ch.Fields[name] = []string{strconv.FormatBool(*given)}
		}
	}
	text("name", f.Name)
	list("redirects", f.Redirect)
	list("schemes", f.AllowScheme)
	yes("insecure_http", f.InsecureHTTP)
	list("signed_out", f.SignedOut)
	text("back_channel", f.BackChannel)
	list("hosts", f.Host)
	list("public_paths", f.PublicPath)
	yes("public_preflight", f.Preflight)
	text("header_encoding", f.Encoding)
	yes("foreign", f.Foreign)
	yes("introspects", f.Introspects)
	list("response_types", f.ResponseType)
	text("pkce", f.PKCE)
	text("algorithm", f.Algorithm)
	yes("device_grant", f.DeviceGrant)
	yes("pairwise", f.Pairwise)
	text("acr", f.ACR)
	list("groups", f.Group)
	list("id_token_claims", f.IDTokenClaim)
	text("max_age", f.MaxAge)
	text("id_token_ttl", f.IDTokenTTL)
	text("access_token_ttl", f.AccessTTL)
	text("refresh_token_ttl", f.RefreshTTL)
	text("refresh_token_idle", f.RefreshIdle)
	list("map_claims", f.MapClaim)
	list("map_groups", f.MapGroup)
	list("claims", f.Claim)
	if f.Keys != nil {
		var keys string
		if keys, err = readJWKSet(*f.Keys); err != nil {
			return ch, err
		}
		ch.Fields["keys"] = []string{keys}
	}
	return ch, nil
}

// apply sets the given flags on the app, and returns its secret if it generated one.
func (f *appFlags) apply(a *twostep.App) (secret string, err error) {
	ch, err := f.change()
	if err != nil {
		return "", err
	}
	return ch.Apply(a)
}
