// Package grant stores authorization requests, codes, tokens and consents, and signs tokens.
//
//	AuthRequest ─▶ NextStep ─▶ (sign in, confirm, consent, action) ─▶ Authorize ─▶ ExchangeCode ─▶ Tokens
//
// A grant is the result of one authorization request. It ends with the session in which it was given, or, with
// offline_access, when the epoch of the account changes. It ends at once if its code or a refresh token is used
// twice.
package grant

import (
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
	"sync"
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

// Lifetimes. Those of tokens are settings of the client.
const (
	AuthCodeTTL      = time.Minute      // ASVS 10.4.3, level 3
	PushedRequestTTL = 90 * time.Second // RFC 9126 2.2
	authRequestTTL   = time.Hour        // the time to sign in
)

// Grants is the service for authorization requests, grants and tokens.
type Grants struct {
	Store      *store.DB
	Keys       *seal.KeyRing
	Now        func() time.Time
	Log        *slog.Logger
	Limits     *ratelimit.Limiter
	Accounts   *account.Accounts // for audit events
	Challenges *challenge.Challenges
	Clients    *client.Clients
	Documents  *Documents // of clients that are not registered; nil: they are not allowed
	Issuer     string     // the public URL

	signingKeys signingKeys
	polling     polling
	pkceUsers   sync.Map               // ids of clients that are known to use PKCE
	salt        atomic.Pointer[string] // for pairwise subject identifiers
}

// ErrInvalid is returned for a code, token or request that is unknown, expired, used, revoked or of another
// client.
var ErrInvalid = errors.New("grant: code or token is not valid")

// Grant is what a person allowed a client, or what a client was granted for itself.
type Grant struct {
	ID        string
	ClientID  string
	AccountID string // "" with client_credentials
	SessionID string
	Scope     []string
	AMR       []string
	AuthTime  time.Time
	Offline   bool
	CreatedAt time.Time
	ExpiresAt time.Time
	binding   codeBinding
	userInfo  *UserInfo // nil if it was not read yet
}

// codeBinding is what the token request must repeat or prove, and the nonce for the ID token.
type codeBinding struct {
	RedirectURI, CodeChallenge, Nonce string
}

// Nonce returns the nonce for the ID token (OpenID Connect Core 2).
func (g Grant) Nonce() string { return g.binding.Nonce }

// RedirectURI returns the redirect_uri to which the code was sent.
func (g Grant) RedirectURI() string { return g.binding.RedirectURI }

// ACR returns the authentication context class at which the grant was given.
func (g Grant) ACR() string { return session.LevelOf(g.AMR).ACR() }

// HasScope reports whether the grant includes a scope value.
func (g Grant) HasScope(scope string) bool { return slices.Contains(g.Scope, scope) }

func grantFromRow(row store.Grant) (g Grant, err error) {
	g = Grant{
		ID:        row.ID,
		ClientID:  row.ClientID,
		AccountID: row.AccountID,
		SessionID: row.SessionID,
		Scope:     strings.Fields(row.Scope),
		AMR:       strings.Fields(row.AMR),
		AuthTime:  row.AuthenticatedAt,
		Offline:   row.Offline,
		CreatedAt: row.CreatedAt,
		ExpiresAt: row.ExpiresAt,
	}
	if err := json.Unmarshal([]byte(row.CodeBinding), &g.binding); err != nil {
		return g, fmt.Errorf("grant: %s: %w", row.ID, err)
	}
	return g, nil
}

// Authorize creates a grant for the request and the person of the session. It returns its authorization code, which is
// valid for AuthCodeTTL, or "" if the response type has none. It returns client.ErrNotFound if the client was removed.
func (g *Grants) Authorize(
	ctx context.Context, r AuthRequest, who session.Session, from origin.Origin,
) (grant Grant, code string, err error) {
	cl, err := g.Clients.Get(ctx, r.ClientID)
	if err != nil {
		return grant, "", err
	}
	if !cl.AllowsRedirectURI(r.RedirectURI) && !cl.IsHostCallback(r.RedirectURI) {
		return grant, "", fmt.Errorf("grant: authorize: %q is not a redirect URI of the app %s", r.RedirectURI, r.ClientID)
	}
	row, err := g.newGrantRow(r, cl, who, codeBinding{r.RedirectURI, r.CodeChallenge, r.Nonce})
	if err != nil {
		return grant, "", err
	}
	code = seal.NewToken()
	row.CodeHash, row.CodeExpiresAt = seal.HashToken(code), row.CreatedAt.Add(AuthCodeTTL)
	row.IDTokenSent = r.WantsIDToken()
	if !r.WantsCode() { // nobody learns the code
		code, row.CodeExpiresAt = "", row.CreatedAt
	}
	err = g.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.CreateGrant(ctx, row); err != nil {
			return err
		}
		return g.Accounts.Event(ctx, tx, grantEvent(audit.GrantCreated, row), from)
	})
	if err == nil {
		grant, err = grantFromRow(row)
	}
	if err != nil {
		return grant, "", fmt.Errorf("grant: authorize: %w", err)
	}
	g.Clients.RecordUse(r.ClientID)
	return grant, code, nil
}

