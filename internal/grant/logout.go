package grant

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"twostep.example/twostep/internal/store"
)

// Farewell is what an app is told about a session that was ended (OpenID Connect Back-Channel
// Logout 2.4).
type Farewell struct {
	App     App
	Token   string
	session string
}

const (
	// logoutLife is for how long a farewell may travel.
	logoutLife = 2 * time.Minute
	// tellAgain is when an app that was not reached is told again.
	tellAgain = time.Minute
)

// Farewells are those that are due: of sessions that were ended before their time. Who takes one
// delivers it and says so by Told; what was not delivered is due again a minute later, on
// whichever server, for as long as the session would have lasted.
func (g *Grants) Farewells(ctx context.Context) (list []Farewell, err error) {
	now := g.Now()
	rows, err := g.Store.Untold(ctx, store.Millis(now))
	if err != nil {
		return nil, fmt.Errorf("grant: farewells: %w", err)
	}
	for _, row := range rows {
		err := g.Store.Tell(ctx, row.App, row.Session, store.Millis(now), store.Millis(now.Add(tellAgain)))
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return list, fmt.Errorf("grant: farewells: %w", err)
		}
		f := Farewell{session: row.Session}
		f.App, err = g.App(ctx, row.App)
		if errors.Is(err, ErrNoApp) || err == nil && f.App.BackChannel == "" {
			err = g.Store.Told(ctx, row.App, row.Session, store.Millis(now)) // there is nobody to tell
		} else if err == nil {
			f.Token, err = g.farewell(ctx, f.App, row)
		}
		if err != nil {
			return list, fmt.Errorf("grant: farewells: %w", err)
		}
		if f.Token != "" {
			list = append(list, f)
		}
	}
	return list, nil
}

// Told notes that a farewell has arrived.
func (g *Grants) Told(ctx context.Context, f Farewell) error {
	return g.Store.Told(ctx, f.App.ID, f.session, store.Millis(g.Now()))
}

func (g *Grants) farewell(ctx context.Context, a App, row store.Grant) (string, error) {
	subject, err := g.Subject(ctx, a, row.Account)
	if err != nil {
		return "", err
	}
	now := g.Now()
	return g.Sign(ctx, a.Signs(), logoutToken, map[string]any{
		"iss": g.Issuer, "aud": a.ID, "sub": subject, "sid": g.SID(row.Session, a.ID), "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(logoutLife).Unix(),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": struct{}{}},
	})
}
