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
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/store"
)

// Tokens are what an app is given.
type Tokens struct {
	Access  string
	Refresh string // "" unless the grant is offline
}

// give draws tokens for a grant.
func (g *Grants) give(ctx context.Context, tx *store.DB, of Grant) (t Tokens, err error) {
	if t.Access, err = g.add(ctx, tx, of, store.Access, g.Now().Add(AccessLife)); err != nil || !of.Offline {
		return t, err
	}
	t.Refresh, err = g.add(ctx, tx, of, store.Refresh, of.Ends)
	return t, err
}

// add adds a token that ends with its grant at the latest.
func (g *Grants) add(ctx context.Context, tx *store.DB, of Grant, kind string, ends time.Time) (string, error) {
	if ends.After(of.Ends) {
		ends = of.Ends
	}
	token := seal.Token()
	return token, tx.AddToken(ctx, store.Token{Token: seal.Hash(token), Grant: of.ID, Kind: kind, MadeAt: store.Millis(g.Now()), EndsAt: store.Millis(ends)})
}

// grace is for how long a refresh token that was used gives the same next one again: two
// requests of an app at once are no theft.
const grace = 10 * time.Second

// Refresh gives new tokens for a refresh token, once. One that comes a second time was stolen,
// from the app or from the thief: the grant ends (RFC 9700 2.2.2). ErrInvalid.
func (g *Grants) Refresh(ctx context.Context, a App, token string, from origin.Origin) (of Grant, t Tokens, err error) {
	old, row, err := g.Store.Token(ctx, seal.Hash(token))
	if errors.Is(err, store.ErrNotFound) || err == nil && (old.Kind != store.Refresh || row.App != a.ID) {
		return of, t, ErrInvalid
	}
	if err == nil {
		of, err = read(row)
	}
	if err != nil {
		return of, t, fmt.Errorf("grant: refresh: %w", err)
	}
	// The one after it is the same each time, and nobody without the keys can say what it is.
	t.Refresh = g.Keys.NextToken(token)
	err = g.Store.Tx(ctx, func(tx *store.DB) error {
		if err := g.rotate(ctx, tx, a, of, rotation{old, t.Refresh}); err != nil {
			return err
		}
		t.Access, err = g.add(ctx, tx, of, store.Access, g.Now().Add(AccessLife))
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return of, Tokens{}, cmp.Or(g.reused(ctx, old, from), ErrInvalid)
	}
	return of, t, err
}

// rotation is a refresh token and the one that follows it.
type rotation struct {
	old  store.Token
	next string
}

// rotate uses a refresh token up and adds the next one. Within the grace it is there already,
// and must be unused. store.ErrNotFound: there is nothing to be had for it.
func (g *Grants) rotate(ctx context.Context, tx *store.DB, a App, of Grant, r rotation) error {
	if _, err := g.still(ctx, tx, a, of); err != nil {
		return err
	}
	now := store.Millis(g.Now())
	err := tx.UseToken(ctx, r.old.Token, now)
	if err == nil {
		return tx.AddToken(ctx, store.Token{Token: seal.Hash(r.next), Grant: of.ID, Kind: store.Refresh, MadeAt: now, EndsAt: store.Millis(of.Ends)})
	}
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	again, _, err := tx.LiveToken(ctx, seal.Hash(r.next), now)
	if err == nil && now-again.MadeAt > grace.Milliseconds() {
		err = store.ErrNotFound
	}
	return err
}

// still looks whether the app would get such a grant today: the person is in a group that it is
// for, has proven what it needs, and allows it to know what it does. Everything else that may have
// changed ends the grant by itself. store.ErrNotFound: it would not.
func (g *Grants) still(ctx context.Context, tx *store.DB, a App, of Grant) (*Person, error) {
	account, err := tx.Account(ctx, of.Account)
	if err != nil {
		return nil, err
	}
	who := personOf(account)
	if !a.admits(who.Groups) || session.LevelOf(of.AMR) < a.Least() {
		return nil, store.ErrNotFound
	}
	if !a.Foreign {
		return &who, nil
	}
	c, err := tx.Consent(ctx, of.Account, a.ID)
	if err == nil && !covers(c, of.Scope) {
		err = store.ErrNotFound
	}
	return &who, err
}

// reused ends the grant of a refresh token that gave nothing, if it was used before.
func (g *Grants) reused(ctx context.Context, old store.Token, from origin.Origin) error {
	now, row, err := g.Store.Token(ctx, old.Token)
	if err != nil || now.UsedAt == 0 {
		return err
	}
	return g.stolen(ctx, audit.TokenReused, row, from)
}

// Own gives an app a token of its own, for no person (client_credentials).
func (g *Grants) Own(ctx context.Context, a App, scope []string) (of Grant, t Tokens, err error) {
	now := g.Now()
	row := store.Grant{
		ID: rand.Text(), App: a.ID, Scope: strings.Join(scope, " "), Body: "{}", Code: seal.Hash(seal.Token()),
		BeganAt: store.Millis(now), EndsAt: store.Millis(now.Add(AccessLife)), CodeUsedAt: store.Millis(now),
	}
	if of, err = read(row); err != nil {
		return of, t, err
	}
	err = g.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.AddGrant(ctx, row); err != nil {
			return err
		}
		t, err = g.give(ctx, tx, of)
		return err
	})
	if err != nil {
		return of, t, fmt.Errorf("grant: own: %w", err)
	}
	return of, t, nil
}

