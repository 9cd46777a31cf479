package grant

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/fault"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/store"
)

// Lifetimes of signing keys. A new key is published before it signs and stays published after it has signed, so
// that clients with a cached key set have time to fetch the new one.
const (
	signingKeyRotation  = 90 * 24 * time.Hour
	signingKeyLeadTime  = KeyRotationPause     // from publication to the first signature
	signingKeyOverlap   = 7 * 24 * time.Hour   // published after the last signature
	signingKeyRetention = 400 * 24 * time.Hour // to verify old ID tokens used as id_token_hint
)

var signatureAlgorithms = []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.EdDSA}

// SigningAlgorithms returns the JWS algorithms with which tokens are signed. EdDSA is there only while a client uses
// it, because some libraries reject a whole key set with a key type that they do not know.
func (g *Grants) SigningAlgorithms(ctx context.Context) []string {
	list := []string{string(jose.ES256), string(jose.RS256)}
	usesEdDSA := func(cl client.Client) bool { return cl.SigningAlg() == string(jose.EdDSA) }
	if slices.ContainsFunc(g.Clients.LastKnown(ctx), usesEdDSA) {
		list = append(list, string(jose.EdDSA))
	}
	return list
}

// Values of the typ header. They keep one kind of JWT from being accepted as another (RFC 8725 3.11).
const (
	IDTokenType     = "JWT"
	logoutTokenType = "logout+jwt"
)

// signingKey is a signing key with its private key unsealed.
type signingKey struct {
	store.SigningKey
	private crypto.Signer
}

func (k signingKey) createdAt() time.Time { return k.CreatedAt }

func (k signingKey) publicJWK() jose.JSONWebKey {
	return jose.JSONWebKey{Key: k.private.Public(), KeyID: k.ID, Algorithm: k.Algorithm, Use: "sig"}
}

// signingKeys caches the signing keys of the database. Reading takes no lock; mu is held only while a key is
// created.
type signingKeys struct {
	mu     sync.Mutex
	last   atomic.Pointer[keySnapshot]
	opened sync.Map // signingKey by id
}

type keySnapshot struct {
	at      time.Time    // when it was read
	checked time.Time    // when it was read, or could not be read again
	keys    []signingKey // of all algorithms, newest first
}

// signingKeysTTL is how long the list of keys is cached. It is short because another server may have created
// the first key a moment ago and signs with it at once.
const signingKeysTTL = time.Second

// signingKeysStale is how long the list is used while the database cannot be read. A key that was created meanwhile
// does not sign before signingKeyLeadTime, so apps can go on fetching the list and verifying tokens.
const signingKeysStale = signingKeyLeadTime / 2

// signingKeysTimeout is how long a request waits for a database that hangs before it uses the list that it has.
const signingKeysTimeout = 2 * time.Second

// loadSigningKeys returns all signing keys of one algorithm, newest first. It creates one if there is none or
// if the newest is older than signingKeyRotation. While the database cannot be written, the old ones go on.
func (g *Grants) loadSigningKeys(ctx context.Context, algorithm string) ([]signingKey, error) {
	list, err := g.listSigningKeys(ctx, algorithm, false)
	if err != nil || g.isCurrent(list) {
		return list, err
	}
	g.signingKeys.mu.Lock()
	defer g.signingKeys.mu.Unlock()
	if list, err = g.listSigningKeys(ctx, algorithm, true); err != nil || g.isCurrent(list) {
		return list, err
	}
	fresh, err := g.createSigningKey(ctx, algorithm)
	if fault.Temporary(err) && len(list) > 0 {
		return list, nil
	}
	if err != nil {
		return nil, fmt.Errorf("grant: keys: %w", err)
	}
	if _, err := g.readSigningKeys(ctx, g.Now()); err != nil {
		return nil, err
	}
	return slices.Insert(list, 0, fresh), nil
}

