package grant

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"twostep/internal/account"
	"twostep/internal/seal"
	"twostep/internal/signin"
	"twostep/internal/store"
)

// App is a relying party: an OpenID Connect client, or hosts behind a reverse proxy, or both.
type App struct {
	ID        string   `json:"id"` // the client_id
	Name      string   `json:"name,omitempty"`
	Redirects []string `json:"redirects,omitempty"` // where a code may go, each the exact address
	SignedOut []string `json:"signed_out,omitempty"`
	// BackChannel is told when a session in which somebody used the app is ended.
	BackChannel string `json:"back_channel,omitempty"`
	// Secrets are hashes of what the app proves itself by, in hexadecimal; Keys is a JWK set for
	// private_key_jwt. An app with neither is public: it keeps no secret, and has PKCE alone.
	Secrets []string        `json:"secrets,omitempty"`
	Keys    json.RawMessage `json:"keys,omitempty"`
	// Foreign apps are somebody else's: people are asked before they learn anything.
	Foreign bool `json:"foreign,omitempty"`
	// NoPKCE is for an app that is too old to send a code_challenge.
	NoPKCE    bool   `json:"no_pkce,omitempty"`
	Algorithm string `json:"algorithm,omitempty"` // of its ID tokens: ES256 (default) or RS256
	// Pairwise gives the app another subject than all others.
	Pairwise bool `json:"pairwise,omitempty"`
	// Hosts are behind a reverse proxy that asks /auth/check.
	Hosts []string `json:"hosts,omitempty"`
	// ACR, MaxAge and Groups are what the app needs of everybody: how much was proven, how long
	// ago at most (seconds), and a group they are in.
	ACR    string   `json:"acr,omitempty"`
	MaxAge int64    `json:"max_age,omitempty"`
	Groups []string `json:"groups,omitempty"`
	// Introspects is an API that may ask what the tokens of other apps are worth.
	Introspects bool `json:"introspects,omitempty"`
}

// admits reports whether somebody who is in these groups may use the app.
func (a App) admits(groups []string) bool {
	return len(a.Groups) == 0 || slices.ContainsFunc(a.Groups, func(one string) bool { return slices.Contains(groups, one) })
}

// Least is how much the app needs of everybody.
func (a App) Least() signin.Level { return signin.ParseACR(a.ACR) }

// Oldest is how old the newest full proof may be; 0: as old as it likes.
func (a App) Oldest() time.Duration { return time.Duration(a.MaxAge) * time.Second }

// Public reports whether the app has nothing to prove itself by.
func (a App) Public() bool { return len(a.Secrets) == 0 && len(a.Keys) == 0 }

// Title is what people see.
func (a App) Title() string {
	if a.Name != "" {
		return a.Name
	}
	return a.ID
}

// Signs is the algorithm of its ID tokens.
func (a App) Signs() string {
	if a.Algorithm == "" {
		return string(jose.ES256)
	}
	return a.Algorithm
}

// Secret reports whether this is a secret of the app.
func (a App) Secret(secret string) bool {
	found := false
	for _, kept := range a.Secrets {
		hash, err := hex.DecodeString(kept)
		found = seal.SameHash(hash, seal.Hash(secret)) && err == nil || found
	}
	return found
}

// NewSecret is a secret of 256 bits, and its hash as App.Secrets has it.
func NewSecret() (secret, hash string) {
	secret = seal.Token()
	return secret, hex.EncodeToString(seal.Hash(secret))
}

