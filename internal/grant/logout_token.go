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

// LogoutToken is a logout token to send to a client (OpenID Connect Back-Channel Logout 2.4).
type LogoutToken struct {
	Client    client.Client
	JWT       string
	sessionID string
}

const (
	// logoutTokenTTL is how long a logout token is valid.
	logoutTokenTTL = 2 * time.Minute
	// logoutRetryDelay is the time until a delivery that failed is tried again.
	logoutRetryDelay = time.Minute
)

// ClaimLogoutTokens returns the logout tokens that are due, for sessions that ended before they expired. Each
// one is claimed for logoutRetryDelay, so that only one server sends it. After sending it, call
// MarkLogoutDelivered; otherwise it becomes due again, until the session would have expired.
func (g *Grants) ClaimLogoutTokens(ctx context.Context) (list []LogoutToken, err error) {
	now := g.Now()
	rows, err := g.Store.ListDueLogouts(ctx, now)
	if err != nil {
		return nil, fmt.Errorf("grant: claim logout tokens: %w", err)
	}
	for _, row := range rows {
		err := g.Store.ClaimLogout(ctx, row.ClientID, row.SessionID, now, now.Add(logoutRetryDelay))
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return list, fmt.Errorf("grant: claim logout tokens: %w", err)
		}
		t := LogoutToken{sessionID: row.SessionID}
		t.Client, err = g.Clients.Get(ctx, row.ClientID)
		if errors.Is(err, client.ErrNotFound) || err == nil && t.Client.BackChannelLogoutURI == "" {
			// The client was removed or no longer has a back-channel logout URI.
			err = g.Store.FinishLogout(ctx, row.ClientID, row.SessionID, now)
		} else if err == nil {
			t.JWT, err = g.signLogoutToken(ctx, t.Client, row)
		}
		if err != nil {
			return list, fmt.Errorf("grant: claim logout tokens: %w", err)
		}
		if t.JWT != "" {
			list = append(list, t)
		}
	}
	return list, nil
}

// MarkLogoutDelivered records that the client has received the logout token.
func (g *Grants) MarkLogoutDelivered(ctx context.Context, t LogoutToken) error {
	return g.Store.FinishLogout(ctx, t.Client.ID, t.sessionID, g.Now())
}

func (g *Grants) signLogoutToken(ctx context.Context, cl client.Client, row store.Grant) (string, error) {
	subject, err := g.Subject(ctx, cl, row.AccountID)
	if err != nil {
		return "", err
	}
	now := g.Now()
	return g.SignJWT(ctx, cl.SigningAlg(), logoutTokenType, map[string]any{
		"iss": g.Issuer, "aud": cl.ID, "sub": subject, "sid": g.SID(row.SessionID, cl.ID), "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(logoutTokenTTL).Unix(),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": struct{}{}},
	})
}
