package client

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Change is what an operator changes of a registration, as it is typed. The zero Change changes nothing.
type Change struct {
	// Fields are the new values of fields, by JSON name: one text for each value of a list, "true" for what is turned on.
	// Empty texts are left out, so a list of them empties the field.
	Fields map[string][]string
	// Public says whether the client has no credentials; nil leaves it as it is.
	Public *bool
	// ByFlag lets the texts of mistakes call fields by the flags of twostep app, and not by their JSON names.
	ByFlag bool
}

// field is a field of a registration as it is typed.
type field struct {
	name string
	flag string // of twostep app
	set  func(c *Client, values []string, name string) error
	get  func(c *Client) []string
}

// fields returns the fields that a Change can have.
func fields() []field {
	return []field{
		textField("name", "--name", func(c *Client) *string { return &c.Name }),
		listField("redirects", "--redirect", func(c *Client) *[]string { return &c.RedirectURIs }),
		listField("signed_out", "--signed-out", func(c *Client) *[]string { return &c.PostLogoutRedirectURIs }),
		listField("schemes", "--allow-scheme", func(c *Client) *[]string { return &c.AllowedSchemes }),
		boolField("insecure_http", "--insecure-http", func(c *Client) *bool { return &c.InsecureHTTP }),
		textField("back_channel", "--back-channel", func(c *Client) *string { return &c.BackChannelLogoutURI }),
		keysField(),
		boolField("foreign", "--foreign", func(c *Client) *bool { return &c.ThirdParty }),
		listField("response_types", "--response-type", func(c *Client) *[]string { return &c.ResponseTypes }),
		textField("pkce", "--pkce", func(c *Client) *string { return &c.PKCE }),
		textField("algorithm", "--algorithm", func(c *Client) *string { return &c.IDTokenAlg }),
		boolField("pairwise", "--pairwise", func(c *Client) *bool { return &c.Pairwise }),
		listField("hosts", "--host", func(c *Client) *[]string { return &c.Hosts }),
		listField("public_paths", "--public-path", func(c *Client) *[]string { return &c.PublicPaths }),
		boolField("public_preflight", "--public-preflight", func(c *Client) *bool { return &c.PublicPreflight }),
		textField("header_encoding", "--header-encoding", func(c *Client) *string { return &c.HeaderEncoding }),
		textField("acr", "--acr", func(c *Client) *string { return &c.RequiredACR }),
		listField("groups", "--group", func(c *Client) *[]string { return &c.RequiredGroups }),
		pairsField("map_claims", "--map-claim", func(c *Client) *map[string]string { return &c.ClaimNames }),
		pairsField("map_groups", "--map-group", func(c *Client) *map[string]string { return &c.GroupNames }),
		pairsField("claims", "--claim", func(c *Client) *map[string]string { return &c.StaticClaims }),
		listField("id_token_claims", "--id-token-claim", func(c *Client) *[]string { return &c.IDTokenClaims }),
		timeField("max_age", "--max-age", func(c *Client) *int64 { return &c.MaxAge }),
		timeField("id_token_ttl", "--id-token-ttl", func(c *Client) *int64 { return &c.IDTokenTTL }),
		timeField("access_token_ttl", "--access-token-ttl", func(c *Client) *int64 { return &c.AccessTokenTTL }),
		timeField("refresh_token_ttl", "--refresh-token-ttl", func(c *Client) *int64 { return &c.RefreshTokenTTL }),
		timeField("refresh_token_idle", "--refresh-token-idle", func(c *Client) *int64 { return &c.RefreshTokenIdle }),
		boolField("introspects", "--introspects", func(c *Client) *bool { return &c.CanIntrospect }),
		boolField("device_grant", "--device-grant", func(c *Client) *bool { return &c.DeviceGrant }),
	}
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

func textField(name, flag string, of func(*Client) *string) field {
	return field{name, flag, func(c *Client, values []string, _ string) error {
		*of(c) = first(values)
		return nil
	}, func(c *Client) []string { return filled([]string{*of(c)}) }}
}

func listField(name, flag string, of func(*Client) *[]string) field {
	return field{name, flag, func(c *Client, values []string, _ string) error {
		*of(c) = values
		return nil
	}, func(c *Client) []string { return *of(c) }}
}

func boolField(name, flag string, of func(*Client) *bool) field {
	return field{name, flag, func(c *Client, values []string, _ string) error {
		*of(c) = first(values) == "true"
		return nil
	}, func(c *Client) []string {
		if *of(c) {
			return []string{"true"}
		}
		return nil
	}}
}

// keysField is a JWK set as JSON. Client.Validate checks it.
func keysField() field {
	return field{"keys", "--keys", func(c *Client, values []string, _ string) error {
		c.JWKSet = nil
		if text := strings.TrimSpace(first(values)); text != "" {
			c.JWKSet = json.RawMessage(text)
		}
		return nil
	}, func(c *Client) []string { return filled([]string{string(c.JWKSet)}) }}
}

// timeField is a time like 8h; "" and 0 are the default.
func timeField(name, flag string, of func(*Client) *int64) field {
	return field{name, flag, func(c *Client, values []string, called string) error {
		text := first(values)
		*of(c) = 0
		if text == "" || text == "0" {
			return nil
		}
		if _, err := strconv.Atoi(text); err == nil {
			return c.wrong(name, wrong("time.unit", "Key", called, "What", text))
		}
		d, err := time.ParseDuration(text)
		if err != nil || d < time.Second || d%time.Second != 0 {
			return c.wrong(name, wrong("time", "Key", called, "What", quote(text)))
		}
		*of(c) = int64(d / time.Second)
		return nil
	}, func(c *Client) []string {
		if *of(c) == 0 {
			return nil
		}
		return []string{formatSeconds(*of(c))}
	}}
}

// pairsField is a list of texts like groups=roles. The text after the first = may only have another one if it is the
// value of a claim.
func pairsField(name, flag string, of func(*Client) *map[string]string) field {
	return field{name, flag, func(c *Client, values []string, called string) error {
		var pairs map[string]string
		for _, text := range values {
			from, to, is := strings.Cut(text, "=")
			from, to = strings.TrimSpace(from), strings.TrimSpace(to)
			switch _, twice := pairs[from]; {
			case !is || from == "" || to == "":
				return c.wrong(name, wrong("pair", "Key", called, "What", quote(text)))
			case strings.Contains(to, "=") && name == "map_groups":
				return c.wrong(name, wrong("pair.equals", "Key", called, "What", quote(text)))
			case twice:
				return c.wrong(name, wrong("pair.twice", "Key", called, "What", quote(from)))
			}
			if pairs == nil {
				pairs = map[string]string{}
			}
			pairs[from] = to
		}
		*of(c) = pairs
		return nil
	}, func(c *Client) (list []string) {
		pairs := *of(c)
		for _, from := range slices.Sorted(maps.Keys(pairs)) {
			list = append(list, from+"="+pairs[from])
		}
		return list
	}}
}

// formatSeconds formats a time as it is typed: 8h, not 8h0m0s.
func formatSeconds(n int64) string {
	text := (time.Duration(n) * time.Second).String()
	if short, ok := strings.CutSuffix(text, "m0s"); ok {
		text = short + "m"
	}
	if short, ok := strings.CutSuffix(text, "h0m"); ok {
		text = short + "h"
	}
	return text
}

func filled(values []string) []string {
	return slices.DeleteFunc(slices.Clone(values), func(one string) bool { return one == "" })
}

// Typed returns the values of a field as they are typed, by its JSON name: nil if it has none.
func (c Client) Typed(name string) []string {
	for _, f := range fields() {
		if f.name == name {
			return f.get(&c)
		}
	}
	return nil
}

// SetFields sets the fields of the change. It returns a *ValidationError about a text that cannot be read. It validates
// nothing else.
func (ch Change) SetFields(c *Client) error {
	for _, f := range fields() {
		values, given := ch.Fields[f.name]
		if !given {
			continue
		}
		if err := f.set(c, filled(values), ch.called(f.name)); err != nil {
			return err
		}
	}
	return nil
}

// called returns what the texts of mistakes call a field.
func (ch Change) called(name string) string {
	if ch.ByFlag {
		return Flag(name)
	}
	return name
}

// Flag returns the flag of twostep app that sets a field, by its JSON name; "" if there is none.
func Flag(name string) string {
	if name == "public" {
		return "--public"
	}
	for _, f := range fields() {
		if f.name == name {
			return f.flag
		}
	}
	return ""
}

// isNamedPublic reports whether the client uses OpenID Connect without credentials. One with hosts alone has none either,
// and needs none.
func (c Client) isNamedPublic() bool {
	return c.IsPublic() && (len(c.RedirectURIs) > 0 || c.DeviceGrant)
}

// AuthMethod returns how the client authenticates, in one word: secret, keys, public or hosts.
func (c Client) AuthMethod() string {
	switch {
	case len(c.JWKSet) > 0:
		return "keys"
	case len(c.SecretHashes) > 0:
		return "secret"
	case c.isNamedPublic():
		return "public"
	}
	return "hosts"
}

// Apply makes the change. It returns the secret of the client if the client needs one and has none, and a
// *ValidationError about a text that cannot be read. It validates nothing else.
func (ch Change) Apply(c *Client) (secret string, err error) {
	public := c.isNamedPublic() // before the change
	if err := ch.SetFields(c); err != nil {
		return "", err
	}
	keys := len(filled(ch.Fields["keys"])) > 0
	switch {
	case ch.Public != nil && *ch.Public && keys:
		return "", c.wrong("public", wrong("both", "Public", ch.called("public"), "Keys", ch.called("keys")))
	case ch.Public != nil && *ch.Public:
		c.SecretHashes, c.JWKSet = nil, nil
	case keys:
		c.SecretHashes = nil // old secrets stop working
	case !c.IsPublic(), ch.Public == nil && public:
	case ch.Public == nil && len(c.RedirectURIs) == 0 && !c.DeviceGrant && len(c.Hosts) > 0:
	default:
		var hash string
		secret, hash = NewSecret()
		c.SecretHashes = []string{hash}
	}
	return secret, nil
}
