// Package client is the registered apps: what each may do, and what is wrong with a registration.
//
// In text for people and in the settings a client is called an app.
package client

import (
	"crypto/rsa"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/session"
)

// Client is a relying party: an OpenID Connect client, or hosts behind a reverse proxy, or both.
type Client struct {
	ID                     string   `json:"id"` // the client_id
	Name                   string   `json:"name,omitempty"`
	RedirectURIs           []string `json:"redirects,omitempty"` // where a code may go, each the exact address
	PostLogoutRedirectURIs []string `json:"signed_out,omitempty"`
	// BackChannel is told when a session in which somebody used the app is ended.
	BackChannelLogoutURI string `json:"back_channel,omitempty"`
	// Secrets are hashes of what the app proves itself by, in hexadecimal; Keys is a JWK set for
	// private_key_jwt. An app with neither is public: it keeps no secret, and has PKCE alone.
	SecretHashes []string        `json:"secrets,omitempty"`
	JWKSet       json.RawMessage `json:"keys,omitempty"`
	// Foreign apps are somebody else's: people are asked before they learn anything.
	ThirdParty bool `json:"foreign,omitempty"`
	// NoPKCE is for an app that is too old to send a code_challenge.
	PKCEOptional bool   `json:"no_pkce,omitempty"`
	IDTokenAlg   string `json:"algorithm,omitempty"` // of its ID tokens: ES256 (default) or RS256
	// Pairwise gives the app another subject than all others.
	Pairwise bool `json:"pairwise,omitempty"`
	// Hosts are behind a reverse proxy that asks /auth/check.
	Hosts []string `json:"hosts,omitempty"`
	// ACR, MaxAge and Groups are what the app needs of everybody: how much was proven, how long
	// ago at most (seconds), and a group they are in.
	RequiredACR    string   `json:"acr,omitempty"`
	MaxAge         int64    `json:"max_age,omitempty"`
	RequiredGroups []string `json:"groups,omitempty"`
	// Introspects is an API that may ask what the tokens of other apps are worth.
	CanIntrospect bool `json:"introspects,omitempty"`
}

// AllowsGroups reports whether somebody who is in these groups may use the app.
func (a Client) AllowsGroups(groups []string) bool {
	return len(a.RequiredGroups) == 0 || slices.ContainsFunc(a.RequiredGroups, func(one string) bool { return slices.Contains(groups, one) })
}

// RequiredLevel is how much the app needs of everybody.
func (a Client) RequiredLevel() session.Level { return session.ParseACR(a.RequiredACR) }

// MaxAuthAge is how old the newest full proof may be; 0: as old as it likes.
func (a Client) MaxAuthAge() time.Duration { return time.Duration(a.MaxAge) * time.Second }

// IsPublic reports whether the app has nothing to prove itself by.
func (a Client) IsPublic() bool { return len(a.SecretHashes) == 0 && len(a.JWKSet) == 0 }

// DisplayName is what people see.
func (a Client) DisplayName() string {
	if a.Name != "" {
		return a.Name
	}
	return a.ID
}

// SigningAlg is the algorithm of its ID tokens.
func (a Client) SigningAlg() string {
	if a.IDTokenAlg == "" {
		return string(jose.ES256)
	}
	return a.IDTokenAlg
}

// MatchesSecret reports whether this is a secret of the app.
func (a Client) MatchesSecret(secret string) bool {
	found := false
	for _, encoded := range a.SecretHashes {
		hash, err := hex.DecodeString(encoded)
		found = seal.EqualTokenHash(hash, seal.HashToken(secret)) && err == nil || found
	}
	return found
}

// NewSecret is a secret of 256 bits, and its hash as App.Secrets has it.
func NewSecret() (secret, hash string) {
	secret = seal.NewToken()
	return secret, hex.EncodeToString(seal.HashToken(secret))
}

var (
	clientIDPattern   = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	hostPattern       = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?$`)
	secretHashPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)
	// hostnamePattern is a host in an address. What else net/url lets through, like ; and ', would mean
	// something in a Content-Security-Policy.
	hostnamePattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$`)
)

// ValidationError is one thing that is wrong with an app.
type ValidationError struct {
	ClientID string // its id
	Field    string // where it stands, as in the JSON of App
	Message  string // in plain words; never a secret
}

func (f *ValidationError) Error() string { return fmt.Sprintf("app %q: %s", f.ClientID, f.Message) }

func (a Client) validationError(key, format string, args ...any) error {
	return &ValidationError{ClientID: a.ID, Field: key, Message: fmt.Sprintf(format, args...)}
}