// newGrantRow returns the grant that the person of the session gives cl, the client of a request, without its code.
func (g *Grants) newGrantRow(
	r AuthRequest, cl client.Client, who session.Session, binding codeBinding,
) (store.Grant, error) {
	body, err := json.Marshal(binding)
	if err != nil {
		return store.Grant{}, err
	}
	now := g.Now()
	row := store.Grant{
		ID:               rand.Text(),
		ClientID:         r.ClientID,
		AccountID:        who.Account.ID,
		Epoch:            who.Ref().Epoch,
		SessionID:        who.ID,
		SessionExpiresAt: who.ExpiresAt,
		Scope:            strings.Join(r.Scope, " "),
		CodeBinding:      string(body),
		AMR:              strings.Join(who.AMR, " "),
		AuthenticatedAt:  who.AuthTime(),
		Offline:          slices.Contains(r.Scope, "offline_access"),
		CreatedAt:        now,
		ExpiresAt:        who.ExpiresAt,
	}
	if row.Offline {
		row.ExpiresAt = now.Add(cl.RefreshTokenLifetime())
	}
	return row, nil
}

func grantEvent(kind audit.Kind, row store.Grant) audit.Event {
	return audit.Event{Kind: kind, Account: row.AccountID, Target: audit.Target("grant", row.ID), Client: row.ClientID}
}

// CodeExchange is a token request with an authorization code (RFC 6749 4.1.3).
type CodeExchange struct {
	From         origin.Origin
	Client       client.Client
	Code         string
	RedirectURI  string
	CodeVerifier string // PKCE (RFC 7636 4.5)
}

// ConsumeCode uses a code and returns its grant, without issuing tokens. It returns ErrInvalid if the code is
// unknown, expired or of another client, or if the redirect_uri or code_verifier does not match. A second use
// revokes the grant and its tokens (RFC 9700 2.1.1).
func (g *Grants) ConsumeCode(ctx context.Context, r CodeExchange) (Grant, error) {
	return g.consumeCodeInTx(ctx, r, func(*store.DB, Grant) error { return nil })
}

// ExchangeCode is ConsumeCode and issues tokens in the same transaction.
func (g *Grants) ExchangeCode(ctx context.Context, r CodeExchange) (grant Grant, t Tokens, err error) {
	grant, err = g.consumeCodeInTx(ctx, r, func(tx *store.DB, grant Grant) (err error) {
		t, err = g.issueTokens(ctx, tx, r.Client, grant)
		return err
	})
	return grant, t, err
}

