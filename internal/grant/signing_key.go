package grant

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
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
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/store"
)

// How keys change. A new one is published before it signs, so that whoever has the old set
// fetches the new one in time, and the old one after that.
const (
	signingKeyRotation  = 90 * 24 * time.Hour
	signingKeyLeadTime  = 24 * time.Hour       // published before it signs
	signingKeyOverlap   = 7 * 24 * time.Hour   // and after it has signed
	signingKeyRetention = 400 * 24 * time.Hour // to know our own ID tokens again
)

// signatureAlgorithms are those with which tokens are signed.
var signatureAlgorithms = []jose.SignatureAlgorithm{jose.ES256, jose.RS256}

// SigningAlgorithms are their names.
func SigningAlgorithms() []string { return []string{string(jose.ES256), string(jose.RS256)} }

// The types of what is signed, by which one is not taken for another (RFC 8725 3.11).
const (
	IDTokenType     = "JWT"
	logoutTokenType = "logout+jwt"
)

// signingKey is a key that opens.
type signingKey struct {
	store.SigningKey
	private crypto.Signer
}

func (k signingKey) createdAt() time.Time { return k.CreatedAt }

func (k signingKey) publicJWK() jose.JSONWebKey {
	return jose.JSONWebKey{Key: k.private.Public(), KeyID: k.ID, Algorithm: k.Algorithm, Use: "sig"}
}

// signingKeys are those of the database, as they were read last. Reading them takes no lock; only who
// creates one holds mu.
type signingKeys struct {
	mu     sync.Mutex
	last   atomic.Pointer[keySnapshot]
	opened sync.Map // signingKey, by its id
}

type keySnapshot struct {
	at   time.Time
	keys []signingKey // the newest first, of all algorithms
}

// signingKeysTTL is for how long the keys are remembered: another server may have created the first
// one a moment ago, and signs with it at once.
const signingKeysTTL = time.Second

// loadSigningKeys returns all signing keys of one algorithm, the newest first. There is always one, and
// another soon enough.
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
	if err != nil {
		return nil, fmt.Errorf("grant: keys: %w", err)
	}
	g.signingKeys.last.Store(nil)
	return slices.Insert(list, 0, fresh), nil
}

// isCurrent reports whether the newest key need not be replaced yet.
func (g *Grants) isCurrent(list []signingKey) bool {
	return len(list) > 0 && g.Now().Sub(list[0].createdAt()) < signingKeyRotation
}

// listSigningKeys returns the keys of one algorithm, from the database if the remembered ones are too
// old or are not wanted.
func (g *Grants) listSigningKeys(ctx context.Context, algorithm string, again bool) (list []signingKey, err error) {
	now := g.Now()
	read := g.signingKeys.last.Load()
	if read == nil || again || now.Sub(read.at) < 0 || now.Sub(read.at) >= signingKeysTTL {
		if read, err = g.readSigningKeys(ctx, now); err != nil {
			return nil, err
		}
	}
	for _, k := range read.keys {
		if k.Algorithm == algorithm {
			list = append(list, k)
		}
	}
	return list, nil
}

func (g *Grants) readSigningKeys(ctx context.Context, now time.Time) (*keySnapshot, error) {
	rows, err := g.Store.ListSigningKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("grant: keys: %w", err)
	}
	read := &keySnapshot{at: now}
	for _, row := range rows {
		k, err := g.unsealSigningKey(row)
		if err != nil { // the key that sealed it is gone; what it has signed is lost, and a new one is made
			g.Log.Error("a signing key does not open", "error", err)
			continue
		}
		read.keys = append(read.keys, k)
	}
	g.signingKeys.last.Store(read)
	return read, nil
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
		return signingKey{}, fmt.Errorf("grant: signing key %s is damaged", row.ID)
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return signingKey{}, fmt.Errorf("grant: signing key %s signs nothing", row.ID)
	}
	k := signingKey{row, signer}
	g.signingKeys.opened.Store(row.ID, k)
	return k, nil
}

func (g *Grants) createSigningKey(ctx context.Context, algorithm string) (k signingKey, err error) {
	if algorithm == string(jose.RS256) {
		k.private, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
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
		e := audit.Event{Kind: audit.SigningKeyCreated, Actor: audit.System(), Target: audit.Target("signing_key", k.ID), Reason: algorithm}
		return g.Accounts.Event(ctx, tx, e, origin.Origin{})
	})
}

// currentSigningKey is the key that signs now: the newest that was published for long enough, or the
// oldest if none was.
func currentSigningKey(list []signingKey, now time.Time) signingKey {
	for _, k := range list {
		if now.Sub(k.createdAt()) >= signingKeyLeadTime {
			return k
		}
	}
	return list[len(list)-1]
}

