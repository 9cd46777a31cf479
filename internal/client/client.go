// Package client manages the registered OpenID Connect clients and hosts behind reverse proxies, and validates
// their registrations.
//
// In settings and in text for people a client is called an app.
package client

import (
	"cmp"
	"crypto/rsa"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/session"
)

// Client is a registration: an OpenID Connect client, hosts behind a reverse proxy, or both.
type Client struct {
	ID                     string   `json:"id"` // the client_id
	Name                   string   `json:"name,omitempty"`
	RedirectURIs           []string `json:"redirects,omitempty"` // compared exactly
	PostLogoutRedirectURIs []string `json:"signed_out,omitempty"`
	// AllowedSchemes are private-use URI schemes without a dot that redirect URIs may have, like vscode. Another program
	// on the same device can claim such a scheme more easily than a reversed domain name (RFC 8252 7.1).
	AllowedSchemes []string `json:"schemes,omitempty"`
	// InsecureHTTP allows redirect URIs with http to hosts in a private network. Whoever can read the network can then
	// read authorization codes.
	InsecureHTTP bool `json:"insecure_http,omitempty"`
	// BackChannelLogoutURI receives a logout token when a session in which the client was used ends (OpenID
	// Connect Back-Channel Logout 2.2).
	BackChannelLogoutURI string `json:"back_channel,omitempty"`
	// SecretHashes are SHA-256 hashes of client secrets, in hexadecimal. JWKSet is a JWK set (RFC 7517) for
	// private_key_jwt. A client with neither is public (RFC 6749 2.1) and is protected by PKCE only.
	SecretHashes []string        `json:"secrets,omitempty"`
	JWKSet       json.RawMessage `json:"keys,omitempty"`
	// ThirdParty clients belong to someone else: people are asked for consent before the client learns
	// anything.
	ThirdParty bool `json:"foreign,omitempty"`
	// ResponseTypes are allowed besides code: id_token, or code id_token. Both send ID tokens through the browser.
	ResponseTypes []string `json:"response_types,omitempty"`
	// PKCE says which authorization requests need a code_challenge; "" is PKCEAuto.
	PKCE       string `json:"pkce,omitempty"`
	IDTokenAlg string `json:"algorithm,omitempty"` // RS256 (default), ES256 or EdDSA
	// Pairwise gives the client its own subject identifier for each person (OpenID Connect Core 8).
	Pairwise bool `json:"pairwise,omitempty"`
	// Hosts are host names behind a reverse proxy that asks /auth/check.
	Hosts []string `json:"hosts,omitempty"`
	// PublicPaths are paths of the hosts that need no sign-in, like "/hooks/*" or "GET wiki.example.com/status": a
	// path, or all paths below a slash, after an optional method and an optional host. Without a method all methods are
	// public. See Client.IsPublicPath.
	PublicPaths []string `json:"public_paths,omitempty"`
	// PublicPreflight lets the CORS preflights (OPTIONS) of other websites reach the hosts without a sign-in.
	PublicPreflight bool `json:"public_preflight,omitempty"`
	// HeaderEncoding is how the identity headers of the hosts encode values beyond ASCII; "" is HeaderUTF8.
	HeaderEncoding string `json:"header_encoding,omitempty"`
	// RequiredACR, MaxAge and RequiredGroups apply to every sign-in to the client: the lowest authentication
	// context class, the maximum age of the last full sign-in in seconds, and the groups of which a person
	// needs one.
	RequiredACR    string   `json:"acr,omitempty"`
	MaxAge         int64    `json:"max_age,omitempty"`
	RequiredGroups []string `json:"groups,omitempty"`
	// Lifetimes in seconds; 0 is the default. RefreshTokenIdle is how long a refresh token may stay unused; 0 means
	// until RefreshTokenTTL, which counts from the sign-in.
	IDTokenTTL       int64 `json:"id_token_ttl,omitempty"`
	AccessTokenTTL   int64 `json:"access_token_ttl,omitempty"`
	RefreshTokenTTL  int64 `json:"refresh_token_ttl,omitempty"`
	RefreshTokenIdle int64 `json:"refresh_token_idle,omitempty"`
	// IDTokenClaims are the claims that ID tokens have besides those of the protocol; empty means all that the scope
	// gives. ClaimNames and GroupNames map a name here to the client's. StaticClaims are the same for everybody.
	IDTokenClaims []string          `json:"id_token_claims,omitempty"`
	ClaimNames    map[string]string `json:"map_claims,omitempty"`
	GroupNames    map[string]string `json:"map_groups,omitempty"`
	StaticClaims  map[string]string `json:"claims,omitempty"`
	// CanIntrospect allows a resource server to introspect the access tokens of other clients.
	CanIntrospect bool `json:"introspects,omitempty"`
	// DeviceGrant allows the device authorization grant (RFC 8628): people sign in devices that have no browser.
	// Somebody can send a code to a person and so get their access, if the person allows it.
	DeviceGrant bool `json:"device_grant,omitempty"`
	// SelfRegistered says that the client registered itself, with a registration token (RFC 7591).
	SelfRegistered bool `json:"self_registered,omitempty"`
}

