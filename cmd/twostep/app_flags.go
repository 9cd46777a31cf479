package main

import (
	"errors"
	"slices"

	"twostep.example/twostep"
)

// appFlags are the flags of app add and app set. A flag that is not given is nil, so that set
// leaves the setting as it is; an empty value clears it.
type appFlags struct {
	Name        *string  `placeholder:"NAME" help:"What people see. Default: the id."`
	Redirect    []string `sep:"none" placeholder:"URL" help:"Where people come back to: the exact address, letter for letter. Can be given again for more of them."`
	SignedOut   []string `sep:"none" name:"signed-out" placeholder:"URL" help:"Where people may go after signing out. Can be given again."`
	BackChannel *string  `name:"back-channel" placeholder:"URL" help:"Where the app is told that a session was ended."`
	Host        []string `sep:"none" placeholder:"HOST" help:"A host behind a reverse proxy that asks this server. Can be given again."`
	Public      *bool    `help:"It can keep no secret: an app on a phone or in a browser. With set, --public=false gives it one."`
	Foreign     *bool    `help:"It is somebody else's: people are asked before it learns anything."`
	Introspects *bool    `help:"It is an API, which may ask what the tokens of other apps are worth."`
	NoPKCE      *bool    `name:"no-pkce" help:"It is too old to send a code_challenge."`
	Algorithm   *string  `placeholder:"ALG" help:"How its ID tokens are signed: ES256 or RS256. Default: ES256."`
	Pairwise    *bool    `help:"It knows people by another subject than all other apps do."`
	ACR         *string  `name:"acr" placeholder:"ACR" help:"How much everybody must have proven, like urn:twostep:acr:2."`
	MaxAge      *string  `name:"max-age" placeholder:"TIME" help:"How long ago at most, like 8h."`
	Group       []string `sep:"none" placeholder:"GROUP" help:"Only people in this group. Can be given again: one of them is enough."`
	Keys        *string  `placeholder:"FILE" help:"A JWK set with its public keys, instead of a secret (private_key_jwt)."`
}

// apply sets the given flags on the app, and returns its secret if it generated one.
func (f *appFlags) apply(a *twostep.App) (secret string, err error) {
	public := a.IsPublic() && len(a.RedirectURIs) > 0 // before the change
	setIfGiven(&a.Name, f.Name)
	setIfGiven(&a.BackChannelLogoutURI, f.BackChannel)
	setIfGiven(&a.ThirdParty, f.Foreign)
	setIfGiven(&a.CanIntrospect, f.Introspects)
	setIfGiven(&a.PKCEOptional, f.NoPKCE)
	setIfGiven(&a.IDTokenAlg, f.Algorithm)
	setIfGiven(&a.Pairwise, f.Pairwise)
	setIfGiven(&a.RequiredACR, f.ACR)
	setListIfGiven(&a.RedirectURIs, f.Redirect)
	setListIfGiven(&a.PostLogoutRedirectURIs, f.SignedOut)
	setListIfGiven(&a.Hosts, f.Host)
	setListIfGiven(&a.RequiredGroups, f.Group)
	if f.MaxAge != nil {
		if a.MaxAge, err = parseSeconds("max-age", *f.MaxAge); err != nil {
			return "", err
		}
	}
	if f.Keys != nil {
		if a.JWKSet, err = readJWKSet(*f.Keys); err != nil {
			return "", err
		}
	}
	return f.applyClientAuth(a, public)
}

// applyClientAuth sets the app's client authentication method: a secret, keys, or none.
func (f *appFlags) applyClientAuth(a *twostep.App, public bool) (secret string, err error) {
	keys := f.Keys != nil && *f.Keys != ""
	switch {
	case f.Public != nil && *f.Public && keys:
		return "", errors.New("--public says that it keeps no secret, and --keys what it proves itself by: give " +
			"one of them")
	case f.Public != nil && *f.Public:
		a.SecretHashes, a.JWKSet = nil, nil
	case keys:
		a.SecretHashes = nil // old secrets stop working
	case !a.IsPublic(), f.Public == nil && public, f.Public == nil && len(a.RedirectURIs) == 0 && len(a.Hosts) > 0:
	default:
		var hash string
		secret, hash = twostep.NewAppSecret()
		a.SecretHashes = []string{hash}
	}
	return secret, nil
}

func setIfGiven[T any](to, given *T) {
	if given != nil {
		*to = *given
	}
}

func setListIfGiven(to *[]string, given []string) {
	if given != nil {
		*to = slices.DeleteFunc(slices.Clone(given), func(one string) bool { return one == "" })
	}
}
