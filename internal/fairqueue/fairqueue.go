// Package fairqueue shares a few slots of costly work among the parties that want them.
//
// A free slot goes to the request whose parties have used the fewest slots in the last minutes, and among equals to
// the one that has waited longest. So somebody who sends many requests delays their own, and not those of others.
// Three of four slots go to people who have proven who they are before, if some of them are waiting. The last free slot
// is kept for those who have used few.
package fairqueue

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"
)

// ErrFull says that too many requests are waiting, or too many of the same party. Nothing was done: try again in some
// seconds.
var ErrFull = errors.New("too many requests are waiting")

const (
	defaultLength = 256
	// partyFraction is the part of the queue that one party may hold: an eighth, times its weight.
	partyFraction = 8
	// period is for how long used slots count: between one period and two.
	period = 5 * time.Minute
	// maxParties bounds the memory for them: with more parties, a period ends early.
	maxParties = 50_000
	// frequent is the number of slots from which a party is frequent: it does not get the last free slot.
	frequent = 4
	// othersEvery is how often a slot goes to the others while members wait: every fourth.
	othersEvery = 4
)

// Request says for whom work is done.
type Request struct {
	// Member says that the person has proven both steps in this browser before.
	Member bool
	// One is whose requests are done one at a time, such as those for an account; "": nobody's. It does not change their
	// order, because strangers can send requests for any account.
	One     string
	Parties []Party
}

// Party is somebody who asks for work: a device or a network.
type Party struct {
	Name string
	// Weight is how many ordinary parties this one stands for, for a network with many addresses. 0 means 1.
	Weight int
}

func (p Party) weight() int { return max(p.Weight, 1) }

// Queue is a queue for slots. It is safe for concurrent use.
type Queue struct {
	slots, length int

	mu      sync.Mutex
	granted int       // slots granted since the start
	refused int64     // requests since the start
	waiting []*waiter // the oldest first
	working []*waiter // those that have a slot
	yielded []*waiter // those that have given it back with Yield, and are not released
	// How many slots each party has used in this period and in the one before.
	used, usedBefore map[string]int
	periodEnds       time.Time
}

type waiter struct {
	Request
	usage   usage      // of its parties; kept up to date by grant
	granted chan error // receives nil with a slot, ErrFull if the request is refused after all
}

func (w *waiter) isFor(p Party) bool {
	return slices.ContainsFunc(w.Parties, func(own Party) bool { return own.Name == p.Name })
}

// New returns a queue for the given number of slots (0: GOMAXPROCS), in which at most length requests wait (0: 256;
// negative: none).
func New(slots, length int) *Queue {
	if slots <= 0 {
		slots = runtime.GOMAXPROCS(0)
	}
	if length == 0 {
		length = defaultLength
	}
	return &Queue{slots: slots, length: max(length, 0), used: map[string]int{}}
}

// Stats says what a queue does.
type Stats struct {
	Working int   // requests that have a slot now
	Waiting int   // requests that wait for one now
	Refused int64 // requests that got ErrFull since the start, also those whose time ended while they waited
}

// Stats returns what q does.
func (q *Queue) Stats() Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	return Stats{Working: len(q.working), Waiting: len(q.waiting), Refused: q.refused}
}

// Slot is the right to work.
type Slot struct {
	queue   *Queue
	request *waiter
}

// Acquire waits for a slot. The caller must call Release when the work is done. Acquire returns ErrFull if the queue
// has no place for a request of these parties, and an error that wraps ErrFull and ctx's error if ctx ends first.
func (q *Queue) Acquire(ctx context.Context, r Request) (*Slot, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("fairqueue: %w", err)
	}
	w, err := q.enqueue(r)
	if err != nil {
		return nil, err
	}
	select {
	case err = <-w.granted:
	case <-ctx.Done():
		if err = q.leave(w); err != nil {
			err = fmt.Errorf("%w: %w", err, ctx.Err())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("fairqueue: %w", err)
	}
	return &Slot{q, w}, nil
}

// Yield gives the slot back before the whole request is done: others may work, but none with the same One until
// Release. A second call does nothing.
func (s *Slot) Yield() { s.queue.yield(s.request) }

// Release ends the request, and gives the slot back. A second call does nothing.
func (s *Slot) Release() { s.queue.release(s.request) }

// Refund says that the slot does not count as used: its parties have done nothing that should delay them. Call it once.
func (s *Slot) Refund() {
	s.queue.mu.Lock()
	defer s.queue.mu.Unlock()
	for _, p := range s.request.Parties {
		if s.queue.used[p.Name] > 0 {
			s.queue.used[p.Name]--
		}
	}
}

// enqueue adds a request to the queue, or grants it a free slot.
func (q *Queue) enqueue(r Request) (*waiter, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	w := &waiter{r, q.usage(r.Parties), make(chan error, 1)}
	if len(q.working) < q.slots && !q.mustWait(w) { // then nobody else could use the slot
		q.grant(w)
		return w, nil
	}
	if err := q.makeRoom(w); err != nil {
		q.refused++
		return nil, err
	}
	q.waiting = append(q.waiting, w)
	return w, nil
}

