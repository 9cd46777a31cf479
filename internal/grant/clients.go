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

// ErrClientNotFound says that there is no such app.
var ErrClientNotFound = errors.New("grant: no such app")

// GetClient is the app with this id: of the settings, or else an added one. ErrNoApp.
func (g *Grants) GetClient(ctx context.Context, id string) (Client, error) {
	for _, a := range g.StaticClients {
		if a.ID == id {
			return a, nil
		}
	}
	row, err := g.Store.GetClient(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return Client{}, ErrClientNotFound
	}
	if err != nil {
		return Client{}, fmt.Errorf("grant: app: %w", err)
	}
	return clientFromRow(row)
}

func clientFromRow(row store.Client) (a Client, err error) {
	if err := json.Unmarshal([]byte(row.Registration), &a); err != nil {
		return Client{}, fmt.Errorf("grant: app %s: %w", row.ID, err)
	}
	return a, nil
}

// ListClients are all of them: those of the settings first.
func (g *Grants) ListClients(ctx context.Context) ([]Client, error) {
	list := slices.Clone(g.StaticClients)
	rows, err := g.Store.ListClients(ctx)
	if err != nil {
		return nil, fmt.Errorf("grant: apps: %w", err)
	}
	for _, row := range rows {
		a, err := clientFromRow(row)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(g.StaticClients, func(fixed Client) bool { return fixed.ID == a.ID }) {
			list = append(list, a)
		}
	}
	return list, nil
}

// ErrClientExists says that there is an app with this id.
var ErrClientExists = errors.New("grant: there is such an app")

// ErrClientReadOnly says that the app is one of the settings, which nothing in the database changes.
var ErrClientReadOnly = errors.New("grant: the app is one of the settings")

func (g *Grants) isStatic(id string) bool {
	return slices.ContainsFunc(g.StaticClients, func(a Client) bool { return a.ID == id })
}

// validateClient says what is wrong with an app, or what another has that it claims.
func (g *Grants) validateClient(ctx context.Context, a Client) error {
	if err := a.Validate(); err != nil {
		return err
	}
	apps, err := g.ListClients(ctx)
	if err != nil {
		return err
	}
	for _, other := range apps {
		if err := a.CheckConflict(other); err != nil && other.ID != a.ID {
			return err
		}
	}
	return nil
}

// CreateClient adds an app. ErrAppExists, or what is wrong with it.
func (g *Grants) CreateClient(ctx context.Context, a Client) error {
	switch _, err := g.GetClient(ctx, a.ID); {
	case err == nil:
		return ErrClientExists
	case !errors.Is(err, ErrClientNotFound):
		return err
	}
	if err := g.validateClient(ctx, a); err != nil {
		return err
	}
	body, err := json.Marshal(a)
	if err == nil {
		err = g.alter(ctx, audit.ClientCreated, a.ID, func(tx *store.DB) error {
			return tx.CreateClient(ctx, store.Client{ID: a.ID, Registration: string(body), CreatedAt: store.Millis(g.Now())})
		})
	}
	if errors.Is(err, store.ErrConflict) {
		return ErrClientExists
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

// UpdateClient replaces what an added app may do. ErrNoApp, ErrAppFixed, or what is wrong with it.
func (g *Grants) UpdateClient(ctx context.Context, a Client) error {
	return g.change(ctx, audit.ClientUpdated, a)
}

// RotateApp gives an added app a new secret, and keeps the newest of the old ones if keep is true.
// ErrNoApp, ErrAppFixed.
func (g *Grants) RotateApp(ctx context.Context, id string, keep bool) (secret string, err error) {
	a, err := g.GetClient(ctx, id)
	if err != nil {
		return "", err
	}
	secret, hash := NewSecret()
	old := a.SecretHashes
	a.SecretHashes = []string{hash}
	if keep && len(old) > 0 {
		a.SecretHashes = append(a.SecretHashes, old[0])
	}
	if err := g.change(ctx, audit.ClientSecretRotated, a); err != nil {
		return "", err
	}
	return secret, nil
}

func (g *Grants) change(ctx context.Context, kind audit.Kind, a Client) error {
	if g.isStatic(a.ID) {
		return ErrClientReadOnly
	}
	if err := g.validateClient(ctx, a); err != nil {
		return err
	}
	body, err := json.Marshal(a)
	if err == nil {
		err = g.alter(ctx, kind, a.ID, func(tx *store.DB) error { return tx.UpdateClient(ctx, a.ID, string(body)) })
	}
	if errors.Is(err, store.ErrNotFound) {
		return ErrClientNotFound
	}
	return err
}

// DeleteClient removes an added app, and whatever it was allowed. ErrNoApp, ErrAppFixed.
func (g *Grants) DeleteClient(ctx context.Context, id string) error {
	if g.isStatic(id) {
		return ErrClientReadOnly
	}
	err := g.alter(ctx, audit.ClientDeleted, id, func(tx *store.DB) error { return tx.DeleteClient(ctx, id) })
	if errors.Is(err, store.ErrNotFound) {
		return ErrClientNotFound
	}
	return err
}
