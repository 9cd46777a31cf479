package session

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
	// maxUseInterval is the longest time after which the use of a session is recorded again.
	maxUseInterval = time.Minute
	// RecordInterval is how often RecordUses is to be called.
	RecordInterval = 5 * time.Second
	// recordTimeout is how long a request waits for RecordUses, if nobody has called it for long.
	recordTimeout = time.Second
	// recordPause is how long no request tries after a failure, so that they do not wait one by one.
	recordPause = 5 * time.Second
	// recordBatch is how many uses are recorded in one transaction, so that other writers do not wait for long.
	recordBatch = 200
)

// uses are the sessions whose use is not recorded yet. A request only adds to them: a write in each would make a
// session check as slow as the disk.
type uses struct {
	mu       sync.Mutex
	at       map[string]time.Time // by the id of the session
	since    time.Time            // when the oldest was added
	failedAt time.Time            // when they could not be recorded; zero: they could
}

func (u *uses) add(id string, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.at) == 0 {
		u.at, u.since = map[string]time.Time{}, now
	}
	u.at[id] = now
}

// overdue reports whether RecordUses should have been called long ago, and may be tried.
func (u *uses) overdue(now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	failed := now.Sub(u.failedAt)
	return len(u.at) > 0 && now.Sub(u.since) >= 2*RecordInterval && (failed < 0 || failed >= recordPause)
}

// take returns the uses and forgets them.
func (u *uses) take() map[string]time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	taken := u.at
	u.at = nil
	return taken
}

// putBack adds uses that could not be recorded.
func (u *uses) putBack(taken map[string]time.Time, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.at) == 0 {
		u.at, u.since = map[string]time.Time{}, now
	}
	for id, at := range taken {
		if u.at[id].Before(at) {
			u.at[id] = at
		}
	}
	u.failedAt = now
}

// UseInterval returns how often the use of a session is recorded. A session that is used more often than this does not
// become idle.
func (s *Sessions) UseInterval() time.Duration {
	idle := s.Idle
	if shortest := s.Rules.ShortestIdle(); shortest > 0 {
		idle = min(idle, shortest)
	}
	return min(maxUseInterval, idle/2)
}

// recordOverdueUses calls RecordUses for a request, if nobody has for long: otherwise a session that is in use would
// become idle.
func (s *Sessions) recordOverdueUses(ctx context.Context) {
	if !s.uses.overdue(s.Now()) {
		return
	}
	ctx, stop := context.WithTimeout(ctx, recordTimeout)
	defer stop()
	_, _ = s.RecordUses(ctx) // it has logged the error
}

// RecordUses writes when sessions were last used, and returns their number. Call it every RecordInterval, and at the
// end. It logs errors. While the database cannot be written, the sessions go on; they end Idle after the last use that
// was recorded.
func (s *Sessions) RecordUses(ctx context.Context) (recorded int64, err error) {
	taken := s.uses.take()
	if len(taken) == 0 {
		return 0, nil
	}
	defer func() {
		if err == nil {
			s.Faults.Worked()
			return
		}
		s.uses.putBack(taken, s.Now())
		s.Faults.Failed(err)
	}()
	ids := slices.Sorted(maps.Keys(taken)) // two servers lock rows in the same order
	for batch := range slices.Chunk(ids, recordBatch) {
		err := s.Store.Tx(ctx, func(tx *store.DB) error {
			for _, id := range batch {
				if err := tx.TouchSession(ctx, id, taken[id]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return recorded, fmt.Errorf("session: record uses: %w", err)
		}
		for _, id := range batch {
			delete(taken, id)
		}
		recorded += int64(len(batch))
	}
	return recorded, nil
}
