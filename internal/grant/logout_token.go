package grant

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/store"
)

// LogoutToken is what an app is told about a session that was ended (OpenID Connect Back-Channel
// Logout 2.4).
type LogoutToken struct {
	Client    client.Client
	JWT       string
	sessionID string
}

const (
	// logoutTokenTTL is for how long a farewell may travel.
	logoutTokenTTL = 2 * time.Minute
	// logoutRetryDelay is when an app that was not reached is told again.
	logoutRetryDelay = time.Minute
)

// ClaimLogoutTokens are those that are due: of sessions that were ended before their time. Who takes one
// delivers it and says so by Told; what was not delivered is due again a minute later, on
// whichever server, for as long as the session would have lasted.
func (g *Grants) ClaimLogoutTokens(ctx context.Context) (list []LogoutToken, err error) {
	now := g.Now()
	rows, err := g.Store.ListDueLogouts(ctx, now)
	if err != nil {
		return nil, fmt.Errorf("grant: farewells: %w", err)
	}
	for _, row := range rows {
		err := g.Store.ClaimLogout(ctx, row.ClientID, row.SessionID, now, now.Add(logoutRetryDelay))
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return list, fmt.Errorf("grant: farewells: %w", err)
		}
		f := LogoutToken{sessionID: row.SessionID}
		f.Client, err = g.Clients.Get(ctx, row.ClientID)
		if errors.Is(err, client.ErrNotFound) || err == nil && f.Client.BackChannelLogoutURI == "" {
			err = g.Store.FinishLogout(ctx, row.ClientID, row.SessionID, now) // there is nobody to tell
		} else if err == nil {
			f.JWT, err = g.signLogoutToken(ctx, f.Client, row)
		}
		if err != nil {
			return list, fmt.Errorf("grant: farewells: %w", err)
		}
		if f.JWT != "" {
			list = append(list, f)
		}
	}
	return list, nil
}

// MarkLogoutDelivered notes that a farewell has arrived.
func (g *Grants) MarkLogoutDelivered(ctx context.Context, f LogoutToken) error {
	return g.Store.FinishLogout(ctx, f.Client.ID, f.sessionID, g.Now())
}

func (g *Grants) signLogoutToken(ctx context.Context, a client.Client, row store.Grant) (string, error) {
	subject, err := g.Subject(ctx, a, row.AccountID)
	if err != nil {
		return "", err
	}
	now := g.Now()
	return g.SignJWT(ctx, a.SigningAlg(), logoutTokenType, map[string]any{
		"iss": g.Issuer, "aud": a.ID, "sub": subject, "sid": g.SID(row.SessionID, a.ID), "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(logoutTokenTTL).Unix(),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": struct{}{}},
	})
}