// isCurrent reports whether the newest key is younger than signingKeyRotation.
func (g *Grants) isCurrent(list []signingKey) bool {
	return len(list) > 0 && g.Now().Sub(list[0].createdAt()) < signingKeyRotation
}

// listSigningKeys returns the keys of one algorithm, newest first. It reads the database if the cached list has
// expired or refresh is true.
func (g *Grants) listSigningKeys(ctx context.Context, algorithm string, refresh bool) (list []signingKey, err error) {
	now := g.Now()
	snapshot := g.signingKeys.last.Load()
	if snapshot == nil || refresh || now.Sub(snapshot.checked) < 0 || now.Sub(snapshot.checked) >= signingKeysTTL {
		if snapshot, err = g.refreshSigningKeys(ctx, snapshot, now); err != nil {
			return nil, err
		}
	}
	for _, k := range snapshot.keys {
		if k.Algorithm == algorithm {
			list = append(list, k)
		}
	}
	return list, nil
}

// refreshSigningKeys reads the list again. If the database cannot be read, it returns the one before, if that is not
// older than signingKeysStale.
func (g *Grants) refreshSigningKeys(ctx context.Context, before *keySnapshot, now time.Time) (*keySnapshot, error) {
	if before == nil || now.Sub(before.at) < 0 || now.Sub(before.at) > signingKeysStale {
		return g.readSigningKeys(ctx, now)
	}
	limited, stop := context.WithTimeout(ctx, signingKeysTimeout)
	defer stop()
	snapshot, err := g.readSigningKeys(limited, now)
	if !fault.Temporary(err) {
		return snapshot, err
	}
	snapshot = &keySnapshot{at: before.at, checked: now, keys: before.keys}
	g.signingKeys.last.Store(snapshot)
	return snapshot, nil
}

// PreloadSigningKeys reads the list, so that it can be published also if the database fails before the first request.
// It creates no key.
func (g *Grants) PreloadSigningKeys(ctx context.Context) error {
	_, err := g.readSigningKeys(ctx, g.Now())
	return err
}

func (g *Grants) readSigningKeys(ctx context.Context, now time.Time) (*keySnapshot, error) {
	rows, err := g.Store.ListSigningKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("grant: keys: %w", err)
	}
	snapshot := &keySnapshot{at: now, checked: now}
	for _, row := range rows {
		k, err := g.unsealSigningKey(row)
		if err != nil {
			// The key that sealed it is not in the key ring. Tokens it signed can't be verified any more; a new key is
			// created if none is left.
			g.Log.Error("signing key cannot be decrypted", "error", err)
			continue
		}
		snapshot.keys = append(snapshot.keys, k)
	}
	g.signingKeys.last.Store(snapshot)
	return snapshot, nil
}

func (g *Grants) unsealSigningKey(row store.SigningKey) (signingKey, error) {
	if k, ok := g.signingKeys.opened.Load(row.ID); ok {
		return k.(signingKey), nil
	}
	body, err := g.Keys.Open("signing key "+row.ID, row.Body)
	if err != nil {
		return signingKey{}, fmt.Errorf("grant: signing key %s: %w", row.ID, err)
	}
	private, err := x509.ParsePKCS8PrivateKey(body)
	if err != nil {
		return signingKey{}, fmt.Errorf("grant: signing key %s is not a valid PKCS #8 key", row.ID)
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return signingKey{}, fmt.Errorf("grant: signing key %s cannot sign", row.ID)
	}
	k := signingKey{row, signer}
	g.signingKeys.opened.Store(row.ID, k)
	return k, nil
}

func (g *Grants) createSigningKey(ctx context.Context, algorithm string) (k signingKey, err error) {
	return g.createSigningKeyAs(ctx, algorithm, audit.System(), origin.Origin{})
}