// Values of Client.PKCE. Public clients always need a code_challenge.
const (
	// PKCEAuto accepts requests of a client with credentials that have a nonce instead of a code_challenge (RFC 9700
	// 2.1.1), until the client has redeemed a code with a code_verifier.
	PKCEAuto = "auto"
	// PKCERequired requires a code_challenge.
	PKCERequired = "required"
	// PKCEOff requires neither, for old clients.
	PKCEOff = "off"
)

// Values of Client.HeaderEncoding.
const (
	// HeaderUTF8 sends UTF-8 as it is.
	HeaderUTF8 = "utf-8"
	// HeaderPercent replaces each byte outside printable ASCII, and %, by % and two hexadecimal digits (RFC 3986 2.1).
	HeaderPercent = "percent"
	// HeaderRFC2047 sends values beyond ASCII as encoded words in UTF-8 and base64 (RFC 2047 2).
	HeaderRFC2047 = "rfc2047"
)

// PKCEMode returns PKCE, or its default.
func (c Client) PKCEMode() string {
	if c.IsPublic() {
		return PKCERequired
	}
	return cmp.Or(c.PKCE, PKCEAuto)
}

// AllowsGroups reports whether a person with these groups may use the client.
func (c Client) AllowsGroups(groups []string) bool {
	isMember := func(group string) bool { return slices.Contains(groups, group) }
	return len(c.RequiredGroups) == 0 || slices.ContainsFunc(c.RequiredGroups, isMember)
}

// RequiredLevel returns the level of RequiredACR, or session.LevelNone if there is none.
func (c Client) RequiredLevel() session.Level { return session.ParseACR(c.RequiredACR) }

// MaxAuthAge returns MaxAge as a duration; 0 means no limit.
func (c Client) MaxAuthAge() time.Duration { return time.Duration(c.MaxAge) * time.Second }

// IsPublic reports whether the client has no credentials (RFC 6749 2.1).
func (c Client) IsPublic() bool { return len(c.SecretHashes) == 0 && len(c.JWKSet) == 0 }

// DisplayName returns the name, or the id if there is no name. Of a metadata document it is the host: anybody can write
// any name there.
func (c Client) DisplayName() string {
	if c.IsDocument() {
		return c.documentHost()
	}
	if c.Name != "" {
		return c.Name
	}
	return c.ID
}

// SigningAlg returns the JWS algorithm of the client's ID tokens and logout tokens.
func (c Client) SigningAlg() string {
	return cmp.Or(c.IDTokenAlg, string(jose.RS256)) // the default of OpenID Connect Core 2
}

// MatchesSecret reports whether secret is one of the client's secrets. It takes constant time.
func (c Client) MatchesSecret(secret string) bool {
	found := false
	for _, encoded := range c.SecretHashes {
		hash, err := hex.DecodeString(encoded)
		found = seal.EqualTokenHash(hash, seal.HashToken(secret)) && err == nil || found
	}
	return found
}

// NewSecret returns a random secret of 256 bits and its hash for Client.SecretHashes.
func NewSecret() (secret, hash string) {
	secret = seal.NewToken()
	return secret, hex.EncodeToString(seal.HashToken(secret))
}

var (
	clientIDPattern   = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	hostPattern       = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?$`)
	secretHashPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)
	// hostnamePattern is stricter than net/url: characters like ; and ' would change a Content-Security-Policy.
	hostnamePattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$`)
)

// ValidationError says what is wrong with a registration.
type ValidationError struct {
	ClientID string
	Field    string // the JSON name of the field
	Message  string // in English; never contains a secret

	sentence i18n.Sentence // Message in every language, if it has a key
}

func (e *ValidationError) Error() string { return fmt.Sprintf("app %q: %s", e.ClientID, e.Message) }

// Translate returns Message in the language of w.
func (e *ValidationError) Translate(w i18n.Localizer) string {
	if e.sentence.Key == "" {
		return e.Message
	}
	return e.sentence.Translate(w)
}

