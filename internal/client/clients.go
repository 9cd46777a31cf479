package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/store"
)

// Clients is the service for registered clients: those of the settings, and those an operator added to the
// database.
type Clients struct {
	Store    *store.DB
	Now      func() time.Time
	Accounts *account.Accounts // for audit events
	Static   []Client          // from the settings; read-only
	// Documents says whether clients may be named by the URL of their metadata document.
	Documents bool

	mu     sync.Mutex
	cached []Client // from the database
	known  bool
	read   uint64                   // the store's version when cached was read
	at     time.Time                // when cached was read
	last   atomic.Pointer[[]Client] // cached, to be read without mu

	rejections rejections
}

// ErrNotFound is returned if there is no client with the id.
var ErrNotFound = errors.New("client: no such app")

// cacheTTL is how long the list of clients is cached. Changes by this server take effect at once, changes by
// other servers when it expires.
const cacheTTL = time.Second

// stored returns the clients of the database. It reads them if fresh is true, if this server has changed one,
// or if the cache has expired.
func (c *Clients) stored(ctx context.Context, fresh bool) ([]Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refresh(ctx, fresh)
}

// refresh is stored for the holder of mu.
func (c *Clients) refresh(ctx context.Context, fresh bool) ([]Client, error) {
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
	c.last.Store(&list)
	return list, nil
}

// Get returns the client with this id; one from the settings comes first. It returns ErrNotFound if there is
// none.
//
// A client that is not in the cache is looked up in the database, so that a client another process has just
// added works at once.
//
// Of a client that is named by the URL of its metadata document it returns what was read last.
func (c *Clients) Get(ctx context.Context, id string) (Client, error) {
	if IsDocumentID(id) {
		cl, _, err := c.GetDocument(ctx, id)
		return cl, err
	}
	hasID := func(cl Client) bool { return cl.ID == id }
	if i := slices.IndexFunc(c.Static, hasID); i >= 0 {
		return c.Static[i], nil
	}
	for _, fresh := range []bool{false, true} {
		list, err := c.stored(ctx, fresh)
		if err != nil {
			return Client{}, err
		}
		if i := slices.IndexFunc(list, hasID); i >= 0 {
			return list[i], nil
		}
	}
	return Client{}, ErrNotFound
}

// FindByPostLogoutRedirectURI returns the client that alone has registered this post_logout_redirect_uri. It returns
// ErrNotFound if there is none, or if several have.
func (c *Clients) FindByPostLogoutRedirectURI(ctx context.Context, uri string) (found Client, err error) {
	list, err := c.List(ctx)
	if err != nil {
		return Client{}, err
	}
	for _, one := range list {
		if !one.AllowsPostLogoutRedirectURI(uri) {
			continue
		}
		if found.ID != "" {
			return Client{}, ErrNotFound
		}
		found = one
	}
	if found.ID == "" {
		return Client{}, ErrNotFound
	}
	return found, nil
}

// GetDocument returns the client of a metadata document that was read before, and until when it need not be read again.
// It returns ErrNotFound if there is none, or if clients with documents are not allowed.
func (c *Clients) GetDocument(ctx context.Context, id string) (cl Client, until time.Time, err error) {
	if !c.Documents {
		return Client{}, time.Time{}, ErrNotFound
	}
	row, err := c.Store.GetClientDocument(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return Client{}, time.Time{}, ErrNotFound
	}
	if err != nil {
		return Client{}, time.Time{}, fmt.Errorf("client: get document: %w", err)
	}
	cl, err = clientFromRow(store.Client{ID: row.ID, Registration: row.Registration})
	return cl, row.ExpiresAt, err
}

// SaveDocument stores the client of a metadata document until it is to be read again.
func (c *Clients) SaveDocument(ctx context.Context, cl Client, until time.Time) error {
	body, err := json.Marshal(cl)
	if err == nil {
		err = c.Store.SaveClientDocument(ctx, store.ClientDocument{
			ID: cl.ID, Registration: string(body), ExpiresAt: until,
		})
	}
	if err != nil {
		return fmt.Errorf("client: save document: %w", err)
	}
	return nil
}

func clientFromRow(row store.Client) (cl Client, err error) {
	if err := json.Unmarshal([]byte(row.Registration), &cl); err != nil {
		return Client{}, fmt.Errorf("client: get %s: %w", row.ID, err)
	}
	return cl, nil
}

// List returns all clients, those of the settings first.
func (c *Clients) List(ctx context.Context) ([]Client, error) {
	stored, err := c.stored(ctx, false)
	if err != nil {
		return nil, err
	}
	return c.withStatic(stored), nil
}

// lastKnownTimeout is how long LastKnown waits for a database that hangs.
const lastKnownTimeout = 2 * time.Second

