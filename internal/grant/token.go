package grant

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/policy"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/store"
)

// Tokens is the content of a token response (RFC 6749 5.1).
type Tokens struct {
	AccessToken  string
	RefreshToken string // "" without offline_access
}

// issueTokens creates an access token for a grant, and a refresh token if the grant is offline.
func (g *Grants) issueTokens(
	ctx context.Context, tx *store.DB, cl client.Client, grant Grant,
) (t Tokens, err error) {
	now := g.Now()
	t.AccessToken, err = g.insertToken(ctx, tx, grant, store.AccessToken, now.Add(cl.AccessTokenLifetime()))
	if err != nil || !grant.Offline {
		return t, err
	}
	t.RefreshToken, err = g.insertToken(ctx, tx, grant, store.RefreshToken, refreshTokenEnd(cl, grant, now))
	return t, err
}

// refreshTokenEnd returns when a refresh token that was created at this time ends by the client's settings.
func refreshTokenEnd(cl client.Client, grant Grant, created time.Time) time.Time {
	end := grant.CreatedAt.Add(cl.RefreshTokenLifetime())
	if idle := created.Add(cl.RefreshTokenIdleTime()); idle.Before(end) {
		end = idle
	}
	if grant.ExpiresAt.Before(end) {
		end = grant.ExpiresAt
	}
	return end
}

// insertToken creates a token that expires with its grant at the latest.
func (g *Grants) insertToken(
	ctx context.Context, tx *store.DB, grant Grant, kind string, ends time.Time,
) (string, error) {
	if ends.After(grant.ExpiresAt) {
		ends = grant.ExpiresAt
	}
	token := seal.NewToken()
	g.Clients.RecordUse(grant.ClientID)
	return token, tx.CreateToken(ctx, store.Token{
		Hash:      seal.HashToken(token),
		GrantID:   grant.ID,
		Kind:      kind,
		CreatedAt: g.Now(),
		ExpiresAt: ends,
	})
}

// refreshReuseGrace is how long a used refresh token returns the same successor again, so that two concurrent
// requests of a client are not taken for theft.
const refreshReuseGrace = 10 * time.Second

