package outbox

import (
	"context"
	"errors"
	"sync"
	"time"

	"twostep.example/twostep/internal/store"
)

const (
	// renewInterval is how often a worker renews the claim to the message that it sends.
	renewInterval = 500 * time.Millisecond
	// watchInterval is how often the claims of other servers are read. A claim that is the same watchRounds times in a
	// row is released: within three seconds after the death of its server.
	watchInterval = time.Second
	watchRounds   = 3
)

// claims are the claims that this process has, and those of others that it has seen.
type claims struct {
	mu    sync.Mutex
	own   map[string]bool // by the id of the message
	rival map[string]seenClaim
}

// seenClaim is a claim of another server, and how often in a row it was the same.
type seenClaim struct {
	store.Claim
	rounds int
}

func (c *claims) hold(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.own == nil {
		c.own = map[string]bool{}
	}
	c.own[id] = true
}

func (c *claims) drop(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.own, id)
}

// stale notes the claims that there are now, and returns those of other servers that were the same watchRounds times.
func (c *claims) stale(now []store.Claim) (list []store.Claim) {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := map[string]seenClaim{}
	for _, one := range now {
		if c.own[one.ID] {
			continue
		}
		rounds := 1
		if before := c.rival[one.ID]; before.Claim == one {
			rounds = before.rounds + 1
		}
		if rounds >= watchRounds {
			list = append(list, one)
		}
		seen[one.ID] = seenClaim{one, rounds}
	}
	c.rival = seen
	return list
}

// keepClaim renews a claim until stop is called. It calls lost once the claim is no longer of this worker.
func (o *Outbox) keepClaim(c store.Claim, lost func()) (stop func()) {
	o.claims.hold(c.ID)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for wait(ctx, nil, renewInterval); ctx.Err() == nil; wait(ctx, nil, renewInterval) {
			limited, stop := context.WithTimeout(ctx, storeTimeout)
			err := o.Store.RenewClaim(limited, c)
			stop()
			if errors.Is(err, store.ErrNotFound) {
				lost()
				return
			}
		}
	})
	return func() {
		cancel()
		running.Wait()
		o.claims.drop(c.ID)
	}
}

// watchClaims releases the claims of servers that have died, until ctx is done. The only server of a database has
// released them at its start.
func (o *Outbox) watchClaims(ctx context.Context) {
	if o.Store.Exclusive() {
		return
	}
	for ctx.Err() == nil {
		if released, err := o.ReleaseDeadClaims(ctx); err != nil && ctx.Err() == nil {
			o.failures.Failed(err)
		} else if released {
			o.Notify()
		}
		wait(ctx, nil, watchInterval)
	}
}

// ReleaseDeadClaims reads the claims of all servers, and makes the messages due whose claims were the same in as many
// calls as show that their server has died. It reports whether there was one. Call it at intervals of at least
// watchInterval.
func (o *Outbox) ReleaseDeadClaims(ctx context.Context) (released bool, err error) {
	ctx, stop := context.WithTimeout(ctx, storeTimeout)
	defer stop()
	list, err := o.Store.ListClaims(ctx)
	for _, c := range o.claims.stale(list) { // after an error the list is empty, and the rounds begin again
		if err := o.Store.ReleaseClaim(ctx, c, o.Now()); err != nil {
			return released, err
		}
		o.Log.Warn("message of a server that has died is sent again", "message", c.ID, "attempt", c.Attempt)
		released = true
	}
	return released, err
}
