package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

// auditDay is the precision of audit_browsers.last_at. DeleteExpired keeps a browser for so much longer than the events.
const auditDay = 24 * time.Hour

// maxRecent is how many browsers recentBrowsers remembers.
const maxRecent = 10_000

// recentBrowsers remembers which browsers this process has stored for the events of one day, so that the other events of
// the day need no statement for them.
type recentBrowsers struct {
	mu  sync.Mutex
	day time.Time
	ids map[int64]bool
}

func (r *recentBrowsers) has(day time.Time, id int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.day.Equal(day) && r.ids[id]
}

func (r *recentBrowsers) add(day time.Time, id int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ids == nil || !r.day.Equal(day) || len(r.ids) >= maxRecent {
		r.day, r.ids = day, map[int64]bool{}
	}
	r.ids[id] = true
}

func (r *recentBrowsers) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids = nil
}

// saveAuditBrowser stores the name of the browser of an event of the time at, and returns its id; 0 if name is "". 64 bits
// are enough: an attacker may find two names with the same id, but no other name with the id of a given one.
func (db *DB) saveAuditBrowser(ctx context.Context, name string, at time.Time) (id int64, err error) {
	if name == "" {
		return 0, nil
	}
	sum := sha256.Sum256([]byte(name))
	id = int64(binary.BigEndian.Uint64(sum[:]))
	day := at.Truncate(auditDay)
	if db.browsers.has(day, id) {
		return id, nil
	}
	if _, err = db.change(ctx, `INSERT INTO audit_browsers (id, name, last_at) VALUES ($1, $2, $3)
		ON CONFLICT (id) DO UPDATE SET last_at = excluded.last_at WHERE audit_browsers.last_at < excluded.last_at`,
		id, name, day); err != nil {
		return 0, err
	}
	db.AfterCommit(func() { db.browsers.add(day, id) })
	return id, nil
}