// RefreshTokens exchanges a refresh token for new tokens (RFC 6749 6). A refresh token is used once; within
// refreshReuseGrace a second use returns the same successor, if that is unused. Any other second use means that
// the token was stolen, and revokes the grant (RFC 9700 2.2.2). It returns ErrInvalid if the token is unknown,
// expired, used, or of another client.
func (g *Grants) RefreshTokens(
	ctx context.Context, cl client.Client, token string, from origin.Origin,
) (grant Grant, t Tokens, err error) {
	old, row, err := g.Store.FindToken(ctx, seal.HashToken(token))
	if errors.Is(err, store.ErrNotFound) || err == nil && (old.Kind != store.RefreshToken || row.ClientID != cl.ID) {
		return grant, t, fmt.Errorf("%w: there is no such refresh token of this app", ErrInvalid)
	}
	if err == nil {
		grant, err = grantFromRow(row)
	}
	if err != nil {
		return grant, t, fmt.Errorf("grant: refresh tokens: %w", err)
	}
	// The successor is derived from the token with a secret key: each call returns the same one.
	t.RefreshToken = g.Keys.NextToken(token)
	err = g.Store.Tx(ctx, func(tx *store.DB) error {
		if err := g.rotateRefreshToken(ctx, tx, cl, grant, refreshRotation{old, t.RefreshToken}); err != nil {
			return err
		}
		t.AccessToken, err = g.insertToken(ctx, tx, grant, store.AccessToken, g.Now().Add(cl.AccessTokenLifetime()))
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return grant, Tokens{}, cmp.Or(g.revokeIfReused(ctx, old, from), fmt.Errorf(
			"%w: the refresh token is used, expired or revoked, or the person may no longer use the app", ErrInvalid))
	}
	return grant, t, err
}

// refreshRotation is a refresh token and its successor.
type refreshRotation struct {
	old  store.Token
	next string
}

// rotateRefreshToken uses a refresh token and creates its successor. Within refreshReuseGrace the successor
// exists already and must be unused. It returns store.ErrNotFound if the token is not usable.
func (g *Grants) rotateRefreshToken(
	ctx context.Context, tx *store.DB, cl client.Client, grant Grant, r refreshRotation,
) error {
	who, err := g.recheckPolicy(ctx, tx, cl, grant)
	if err != nil {
		return err
	}
	now := g.Now()
	limits := g.Rules.For(who.Groups, cl.ID)
	grant.ExpiresAt = earlier(grant.ExpiresAt, grant.CreatedAt.Add(limits.Refresh.Within(cl.RefreshTokenLifetime())))
	if refreshTokenEnd(cl, grant, r.old.CreatedAt).Before(now) { // the settings were changed since
		return store.ErrNotFound
	}
	err = tx.UseToken(ctx, r.old.Hash, now)
	if err == nil {
		return tx.CreateToken(ctx, store.Token{
			Hash:      seal.HashToken(r.next),
			GrantID:   grant.ID,
			Kind:      store.RefreshToken,
			CreatedAt: now,
			ExpiresAt: refreshTokenEnd(cl, grant, now),
		})
	}
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	successor, _, err := tx.FindLiveToken(ctx, seal.HashToken(r.next), now)
	if err == nil && now.Sub(successor.CreatedAt) > refreshReuseGrace {
		err = store.ErrNotFound
	}
	return err
}

// fits reports whether the limits allow what the grant was given for: the method, the trust that skipped the second step,
// and its age.
func (grant Grant) fits(l policy.Limits, now time.Time) bool {
	// The session may have started long before the grant, and the trust is as old as its start.
	trusted := session.LevelOf(grant.AMR) != session.LevelPassword ||
		l.TrustTime() > 0 && grant.CreatedAt.Sub(grant.AuthTime) <= l.TrustTime()+l.Absolute.For
	limit := l.Absolute
	if grant.Offline {
		limit = l.Refresh
	}
	return trusted && l.Allows(grant.Method) && !limit.Exceeded(now.Sub(grant.CreatedAt))
}

// recheckPolicy checks that the client would get the same grant today: the groups, the required level and the
// consent. Every other change revokes the grant by itself. It returns store.ErrNotFound if the client would not
// get it.
func (g *Grants) recheckPolicy(ctx context.Context, tx *store.DB, cl client.Client, grant Grant) (*UserInfo, error) {
	account, err := tx.GetAccount(ctx, grant.AccountID)
	if err != nil {
		return nil, err
	}
	who := userInfoFromRow(account)
	if !cl.AllowsGroups(who.Groups) || session.LevelOf(grant.AMR) < cl.RequiredLevel() ||
		!grant.fits(g.Rules.For(who.Groups, cl.ID), g.Now()) {
		return nil, store.ErrNotFound
	}
	if !cl.ThirdParty {
		return &who, nil
	}
	c, err := tx.GetConsent(ctx, grant.AccountID, cl.ID)
	if err == nil && !consentCovers(c, grant.Scope) {
		err = store.ErrNotFound
	}
	return &who, err
}

// revokeIfReused revokes the grant of a refresh token that was rejected, if the reason is that it was used
// before.
func (g *Grants) revokeIfReused(ctx context.Context, old store.Token, from origin.Origin) error {
	token, row, err := g.Store.FindToken(ctx, old.Hash)
	if err != nil || token.UsedAt.IsZero() {
		return err
	}
	return g.revokeReused(ctx, audit.TokenReused, row, from)
}

// IssueClientCredentialsToken issues an access token to a client for itself (RFC 6749 4.4).
func (g *Grants) IssueClientCredentialsToken(
	ctx context.Context, cl client.Client, scope []string,
) (grant Grant, t Tokens, err error) {
	now := g.Now()
	row := store.Grant{
		ID:          rand.Text(),
		ClientID:    cl.ID,
		Scope:       strings.Join(scope, " "),
		CodeBinding: "{}",
		CodeHash:    seal.HashToken(seal.NewToken()),
		CreatedAt:   now,
		ExpiresAt:   now.Add(cl.AccessTokenLifetime()),
		CodeUsedAt:  now,
	}
	if grant, err = grantFromRow(row); err != nil {
		return grant, t, err
	}
	err = g.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.CreateGrant(ctx, row); err != nil {
			return err
		}
		t, err = g.issueTokens(ctx, tx, cl, grant)
		return err
	})
	if err != nil {
		return grant, t, fmt.Errorf("grant: client credentials: %w", err)
	}
	return grant, t, nil
}