// validationError returns a *ValidationError with the text app.wrong. and key. A nested error that is an i18n.Sentence is
// translated with it.
func (c Client) validationError(field, key string, pairs ...any) error {
	return c.wrong(field, wrong(key, pairs...))
}

func (c Client) wrong(field string, s i18n.Sentence) error {
	return &ValidationError{ClientID: c.ID, Field: field, Message: s.Error(), sentence: s}
}

// wrong returns the text app.wrong. and key.
func wrong(key string, pairs ...any) i18n.Sentence {
	return i18n.NewSentence("app.wrong."+key, pairs...)
}

// quote quotes what an operator has typed, for a text.
func quote(text string) string { return strconv.Quote(text) }

// Validate checks a registration. It returns a *ValidationError for the first problem it finds.
func (c Client) Validate() error {
	switch {
	case !clientIDPattern.MatchString(c.ID):
		return c.validationError("id", "id")
	case !isPrintable(c.Name, 64):
		return c.validationError("name", "name")
	case len(c.RedirectURIs) == 0 && len(c.Hosts) == 0 && !c.DeviceGrant && c.IsPublic():
		return c.validationError("redirects", "nothing")
	case !slices.Contains([]string{string(jose.RS256), string(jose.ES256), string(jose.EdDSA)}, c.SigningAlg()):
		return c.validationError("algorithm", "algorithm", "What", quote(c.IDTokenAlg))
	case !slices.Contains([]string{"", PKCEAuto, PKCERequired, PKCEOff}, c.PKCE):
		return c.validationError("pkce", "pkce", "What", quote(c.PKCE))
	case c.PKCE != "" && c.PKCE != PKCERequired && c.IsPublic():
		return c.validationError("pkce", "pkce.public", "What", quote(c.PKCE))
	case c.RequiredACR != "" && c.RequiredLevel() == session.LevelNone:
		return c.validationError("acr", "acr", "What", quote(c.RequiredACR), "List", strings.Join(session.ACRs(), ", "))
	case c.CanIntrospect && c.IsPublic():
		return c.validationError("introspects", "introspects")
	case !slices.Contains([]string{"", HeaderUTF8, HeaderPercent, HeaderRFC2047}, c.HeaderEncoding):
		return c.validationError("header_encoding", "encoding", "What", quote(c.HeaderEncoding))
	case c.MaxAge < 0:
		return c.validationError("max_age", "maxage")
	}
	if err := c.validateLifetimes(); err != nil {
		return err
	}
	for _, hash := range c.SecretHashes { // a wrong one may be the secret itself: never quote it
		if !secretHashPattern.MatchString(hash) {
			return c.validationError("secrets", "secrets")
		}
	}
	if _, err := c.JWKS(); err != nil {
		return c.validationError("keys", "keys", "Why", err)
	}
	if err := cmp.Or(c.validateResponseTypes(), c.validateClaims()); err != nil {
		return err
	}
	return c.validateURIs()
}

func (c Client) validateURIs() error {
	for _, scheme := range c.AllowedSchemes {
		if !schemePattern.MatchString(scheme) || slices.Contains(browserSchemes, scheme) {
			return c.validationError("schemes", "scheme", "What", quote(scheme))
		}
	}
	for _, address := range c.RedirectURIs {
		if err := c.validateRedirectURI(address); err != nil {
			return c.validationError("redirects", "redirect", "What", quote(address), "Why", err)
		}
	}
	for _, address := range c.PostLogoutRedirectURIs {
		if err := c.validateRedirectURI(address); err != nil {
			return c.validationError("signed_out", "signedout", "What", quote(address), "Why", err)
		}
	}
	if c.BackChannelLogoutURI != "" {
		err := ValidateRedirectURI(c.BackChannelLogoutURI)
		if err == nil && !strings.HasPrefix(c.BackChannelLogoutURI, "http") {
			err = wrong("url.phone")
		}
		if err != nil {
			return c.validationError("back_channel", "backchannel", "What", quote(c.BackChannelLogoutURI), "Why", err)
		}
	}
	for _, host := range c.Hosts {
		if err := validateHost(host); err != nil {
			return c.validationError("hosts", "host", "What", quote(host), "Why", err)
		}
	}
	for _, entry := range c.PublicPaths {
		if err := c.validatePublicPath(entry); err != nil {
			return c.validationError("public_paths", "path", "What", quote(entry), "Why", err)
		}
	}
	for _, group := range c.RequiredGroups {
		if err := account.ValidateGroup(group); err != nil {
			return c.validationError("groups", "group", "Why", err)
		}
	}
	return nil
}