func (g *Grants) consumeCodeInTx(
	ctx context.Context, r CodeExchange, then func(*store.DB, Grant) error,
) (grant Grant, err error) {
	mismatch := ""
	err = g.Store.Tx(ctx, func(tx *store.DB) (err error) {
		if grant, mismatch, err = g.verifyAndConsumeCode(ctx, tx, r); err == nil && mismatch == "" {
			err = then(tx, grant)
		}
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return Grant{}, g.revokeReusedCode(ctx, r)
	case err != nil:
		return Grant{}, fmt.Errorf("grant: exchange code: %w", err)
	case mismatch != "":
		return Grant{}, fmt.Errorf("%w: %s", ErrInvalid, mismatch)
	}
	if grant.binding.CodeChallenge != "" {
		g.pkceUsers.Store(r.Client.ID, true)
	}
	return grant, nil
}

// verifyAndConsumeCode uses a code and returns what does not match it or the client's policy, "" if everything does. If
// something does not, it revokes the grant. It returns store.ErrNotFound if the code is unknown, used, expired or of
// another client.
func (g *Grants) verifyAndConsumeCode(
	ctx context.Context, tx *store.DB, r CodeExchange,
) (grant Grant, mismatch string, err error) {
	now := g.Now()
	row, err := tx.UseAuthorizationCode(ctx, seal.HashToken(r.Code), r.Client.ID, now)
	if err == nil {
		grant, err = grantFromRow(row)
	}
	if err != nil {
		return grant, "", err
	}
	if mismatch = checkBinding(grant.binding, r); mismatch == "" {
		if grant.userInfo, err = g.recheckPolicy(ctx, tx, r.Client, grant); !errors.Is(err, store.ErrNotFound) {
			if err == nil && grant.binding.CodeChallenge != "" {
				err = g.recordPKCE(ctx, tx, r.Client)
			}
			return grant, "", err
		}
		mismatch = "the person may no longer use the app, or has withdrawn their consent"
	}
	return grant, mismatch, tx.RevokeGrant(ctx, grant.ID, now)
}

// checkBinding returns what in a request does not match the authorization request of its code, "" if everything does.
// If the request had no code_challenge, a code_verifier is refused: someone may have removed the challenge from the
// request (RFC 9700 4.8.2).
func checkBinding(b codeBinding, r CodeExchange) (mismatch string) {
	switch {
	case b.RedirectURI != r.RedirectURI:
		return "the redirect_uri is not that of the authorization request"
	case b.CodeChallenge == "" && r.CodeVerifier != "":
		return "there is a code_verifier, but the authorization request had no code_challenge"
	case b.CodeChallenge != "" && r.CodeVerifier == "":
		return "code_verifier is missing"
	case b.CodeChallenge != "" &&
		(!codeVerifierPattern.MatchString(r.CodeVerifier) || S256Challenge(r.CodeVerifier) != b.CodeChallenge):
		return "the code_verifier does not match the code_challenge"
	}
	return ""
}

// revokeReusedCode revokes the grant of a code that was used before, also if that was a moment ago. Codes of
// other clients are left alone. It returns ErrInvalid with the reason.
func (g *Grants) revokeReusedCode(ctx context.Context, r CodeExchange) error {
	row, err := g.Store.FindGrantByCode(ctx, seal.HashToken(r.Code))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("%w: there is no such code", ErrInvalid)
	case err != nil:
		return fmt.Errorf("grant: exchange code: %w", err)
	case row.ClientID != r.Client.ID:
		return fmt.Errorf("%w: the code is of another app", ErrInvalid)
	case row.CodeUsedAt.IsZero():
		return fmt.Errorf("%w: the code has expired", ErrInvalid)
	}
	if err := g.revokeReused(ctx, audit.CodeReused, row, r.From); err != nil {
		return err
	}
	return fmt.Errorf("%w: the code was used before", ErrInvalid)
}

// revokeTimeout is how long revokeReused waits for the database.
const revokeTimeout = 5 * time.Second

// revokeReused revokes a grant whose code or refresh token was used twice, and records the event. It finishes
// even if the client closes the connection.
func (g *Grants) revokeReused(ctx context.Context, kind audit.Kind, row store.Grant, from origin.Origin) error {
	if !row.RevokedAt.IsZero() {
		return nil
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), revokeTimeout)
	defer stop()
	err := g.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.RevokeGrant(ctx, row.ID, g.Now()); err != nil {
			return err
		}
		e := grantEvent(kind, row)
		e.Actor, e.Result = audit.Client(row.ClientID), audit.Failure
		return g.Accounts.Event(ctx, tx, e, from)
	})
	if err != nil {
		return fmt.Errorf("grant: revoke reused: %w", err)
	}
	return nil
}

// S256Challenge returns the code_challenge of a verifier (RFC 7636 4.2).
func S256Challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// end revokes a grant and all its tokens at the request of its client.
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
		return fmt.Errorf("grant: revoke: %w", err)
	}
	return nil
}

// AuthorizedClient is a client with access to a person's data, for the list in their settings.
type AuthorizedClient struct {
	Client       client.Client
	Scope        []string
	AuthorizedAt time.Time
}