// makeRoom refuses the last request of each party of w that has all its places, and the last of all if the queue is
// full. It returns ErrFull, and refuses none, if w comes after one of these.
func (q *Queue) makeRoom(w *waiter) error {
	var refused []*waiter
	check := func(places int, isOne func(*waiter) bool) error {
		held, last := 0, (*waiter)(nil)
		for _, other := range q.waiting {
			if isOne(other) && !slices.Contains(refused, other) {
				held++
				if last == nil || !before(other, last, true) {
					last = other
				}
			}
		}
		if held < places {
			return nil
		}
		if last == nil || !before(w, last, true) {
			return ErrFull
		}
		refused = append(refused, last)
		return nil
	}
	var err error
	if w.One != "" {
		err = check(max(1, q.length/partyFraction), func(other *waiter) bool { return other.One == w.One })
	}
	for _, p := range w.Parties {
		if err == nil {
			err = check(max(1, q.length*p.weight()/partyFraction), func(other *waiter) bool { return other.isFor(p) })
		}
	}
	if err == nil {
		err = check(q.length, func(*waiter) bool { return true })
	}
	if err != nil {
		return err
	}
	for _, other := range refused {
		remove(&q.waiting, other)
		q.refused++
		other.granted <- ErrFull
	}
	return nil
}

// remove removes w from a list. It returns false if w is not in it.
func remove(list *[]*waiter, w *waiter) bool {
	i := slices.Index(*list, w)
	if i >= 0 {
		*list = slices.Delete(*list, i, i+1)
	}
	return i >= 0
}

// before reports whether a gets a slot before b, if they have waited equally long.
func before(a, b *waiter, membersFirst bool) bool {
	if a.Member != b.Member {
		return a.Member == membersFirst
	}
	if a.usage.most != b.usage.most {
		return a.usage.most < b.usage.most
	}
	return a.usage.total < b.usage.total // two addresses of one network
}

// usage is how much parties have used lately: the most that one of them has used for its weight, and of all together.
type usage struct{ most, total int }

func (q *Queue) usage(parties []Party) (u usage) {
	for _, p := range parties {
		n := q.used[p.Name] + q.usedBefore[p.Name]
		u.most = max(u.most, n/p.weight())
		u.total += n
	}
	return u
}

// grant gives a slot to w.
func (q *Queue) grant(w *waiter) {
	if now := time.Now(); !now.Before(q.periodEnds) || len(q.used) >= maxParties {
		q.usedBefore, q.used = q.used, map[string]int{}
		if now.After(q.periodEnds.Add(period)) {
			q.usedBefore = nil
		}
		q.periodEnds = now.Add(period)
	}
	for _, p := range w.Parties {
		q.used[p.Name]++
	}
	for _, other := range q.waiting {
		other.usage = q.usage(other.Parties)
	}
	q.working = append(q.working, w)
	q.granted++
	w.granted <- nil
}

// yield takes the slot of w and grants it to the next request.
func (q *Queue) yield(w *waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if remove(&q.working, w) {
		q.yielded = append(q.yielded, w)
		q.grantFree()
	}
}

// release ends the request of w, so that the next one with the same One can be granted a slot.
func (q *Queue) release(w *waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if remove(&q.working, w) || remove(&q.yielded, w) {
		q.grantFree()
	}
}

// grantFree grants the free slots.
func (q *Queue) grantFree() {
	for len(q.working) < q.slots && q.grantNext() {
	}
}

// grantNext grants a slot to the request whose turn it is. It returns false if there is none.
func (q *Queue) grantNext() bool {
	var next *waiter
	membersFirst := q.granted%othersEvery != 0
	for _, w := range q.waiting {
		if (next == nil || before(w, next, membersFirst)) && !q.mustWait(w) {
			next = w
		}
	}
	if next == nil {
		return false
	}
	remove(&q.waiting, next)
	q.grant(next)
	return true
}

// mustWait reports whether w cannot get a free slot: it is the last one and a party of w is frequent, or a request of
// the same One is not done.
func (q *Queue) mustWait(w *waiter) bool {
	if q.slots > 1 && len(q.working) == q.slots-1 && w.usage.most >= frequent {
		return true
	}
	same := func(other *waiter) bool { return other.One == w.One }
	return w.One != "" && (slices.ContainsFunc(q.working, same) || slices.ContainsFunc(q.yielded, same))
}

// leave removes w from the queue. It returns nil if w has been granted a slot meanwhile, else ErrFull.
func (q *Queue) leave(w *waiter) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if remove(&q.waiting, w) {
		q.refused++
		return ErrFull
	}
	return <-w.granted // sent before w left the list
}
