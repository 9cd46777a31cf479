package ratelimit

import (
	"sync"
	"time"
)

const (
	// recentTTL is how long a refusal is remembered.
	recentTTL = time.Second
	// maxRecent bounds the memory for refusals.
	maxRecent = 10_000
)

// recent remembers which passwords were refused. It is safe for concurrent use; the zero value is empty.
type recent struct {
	mu       sync.Mutex
	refusals map[string]refusal
}

type refusal struct{ at, retryAt time.Time }

func (r *recent) add(key string, now, retryAt time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refusals == nil || len(r.refusals) >= maxRecent {
		r.refusals = map[string]refusal{}
	}
	r.refusals[key] = refusal{now, retryAt}
}

// find returns until when a source is refused, and whether it was refused within recentTTL.
func (r *recent) find(key string, clock func() time.Time) (retryAt time.Time, ok bool) {
	r.mu.Lock()
	found, ok := r.refusals[key]
	r.mu.Unlock()
	if !ok {
		return time.Time{}, false
	}
	now := clock()
	return found.retryAt, !now.Before(found.at) && now.Before(found.at.Add(recentTTL)) && now.Before(found.retryAt)
}