func (g *Grants) createSigningKeyAs(
	ctx context.Context, algorithm string, actor audit.Actor, from origin.Origin,
) (k signingKey, err error) {
	switch jose.SignatureAlgorithm(algorithm) {
	case jose.RS256:
		k.private, err = rsa.GenerateKey(rand.Reader, 2048)
	case jose.EdDSA:
		_, k.private, err = ed25519.GenerateKey(rand.Reader) // RFC 8037 3.1
	default:
		k.private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		return k, err
	}
	body, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		return k, err
	}
	k.SigningKey = store.SigningKey{ID: rand.Text(), Algorithm: algorithm, CreatedAt: g.Now()}
	k.Body = g.Keys.Seal("signing key "+k.ID, body)
	return k, g.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.CreateSigningKey(ctx, k.SigningKey); err != nil {
			return err
		}
		e := audit.Event{
			Kind:   audit.SigningKeyCreated,
			Actor:  actor,
			Target: audit.Target("signing_key", k.ID),
			Reason: algorithm,
		}
		return g.Accounts.Event(ctx, tx, e, from)
	})
}

// currentSigningKey returns the key to sign with: the newest that has been published for signingKeyLeadTime, or
// the oldest if none has.
func currentSigningKey(list []signingKey, now time.Time) signingKey {
	for _, k := range list {
		if now.Sub(k.createdAt()) >= signingKeyLeadTime {
			return k
		}
	}
	return list[len(list)-1]
}

// PublicJWKS returns the public keys that clients need now (RFC 7517).
func (g *Grants) PublicJWKS(ctx context.Context) (set jose.JSONWebKeySet, err error) {
	now := g.Now()
	for _, algorithm := range g.SigningAlgorithms(ctx) {
		list, err := g.loadSigningKeys(ctx, algorithm)
		if err != nil {
			return set, err
		}
		for _, k := range publishedKeys(list, now) {
			set.Keys = append(set.Keys, k.publicJWK())
		}
	}
	return set, nil
}

// publishedKeys returns the keys of a list, newest first, that clients need now.
func publishedKeys(list []signingKey, now time.Time) (published []signingKey) {
	for i, k := range list {
		// A key signs until its successor starts to.
		if i == 0 || now.Sub(list[i-1].createdAt()) < signingKeyLeadTime+signingKeyOverlap {
			published = append(published, k)
		}
	}
	return published
}

