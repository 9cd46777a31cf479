package grant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/store"
)

// ErrNoApp says that there is no such app.
var ErrNoApp = errors.New("grant: no such app")

// App is the app with this id: of the settings, or else an added one. ErrNoApp.
func (g *Grants) App(ctx context.Context, id string) (App, error) {
	for _, a := range g.Fixed {
		if a.ID == id {
			return a, nil
		}
	}
	row, err := g.Store.App(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return App{}, ErrNoApp
	}
	if err != nil {
		return App{}, fmt.Errorf("grant: app: %w", err)
	}
	return readApp(row)
}

func readApp(row store.App) (a App, err error) {
	if err := json.Unmarshal([]byte(row.Body), &a); err != nil {
		return App{}, fmt.Errorf("grant: app %s: %w", row.ID, err)
	}
	return a, nil
}

// Apps are all of them: those of the settings first.
func (g *Grants) Apps(ctx context.Context) ([]App, error) {
	list := slices.Clone(g.Fixed)
	rows, err := g.Store.Apps(ctx)
	if err != nil {
		return nil, fmt.Errorf("grant: apps: %w", err)
	}
	for _, row := range rows {
		a, err := readApp(row)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(g.Fixed, func(fixed App) bool { return fixed.ID == a.ID }) {
			list = append(list, a)
		}
	}
	return list, nil
}

// ErrAppExists says that there is an app with this id.
var ErrAppExists = errors.New("grant: there is such an app")

// ErrAppFixed says that the app is one of the settings, which nothing in the database changes.
var ErrAppFixed = errors.New("grant: the app is one of the settings")

func (g *Grants) fixed(id string) bool {
	return slices.ContainsFunc(g.Fixed, func(a App) bool { return a.ID == id })
}

// fits says what is wrong with an app, or what another has that it claims.
func (g *Grants) fits(ctx context.Context, a App) error {
	if err := a.Check(); err != nil {
		return err
	}
	apps, err := g.Apps(ctx)
	if err != nil {
		return err
	}
	for _, other := range apps {
		if err := a.Clash(other); err != nil && other.ID != a.ID {
			return err
		}
	}
	return nil
}

// AddApp adds an app. ErrAppExists, or what is wrong with it.
func (g *Grants) AddApp(ctx context.Context, a App) error {
	switch _, err := g.App(ctx, a.ID); {
	case err == nil:
		return ErrAppExists
	case !errors.Is(err, ErrNoApp):
		return err
	}
	if err := g.fits(ctx, a); err != nil {
		return err
	}
	body, err := json.Marshal(a)
	if err == nil {
		err = g.alter(ctx, audit.ClientCreated, a.ID, func(tx *store.DB) error {
			return tx.AddApp(ctx, store.App{ID: a.ID, Body: string(body), MadeAt: store.Millis(g.Now())})
		})
	}
	if errors.Is(err, store.ErrConflict) {
		return ErrAppExists
	}
	return err
}

// alter does something to the app with this id, and records it as the operator's.
func (g *Grants) alter(ctx context.Context, kind audit.Kind, id string, f func(*store.DB) error) error {
	return g.Store.Tx(ctx, func(tx *store.DB) error {
		if err := f(tx); err != nil {
			return err
		}
		e := audit.Event{Kind: kind, Actor: g.Accounts.OperatorActor(), Target: audit.Target("client", id), Client: id}
		return g.Accounts.Event(ctx, tx, e, origin.Origin{})
	})
}

// ChangeApp replaces what an added app may do. ErrNoApp, ErrAppFixed, or what is wrong with it.
func (g *Grants) ChangeApp(ctx context.Context, a App) error {
	return g.change(ctx, audit.ClientUpdated, a)
}

// RotateApp gives an added app a new secret, and keeps the newest of the old ones if keep is true.
// ErrNoApp, ErrAppFixed.
func (g *Grants) RotateApp(ctx context.Context, id string, keep bool) (secret string, err error) {
	a, err := g.App(ctx, id)
	if err != nil {
		return "", err
	}
	secret, hash := NewSecret()
	old := a.Secrets
	a.Secrets = []string{hash}
	if keep && len(old) > 0 {
		a.Secrets = append(a.Secrets, old[0])
	}
	if err := g.change(ctx, audit.ClientSecretRotated, a); err != nil {
		return "", err
	}
	return secret, nil
}

func (g *Grants) change(ctx context.Context, kind audit.Kind, a App) error {
	if g.fixed(a.ID) {
		return ErrAppFixed
	}
	if err := g.fits(ctx, a); err != nil {
		return err
	}
	body, err := json.Marshal(a)
	if err == nil {
		err = g.alter(ctx, kind, a.ID, func(tx *store.DB) error { return tx.ChangeApp(ctx, a.ID, string(body)) })
	}
	if errors.Is(err, store.ErrNotFound) {
		return ErrNoApp
	}
	return err
}

// RemoveApp removes an added app, and whatever it was allowed. ErrNoApp, ErrAppFixed.
func (g *Grants) RemoveApp(ctx context.Context, id string) error {
	if g.fixed(id) {
		return ErrAppFixed
	}
	err := g.alter(ctx, audit.ClientDeleted, id, func(tx *store.DB) error { return tx.RemoveApp(ctx, id) })
	if errors.Is(err, store.ErrNotFound) {
		return ErrNoApp
	}
	return err
}
