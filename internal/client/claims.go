package client

import (
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"twostep.example/twostep/internal/account"
)

// personClaims are the claims about a person (OpenID Connect Core 5.1, and groups). An app can have them under other
// names.
var personClaims = []string{
	"name", "given_name", "family_name", "updated_at", "preferred_username", "email", "email_verified", "groups",
}

// protocolClaims are names that tokens and their responses use themselves (RFC 7519 4.1, OpenID Connect Core 2,
// 3.3.2.11 and 5.6, Back-Channel Logout 2.4, RFC 7662 2.2, RFC 7800 3.1, RFC 8693 4). No claim can have them.
var protocolClaims = []string{
	"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "nonce", "acr", "amr", "auth_time", "azp", "at_hash", "c_hash",
	"s_hash", "sid", "events", "active", "client_id", "scope", "token_type", "cnf", "act", "may_act", "sub_jwk",
	"_claim_names", "_claim_sources",
}

// chosenClaims are the claims that people choose themselves. They can only have a name of chosenTargets: by any other
// name an app may decide who somebody is or what they may do, and then people could choose that too.
var (
	chosenClaims  = []string{"name", "given_name", "family_name"}
	chosenTargets = []string{
		"display_name", "displayName", "full_name", "fullName", "first_name", "firstName", "givenName", "last_name",
		"lastName", "familyName", "surname",
	}
)

// MapGroups returns the names that the client has for these groups. A group is dropped if only others are mapped to its
// name: it must not give the rights of those. Letter case does not matter for that, because it may not matter to the
// app.
func (c Client) MapGroups(groups []string) (mapped, dropped []string) {
	mapped = []string{}
	isTarget := func(group string) bool {
		for _, target := range c.GroupNames {
			if strings.EqualFold(target, group) {
				return true
			}
		}
		return false
	}
	for _, group := range groups {
		name, is := c.GroupNames[group]
		switch {
		case !is && isTarget(group):
			dropped = append(dropped, group)
		case !is:
			mapped = append(mapped, group)
		case !slices.Contains(mapped, name):
			mapped = append(mapped, name)
		}
	}
	return mapped, dropped
}

// MapClaims gives the claims about a person the names that the client has for them, and adds the client's own claims.
func (c Client) MapClaims(claims map[string]any) {
	for from, to := range c.ClaimNames {
		if value, is := claims[from]; is {
			delete(claims, from)
			claims[to] = value
		}
	}
	for name, value := range c.StaticClaims {
		claims[name] = value
	}
}

// SelectForIDToken removes the claims that the client does not have in its ID tokens. MapClaims comes before.
func (c Client) SelectForIDToken(claims map[string]any) {
	if len(c.IDTokenClaims) == 0 {
		return
	}
	maps.DeleteFunc(claims, func(name string, _ any) bool {
		return name != "sub" && !slices.Contains(c.IDTokenClaims, name)
	})
}

// claimNames returns the names of all claims that the client can get, apart from those of the protocol.
func (c Client) claimNames() []string {
	names := slices.Collect(maps.Keys(c.StaticClaims))
	for _, name := range personClaims {
		if to, is := c.ClaimNames[name]; is {
			name = to
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// validateClaims checks the names and values of the claims, so that no two claims have the same name.
func (c Client) validateClaims() error {
	for _, from := range slices.Sorted(maps.Keys(c.ClaimNames)) {
		if err := c.validateClaimName("map_claims", c.ClaimNames[from]); err != nil {
			return err
		}
		switch {
		case !slices.Contains(personClaims, from):
			return c.validationError("map_claims", "claim.person", "What", quote(from),
				"List", strings.Join(personClaims, ", "))
		case slices.Contains(chosenClaims, from) && !slices.Contains(chosenTargets, c.ClaimNames[from]):
			return c.validationError("map_claims", "claim.chosen", "From", from, "What", quote(c.ClaimNames[from]),
				"List", strings.Join(chosenTargets, ", "))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.StaticClaims)) {
		if err := c.validateClaimName("claims", name); err != nil {
			return err
		}
		if value := c.StaticClaims[name]; value == "" || !isPrintable(value, 256) {
			return c.validationError("claims", "claim.value", "What", quote(name))
		}
	}
	names := c.claimNames()
	for i, name := range names {
		if i > 0 && names[i-1] == name {
			return c.validationError("map_claims", "claim.twice", "What", quote(name))
		}
	}
	for _, name := range c.IDTokenClaims {
		if name != "sub" && !slices.Contains(names, name) {
			return c.validationError("id_token_claims", "claim.none", "What", quote(name),
				"List", strings.Join(names, ", "))
		}
	}
	return c.validateGroupNames()
}

// validateClaimName checks the name of a claim that is mapped or static.
func (c Client) validateClaimName(key, name string) error {
	wrong := func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"\`, r) }
	switch {
	case name == "" || len(name) > 128 || strings.ContainsFunc(name, wrong):
		return c.validationError(key, "claim.name", "What", quote(name))
	case slices.Contains(protocolClaims, name):
		return c.validationError(key, "claim.reserved", "What", quote(name))
	case slices.Contains(personClaims, name):
		return c.validationError(key, "claim.taken", "What", quote(name))
	}
	return nil
}

func (c Client) validateGroupNames() error {
	for _, from := range slices.Sorted(maps.Keys(c.GroupNames)) {
		for _, group := range []string{from, c.GroupNames[from]} {
			if err := account.ValidateGroup(group); err != nil {
				return c.validationError("map_groups", "group", "Why", err)
			}
		}
	}
	return nil
}

// isPrintable reports whether text has at most so many characters, all of them printable.
func isPrintable(text string, most int) bool {
	return utf8.RuneCountInString(text) <= most && utf8.ValidString(text) &&
		!strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}
