// Package grant stores authorization requests, codes, tokens and consents, and signs tokens.
//
//	Request ─▶ Next ─▶ (sign in, confirm, consent, act) ─▶ Issue ─▶ Redeem ─▶ tokens
//
// A grant is one answer to one request. It ends with the session in which it was given, or,
// offline, with the epoch of the account; and at once when its code or a refresh token comes
// a second time.
package grant

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/store"
)

// How long things live.
const (
	CodeTTL          = time.Minute         // ASVS 10.4.3, level 3
	AccessTokenTTL   = 10 * time.Minute    // of an ID token too
	OfflineGrantTTL  = 30 * 24 * time.Hour // of a grant with refresh tokens, in any case
	PushedRequestTTL = 90 * time.Second    // RFC 9126 2.2
	authRequestTTL   = time.Hour           // a request waits for its person
)

// Grants are all of them.
type Grants struct {
	Store      *store.DB
	Keys       *seal.KeyRing
	Now        func() time.Time
	Log        *slog.Logger
	Limits     *ratelimit.Limiter
	Accounts   *account.Accounts // for audit events
	Challenges *challenge.Challenges
	Clients    *client.Clients
	Issuer     string // the public URL

	signingKeys signingKeys
	salt        atomic.Pointer[string] // of pairwise subjects
}

// ErrInvalid says that a code or a token is not good (any more).
var ErrInvalid = errors.New("grant: code or token is not valid")

// Grant is what an app was allowed.
type Grant struct {
	ID        string
	ClientID  string
	AccountID string // the id; "" for the app itself
	SessionID string
	Scope     []string
	AMR       []string
	AuthTime  time.Time
	Offline   bool
	ExpiresAt time.Time
	binding   codeBinding
	userInfo  *UserInfo // nil: nobody has looked
}

// codeBinding is what a code is bound to.
type codeBinding struct {
	RedirectURI, CodeChallenge, Nonce string
}

// Nonce is what the app wants to find in its ID token.
func (g Grant) Nonce() string { return g.binding.Nonce }

// RedirectURI is where its code went, and nowhere else.
func (g Grant) RedirectURI() string { return g.binding.RedirectURI }

// ACR is the level at which the grant was given.
func (g Grant) ACR() string { return session.LevelOf(g.AMR).ACR() }

// HasScope reports whether a scope was allowed.
func (g Grant) HasScope(scope string) bool { return slices.Contains(g.Scope, scope) }

func grantFromRow(row store.Grant) (g Grant, err error) {
	g = Grant{
		ID: row.ID, ClientID: row.ClientID, AccountID: row.AccountID, SessionID: row.SessionID, Scope: strings.Fields(row.Scope), AMR: strings.Fields(row.AMR),
		AuthTime: row.AuthenticatedAt, Offline: row.Offline, ExpiresAt: row.ExpiresAt,
	}
	if err := json.Unmarshal([]byte(row.CodeBinding), &g.binding); err != nil {
		return g, fmt.Errorf("grant: %s: %w", row.ID, err)
	}
	return g, nil
}

// IssueCode gives a code for what was asked, to the person of the session.
func (g *Grants) IssueCode(ctx context.Context, r AuthRequest, who session.Session, from origin.Origin) (code string, err error) {
	a, err := g.Clients.Get(ctx, r.ClientID)
	if err != nil {
		return "", err
	}
	if !a.AllowsRedirectURI(r.RedirectURI) && !a.IsHostCallback(r.RedirectURI) {
		return "", fmt.Errorf("grant: issue: %q is no address of the app %s", r.RedirectURI, r.ClientID)
	}
	body, err := json.Marshal(codeBinding{r.RedirectURI, r.CodeChallenge, r.Nonce})
	if err != nil {
		return "", err
	}
	now := g.Now()
	code = seal.NewToken()
	row := store.Grant{
		ID: rand.Text(), ClientID: r.ClientID, AccountID: who.Account.ID, Epoch: who.Ref().Epoch, SessionID: who.ID, SessionExpiresAt: who.ExpiresAt,
		Scope: strings.Join(r.Scope, " "), CodeBinding: string(body), AMR: strings.Join(who.AMR, " "), AuthenticatedAt: who.AuthTime(),
		Offline: slices.Contains(r.Scope, "offline_access"), CodeHash: seal.HashToken(code), CodeExpiresAt: now.Add(CodeTTL),
		CreatedAt: now, ExpiresAt: who.ExpiresAt,
	}
	if row.Offline {
		row.ExpiresAt = now.Add(OfflineGrantTTL)
	}
	err = g.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.CreateGrant(ctx, row); err != nil {
			return err
		}
		return g.Accounts.Event(ctx, tx, grantEvent(audit.GrantCreated, row), from)
	})
	if err != nil {
		return "", fmt.Errorf("grant: issue: %w", err)
	}
	return code, nil
}

// grantEvent is something that happened to a grant.
func grantEvent(kind audit.Kind, row store.Grant) audit.Event {
	return audit.Event{Kind: kind, Account: row.AccountID, Target: audit.Target("grant", row.ID), Client: row.ClientID}
}

