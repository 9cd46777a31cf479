package client

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
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
	uses       uses
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
		if !c.IsStatic(one.ID) {
			list = append(list, one)
		}
	}
	return list
}

// ErrExists is returned if a client with the id exists.
var ErrExists = errors.New("client: an app with this id exists")

// ErrReadOnly is returned for a client of the settings, which cannot be changed here.
var ErrReadOnly = errors.New("client: the app is defined in the settings")

// IsStatic reports whether the client with the id is one of the settings.
func (c *Clients) IsStatic(id string) bool {
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
func (c *Clients) Create(ctx context.Context, by account.By, cl Client) error {
	if err := cl.Validate(); err != nil {
		return err
	}
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
		n := notification(audit.ClientCreated, "operator.app.added", cl)
		err = c.alter(ctx, by, n, func(tx *store.DB, _ *account.Notification) error {
			return tx.CreateClient(ctx, store.Client{ID: cl.ID, Registration: string(body), CreatedAt: c.Now()})
		})
	}
	if errors.Is(err, store.ErrConflict) {
		return ErrExists
	}
	return err
}

// notification returns the notification of operators that a client was changed.
func notification(kind audit.Kind, template string, cl Client) account.Notification {
	return account.Notification{
		Event:    audit.Event{Kind: kind, Target: audit.Target("client", cl.ID), Client: cl.ID},
		Template: template, Detail: cl.fullName(),
	}
}

// fullName returns the name with the id. Of an app that registered itself it is the id: it chose the name.
func (c Client) fullName() string {
	if c.Name == "" || c.Name == c.ID || c.SelfRegistered {
		return c.ID
	}
	return c.Name + " (" + c.ID + ")"
}

// alter runs f, records the event of n and notifies the operators, in one transaction, in which the role of the operator
// stays.
func (c *Clients) alter(ctx context.Context, by account.By, n account.Notification,
	f func(*store.DB, *account.Notification) error) error {
	err := c.Store.Tx(ctx, func(tx *store.DB) error {
		if err := c.Accounts.PermitSite(ctx, tx, by); err != nil {
			return err
		}
		if err := f(tx, &n); err != nil {
			return err
		}
		return c.Accounts.NotifyOperators(ctx, tx, by, n)
	})
	if err == nil {
		c.Accounts.NotifyOutbox()
	}
	return err
}

// ErrChanged is returned if somebody else has changed the client in the meantime.
var ErrChanged = errors.New("client: the app was changed in the meantime")

// Version identifies a state of the registration, so that nobody overwrites what somebody else has changed.
func (c Client) Version() string {
	body, err := json.Marshal(c)
	if err != nil {
		return "" // the keys are no JSON, so it was never stored
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:8])
}

// Update replaces the registration of a client. It does nothing if the client has this registration already. was is the
// version that is replaced, "" for any. It returns ErrNotFound if there is no client with the id, ErrChanged if it has
// another version, ErrReadOnly if it is one of the settings, and a *ValidationError if the registration is invalid.
func (c *Clients) Update(ctx context.Context, by account.By, cl Client, was string) error {
	return c.change(ctx, by, notification(audit.ClientUpdated, "operator.app.changed", cl), cl, was)
}

// RotateSecret gives a client a new secret. If keep is true, the newest of the old ones stays valid. was is the version
// that is changed, "" for any. It returns ErrNotFound, ErrChanged, ErrReadOnly if the client is one of the settings, and
// ErrNoSecret if it has none.
func (c *Clients) RotateSecret(ctx context.Context, by account.By, id string, keep bool, was string) (string, error) {
	cl, err := c.withSecret(ctx, id)
	if err != nil {
		return "", err
	}
	secret, hash := NewSecret()
	previous, version := cl.SecretHashes, cl.Version()
	cl.SecretHashes = []string{hash}
	if keep {
		cl.SecretHashes = append(cl.SecretHashes, previous[0])
	}
	n := notification(audit.ClientSecretRotated, "operator.app.secret", cl)
	if err := c.change(ctx, by, n, cl, cmp.Or(was, version)); err != nil {
		return "", err
	}
	return secret, nil
}

