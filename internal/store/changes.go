package store

import (
	"context"
	"sync"
	"sync/atomic"
)

// Key names data from which the answer to "who is signed in, and what may they do?" is computed. A cache keeps the keys
// of an answer with it, and reads again once one of them has changed.
type Key struct{ kind, id string }

// AccountKey is the key of an account with its factors and consents. It also changes when all of its sessions or grants
// end.
func AccountKey(id string) Key { return Key{"account", id} }

// SessionKey is the key of a session: that it exists and how it was authenticated. Its last-seen time is not part of
// it.
func SessionKey(id string) Key { return Key{"session", id} }

// GrantKey is the key of a grant and its tokens.
func GrantKey(id string) Key { return Key{"grant", id} }

// ClientsKey is the key of all registered clients together, because all of them decide which client a host belongs to.
func ClientsKey() Key { return Key{"clients", ""} }

// everything is the key that includes all others.
var everything = Key{"everything", ""}

// maxChanges is how many changed keys are remembered. Beyond that, all keys count as changed and the list starts empty.
const maxChanges = 10_000

// changes holds the keys that this process has changed, each with the version at which it last changed.
type changes struct {
	version atomic.Uint64
	polled  atomic.Int64 // data_version of SQLite at the last PollChanges
	mu      sync.RWMutex
	last    map[Key]uint64
	allAt   uint64 // the version at which all keys last changed
}

// publish records that the keys were written, or may have been. Call it after the write: a caller of Version before it
// may have read the old data.
func (c *changes) publish(keys []Key) {
	if len(keys) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	version := c.version.Add(1)
	for _, key := range keys {
		if key == everything || len(c.last) >= maxChanges {
			c.last, c.allAt = map[Key]uint64{}, version
		}
		c.last[key] = version
	}
}

// PollChanges looks for changes that other processes have made to a SQLite file, such as a command that ends sessions.
// If there is one, all keys count as changed. It does nothing on PostgreSQL.
func (db *DB) PollChanges(ctx context.Context) error {
	if !db.flavor.oneWriter {
		return nil
	}
	// It changes with each commit of another connection, and this process writes on one connection only.
	var version int64
	if err := db.write.QueryRowContext(ctx, `PRAGMA data_version`).Scan(&version); err != nil {
		return err
	}
	if db.changes.polled.Swap(version) != version {
		db.changes.publish([]Key{everything})
	}
	return nil
}

// Version returns the number of changes that this process has seen. Call it before reading what is to be cached,
// and pass the result to Changed later.
func (db *DB) Version() uint64 { return db.changes.version.Load() }

// Changed reports whether this process may have changed one of the keys after Version returned since. It sees changes
// made by other processes only if PollChanges has noticed them.
func (db *DB) Changed(since uint64, keys ...Key) bool {
	c := db.changes
	if c.version.Load() == since {
		return false
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.allAt > since {
		return true
	}
	for _, key := range keys {
		if c.last[key] > since {
			return true
		}
	}
	return false
}

// changed publishes the keys: at once, or when the transaction is committed.
func (db *DB) changed(keys ...Key) {
	if db.tx == nil {
		db.changes.publish(keys)
		return
	}
	db.tx.keys = append(db.tx.keys, keys...)
}
