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
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/store"
)

// Tokens are what an app is given.
type Tokens struct {
	AccessToken  string
	RefreshToken string // "" unless the grant is offline
}

// issueTokens draws tokens for a grant.
func (g *Grants) issueTokens(ctx context.Context, tx *store.DB, of Grant) (t Tokens, err error) {
	if t.AccessToken, err = g.insertToken(ctx, tx, of, store.AccessToken, g.Now().Add(AccessTokenTTL)); err != nil || !of.Offline {
		return t, err
	}
	t.RefreshToken, err = g.insertToken(ctx, tx, of, store.RefreshToken, of.ExpiresAt)
	return t, err
}

// insertToken adds a token that ends with its grant at the latest.
func (g *Grants) insertToken(ctx context.Context, tx *store.DB, of Grant, kind string, ends time.Time) (string, error) {
	if ends.After(of.ExpiresAt) {
		ends = of.ExpiresAt
	}
	token := seal.NewToken()
	return token, tx.CreateToken(ctx, store.Token{Hash: seal.HashToken(token), GrantID: of.ID, Kind: kind, CreatedAt: g.Now(), ExpiresAt: ends})
}

// refreshReuseGrace is for how long a refresh token that was used gives the same next one again: two
// requests of an app at once are no theft.
const refreshReuseGrace = 10 * time.Second

// RefreshTokens gives new tokens for a refresh token, once. One that comes a second time was stolen,
// from the app or from the thief: the grant ends (RFC 9700 2.2.2). ErrInvalid.
func (g *Grants) RefreshTokens(ctx context.Context, a client.Client, token string, from origin.Origin) (of Grant, t Tokens, err error) {
	old, row, err := g.Store.FindToken(ctx, seal.HashToken(token))
	if errors.Is(err, store.ErrNotFound) || err == nil && (old.Kind != store.RefreshToken || row.ClientID != a.ID) {
		return of, t, ErrInvalid
	}
	if err == nil {
		of, err = grantFromRow(row)
	}
	if err != nil {
		return of, t, fmt.Errorf("grant: refresh: %w", err)
	}
	// The one after it is the same each time, and nobody without the keys can say what it is.
	t.RefreshToken = g.Keys.NextToken(token)
	err = g.Store.Tx(ctx, func(tx *store.DB) error {
		if err := g.rotateRefreshToken(ctx, tx, a, of, refreshRotation{old, t.RefreshToken}); err != nil {
			return err
		}
		t.AccessToken, err = g.insertToken(ctx, tx, of, store.AccessToken, g.Now().Add(AccessTokenTTL))
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return of, Tokens{}, cmp.Or(g.revokeIfReused(ctx, old, from), ErrInvalid)
	}
	return of, t, err
}

// refreshRotation is a refresh token and the one that follows it.
type refreshRotation struct {
	old  store.Token
	next string
}

// rotateRefreshToken uses a refresh token up and adds the next one. Within the grace it is there already,
// and must be unused. store.ErrNotFound: there is nothing to be had for it.
func (g *Grants) rotateRefreshToken(ctx context.Context, tx *store.DB, a client.Client, of Grant, r refreshRotation) error {
	if _, err := g.recheckPolicy(ctx, tx, a, of); err != nil {
		return err
	}
	now := g.Now()
	err := tx.UseToken(ctx, r.old.Hash, now)
	if err == nil {
		return tx.CreateToken(ctx, store.Token{Hash: seal.HashToken(r.next), GrantID: of.ID, Kind: store.RefreshToken, CreatedAt: now, ExpiresAt: of.ExpiresAt})
	}
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	again, _, err := tx.FindLiveToken(ctx, seal.HashToken(r.next), now)
	if err == nil && now.Sub(again.CreatedAt) > refreshReuseGrace {
		err = store.ErrNotFound
	}
	return err
}

// recheckPolicy looks whether the app would get such a grant today: the person is in a group that it is
// for, has proven what it needs, and allows it to know what it does. Everything else that may have
// changed ends the grant by itself. store.ErrNotFound: it would not.
func (g *Grants) recheckPolicy(ctx context.Context, tx *store.DB, a client.Client, of Grant) (*UserInfo, error) {
	account, err := tx.GetAccount(ctx, of.AccountID)
	if err != nil {
		return nil, err
	}
	who := userInfoFromRow(account)
	if !a.AllowsGroups(who.Groups) || session.LevelOf(of.AMR) < a.RequiredLevel() {
		return nil, store.ErrNotFound
	}
	if !a.ThirdParty {
		return &who, nil
	}
	c, err := tx.GetConsent(ctx, of.AccountID, a.ID)
	if err == nil && !consentCovers(c, of.Scope) {
		err = store.ErrNotFound
	}
	return &who, err
}

// revokeIfReused ends the grant of a refresh token that gave nothing, if it was used before.
func (g *Grants) revokeIfReused(ctx context.Context, old store.Token, from origin.Origin) error {
	now, row, err := g.Store.FindToken(ctx, old.Hash)
	if err != nil || now.UsedAt.IsZero() {
		return err
	}
	return g.stolen(ctx, audit.TokenReused, row, from)
}

// IssueClientCredentialsToken gives an app a token of its own, for no person (client_credentials).
func (g *Grants) IssueClientCredentialsToken(ctx context.Context, a client.Client, scope []string) (of Grant, t Tokens, err error) {
	now := g.Now()
	row := store.Grant{
		ID: rand.Text(), ClientID: a.ID, Scope: strings.Join(scope, " "), CodeBinding: "{}", CodeHash: seal.HashToken(seal.NewToken()),
		CreatedAt: now, ExpiresAt: now.Add(AccessTokenTTL), CodeUsedAt: now,
	}
	if of, err = grantFromRow(row); err != nil {
		return of, t, err
	}
	err = g.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.CreateGrant(ctx, row); err != nil {
			return err
		}
		t, err = g.issueTokens(ctx, tx, of)
		return err
	})
	if err != nil {
		return of, t, fmt.Errorf("grant: own: %w", err)
	}
	return of, t, nil
}