// ListAuthorizedClients returns the clients that have a live grant or a consent of the person, once each. Scope
// holds the values of all of them and may repeat one.
func (g *Grants) ListAuthorizedClients(ctx context.Context, who session.Session) (list []AuthorizedClient, err error) {
	rows, err := g.Store.ListGrantedScopes(ctx, who.Account.ID, g.Now())
	if err != nil {
		return nil, fmt.Errorf("grant: list authorized clients: %w", err)
	}
	consents, err := g.Store.ListConsents(ctx, who.Account.ID)
	if err != nil {
		return nil, fmt.Errorf("grant: list authorized clients: %w", err)
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
		cl, err := g.Clients.Get(ctx, row.ClientID)
		if errors.Is(err, client.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, AuthorizedClient{cl, scope, row.CreatedAt})
	}
	return list, nil
}

// RevokeClientAccess deletes the person's consent for a client and revokes all its grants for them.
func (g *Grants) RevokeClientAccess(
	ctx context.Context, who session.Session, clientID string, from origin.Origin,
) error {
	return g.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.DeleteConsent(ctx, who.Account.ID, clientID); err != nil {
			return err
		}
		if err := tx.RevokeClientGrants(ctx, who.Account.ID, clientID, g.Now()); err != nil {
			return err
		}
		return g.Accounts.Event(ctx, tx, clientEvent(audit.ConsentWithdrawn, who, clientID), from)
	})
}

func clientEvent(kind audit.Kind, who session.Session, clientID string) audit.Event {
	return audit.Event{Kind: kind, Account: who.Account.ID, Target: audit.Target("client", clientID), Client: clientID}
}

// Subject returns the subject identifier of an account for a client: the account's id, or a pairwise one
// (OpenID Connect Core 8.1).
func (g *Grants) Subject(ctx context.Context, cl client.Client, id string) (string, error) {
	if !cl.Pairwise || id == "" {
		return id, nil
	}
	salt, err := g.subjectSalt(ctx)
	if err != nil {
		return "", fmt.Errorf("grant: subject: %w", err)
	}
	sum := sha256.Sum256([]byte(salt + " " + cl.ID + " " + id))
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

// subjectSalt returns the secret salt of all pairwise subject identifiers. It is created once per database and
// never changes, since every pairwise identifier would change with it.
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

// UserInfo holds the data of a person that scopes give access to.
type UserInfo struct {
	Email string
	store.Names
	Groups    []string
	ChangedAt time.Time // when a name or the address was last changed
}

// GetUserInfo returns the data of the person of a grant.
func (g *Grants) GetUserInfo(ctx context.Context, grant Grant) (UserInfo, error) {
	if grant.userInfo != nil {
		return *grant.userInfo, nil
	}
	a, err := g.Store.GetAccount(ctx, grant.AccountID)
	if err != nil {
		return UserInfo{}, fmt.Errorf("grant: user info: %w", err)
	}
	return userInfoFromRow(a), nil
}

func userInfoFromRow(a store.Account) UserInfo {
	names := store.Names{Name: a.Name, GivenName: a.GivenName, FamilyName: a.FamilyName}
	return UserInfo{a.Email, names, account.SplitGroups(a.Groups), a.ProfileChangedAt}
}

// LoadAuthProgress loads what NextStep needs to know; who is nil if nobody is signed in. It returns
// client.ErrNotFound if the client was removed.
func (g *Grants) LoadAuthProgress(
	ctx context.Context, r AuthRequest, who *session.Session,
) (p AuthProgress, err error) {
	p.Now, p.Session = g.Now(), who
	if p.Client, err = g.Clients.Get(ctx, r.ClientID); err != nil || who == nil {
		return p, err
	}
	if p.Subject, err = g.Subject(ctx, p.Client, who.Account.ID); err != nil {
		return p, err
	}
	if r.needsStepUp(p) {
		if p.ReachableLevel, err = g.Challenges.HighestLevel(ctx, *who); err != nil {
			return p, err
		}
	}
	if p.Client.ThirdParty {
		p.Consented, err = g.HasConsent(ctx, *who, r)
	}
	return p, err
}

// SID returns the sid claim of a session for a client (OpenID Connect Back-Channel Logout 2.1). Each client
// gets another value, so that clients cannot tell from it which people they share.
func (g *Grants) SID(session, clientID string) string {
	sum := sha256.Sum256([]byte("sid " + clientID + " " + session))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
