package client

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"twostep.example/twostep/internal/store"
)

const (
	// usePrecision is how exact the last use of a client is, and how often it is written at most.
	usePrecision = time.Minute
	// UseInterval is how often RecordUses is to be called.
	UseInterval = 15 * time.Second
	// useBatch is how many uses are written in one transaction, so that other writers do not wait for long.
	useBatch = 200
)

// uses are when clients were used. A request only changes the memory: a write in each would make it as slow as the disk.
type uses struct {
	mu     sync.Mutex
	latest map[string]time.Time // by client id, to within usePrecision
	wanted map[string]time.Time // those that are not written yet
}

// RecordUse notes that the client is used, for LastUse. Clients with a metadata document are not noted.
func (c *Clients) RecordUse(id string) {
	if IsDocumentID(id) {
		return
	}
	now := c.Now().Truncate(usePrecision)
	c.uses.mu.Lock()
	defer c.uses.mu.Unlock()
	if c.uses.latest[id].Equal(now) {
		return
	}
	if c.uses.latest == nil {
		c.uses.latest, c.uses.wanted = map[string]time.Time{}, map[string]time.Time{}
	}
	c.uses.latest[id], c.uses.wanted[id] = now, now
}

// RecordUses writes when clients were last used, and returns their number. Call it every UseInterval, and at the end.
// Uses that cannot be written are kept for the next call.
func (c *Clients) RecordUses(ctx context.Context) (recorded int64, err error) {
	c.uses.mu.Lock()
	taken := maps.Clone(c.uses.wanted)
	c.uses.mu.Unlock()
	for batch := range slices.Chunk(slices.Sorted(maps.Keys(taken)), useBatch) {
		err := c.Store.Tx(ctx, func(tx *store.DB) error {
			for _, id := range batch {
				if err := tx.TouchClient(ctx, id, taken[id]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return recorded, fmt.Errorf("client: record uses: %w", err)
		}
		c.uses.mu.Lock()
		for _, id := range batch {
			if c.uses.wanted[id].Equal(taken[id]) {
				delete(c.uses.wanted, id)
			}
		}
		c.uses.mu.Unlock()
		recorded += int64(len(batch))
	}
	return recorded, nil
}

// forget forgets the use of a client that was removed, so that it is not written for a later one with its id.
func (u *uses) forget(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.latest, id)
	delete(u.wanted, id)
}

// LastUse returns when a client last signed somebody in, got a token, or let a request pass to one of its hosts, to
// within a minute or so; zero if it never did.
func (c *Clients) LastUse(ctx context.Context, id string) (time.Time, error) {
	at, err := c.Store.GetClientUse(ctx, id)
	if err != nil {
		return at, fmt.Errorf("client: last use: %w", err)
	}
	c.uses.mu.Lock()
	defer c.uses.mu.Unlock()
	if latest := c.uses.latest[id]; latest.After(at) {
		at = latest
	}
	return at, nil
}

// Person is somebody who uses a client.
type Person = store.ClientPerson

// ListPeople lists up to limit people who use a client, in the order of their ids, after the account with the id after:
// those who were granted something that has not ended, or has within a day, and those who have allowed a third-party
// client.
func (c *Clients) ListPeople(ctx context.Context, id, after string, limit int) ([]Person, error) {
	list, err := c.Store.ListClientPeople(ctx, id, after, limit)
	if err != nil {
		return nil, fmt.Errorf("client: list people: %w", err)
	}
	return list, nil
}

// CountPeople returns how many people ListPeople would list, at most limit.
func (c *Clients) CountPeople(ctx context.Context, id string, limit int) (int, error) {
	n, err := c.Store.CountClientPeople(ctx, id, limit)
	if err != nil {
		return 0, fmt.Errorf("client: count people: %w", err)
	}
	return n, nil
}