// TokenInfo is what a live token tells.
type TokenInfo struct {
	Grant
	IsRefreshToken bool
	TokenIssuedAt  time.Time
	TokenExpiresAt time.Time
}

// IntrospectToken is the grant of a live access or refresh token. ErrInvalid.
func (g *Grants) IntrospectToken(ctx context.Context, token string) (TokenInfo, error) {
	row, of, err := g.Store.FindLiveToken(ctx, seal.HashToken(token), g.Now())
	if errors.Is(err, store.ErrNotFound) || err == nil && row.Kind == store.ForwardAuthToken {
		return TokenInfo{}, ErrInvalid
	}
	if err != nil {
		return TokenInfo{}, fmt.Errorf("grant: show: %w", err)
	}
	found, err := grantFromRow(of)
	return TokenInfo{found, row.Kind == store.RefreshToken, row.CreatedAt, row.ExpiresAt}, err
}

// FindGrantByAccessToken is the grant of a live access token of a person. ErrInvalid.
func (g *Grants) FindGrantByAccessToken(ctx context.Context, token string) (Grant, error) {
	shown, err := g.IntrospectToken(ctx, token)
	if err == nil && (shown.IsRefreshToken || shown.AccountID == "") {
		err = ErrInvalid
	}
	return shown.Grant, err
}

// RevokeToken ends an access token, or with a refresh token the whole grant (RFC 7009 2.1). A token
// that is unknown, or another app's, is no error.
func (g *Grants) RevokeToken(ctx context.Context, a client.Client, token string, from origin.Origin) error {
	row, of, err := g.Store.FindToken(ctx, seal.HashToken(token))
	switch {
	case errors.Is(err, store.ErrNotFound) || err == nil && of.ClientID != a.ID:
		return nil
	case err != nil:
		return fmt.Errorf("grant: revoke: %w", err)
	case row.Kind == store.RefreshToken:
		return g.end(ctx, of, from)
	}
	return g.Store.DeleteToken(ctx, row.Hash)
}

// IssueHostToken gives a browser the token of its cookie at a host behind a proxy, for a code that was
// issued for that host. It lasts as long as the session.
func (g *Grants) IssueHostToken(ctx context.Context, of Grant) (token string, err error) {
	token, err = g.insertToken(ctx, g.Store, of, store.ForwardAuthToken, of.ExpiresAt)
	if err != nil {
		return "", fmt.Errorf("grant: enter: %w", err)
	}
	return token, nil
}

// FindGrantByHostToken is the grant of a browser's cookie at a host behind a proxy. ErrInvalid.
func (g *Grants) FindGrantByHostToken(ctx context.Context, token string) (Grant, error) {
	row, of, err := g.Store.FindLiveToken(ctx, seal.HashToken(token), g.Now())
	if errors.Is(err, store.ErrNotFound) || err == nil && row.Kind != store.ForwardAuthToken {
		return Grant{}, ErrInvalid
	}
	if err != nil {
		return Grant{}, fmt.Errorf("grant: at host: %w", err)
	}
	return grantFromRow(of)
}