// CodeExchange is what an app brings for a code.
type CodeExchange struct {
	From         origin.Origin
	Client       client.Client
	Code         string
	RedirectURI  string
	CodeVerifier string // of PKCE
}

// ConsumeCode uses a code up. One that comes a second time ends all that came of it (RFC 9700
// 2.1.1). ErrInvalid.
func (g *Grants) ConsumeCode(ctx context.Context, r CodeExchange) (Grant, error) {
	return g.consumeCodeInTx(ctx, r, func(*store.DB, Grant) error { return nil })
}

// ExchangeCode is Redeem, and tokens for it: both, or neither.
func (g *Grants) ExchangeCode(ctx context.Context, r CodeExchange) (of Grant, t Tokens, err error) {
	of, err = g.consumeCodeInTx(ctx, r, func(tx *store.DB, of Grant) (err error) {
		t, err = g.issueTokens(ctx, tx, of)
		return err
	})
	return of, t, err
}

func (g *Grants) consumeCodeInTx(ctx context.Context, r CodeExchange, then func(*store.DB, Grant) error) (of Grant, err error) {
	good := false
	err = g.Store.Tx(ctx, func(tx *store.DB) (err error) {
		if of, good, err = g.verifyAndConsumeCode(ctx, tx, r); err == nil && good {
			err = then(tx, of)
		}
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return Grant{}, cmp.Or(g.revokeReusedCode(ctx, r), ErrInvalid)
	case err != nil:
		return Grant{}, fmt.Errorf("grant: redeem: %w", err)
	case !good:
		return Grant{}, ErrInvalid
	}
	return of, nil
}

// verifyAndConsumeCode uses a code up, and reports whether it is good for what was brought with it. If not, the
// grant ends. store.ErrNotFound: it is another app's, was used, or is too old.
func (g *Grants) verifyAndConsumeCode(ctx context.Context, tx *store.DB, r CodeExchange) (of Grant, good bool, err error) {
	now := g.Now()
	row, err := tx.UseAuthorizationCode(ctx, seal.HashToken(r.Code), r.Client.ID, now)
	if err == nil {
		of, err = grantFromRow(row)
	}
	if err != nil {
		return of, false, err
	}
	if of.binding.RedirectURI == r.RedirectURI && verifyCodeVerifier(r.CodeVerifier, of.binding.CodeChallenge) {
		if of.userInfo, err = g.recheckPolicy(ctx, tx, r.Client, of); !errors.Is(err, store.ErrNotFound) {
			return of, err == nil, err
		}
	}
	return of, false, tx.RevokeGrant(ctx, of.ID, now)
}

// revokeReusedCode ends what came of a code of the app that gave nothing, if it was used, be it this very
// moment. One of another app stays as it is.
func (g *Grants) revokeReusedCode(ctx context.Context, r CodeExchange) error {
	row, err := g.Store.FindGrantByCode(ctx, seal.HashToken(r.Code))
	if errors.Is(err, store.ErrNotFound) || err == nil && (row.ClientID != r.Client.ID || row.CodeUsedAt.IsZero()) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("grant: redeem: %w", err)
	}
	return g.stolen(ctx, audit.CodeReused, row, r.From)
}

// stolen ends a grant of which a code or a token was used twice, and records that, whether or not
// the app waits for the answer.
func (g *Grants) stolen(ctx context.Context, kind audit.Kind, row store.Grant, from origin.Origin) error {
	if !row.RevokedAt.IsZero() {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	err := g.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.RevokeGrant(ctx, row.ID, g.Now()); err != nil {
			return err
		}
		e := grantEvent(kind, row)
		e.Actor, e.Result = audit.Client(row.ClientID), audit.Failure
		return g.Accounts.Event(ctx, tx, e, from)
	})
	if err != nil {
		return fmt.Errorf("grant: stolen: %w", err)
	}
	return nil
}

// verifyCodeVerifier reports whether a verifier belongs to a challenge (RFC 7636, S256). Where there was
// none, none may come: somebody would have taken the challenge out of the request.
func verifyCodeVerifier(verifier, challenge string) bool {
	if challenge == "" {
		return verifier == ""
	}
	return codeVerifierPattern.MatchString(verifier) && S256Challenge(verifier) == challenge
}

// S256Challenge is the code_challenge of a verifier.
func S256Challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// end ends a grant for its app, and with it all of its tokens.
func (g *Grants) end(ctx context.Context, row store.Grant, from origin.Origin) error {
	if !row.RevokedAt.IsZero() {
		return nil
	}
	err := g.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.RevokeGrant(ctx, row.ID, g.Now()); err != nil {
			return err
		}
		e := grantEvent(audit.GrantEnded, row)
		e.Actor = audit.Client(row.ClientID)
		return g.Accounts.Event(ctx, tx, e, from)
	})
	if err != nil {
		return fmt.Errorf("grant: end: %w", err)
	}
	return nil
}