// Validate says in plain words what is wrong with an app, or nil. The error is a *Flaw.
func (a Client) Validate() error {
	switch {
	case !clientIDPattern.MatchString(a.ID):
		return a.validationError("id", "the id is 1 to 64 small letters, digits, dots, dashes and underscores, and begins with a letter or digit")
	case utf8.RuneCountInString(a.Name) > 64 || !utf8.ValidString(a.Name) || strings.ContainsFunc(a.Name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return a.validationError("name", "the name has at most 64 letters, and none that cannot be seen: people are asked by it")
	case len(a.RedirectURIs) == 0 && len(a.Hosts) == 0 && a.IsPublic():
		return a.validationError("redirects", "it has neither a redirect address nor a host nor a secret, so nobody could use it")
	case a.SigningAlg() != string(jose.ES256) && a.SigningAlg() != string(jose.RS256):
		return a.validationError("algorithm", "the algorithm is %q, not ES256 or RS256", a.IDTokenAlg)
	case a.PKCEOptional && a.IsPublic():
		return a.validationError("no_pkce", "without a secret PKCE is all that protects the code: no_pkce is for apps with a secret")
	case a.RequiredACR != "" && a.RequiredLevel() == session.LevelNone:
		return a.validationError("acr", "the acr is %q, not one of %s", a.RequiredACR, strings.Join(session.ACRs(), ", "))
	case a.CanIntrospect && a.IsPublic():
		return a.validationError("introspects", "an API that asks about tokens must prove itself: give it a secret or keys")
	case a.MaxAge < 0:
		return a.validationError("max_age", "max_age is less than nothing")
	}
	for _, hash := range a.SecretHashes { // which may be the secret itself, so none is quoted
		if !secretHashPattern.MatchString(hash) {
			return a.validationError("secrets", "one of the secrets is not a hash: here stands the SHA-256 of a secret, 64 digits and small letters from a to f, and never the secret itself. "+
				"If it was the secret, do not use it any more: twostep app secret makes a new one and its hash")
		}
	}
	if _, err := a.JWKS(); err != nil {
		return a.validationError("keys", "its keys: %v", err)
	}
	return a.validateURIs()
}

func (a Client) validateURIs() error {
	for _, address := range a.RedirectURIs {
		if err := ValidateRedirectURI(address); err != nil {
			return a.validationError("redirects", "the redirect address %q %v", address, err)
		}
	}
	for _, address := range a.PostLogoutRedirectURIs {
		if err := ValidateRedirectURI(address); err != nil {
			return a.validationError("signed_out", "the address after signing out %q %v", address, err)
		}
	}
	if a.BackChannelLogoutURI != "" {
		err := ValidateRedirectURI(a.BackChannelLogoutURI)
		if err == nil && !strings.HasPrefix(a.BackChannelLogoutURI, "http") {
			err = errors.New("is of an app on a phone, which a server cannot call: it must begin with https://")
		}
		if err != nil {
			return a.validationError("back_channel", "the back-channel address %q %v", a.BackChannelLogoutURI, err)
		}
	}
	for _, host := range a.Hosts {
		if err := validateHost(host); err != nil {
			return a.validationError("hosts", "the host %q %v", host, err)
		}
	}
	for _, group := range a.RequiredGroups {
		if err := account.ValidateGroup(group); err != nil {
			return a.validationError("groups", "%v", err)
		}
	}
	return nil
}

// CheckConflict says what cannot be of both: each id and each host has one app, or nobody could say
// whose rules count. The error is a *Flaw of a.
func (a Client) CheckConflict(other Client) error {
	if a.ID == other.ID {
		return a.validationError("id", "there is another app of this id")
	}
	for _, host := range a.Hosts {
		if slices.Contains(other.Hosts, host) {
			return a.validationError("hosts", "the host %q is of the app %q already, and each host has one", host, other.ID)
		}
	}
	return nil
}

// JWKS are the keys of private_key_jwt.
func (a Client) JWKS() (set jose.JSONWebKeySet, err error) {
	if len(a.JWKSet) == 0 {
		return set, nil
	}
	// The error is not passed on: it may quote a private key.
	if err := json.Unmarshal(a.JWKSet, &set); err != nil || len(set.Keys) == 0 {
		return jose.JSONWebKeySet{}, errors.New(`they are no JWK set, which is {"keys": […]} with at least one key`)
	}
	for _, key := range set.Keys {
		if !key.Valid() || !key.IsPublic() {
			return set, errors.New("only public keys belong here, each a whole one; the private ones stay with the app")
		}
		if r, ok := key.Key.(*rsa.PublicKey); ok && r.N.BitLen() < 2048 {
			return set, fmt.Errorf("an RSA key of %d bits can be broken: 2048 or more", r.N.BitLen())
		}
	}
	return set, nil
}

// validateHost says what is wrong with a host behind a reverse proxy.
func validateHost(host string) error {
	_, port, _ := strings.Cut(host, ":")
	switch {
	case strings.Contains(host, "://"):
		return errors.New("is a whole address: name the host alone, like wiki.example.com")
	case strings.Contains(host, "*"):
		return errors.New("has a wildcard: name each host")
	case strings.Contains(host, "/"):
		return errors.New("has a path: the proxy asks about a whole host, so name that alone")
	case strings.ToLower(host) != host:
		return errors.New("has capital letters: write it as browsers do, in small ones")
	case port == "443" || port == "80":
		return errors.New("has a port that browsers leave out: leave it out")
	case !hostPattern.MatchString(host) || strings.Contains(host, "..") || port != "" && !validPort(port):
		return errors.New("is not a name like wiki.example.com, or wiki.example.com:8443")
	}
	return nil
}

// ValidateRedirectURI says what is wrong with an address that people are sent to: it must be told
// from every other by its letters alone (RFC 9700 2.1).
func ValidateRedirectURI(address string) error {
	u, err := url.Parse(address)
	switch {
	case strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return errors.New("holds a space, or a letter that is not of ASCII: in a path that is written %…, in a host xn--…")
	case strings.Contains(address, `\`):
		return errors.New("holds a backslash, which browsers take for a slash, so that it leads elsewhere")
	case strings.Contains(address, "*"):
		return errors.New("has a wildcard: name each address, since anybody could bring a code to one of the others")
	case strings.Contains(address, "#"):
		return errors.New("has a fragment (#…), which no browser sends: leave it out")
	case err != nil:
		return errors.New("is not an address like https://app.example.com/callback")
	case u.Scheme == "" || u.Opaque != "" && strings.Trim(u.Opaque[:1], "0123456789") == "": // localhost:3000
		return errors.New("does not say how to get there: write it in full, with https:// in front")
	case !strings.HasPrefix(address, u.Scheme):
		return errors.New("has capital letters before the colon: write them small, as browsers do")
	case u.User != nil:
		return errors.New("has a user (…@), which can make one host look like another")
	case u.Scheme == "https" || u.Scheme == "http":
		return validateWebURI(u)
	case !strings.Contains(u.Scheme, "."):
		return fmt.Errorf("has the scheme %s: use https, or for an app on a phone the name of a domain backwards, like com.example.app", u.Scheme)
	case u.Opaque != "" || u.Path == "" && u.Host == "":
		return fmt.Errorf("has no slash after %s: — write it like com.example.app:/callback", u.Scheme)
	case u.Host != "" && !hostnamePattern.MatchString(u.Host):
		return errors.New("has a host that is no name: write it like com.example.app:/callback")
	}
	return nil // of an app on a phone (RFC 8252 7.1)
}

// validateWebURI is checkRedirect for http and https.
func validateWebURI(u *url.URL) error {
	named := hostnamePattern.MatchString(u.Hostname()) && !strings.Contains(u.Hostname(), "..")
	segments := strings.Split(u.Path, "/")
	switch {
	case u.Hostname() == "":
		return errors.New("names no host: write it like https://app.example.com/callback")
	case !named && net.ParseIP(u.Hostname()) == nil:
		return fmt.Errorf("has the host %s, which is neither a name nor an address", u.Hostname())
	case u.Port() != "" && !validPort(u.Port()) || strings.HasSuffix(u.Host, ":"):
		return errors.New("has a port that is none: 1 to 65535")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return errors.New("is http, which anybody on the way can read and change: use https (http is for this machine alone)")
	case slices.Contains(segments, ".") || slices.Contains(segments, ".."):
		return errors.New("has . or .. in its path, which browsers take out, so that it leads elsewhere")
	}
	return nil
}

func validPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// AllowsRedirectURI reports whether a code may go there: to the exact address, where the port of one on
// the person's own machine alone is free (RFC 8252 7.3).
func (a Client) AllowsRedirectURI(address string) bool {
	return matchesRegisteredURI(a.RedirectURIs, address)
}

// HostCallbackPath is the path at which a code for a host behind a proxy comes back.
const HostCallbackPath = "/.twostep/enter"

// IsHostCallback reports whether an address is that of one of the app's hosts.
func (a Client) IsHostCallback(address string) bool {
	return slices.ContainsFunc(a.Hosts, func(host string) bool {
		return address == "https://"+host+HostCallbackPath || address == "http://"+host+HostCallbackPath
	})
}

// AllowsPostLogoutRedirectURI reports whether somebody may go there who has signed out.
func (a Client) AllowsPostLogoutRedirectURI(address string) bool {
	return matchesRegisteredURI(a.PostLogoutRedirectURIs, address)
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

// trimLoopbackPort is an address of http on loopback, without the port that it may have; ok is false for
// any other. The rest stays letter for letter.
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

// ExplainRedirectMismatch says in plain words why an address is none of those that an app has registered: for the
// operator's log, and for an app that has proven itself.
func ExplainRedirectMismatch(registered []string, address string) string {
	for _, known := range registered {
		switch {
		case strings.TrimSuffix(known, "/") == strings.TrimSuffix(address, "/"):
			return "a slash at the end makes it another address than " + known
		case strings.TrimPrefix(known, "https") == strings.TrimPrefix(address, "http"):
			return "it is http, and registered is " + known
		case strings.EqualFold(known, address):
			return "only capital letters differ from " + known
		}
	}
	if len(registered) == 0 {
		return "none is, as yet"
	}
	return "registered are: " + strings.Join(registered, " ")
}

// CSPOrigin is what stands before the path of an address, as a Content-Security-Policy names it.
func CSPOrigin(address string) string {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Scheme == "":
		return ""
	case u.Host == "" || strings.HasPrefix(u.Host, "["):
		return u.Scheme + ":" // an app on a phone; and no policy can name an IPv6 address
	}
	return u.Scheme + "://" + u.Host
}
