package store

import (
	"sync"
	"sync/atomic"
)

// Key names what the answer to "who is signed in here, and what may they do?" is read from. Whoever remembers such an
// answer remembers its keys, and reads again once one of them has changed.
type Key struct{ kind, id string }

// AccountKey is an account with its factors and consents, and an end of all of its sessions or grants.
func AccountKey(id string) Key { return Key{"account", id} }

// SessionKey is a session: that it exists, and how it was authenticated. When it was last seen is not part of it.
func SessionKey(id string) Key { return Key{"session", id} }

// GrantKey is a grant and its tokens.
func GrantKey(id string) Key { return Key{"grant", id} }

// ClientsKey is all registered clients together: which client a host belongs to depends on each of them.
func ClientsKey() Key { return Key{"clients", ""} }

// everything stands for all keys.
var everything = Key{"everything", ""}

// maxChanges is how many changed keys are remembered. Beyond it all are forgotten, as if everything had changed.
const maxChanges = 10_000

// changes are the keys that this process has changed, each with the version at which it last changed.
type changes struct {
	version atomic.Uint64
	mu      sync.RWMutex
	last    map[Key]uint64
	floor   uint64 // the version at which everything changed last
}

// publish notes that the keys were written, or that they may have been. It comes after the write: whoever asked for
// the version before has read what was there before.
func (c *changes) publish(keys []Key) {
	if len(keys) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	version := c.version.Add(1)
	for _, key := range keys {
		if key == everything || len(c.last) >= maxChanges {
			c.last, c.floor = map[Key]uint64{}, version
		}
		c.last[key] = version
	}
}

// Version is the number of changes that this process has committed so far. Ask for it before reading what is to be
// remembered, and Changed later.
func (db *DB) Version() uint64 { return db.changes.version.Load() }

// Changed reports whether this process may have changed one of the keys after Version returned since. Changes by other
// processes on the same database are not seen.
func (db *DB) Changed(since uint64, keys ...Key) bool {
	c := db.changes
	if c.version.Load() == since {
		return false
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.floor > since {
		return true
	}
	for _, key := range keys {
		if c.last[key] > since {
			return true
		}
	}
	return false
}

// changed notes that the keys were written: at once, or once the transaction is committed.
func (db *DB) changed(keys ...Key) {
	if db.tx == nil {
		db.changes.publish(keys)
		return
	}
	db.tx.keys = append(db.tx.keys, keys...)
}