// AuthorizedClient is what an app may know of a person, for the list in their settings.
type AuthorizedClient struct {
	Client       client.Client
	Scope        []string
	AuthorizedAt time.Time
}

// ListAuthorizedClients are the apps that the person uses, or has allowed something, once each, with all that
// each may know.
func (g *Grants) ListAuthorizedClients(ctx context.Context, who session.Session) (list []AuthorizedClient, err error) {
	rows, err := g.Store.ListGrants(ctx, who.Account.ID, g.Now())
	if err != nil {
		return nil, fmt.Errorf("grant: given: %w", err)
	}
	consents, err := g.Store.ListConsents(ctx, who.Account.ID)
	if err != nil {
		return nil, fmt.Errorf("grant: given: %w", err)
	}
	for _, c := range consents {
		rows = append(rows, store.Grant{ClientID: c.ClientID, Scope: c.Scope, CreatedAt: c.GrantedAt})
	}
	for _, row := range rows {
		scope := strings.Fields(row.Scope)
		if i := slices.IndexFunc(list, func(a AuthorizedClient) bool { return a.Client.ID == row.ClientID }); i >= 0 {
			list[i].Scope = append(list[i].Scope, scope...)
			continue
		}
		a, err := g.Clients.Get(ctx, row.ClientID)
		if errors.Is(err, client.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, AuthorizedClient{a, scope, row.CreatedAt})
	}
	return list, nil
}

// RevokeClientAccess takes from an app all that the person has allowed it.
func (g *Grants) RevokeClientAccess(ctx context.Context, who session.Session, app string, from origin.Origin) error {
	return g.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.DeleteConsent(ctx, who.Account.ID, app); err != nil {
			return err
		}
		if err := tx.RevokeClientGrants(ctx, who.Account.ID, app, g.Now()); err != nil {
			return err
		}
		return g.Accounts.Event(ctx, tx, clientEvent(audit.ConsentWithdrawn, who, app), from)
	})
}

// clientEvent is something that happened between a person and an app.
func clientEvent(kind audit.Kind, who session.Session, app string) audit.Event {
	return audit.Event{Kind: kind, Account: who.Account.ID, Target: audit.Target("client", app), Client: app}
}

// Subject is the name of an account for an app: its id, or one that only this app has
// (OpenID Connect Core 8.1).
func (g *Grants) Subject(ctx context.Context, a client.Client, id string) (string, error) {
	if !a.Pairwise || id == "" {
		return id, nil
	}
	salt, err := g.subjectSalt(ctx)
	if err != nil {
		return "", fmt.Errorf("grant: subject: %w", err)
	}
	sum := sha256.Sum256([]byte(salt + " " + a.ID + " " + id))
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

// subjectSalt is the secret of all pairwise subjects. It is made once for a database and never changes.
func (g *Grants) subjectSalt(ctx context.Context) (string, error) {
	const name = "subjects"
	if salt := g.salt.Load(); salt != nil {
		return *salt, nil
	}
	salt, err := g.Store.GetState(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		salt, err = g.Store.GetOrSetState(ctx, name, seal.NewToken())
	}
	if err == nil {
		g.salt.Store(&salt)
	}
	return salt, err
}

// UserInfo is what an app may know of somebody, by scope.
type UserInfo struct {
	Email  string
	Name   string
	Groups []string
}

// GetUserInfo is whom a grant is about.
func (g *Grants) GetUserInfo(ctx context.Context, of Grant) (UserInfo, error) {
	if of.userInfo != nil { // it was looked at this moment
		return *of.userInfo, nil
	}
	a, err := g.Store.GetAccount(ctx, of.AccountID)
	if err != nil {
		return UserInfo{}, fmt.Errorf("grant: person: %w", err)
	}
	return userInfoFromRow(a), nil
}

func userInfoFromRow(a store.Account) UserInfo {
	return UserInfo{a.Email, a.Name, strings.Fields(a.Groups)}
}

// LoadAuthProgress is where a request stands with the person of a session; nil: nobody is in.
func (g *Grants) LoadAuthProgress(ctx context.Context, r AuthRequest, who *session.Session) (s AuthProgress, err error) {
	s.Now, s.Session = g.Now(), who
	if s.Client, err = g.Clients.Get(ctx, r.ClientID); err != nil || who == nil {
		return s, err
	}
	if s.Subject, err = g.Subject(ctx, s.Client, who.Account.ID); err != nil {
		return s, err
	}
	if r.needsStepUp(s) {
		if s.ReachableLevel, err = g.Challenges.HighestLevel(ctx, *who); err != nil {
			return s, err
		}
	}
	if s.Client.ThirdParty {
		s.Consented, err = g.HasConsent(ctx, *who, r)
	}
	return s, err
}

// SID is the name of a session for an app: another one for each, so that no two of them can
// tell by it whom they share.
func (g *Grants) SID(session, app string) string {
	sum := sha256.Sum256([]byte("sid " + app + " " + session))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
