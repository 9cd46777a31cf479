package grant

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"twostep/internal/store"
)

// Farewell is what an app is told about a session that was ended (OpenID Connect Back-Channel
// Logout 2.4).
type Farewell struct {
	App   App
	Token string
	Grant string // which it is about
}

// logoutLife is for how long a farewell may travel.
const logoutLife = 2 * time.Minute

// Farewells are those that are due: of sessions that were ended before their time, each once,
// whichever server comes first. Who takes one must deliver it.
func (g *Grants) Farewells(ctx context.Context) (list []Farewell, err error) {
	now := store.Millis(g.Now())
	rows, err := g.Store.Untold(ctx, now)
	if err != nil {
		return nil, fmt.Errorf("grant: farewells: %w", err)
	}
	seen := map[string]bool{}
	for _, row := range rows {
		err := g.Store.TellGrant(ctx, row.ID, now)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return list, fmt.Errorf("grant: farewells: %w", err)
		}
		a, err := g.App(ctx, row.App)
		if errors.Is(err, ErrNoApp) || err == nil && a.BackChannel == "" || seen[row.App+" "+row.Session] {
			continue
		}
		seen[row.App+" "+row.Session] = true
		if err != nil {
			return list, err
		}
		token, err := g.farewell(ctx, a, row)
		if err != nil {
			return list, err
		}
		list = append(list, Farewell{a, token, row.ID})
	}
	return list, nil
}

func (g *Grants) farewell(ctx context.Context, a App, row store.Grant) (string, error) {
	subject, err := g.Subject(ctx, a, row.Account)
	if err != nil {
		return "", err
	}
	now := g.Now()
	return g.Sign(ctx, a.Signs(), "logout+jwt", map[string]any{
		"iss": g.Settings.PublicURL, "aud": a.ID, "sub": subject, "sid": row.Session, "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(logoutLife).Unix(),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": struct{}{}},
	})
}