// SignJWT returns a signed JWT with this typ header and these claims.
func (g *Grants) SignJWT(ctx context.Context, algorithm, typ string, claims map[string]any) (string, error) {
	list, err := g.loadSigningKeys(ctx, algorithm)
	if err != nil {
		return "", err
	}
	key := currentSigningKey(list, g.Now())
	private := jose.JSONWebKey{Key: key.private, KeyID: key.ID}
	joseKey := jose.SigningKey{Algorithm: jose.SignatureAlgorithm(algorithm), Key: private}
	signer, err := jose.NewSigner(joseKey, (&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		return "", fmt.Errorf("grant: sign JWT: %w", err)
	}
	return jwt.Signed(signer).Claims(claims).Serialize()
}

// HashForIDToken returns the at_hash of an access token or the c_hash of a code, or "" if there is none: the left half
// of its hash by the algorithm of the client's signatures, which is SHA-512 for Ed25519 (OpenID Connect Core 3.1.3.6,
// 3.3.2.11).
func HashForIDToken(cl client.Client, token string) string {
	switch {
	case token == "":
		return ""
	case cl.SigningAlg() == string(jose.EdDSA):
		sum := sha512.Sum512([]byte(token))
		return base64.RawURLEncoding.EncodeToString(sum[:32])
	}
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// ParseIDToken verifies an ID token of this server that is used as id_token_hint and returns its claims. It
// ignores the expiry, as OpenID Connect RP-Initiated Logout recommends. It returns ErrInvalid if the token was
// not signed here or its key is too old.
func (g *Grants) ParseIDToken(ctx context.Context, token string) (claims jwt.Claims, extra map[string]any, err error) {
	parsed, err := jwt.ParseSigned(token, signatureAlgorithms)
	if err != nil || len(parsed.Headers) != 1 || parsed.Headers[0].ExtraHeaders[jose.HeaderType] != IDTokenType {
		return claims, nil, ErrInvalid
	}
	rows, err := g.Store.ListSigningKeys(ctx)
	if err != nil {
		return claims, nil, fmt.Errorf("grant: parse ID token: %w", err)
	}
	for _, row := range rows {
		if row.ID != parsed.Headers[0].KeyID || row.Algorithm != parsed.Headers[0].Algorithm ||
			g.Now().Sub(row.CreatedAt) > signingKeyRetention {
			continue
		}
		k, err := g.unsealSigningKey(row)
		if err != nil {
			return claims, nil, err
		}
		if parsed.Claims(k.private.Public(), &claims, &extra) != nil || claims.Issuer != g.Issuer {
			return claims, nil, ErrInvalid
		}
		return claims, extra, nil
	}
	return claims, nil, ErrInvalid
}

// AssertionIssuer returns the iss claim of a client assertion, or "" if it has none. The signature is not
// verified.
func AssertionIssuer(token string) (id string) {
	parsed, err := jwt.ParseSigned(token, assertionAlgorithms)
	if err != nil {
		return ""
	}
	var claims jwt.Claims
	if parsed.UnsafeClaimsWithoutVerification(&claims) != nil {
		return ""
	}
	return claims.Issuer
}

// assertionAlgorithms are the JWS algorithms accepted from clients.
var assertionAlgorithms = []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.PS256, jose.EdDSA}

// VerifyClientAssertion verifies a JWT for client authentication (RFC 7523 3, private_key_jwt) and makes its
// jti unusable. It returns an error that is ErrInvalid, with the reason, if the JWT is not acceptable or was
// used before.
func (g *Grants) VerifyClientAssertion(ctx context.Context, cl client.Client, token string, audiences ...string) error {
	const leeway, longest = 30 * time.Second, time.Hour // zitadel/oidc's client sends assertions valid for one hour
	parsed, err := jwt.ParseSigned(token, assertionAlgorithms)
	if err != nil {
		return fmt.Errorf("%w: the assertion is not a JWT signed with one of %v", ErrInvalid, assertionAlgorithms)
	}
	set, err := cl.JWKS()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	var claims jwt.Claims
	if !verifySignature(parsed, set, &claims) {
		return fmt.Errorf("%w: the signature matches no key of the app (a kid must be that of a key)", ErrInvalid)
	}
	now := g.Now()
	expected := jwt.Expected{Issuer: cl.ID, Subject: cl.ID, AnyAudience: audiences, Time: now}
	switch {
	case claims.ValidateWithLeeway(expected, leeway) != nil:
		return fmt.Errorf("%w: %w", ErrInvalid, claims.ValidateWithLeeway(expected, leeway))
	case claims.Expiry == nil || claims.Expiry.Time().After(now.Add(longest+leeway)):
		return fmt.Errorf("%w: exp is missing or more than %s in the future", ErrInvalid, longest)
	case claims.ID == "" || len(claims.ID) > 256:
		return fmt.Errorf("%w: jti is missing or longer than 256 bytes", ErrInvalid)
	}
	once := store.Counter{Kind: "client_assertion", Subject: cl.ID + " " + g.Keys.Pseudonym(claims.ID)}
	err = g.Store.SpendQuota(ctx, once, claims.Expiry.Time().Add(leeway), 1, 1)
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("%w: the jti was used before", ErrInvalid)
	}
	return err
}

// verifySignature reports whether one of the keys signed the token. If a key names an algorithm, the token must
// use it.
func verifySignature(token *jwt.JSONWebToken, set jose.JSONWebKeySet, claims *jwt.Claims) bool {
	for _, key := range set.Keys {
		id, algorithm := token.Headers[0].KeyID, token.Headers[0].Algorithm
		if id != "" && key.KeyID != id || key.Algorithm != "" && key.Algorithm != algorithm {
			continue
		}
		if token.Claims(key.Key, claims) == nil {
			return true
		}
	}
	return false
}