// TokenInfo describes a live token.
type TokenInfo struct {
	Grant
	IsRefreshToken bool
	TokenIssuedAt  time.Time
	TokenExpiresAt time.Time
}

// IntrospectToken returns a live access or refresh token and its grant (RFC 7662). It returns ErrInvalid if
// there is none.
func (g *Grants) IntrospectToken(ctx context.Context, token string) (TokenInfo, error) {
	row, grantRow, err := g.Store.FindLiveToken(ctx, seal.HashToken(token), g.Now())
	if errors.Is(err, store.ErrNotFound) || err == nil && row.Kind == store.ForwardAuthToken {
		return TokenInfo{}, ErrInvalid
	}
	if err != nil {
		return TokenInfo{}, fmt.Errorf("grant: introspect token: %w", err)
	}
	found, err := grantFromRow(grantRow)
	if err == nil && found.AccountID != "" {
		found, err = g.checkLimits(ctx, found)
	}
	return TokenInfo{found, row.Kind == store.RefreshToken, row.CreatedAt, row.ExpiresAt}, err
}

// checkLimits returns ErrInvalid if the rules of today would not allow a grant. It reads the account only if its groups
// matter, and then returns the grant with what it has read.
func (g *Grants) checkLimits(ctx context.Context, grant Grant) (Grant, error) {
	now := g.Now()
	switch {
	case grant.fits(g.Rules.Strictest(grant.ClientID), now):
		return grant, nil
	case !grant.fits(g.Rules.For(nil, grant.ClientID), now):
		return grant, ErrInvalid
	}
	who, err := g.GetUserInfo(ctx, grant)
	if err != nil {
		return grant, err
	}
	if !grant.fits(g.Rules.For(who.Groups, grant.ClientID), now) {
		return grant, ErrInvalid
	}
	grant.userInfo = &who
	return grant, nil
}

// FindGrantByAccessToken returns the grant of a person's live access token. It returns ErrInvalid if the token
// is unknown, expired, a refresh token, or of a client acting for itself.
func (g *Grants) FindGrantByAccessToken(ctx context.Context, token string) (Grant, error) {
	info, err := g.IntrospectToken(ctx, token)
	if err == nil && (info.IsRefreshToken || info.AccountID == "") {
		err = ErrInvalid
	}
	return info.Grant, err
}

// RevokeToken revokes an access token or, with a refresh token, the whole grant (RFC 7009 2.1). It returns nil
// if the token is unknown or of another client.
func (g *Grants) RevokeToken(ctx context.Context, cl client.Client, token string, from origin.Origin) error {
	row, grantRow, err := g.Store.FindToken(ctx, seal.HashToken(token))
	switch {
	case errors.Is(err, store.ErrNotFound) || err == nil && grantRow.ClientID != cl.ID:
		return nil
	case err != nil:
		return fmt.Errorf("grant: revoke token: %w", err)
	case row.Kind == store.RefreshToken:
		return g.end(ctx, grantRow, from)
	}
	return g.Store.DeleteToken(ctx, row.Hash)
}

// IssueHostToken creates the token of the cookie of a host behind a reverse proxy. It expires with the session.
func (g *Grants) IssueHostToken(ctx context.Context, grant Grant) (token string, err error) {
	token, err = g.insertToken(ctx, g.Store, grant, store.ForwardAuthToken, grant.ExpiresAt)
	if err != nil {
		return "", fmt.Errorf("grant: issue host token: %w", err)
	}
	return token, nil
}

// FindHostSession returns the grant of the cookie of a host behind a reverse proxy, and its session, whose use it
// records. It returns ErrInvalid if there is no live one.
func (g *Grants) FindHostSession(
	ctx context.Context, sessions *session.Sessions, token string,
) (grant Grant, who session.Session, err error) {
	var row store.Grant
	who, err = sessions.FindBy(ctx, func(idle, now time.Time) (s store.Session, a store.Account, err error) {
		row, s, a, err = g.Store.FindHostSession(ctx, seal.HashToken(token), idle, now)
		return s, a, err
	})
	if errors.Is(err, session.ErrNoSession) {
		return grant, who, ErrInvalid
	}
	if err != nil {
		return grant, who, err
	}
	grant, err = grantFromRow(row)
	return grant, who, err
}