// LastKnown is List for what must be answered while the database fails: then, or while another caller reads the list,
// it returns the clients that were read last.
func (c *Clients) LastKnown(ctx context.Context) []Client {
	if c.mu.TryLock() {
		defer c.mu.Unlock()
		limited, stop := context.WithTimeout(ctx, lastKnownTimeout)
		defer stop()
		if list, err := c.refresh(limited, false); err == nil {
			return c.withStatic(list)
		}
	}
	if last := c.last.Load(); last != nil {
		return c.withStatic(*last)
	}
	return c.Static
}

// withStatic returns the clients of the settings and those of the database that have other ids.
func (c *Clients) withStatic(stored []Client) []Client {
	list := slices.Clone(c.Static)
	for _, one := range stored {
		if !c.isStatic(one.ID) {
			list = append(list, one)
		}
	}
	return list
}

// ErrExists is returned if a client with the id exists.
var ErrExists = errors.New("client: an app with this id exists")

// ErrReadOnly is returned for a client of the settings, which cannot be changed here.
var ErrReadOnly = errors.New("client: the app is defined in the settings")

func (c *Clients) isStatic(id string) bool {
	return slices.ContainsFunc(c.Static, func(cl Client) bool { return cl.ID == id })
}

// validate checks a registration, also against all other clients.
func (c *Clients) validate(ctx context.Context, cl Client) error {
	if err := cl.Validate(); err != nil {
		return err
	}
	all, err := c.List(ctx)
	if err != nil {
		return err
	}
	for _, other := range all {
		if err := cl.CheckConflict(other); err != nil && other.ID != cl.ID {
			return err
		}
	}
	return nil
}

// Create adds a client. It returns ErrExists if the id is in use, and a *ValidationError if the registration is
// invalid.
func (c *Clients) Create(ctx context.Context, cl Client) error {
	switch _, err := c.Get(ctx, cl.ID); {
	case err == nil:
		return ErrExists
	case !errors.Is(err, ErrNotFound):
		return err
	}
	if err := c.validate(ctx, cl); err != nil {
		return err
	}
	body, err := json.Marshal(cl)
	if err == nil {
		err = c.alter(ctx, audit.ClientCreated, cl.ID, func(tx *store.DB) error {
			return tx.CreateClient(ctx, store.Client{ID: cl.ID, Registration: string(body), CreatedAt: c.Now()})
		})
	}
	if errors.Is(err, store.ErrConflict) {
		return ErrExists
	}
	return err
}

// alter runs f and records an audit event of the operator in the same transaction.
func (c *Clients) alter(ctx context.Context, kind audit.Kind, id string, f func(*store.DB) error) error {
	return c.Store.Tx(ctx, func(tx *store.DB) error {
		if err := f(tx); err != nil {
			return err
		}
		e := audit.Event{Kind: kind, Actor: c.Accounts.OperatorActor(), Target: audit.Target("client", id), Client: id}
		return c.Accounts.Event(ctx, tx, e, origin.Origin{})
	})
}

// Update replaces the registration of a client. It returns ErrNotFound if there is none with the id,
// ErrReadOnly if it is one of the settings, and a *ValidationError if the registration is invalid.
func (c *Clients) Update(ctx context.Context, cl Client) error {
	return c.change(ctx, audit.ClientUpdated, cl)
}

// RotateSecret gives a client a new secret. If keep is true, the newest of the old ones stays valid. It returns
// ErrNotFound if there is no such client, and ErrReadOnly if it is one of the settings.
func (c *Clients) RotateSecret(ctx context.Context, id string, keep bool) (secret string, err error) {
	cl, err := c.Get(ctx, id)
	if err != nil {
		return "", err
	}
	secret, hash := NewSecret()
	previous := cl.SecretHashes
	cl.SecretHashes = []string{hash}
	if keep && len(previous) > 0 {
		cl.SecretHashes = append(cl.SecretHashes, previous[0])
	}
	if err := c.change(ctx, audit.ClientSecretRotated, cl); err != nil {
		return "", err
	}
	return secret, nil
}

func (c *Clients) change(ctx context.Context, kind audit.Kind, cl Client) error {
	if c.isStatic(cl.ID) {
		return ErrReadOnly
	}
	if err := c.validate(ctx, cl); err != nil {
		return err
	}
	body, err := json.Marshal(cl)
	if err == nil {
		err = c.alter(ctx, kind, cl.ID, func(tx *store.DB) error { return tx.UpdateClient(ctx, cl.ID, string(body)) })
	}
	if errors.Is(err, store.ErrNotFound) {
		return ErrNotFound
	}
	return err
}

// Delete removes a client and all its grants. It returns ErrNotFound if there is no such client, and
// ErrReadOnly if it is one of the settings.
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