// PublicJWKS are the public keys that apps need now.
func (g *Grants) PublicJWKS(ctx context.Context) (set jose.JSONWebKeySet, err error) {
	now := g.Now()
	for _, algorithm := range SigningAlgorithms() {
		list, err := g.loadSigningKeys(ctx, algorithm)
		if err != nil {
			return set, err
		}
		for i, k := range list {
			// It has signed until the one after it began to.
			if i == 0 || now.Sub(list[i-1].createdAt()) < signingKeyLeadTime+signingKeyOverlap {
				set.Keys = append(set.Keys, k.publicJWK())
			}
		}
	}
	return set, nil
}

// SignJWT makes a JWT of the type and the claims.
func (g *Grants) SignJWT(ctx context.Context, algorithm, typ string, claims map[string]any) (string, error) {
	list, err := g.loadSigningKeys(ctx, algorithm)
	if err != nil {
		return "", err
	}
	key := currentSigningKey(list, g.Now())
	private := jose.JSONWebKey{Key: key.private, KeyID: key.ID}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(algorithm), Key: private}, (&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		return "", fmt.Errorf("grant: sign: %w", err)
	}
	return jwt.Signed(signer).Claims(claims).Serialize()
}

// ParseIDToken reads an ID token that we have made, however old, for an app to hint at somebody.
// ErrInvalid.
func (g *Grants) ParseIDToken(ctx context.Context, token string) (claims jwt.Claims, more map[string]any, err error) {
	parsed, err := jwt.ParseSigned(token, signatureAlgorithms)
	if err != nil || len(parsed.Headers) != 1 || parsed.Headers[0].ExtraHeaders[jose.HeaderType] != IDTokenType {
		return claims, nil, ErrInvalid
	}
	rows, err := g.Store.ListSigningKeys(ctx)
	if err != nil {
		return claims, nil, fmt.Errorf("grant: known: %w", err)
	}
	for _, row := range rows {
		if row.ID != parsed.Headers[0].KeyID || row.Algorithm != parsed.Headers[0].Algorithm || g.Now().Sub(row.CreatedAt) > signingKeyRetention {
			continue
		}
		k, err := g.unsealSigningKey(row)
		if err != nil {
			return claims, nil, err
		}
		if parsed.Claims(k.private.Public(), &claims, &more) != nil || claims.Issuer != g.Issuer {
			return claims, nil, ErrInvalid
		}
		return claims, more, nil
	}
	return claims, nil, ErrInvalid
}

// AssertionIssuer is the app that a JWT says it is from. Nothing is proven by that.
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

// assertionAlgorithms are the algorithms by which an app may sign.
var assertionAlgorithms = []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.PS256, jose.EdDSA}

// VerifyClientAssertion reads the JWT by which an app proves itself (RFC 7523), once. ErrInvalid.
func (g *Grants) VerifyClientAssertion(ctx context.Context, a client.Client, token string, audiences ...string) error {
	const leeway, longest = 30 * time.Second, time.Hour // which is what zitadel/oidc's client takes
	parsed, err := jwt.ParseSigned(token, assertionAlgorithms)
	if err != nil {
		return fmt.Errorf("%w: it is no JWT signed with one of %v", ErrInvalid, assertionAlgorithms)
	}
	set, err := a.JWKS()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	var claims jwt.Claims
	if !verifySignature(parsed, set, &claims) {
		return fmt.Errorf("%w: none of the app's keys has signed it; a kid must be that of a key", ErrInvalid)
	}
	now := g.Now()
	expected := jwt.Expected{Issuer: a.ID, Subject: a.ID, AnyAudience: audiences, Time: now}
	switch {
	case claims.ValidateWithLeeway(expected, leeway) != nil:
		return fmt.Errorf("%w: %w", ErrInvalid, claims.ValidateWithLeeway(expected, leeway))
	case claims.Expiry == nil || claims.Expiry.Time().After(now.Add(longest+leeway)):
		return fmt.Errorf("%w: it has no exp, or one in more than %s", ErrInvalid, longest)
	case claims.ID == "" || len(claims.ID) > 256:
		return fmt.Errorf("%w: it has no jti, or one of more than 256 letters", ErrInvalid)
	}
	once := store.Counter{Kind: "client_assertion", Subject: a.ID + " " + g.Keys.Pseudonym(claims.ID)}
	err = g.Store.SpendQuota(ctx, once, claims.Expiry.Time().Add(leeway), 1, 1)
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("%w: its jti came before", ErrInvalid)
	}
	return err
}

// verifySignature reports whether one of the keys has signed it, with an algorithm that is the key's.
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