// Shown is what a live token tells.
type Shown struct {
	Grant
	Refresh bool
	Made    time.Time
	Until   time.Time
}

// Show is the grant of a live access or refresh token. ErrInvalid.
func (g *Grants) Show(ctx context.Context, token string) (Shown, error) {
	row, of, err := g.Store.LiveToken(ctx, seal.Hash(token), store.Millis(g.Now()))
	if errors.Is(err, store.ErrNotFound) || err == nil && row.Kind == store.Host {
		return Shown{}, ErrInvalid
	}
	if err != nil {
		return Shown{}, fmt.Errorf("grant: show: %w", err)
	}
	found, err := read(of)
	return Shown{found, row.Kind == store.Refresh, store.Time(row.MadeAt), store.Time(row.EndsAt)}, err
}

// Access is the grant of a live access token of a person. ErrInvalid.
func (g *Grants) Access(ctx context.Context, token string) (Grant, error) {
	shown, err := g.Show(ctx, token)
	if err == nil && (shown.Refresh || shown.Account == "") {
		err = ErrInvalid
	}
	return shown.Grant, err
}

// Revoke ends an access token, or with a refresh token the whole grant (RFC 7009 2.1). A token
// that is unknown, or another app's, is no error.
func (g *Grants) Revoke(ctx context.Context, a App, token string, from origin.Origin) error {
	row, of, err := g.Store.Token(ctx, seal.Hash(token))
	switch {
	case errors.Is(err, store.ErrNotFound) || err == nil && of.App != a.ID:
		return nil
	case err != nil:
		return fmt.Errorf("grant: revoke: %w", err)
	case row.Kind == store.Refresh:
		return g.end(ctx, of, from)
	}
	return g.Store.RemoveToken(ctx, row.Token)
}

// Enter gives a browser the token of its cookie at a host behind a proxy, for a code that was
// issued for that host. It lasts as long as the session.
func (g *Grants) Enter(ctx context.Context, of Grant) (token string, err error) {
	token, err = g.add(ctx, g.Store, of, store.Host, of.Ends)
	if err != nil {
		return "", fmt.Errorf("grant: enter: %w", err)
	}
	return token, nil
}

// AtHost is the grant of a browser's cookie at a host behind a proxy. ErrInvalid.
func (g *Grants) AtHost(ctx context.Context, token string) (Grant, error) {
	row, of, err := g.Store.LiveToken(ctx, seal.Hash(token), store.Millis(g.Now()))
	if errors.Is(err, store.ErrNotFound) || err == nil && row.Kind != store.Host {
		return Grant{}, ErrInvalid
	}
	if err != nil {
		return Grant{}, fmt.Errorf("grant: at host: %w", err)
	}
	return read(of)
}