// CheckConflict checks that a and other differ in their id and have no host in common: otherwise it would be
// unclear whose rules apply. It returns a *ValidationError about a.
func (c Client) CheckConflict(other Client) error {
	if c.ID == other.ID {
		return c.validationError("id", "id.taken")
	}
	for _, host := range c.Hosts {
		if slices.Contains(other.Hosts, host) {
			return c.validationError("hosts", "host.taken", "What", quote(host), "App", quote(other.ID))
		}
	}
	return nil
}

// JWKS parses the keys for private_key_jwt. It returns an empty set if there are none, and an error if one is
// not public or too short.
func (c Client) JWKS() (set jose.JSONWebKeySet, err error) {
	if len(c.JWKSet) == 0 {
		return set, nil
	}
	// The error of json.Unmarshal is dropped: it may quote a private key.
	if err := json.Unmarshal(c.JWKSet, &set); err != nil || len(set.Keys) == 0 {
		return jose.JSONWebKeySet{}, wrong("keys.none")
	}
	for _, key := range set.Keys {
		if !key.Valid() || !key.IsPublic() {
			return set, wrong("keys.private")
		}
		if r, ok := key.Key.(*rsa.PublicKey); ok && r.N.BitLen() < 2048 {
			return set, wrong("keys.weak", "Bits", r.N.BitLen())
		}
	}
	return set, nil
}

// validateHost checks the name of a host behind a reverse proxy.
func validateHost(host string) error {
	_, port, _ := strings.Cut(host, ":")
	switch {
	case strings.Contains(host, "://"):
		return wrong("host.url")
	case strings.Contains(host, "*"):
		return wrong("host.wildcard")
	case strings.Contains(host, "/"):
		return wrong("host.path")
	case strings.ToLower(host) != host:
		return wrong("host.case")
	case port == "443" || port == "80":
		return wrong("host.port")
	case !hostPattern.MatchString(host) || strings.Contains(host, "..") || port != "" && !validPort(port):
		return wrong("host.name")
	}
	return nil
}

// ValidateRedirectURI checks a URI to which people are redirected. Such URIs are compared as strings (RFC 9700
// 2.1), so it returns an error for every URI that a browser could read in another way.
func ValidateRedirectURI(address string) error { return Client{}.validateRedirectURI(address) }

