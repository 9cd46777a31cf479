package outbox

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// keptLatencies is how many of the last messages of a channel or gateway count.
const keptLatencies = 256

// Latencies are how long the last messages of this process took, by channel or gateway. The zero value is ready.
type Latencies struct {
	mu   sync.Mutex
	byID map[string][]time.Duration // a ring once it has keptLatencies
	next map[string]int             // where the ring goes on
}

// Latency is how long the last messages of a channel or gateway took.
type Latency struct {
	ID       string
	Messages int
	P50, P95 time.Duration // half, and 19 of 20, took no longer
}

// Add adds a message that took d.
func (l *Latencies) Add(id string, d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byID == nil {
		l.byID, l.next = map[string][]time.Duration{}, map[string]int{}
	}
	if len(l.byID[id]) < keptLatencies {
		l.byID[id] = append(l.byID[id], d)
		return
	}
	l.byID[id][l.next[id]] = d
	l.next[id] = (l.next[id] + 1) % keptLatencies
}

// List returns the latencies in the order of their IDs.
func (l *Latencies) List() (list []Latency) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, durations := range l.byID {
		sorted := slices.Sorted(slices.Values(durations))
		at := func(percent int) time.Duration { return sorted[(len(sorted)*percent+99)/100-1] }
		list = append(list, Latency{id, len(sorted), at(50), at(95)})
	}
	slices.SortFunc(list, func(a, b Latency) int { return cmp.Compare(a.ID, b.ID) })
	return list
}