var (
	goodID   = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	goodHost = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?$`)
	goodHash = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// Check says in plain words what is wrong with an app, or nil.
func (a App) Check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("app %q: %s", a.ID, fmt.Sprintf(format, args...))
	}
	switch {
	case !goodID.MatchString(a.ID):
		return bad("the id is 1 to 64 small letters, digits, dots, dashes and underscores")
	case len(a.Name) > 64 || strings.ContainsFunc(a.Name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return bad("the name has at most 64 letters, and none that cannot be seen")
	case len(a.Redirects) == 0 && len(a.Hosts) == 0 && a.Public():
		return bad("it has neither a redirect address nor a host nor a secret, so nobody could use it")
	case a.Signs() != string(jose.ES256) && a.Signs() != string(jose.RS256):
		return bad("the algorithm is %q, not ES256 or RS256", a.Algorithm)
	case a.NoPKCE && a.Public():
		return bad("without a secret PKCE is all that protects the code: no_pkce is for apps with a secret")
	case a.ACR != "" && a.Least() == signin.LevelNone:
		return bad("the acr is %q, not one of %s", a.ACR, strings.Join(signin.ACRs(), ", "))
	case a.Introspects && a.Public():
		return bad("an API that asks about tokens must prove itself: give it a secret or keys")
	case a.MaxAge < 0:
		return bad("max_age is less than nothing")
	}
	for _, hash := range a.Secrets {
		if !goodHash.MatchString(hash) {
			return bad("a secret is kept as its SHA-256, in 64 hexadecimal digits: twostep app secret makes both")
		}
	}
	if _, err := a.JWKS(); err != nil {
		return bad("its keys: %v", err)
	}
	return a.checkPlaces(bad)
}

func (a App) checkPlaces(bad func(string, ...any) error) error {
	for _, address := range a.Redirects {
		if err := checkRedirect(address); err != nil {
			return bad("the redirect address %q %v", address, err)
		}
	}
	for _, address := range a.SignedOut {
		if err := checkRedirect(address); err != nil {
			return bad("the address after signing out %q %v", address, err)
		}
	}
	if a.BackChannel != "" {
		if err := checkRedirect(a.BackChannel); err != nil || !strings.HasPrefix(a.BackChannel, "http") {
			return bad("the back-channel address %q must be one of the web, without a fragment", a.BackChannel)
		}
	}
	for _, host := range a.Hosts {
		if !goodHost.MatchString(host) {
			return bad("the host %q is not a name like wiki.example.com: no https://, no path, no wildcard", host)
		}
	}
	for _, group := range a.Groups {
		if err := account.CheckGroup(group); err != nil {
			return bad("%v", err)
		}
	}
	return nil
}

// JWKS are the keys of private_key_jwt.
func (a App) JWKS() (set jose.JSONWebKeySet, err error) {
	if len(a.Keys) == 0 {
		return set, nil
	}
	if err := json.Unmarshal(a.Keys, &set); err != nil {
		return set, errors.New("they are no JWK set")
	}
	for _, key := range set.Keys {
		if !key.Valid() || !key.IsPublic() {
			return set, errors.New("only public keys belong here, each a whole one")
		}
	}
	return set, nil
}

// checkRedirect says what is wrong with an address that people are sent to: it must be told
// from every other by its letters alone (RFC 9700 2.1).
func checkRedirect(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || address != strings.TrimSpace(address) || strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }):
		return errors.New("is not an address: it may hold no spaces, backslashes or other letters than ASCII")
	case u.Scheme == "":
		return errors.New("has no scheme: write it in full, with https://")
	case strings.Contains(address, "*"):
		return errors.New("has a wildcard: name each address, since anybody could bring a code to one of the others")
	case u.Fragment != "" || strings.Contains(address, "#"):
		return errors.New("has a fragment (#…), which no browser sends")
	case u.User != nil:
		return errors.New("has a user (…@), which can make one host look like another")
	case u.Scheme == "https" && u.Host != "", u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	case u.Scheme == "http":
		return errors.New("is http, where anybody on the way could read the code: use https (http is for this machine alone)")
	case strings.Contains(u.Scheme, ".") && u.Host == "":
		return nil // of an app on a phone (RFC 8252 7.1): the name of a domain, backwards
	}
	return fmt.Errorf("has the scheme %s: use https, or for an app on a phone one like com.example.app", u.Scheme)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Redirect reports whether a code may go there: to the exact address, where the port of one on
// the person's own machine alone is free (RFC 8252 7.3).
func (a App) Redirect(address string) bool { return among(a.Redirects, address) }

// AfterSignOut reports whether somebody may go there who has signed out.
func (a App) AfterSignOut(address string) bool { return among(a.SignedOut, address) }

func among(list []string, address string) bool {
	if slices.Contains(list, address) {
		return true
	}
	u, err := url.Parse(address)
	if err != nil || checkRedirect(address) != nil || u.Scheme != "http" || u.Port() == "" {
		return false
	}
	return slices.ContainsFunc(list, func(known string) bool {
		k, err := url.Parse(known)
		if err != nil || k.Scheme != "http" || !loopback(k.Hostname()) || k.Port() == "" {
			return false
		}
		return strings.Replace(known, ":"+k.Port(), "", 1) == strings.Replace(address, ":"+u.Port(), "", 1)
	})
}

// Mismatch says in plain words why an address is none of the app's, for the operator's log.
func (a App) Mismatch(address string) string {
	for _, known := range a.Redirects {
		switch {
		case strings.TrimSuffix(known, "/") == strings.TrimSuffix(address, "/"):
			return "a slash at the end is all that differs from " + known
		case strings.TrimPrefix(known, "https") == strings.TrimPrefix(address, "http"):
			return "it is http, and registered is " + known
		case strings.EqualFold(known, address):
			return "only capital letters differ from " + known
		}
	}
	return "registered are: " + strings.Join(a.Redirects, " ")
}

// Origin is what stands before the path of an address, as a Content-Security-Policy names it.
func Origin(address string) string {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Scheme == "":
		return ""
	case u.Host == "" || strings.HasPrefix(u.Host, "["):
		return u.Scheme + ":" // an app on a phone; and no policy can name an IPv6 address
	}
	return u.Scheme + "://" + u.Host
}

// ErrNoApp says that there is no such app.
var ErrNoApp = errors.New("grant: no such app")

// App is the app with this id: of the settings, or else an added one. ErrNoApp.
func (g *Grants) App(ctx context.Context, id string) (App, error) {
	for _, a := range g.Fixed {
		if a.ID == id {
			return a, nil
		}
	}
	row, err := g.Store.App(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return App{}, ErrNoApp
	}
	if err != nil {
		return App{}, fmt.Errorf("grant: app: %w", err)
	}
	return readApp(row)
}

func readApp(row store.App) (a App, err error) {
	if err := json.Unmarshal([]byte(row.Body), &a); err != nil {
		return App{}, fmt.Errorf("grant: app %s: %w", row.ID, err)
	}
	return a, nil
}

// Apps are all of them: those of the settings first.
func (g *Grants) Apps(ctx context.Context) ([]App, error) {
	list := slices.Clone(g.Fixed)
	rows, err := g.Store.Apps(ctx)
	if err != nil {
		return nil, fmt.Errorf("grant: apps: %w", err)
	}
	for _, row := range rows {
		a, err := readApp(row)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(g.Fixed, func(fixed App) bool { return fixed.ID == a.ID }) {
			list = append(list, a)
		}
	}
	return list, nil
}

// ErrAppExists says that there is an app with this id.
var ErrAppExists = errors.New("grant: there is such an app")

// AddApp adds an app. ErrAppExists, or what is wrong with it.
func (g *Grants) AddApp(ctx context.Context, a App) error {
	if err := a.Check(); err != nil {
		return err
	}
	if _, err := g.App(ctx, a.ID); !errors.Is(err, ErrNoApp) {
		return errors.Join(err, ErrAppExists)
	}
	body, err := json.Marshal(a)
	if err == nil {
		err = g.Store.AddApp(ctx, store.App{ID: a.ID, Body: string(body), MadeAt: store.Millis(g.Now())})
	}
	if errors.Is(err, store.ErrConflict) {
		return ErrAppExists
	}
	return err
}

// ChangeApp replaces what an added app may do. ErrNoApp, or what is wrong with it.
func (g *Grants) ChangeApp(ctx context.Context, a App) error {
	if err := a.Check(); err != nil {
		return err
	}
	body, err := json.Marshal(a)
	if err == nil {
		err = g.Store.ChangeApp(ctx, a.ID, string(body))
	}
	if errors.Is(err, store.ErrNotFound) {
		return ErrNoApp
	}
	return err
}

// RemoveApp removes an added app, and whatever it was allowed. ErrNoApp.
func (g *Grants) RemoveApp(ctx context.Context, id string) error {
	err := g.Store.Tx(ctx, func(tx *store.DB) error { return tx.RemoveApp(ctx, id) })
	if errors.Is(err, store.ErrNotFound) {
		return ErrNoApp
	}
	return err
}