// validateRedirectURI is ValidateRedirectURI with what the registration allows besides.
func (c Client) validateRedirectURI(address string) error {
	u, err := url.Parse(address)
	switch {
	case strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return wrong("url.character")
	case strings.Contains(address, `\`):
		return wrong("url.backslash")
	case strings.Contains(address, "*"):
		return wrong("url.wildcard")
	case strings.Contains(address, "#"):
		return wrong("url.fragment")
	case err != nil:
		return wrong("url.none")
	case u.Scheme == "" || u.Opaque != "" && strings.Trim(u.Opaque[:1], "0123456789") == "": // localhost:3000
		return wrong("url.noscheme")
	case !strings.HasPrefix(address, u.Scheme):
		return wrong("url.case")
	case u.User != nil:
		return wrong("url.user")
	case u.Scheme == "https" || u.Scheme == "http":
		return c.validateWebURI(u)
	case !strings.Contains(u.Scheme, ".") && !slices.Contains(c.AllowedSchemes, u.Scheme):
		return wrong("url.scheme", "Scheme", u.Scheme)
	case u.Opaque != "" || u.Path == "" && u.Host == "":
		return wrong("url.slash", "Scheme", u.Scheme)
	case u.Host != "" && !hostnamePattern.MatchString(u.Host):
		return wrong("url.host")
	}
	return nil // a private-use URI scheme (RFC 8252 7.1)
}

// validateWebURI checks a redirect URI with the scheme http or https.
func (c Client) validateWebURI(u *url.URL) error {
	named := hostnamePattern.MatchString(u.Hostname()) && !strings.Contains(u.Hostname(), "..")
	segments := strings.Split(u.Path, "/")
	switch {
	case u.Hostname() == "":
		return wrong("url.nohost")
	case !named && net.ParseIP(u.Hostname()) == nil:
		return wrong("url.badhost", "Host", u.Hostname())
	case u.Port() != "" && !validPort(u.Port()) || strings.HasSuffix(u.Host, ":"):
		return wrong("url.port")
	case u.Scheme == "http" && !isLoopback(u.Hostname()) && !(c.InsecureHTTP && isPrivateHost(u.Hostname())):
		return wrong("url.http")
	case slices.Contains(segments, ".") || slices.Contains(segments, ".."):
		return wrong("url.dots")
	}
	return nil
}

func validPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}

// schemePattern is the syntax of a scheme (RFC 3986 3.1), in lower case.
var schemePattern = regexp.MustCompile(`^[a-z][a-z0-9+.-]{0,63}$`)

// browserSchemes are schemes that browsers, or programs of every device, handle themselves.
var browserSchemes = []string{
	"about", "blob", "chrome", "content", "data", "file", "filesystem", "ftp", "http", "https", "intent", "jar",
	"javascript", "mailto", "ms-settings", "resource", "sms", "ssh", "tel", "vbscript", "view-source", "ws", "wss",
}

// isPrivateHost reports whether a host is in a private network: an address of RFC 1918 or RFC 4193, or a name that no
// public DNS has.
func isPrivateHost(host string) bool {
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsPrivate() || ip.IsLinkLocalUnicast()
	}
	private := []string{".local", ".lan", ".home", ".internal", ".home.arpa", ".localhost"}
	return !strings.Contains(host, ".") ||
		slices.ContainsFunc(private, func(end string) bool { return strings.HasSuffix(host, end) })
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// AllowsRedirectURI reports whether a redirect_uri is registered. It must match exactly, except for the port of
// a loopback URI with http (RFC 8252 7.3).
func (c Client) AllowsRedirectURI(address string) bool {
	return matchesRegisteredURI(c.RedirectURIs, address)
}

// HostCallbackPath receives the authorization code at each host behind a reverse proxy.
const HostCallbackPath = "/.twostep/enter"

// IsHostCallback reports whether a URI is the callback of one of the client's hosts.
func (c Client) IsHostCallback(address string) bool {
	return slices.ContainsFunc(c.Hosts, func(host string) bool {
		return address == "https://"+host+HostCallbackPath || address == "http://"+host+HostCallbackPath
	})
}

// AllowsPostLogoutRedirectURI reports whether a post_logout_redirect_uri is registered (OpenID Connect
// RP-Initiated Logout 3), with the rules of AllowsRedirectURI.
func (c Client) AllowsPostLogoutRedirectURI(address string) bool {
	return matchesRegisteredURI(c.PostLogoutRedirectURIs, address)
}

func matchesRegisteredURI(list []string, address string) bool {
	if slices.Contains(list, address) {
		return true
	}
	withoutPort, ok := trimLoopbackPort(address)
	return ok && slices.ContainsFunc(list, func(known string) bool {
		other, ok := trimLoopbackPort(known)
		return ok && withoutPort == other
	})
}

// trimLoopbackPort returns a loopback URI with http without its port; ok is false for any other URI. Everything
// else stays as it is.
func trimLoopbackPort(address string) (rest string, ok bool) {
	u, err := url.Parse(address)
	if err != nil || ValidateRedirectURI(address) != nil || u.Scheme != "http" {
		return "", false
	}
	after := strings.TrimPrefix(address, "http://")
	end := len(after)
	if i := strings.IndexAny(after, "/?"); i >= 0 {
		end = i
	}
	return strings.TrimSuffix(after[:end], ":"+u.Port()) + " " + after[end:], true
}

// ExplainRedirectMismatch says why a URI matches none of the registered ones. Show it to operators and
// authenticated clients only.
func ExplainRedirectMismatch(registered []string, address string) string {
	for _, known := range registered {
		switch {
		case strings.TrimSuffix(known, "/") == strings.TrimSuffix(address, "/"):
			return "a slash at the end makes it different from " + known
		case strings.TrimPrefix(known, "https") == strings.TrimPrefix(address, "http"):
			return "it is http, but the registered one is " + known
		case strings.EqualFold(known, address):
			return "it differs in capital letters from " + known
		}
	}
	if len(registered) == 0 {
		return "none is registered yet"
	}
	return "registered are: " + strings.Join(registered, " ")
}

// CSPOrigin returns the source expression of a URI for a Content-Security-Policy: the origin, or the scheme
// alone if there is no host that a policy can name.
func CSPOrigin(address string) string {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Scheme == "":
		return ""
	case u.Host == "" || strings.HasPrefix(u.Host, "["):
		return u.Scheme + ":" // private-use schemes, and IPv6 addresses, which a policy can't name
	}
	return u.Scheme + "://" + u.Host
}
