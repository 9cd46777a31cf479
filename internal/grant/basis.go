package grant

import (
	"context"
	"sync"
	"time"

	"twostep.example/twostep/internal/store"
)

// otherServersTTL is how long an answer is valid without a look for changes by other processes.
const otherServersTTL = time.Second

// Basis says which database rows an answer about a person was read from, and when. A cache of such answers asks
// Grants.Valid whether they are still valid.
type Basis struct {
	version uint64
	readAt  time.Time
	until   time.Time // the answer is not valid from then on
	keys    []store.Key
}

// Basis returns the current version of the database. Call it before reading.
func (g *Grants) Basis() Basis {
	now := g.Now().Round(0) // without the monotonic clock, which stops while the machine sleeps
	return Basis{version: g.Store.Version(), readAt: now, until: now.Add(otherServersTTL)}
}

// OfSession returns the basis of an answer that was read from a grant and a session. It also covers the account of the
// session, and all clients, because any of them may claim the host. On SQLite the answer is valid until the use of the
// session is to be recorded again. It is not valid when the session has expired, or its authentication is too old for
// the client.
func (g *Grants) OfSession(b Basis, p AuthProgress, grant string, useInterval time.Duration) Basis {
	who := *p.Session
	b.keys = []store.Key{
		store.GrantKey(grant), store.SessionKey(who.ID), store.AccountKey(who.Account.ID), store.ClientsKey(),
	}
	if g.Store.Exclusive() {
		b.until = who.LastSeenAt.Add(useInterval) // a use before that is not recorded anyway
	}
	b.until = earlier(b.until, who.EndsBy(who.Began(), p.Limits))
	if p.Client.MaxAge > 0 {
		b.until = earlier(b.until, who.AuthenticatedAt.Add(p.Client.MaxAuthAge()))
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// OfClients returns the basis of an answer that was read from the registered clients.
func (b Basis) OfClients() Basis {
	b.keys = []store.Key{store.ClientsKey()}
	return b
}

// Valid reports whether an answer is still valid: nothing that it was read from was changed by this server, nor, longer
// ago than otherServersTTL, by another process. It reports false if the clock was set back.
func (g *Grants) Valid(ctx context.Context, b Basis) bool {
	now := g.Now().Round(0)
	age := now.Sub(b.readAt)
	if age < 0 || !now.Before(b.until) {
		return false
	}
	if age >= otherServersTTL && !g.polling.poll(ctx, g.Store, now) {
		return false
	}
	return !g.Store.Changed(b.version, b.keys...)
}

// polling looks for changes by other processes.
type polling struct {
	mu   sync.Mutex
	last time.Time
}

// poll looks for changes by other processes, unless it has done so less than otherServersTTL ago. It reports whether it
// could.
func (p *polling) poll(ctx context.Context, db *store.DB, now time.Time) bool {
	if !db.Exclusive() {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if age := now.Sub(p.last); age >= 0 && age < otherServersTTL {
		return true
	}
	ctx, stop := context.WithTimeout(ctx, otherServersTTL)
	defer stop()
	if db.PollChanges(ctx) != nil {
		return false
	}
	p.last = now
	return true
}
