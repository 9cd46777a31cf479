package store

import (
	"context"
	"sync"
)

// maxCommitted is how many events committed remembers.
const maxCommitted = 1000

// committed remembers the last audit events that this process has committed. Every change has one, in the same
// transaction. PostgreSQL may lose them: a replica that lags behind may become the new primary.
type committed struct {
	mu  sync.Mutex
	ids []EventID // the newest last
}

func (c *committed) add(id EventID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.ids) >= 2*maxCommitted {
		c.ids = append([]EventID(nil), c.ids[len(c.ids)-maxCommitted:]...)
	}
	c.ids = append(c.ids, id)
}

// take returns the remembered ids and forgets them.
func (c *committed) take() []EventID {
	c.mu.Lock()
	defer c.mu.Unlock()
	ids := c.ids
	c.ids = nil
	return ids
}

// LostEvents returns how many of the last audit events that this process has committed, at least the last 1,000, are
// missing in PostgreSQL. It counts each once. SQLite loses none, so there it returns 0.
func (db *DB) LostEvents(ctx context.Context) (lost int, err error) {
	ids := db.committed.take()
	if len(ids) == 0 {
		return 0, nil
	}
	found := make(map[EventID]bool, len(ids))
	rows, err := db.read.QueryContext(ctx, `SELECT id FROM audit_events WHERE id = ANY($1)`, ids)
	list, err := all(rows, err, func(row scanner) (id EventID, err error) { return id, row.Scan(&id) })
	if err != nil {
		for _, id := range ids { // ask again
			db.committed.add(id)
		}
		return 0, err
	}
	for _, id := range list {
		found[id] = true
	}
	for _, id := range ids {
		if found[id] {
			db.committed.add(id) // a later failover may lose it
		} else {
			lost++
		}
	}
	if lost > 0 {
		db.browsers.forget() // they may be lost too
	}
	return lost, nil
}