// EndOldSecrets ends all secrets of a client but the newest. was is the version that is changed, "" for any. It returns
// the errors of RotateSecret.
func (c *Clients) EndOldSecrets(ctx context.Context, by account.By, id, was string) error {
	cl, err := c.withSecret(ctx, id)
	if err != nil {
		return err
	}
	version := cl.Version()
	cl.SecretHashes = cl.SecretHashes[:1]
	return c.change(ctx, by, notification(audit.ClientUpdated, "operator.app.changed", cl), cl, cmp.Or(was, version))
}

// ErrNoSecret is returned if a client has no secret.
var ErrNoSecret = errors.New("client: the app has no secret")

// withSecret returns a client that has a secret and can be changed.
func (c *Clients) withSecret(ctx context.Context, id string) (Client, error) {
	if c.IsStatic(id) {
		return Client{}, ErrReadOnly
	}
	cl, err := c.Get(ctx, id)
	if err == nil && len(cl.SecretHashes) == 0 {
		err = ErrNoSecret
	}
	return cl, err
}

// change replaces the registration of a client of the version was. The event says which fields were changed.
func (c *Clients) change(ctx context.Context, by account.By, n account.Notification, cl Client, was string) error {
	if c.IsStatic(cl.ID) {
		return ErrReadOnly
	}
	if err := c.validate(ctx, cl); err != nil {
		return err
	}
	body, err := json.Marshal(cl)
	if err != nil {
		return err
	}
	err = c.alter(ctx, by, n, func(tx *store.DB, n *account.Notification) error {
		row, err := tx.GetClient(ctx, cl.ID)
		if err != nil {
			return err
		}
		old, err := clientFromRow(row)
		if err != nil {
			return err
		}
		if was != "" && old.Version() != was {
			return ErrChanged
		}
		names := changedFields(old, cl)
		if len(names) == 0 {
			return errUnchanged
		}
		n.Event.Reason = strings.Join(names, ", ")
		n.More = n.Event.Reason
		if err := tx.UpdateClient(ctx, cl.ID, row.Registration, string(body)); errors.Is(err, store.ErrNotFound) {
			return ErrChanged
		} else if err != nil {
			return err
		}
		return nil
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return ErrNotFound
	case errors.Is(err, errUnchanged):
		return nil
	}
	return err
}

// errUnchanged means that a change changes nothing, so that nothing is written and nobody is notified.
var errUnchanged = errors.New("client: nothing is changed")

// changedFields returns the JSON names of the fields in which two registrations differ.
func changedFields(a, b Client) (names []string) {
	var of [2]map[string]json.RawMessage
	for i, cl := range []Client{a, b} {
		body, err := json.Marshal(cl)
		if err != nil {
			return nil // it was never stored
		}
		if err := json.Unmarshal(body, &of[i]); err != nil {
			return nil
		}
	}
	all := maps.Clone(of[0])
	maps.Copy(all, of[1])
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if string(of[0][name]) != string(of[1][name]) {
			names = append(names, name)
		}
	}
	return names
}

// Delete removes a client and all its grants. It returns ErrNotFound if there is no such client, and
// ErrReadOnly if it is one of the settings.
func (c *Clients) Delete(ctx context.Context, by account.By, id string) error {
	if c.IsStatic(id) {
		return ErrReadOnly
	}
	cl, err := c.Get(ctx, id)
	if err != nil {
		return err
	}
	err = c.alter(ctx, by, notification(audit.ClientDeleted, "operator.app.removed", cl),
		func(tx *store.DB, _ *account.Notification) error { return tx.DeleteClient(ctx, id) })
	if errors.Is(err, store.ErrNotFound) {
		return ErrNotFound
	}
	if err == nil {
		c.uses.forget(id)
	}
	return err
}
