package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/store"
)

// Clients are the registered apps: those of the settings, and those that an operator added to the
// database.
type Clients struct {
	Store    *store.DB
	Now      func() time.Time
	Accounts *account.Accounts // records the events
	Static   []Client          // those of the settings

	mu     sync.Mutex
	cached []Client // of the database, as of version
	known  bool
	read   uint64    // the store's version when they were read
	at     time.Time // and when
}

// ErrNotFound says that there is no such app.
var ErrNotFound = errors.New("client: no such app")

// cacheTTL is for how long clients are remembered. What this server changes counts at once; what
// another server on the same database changes, when this is over.
const cacheTTL = time.Second

// stored lists the clients of the database. It reads them if fresh is true, if this server has
// changed one, or if it last read them cacheTTL ago.
func (c *Clients) stored(ctx context.Context, fresh bool) ([]Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.Now()
	age := now.Sub(c.at)
	if !fresh && c.known && age >= 0 && age < cacheTTL && !c.Store.Changed(c.read, store.ClientsKey()) {
		return c.cached, nil
	}
	version := c.Store.Version()
	rows, err := c.Store.ListClients(ctx)
	if err != nil {
		return nil, fmt.Errorf("client: list: %w", err)
	}
	list := make([]Client, len(rows))
	for i, row := range rows {
		if list[i], err = clientFromRow(row); err != nil {
			return nil, err
		}
	}
	c.cached, c.known, c.read, c.at = list, true, version, now
	return list, nil
}

// Get returns the client with this id: of the settings, or else an added one. It returns
// ErrNotFound if there is none.
//
// A client that is not known is looked for in the database, so that one that was just added by a
// command can be used at once.
func (c *Clients) Get(ctx context.Context, id string) (Client, error) {
	for _, fresh := range []bool{false, true} {
		list, err := c.list(ctx, fresh)
		if err != nil {
			return Client{}, err
		}
		for _, one := range list {
			if one.ID == id {
				return one, nil
			}
		}
	}
	return Client{}, ErrNotFound
}

func clientFromRow(row store.Client) (a Client, err error) {
	if err := json.Unmarshal([]byte(row.Registration), &a); err != nil {
		return Client{}, fmt.Errorf("client: get %s: %w", row.ID, err)
	}
	return a, nil
}

// List lists all clients: those of the settings first.
func (c *Clients) List(ctx context.Context) ([]Client, error) { return c.list(ctx, false) }

func (c *Clients) list(ctx context.Context, fresh bool) ([]Client, error) {
	stored, err := c.stored(ctx, fresh)
	if err != nil {
		return nil, err
	}
	list := slices.Clone(c.Static)
	for _, one := range stored {
		if !c.isStatic(one.ID) {
			list = append(list, one)
		}
	}
	return list, nil
}

// ErrExists says that there is an app with this id.
var ErrExists = errors.New("client: there is such an app")

// ErrReadOnly says that the app is one of the settings, which nothing in the database changes.
var ErrReadOnly = errors.New("client: the app is one of the settings")

func (c *Clients) isStatic(id string) bool {
	return slices.ContainsFunc(c.Static, func(a Client) bool { return a.ID == id })
}

// validate says what is wrong with a registration, or what another client has that it claims.
func (c *Clients) validate(ctx context.Context, a Client) error {
	if err := a.Validate(); err != nil {
		return err
	}
	apps, err := c.List(ctx)
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

// Create adds a client. It returns ErrExists, or a *ValidationError.
func (c *Clients) Create(ctx context.Context, a Client) error {
	switch _, err := c.Get(ctx, a.ID); {
	case err == nil:
		return ErrExists
	case !errors.Is(err, ErrNotFound):
		return err
	}
	if err := c.validate(ctx, a); err != nil {
		return err
	}
	body, err := json.Marshal(a)
	if err == nil {
		err = c.alter(ctx, audit.ClientCreated, a.ID, func(tx *store.DB) error {
			return tx.CreateClient(ctx, store.Client{ID: a.ID, Registration: string(body), CreatedAt: c.Now()})
		})
	}
	if errors.Is(err, store.ErrConflict) {
		return ErrExists
	}
	return err
}

// alter changes the client with this id, and records it as the operator's act.
func (c *Clients) alter(ctx context.Context, kind audit.Kind, id string, f func(*store.DB) error) error {
	return c.Store.Tx(ctx, func(tx *store.DB) error {
		if err := f(tx); err != nil {
			return err
		}
		e := audit.Event{Kind: kind, Actor: c.Accounts.OperatorActor(), Target: audit.Target("client", id), Client: id}
		return c.Accounts.Event(ctx, tx, e, origin.Origin{})
	})
}

// Update replaces the registration of an added client. It returns ErrNotFound, ErrReadOnly or a
// *ValidationError.
func (c *Clients) Update(ctx context.Context, a Client) error {
	return c.change(ctx, audit.ClientUpdated, a)
}

// RotateSecret gives an added client a new secret, and keeps the newest of the old ones if keep is true.
// It returns ErrNotFound or ErrReadOnly.
func (c *Clients) RotateSecret(ctx context.Context, id string, keep bool) (secret string, err error) {
	a, err := c.Get(ctx, id)
	if err != nil {
		return "", err
	}
	secret, hash := NewSecret()
	old := a.SecretHashes
	a.SecretHashes = []string{hash}
	if keep && len(old) > 0 {
		a.SecretHashes = append(a.SecretHashes, old[0])
	}
	if err := c.change(ctx, audit.ClientSecretRotated, a); err != nil {
		return "", err
	}
	return secret, nil
}

func (c *Clients) change(ctx context.Context, kind audit.Kind, a Client) error {
	if c.isStatic(a.ID) {
		return ErrReadOnly
	}
	if err := c.validate(ctx, a); err != nil {
		return err
	}
	body, err := json.Marshal(a)
	if err == nil {
		err = c.alter(ctx, kind, a.ID, func(tx *store.DB) error { return tx.UpdateClient(ctx, a.ID, string(body)) })
	}
	if errors.Is(err, store.ErrNotFound) {
		return ErrNotFound
	}
	return err
}

// Delete removes an added client with all its grants. It returns ErrNotFound or ErrReadOnly.
func (c *Clients) Delete(ctx context.Context, id string) error {
	if c.isStatic(id) {
		return ErrReadOnly
	}
	err := c.alter(ctx, audit.ClientDeleted, id, func(tx *store.DB) error { return tx.DeleteClient(ctx, id) })
	if errors.Is(err, store.ErrNotFound) {
		return ErrNotFound
	}
	return err
}
