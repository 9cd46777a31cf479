package fairqueue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const work = 30 * time.Millisecond

// record is a list that several goroutines append to.
type record struct {
	mu  sync.Mutex
	all []string
}

func (r *record) add(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, text)
}

func (r *record) sorted() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(slices.Values(r.all))
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.all, "")
}

// of is the request of one party.
func of(name string) Request { return Request{Parties: []Party{{Name: name}}} }

// request waits for a slot, works and reports how long it waited.
func request(ctx context.Context, q *Queue, r Request) (waited time.Duration, err error) {
	began := time.Now()
	slot, err := q.Acquire(ctx, r)
	if err != nil {
		return 0, err
	}
	defer slot.Release()
	waited = time.Since(began)
	time.Sleep(work)
	return waited, nil
}

// A party with many requests takes turns with one that has a few.
func TestPartiesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(1, 64)
		var order record
		start := func(name string) {
			go func() {
				slot, err := q.Acquire(t.Context(), of(name))
				if err != nil {
					t.Error(err)
					return
				}
				order.add(name)
				time.Sleep(work)
				slot.Release()
			}()
			synctest.Wait()
		}
		for _, name := range []string{"a", "a", "a", "a", "b", "b", "c"} {
			start(name)
		}
		time.Sleep(10 * work)
		if got, want := order.String(), "abcabaa"; got != want {
			t.Errorf("slots went to %s, want %s", got, want)
		}
	})
}

// One party holds an eighth of the places, and a network of many addresses more.
func TestPartyHoldsAnEighth(t *testing.T) {
	for _, row := range []struct {
		party Party
		want  int
	}{{Party{Name: "a"}, 8}, {Party{Name: "a", Weight: 4}, 32}} {
		synctest.Test(t, func(t *testing.T) {
			q := New(1, 64)
			ctx, cancel := context.WithCancel(t.Context())
			results := make(chan error, 100)
			for range 100 {
				go func() { _, err := request(ctx, q, Request{Parties: []Party{row.party}}); results <- err }()
			}
			synctest.Wait()
			if len(q.waiting) != row.want || len(results) != 100-1-row.want {
				t.Errorf("%d wait and %d are refused, want %d and %d", len(q.waiting), len(results), row.want, 99-row.want)
			}
			if err := <-results; !errors.Is(err, ErrFull) {
				t.Errorf("got %v, want ErrFull", err)
			}
			cancel()
			synctest.Wait()
			if len(q.waiting) != 0 {
				t.Errorf("%d still wait after their contexts have ended", len(q.waiting))
			}
			time.Sleep(2 * work)
			synctest.Wait()
			if len(q.working) != 0 {
				t.Errorf("%d slots are not free again", len(q.working))
			}
		})
	}
}

// In a full queue a party that has used little takes the place of one that has used much. It is not the other way round.
func TestFullQueueRefusesWhoHasUsedMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(1, 8)
		for i := range 8 { // each has used one slot
			if _, err := request(t.Context(), q, of(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		results := make(chan error, 20)
		begin := func(name string) {
			go func() { _, err := request(t.Context(), q, of(name)); results <- err }()
			synctest.Wait()
		}
		for i := range 8 {
			begin(fmt.Sprint("first ", i)) // one works, seven wait
		}
		begin("7") // the eighth that waits
		begin("6") // has used as much as the one that has used most
		if len(results) != 1 || !errors.Is(<-results, ErrFull) {
			t.Fatal("a request that has used no less than the others got a place in a full queue")
		}
		begin("new")
		if len(results) != 1 || !errors.Is(<-results, ErrFull) {
			t.Fatal("nobody made a place for a party that has used nothing")
		}
		time.Sleep(20 * work)
		for range 9 {
			if err := <-results; err != nil {
				t.Errorf("got %v, want a slot", err)
			}
		}
	})
}

// Strangers who send requests for an account hold an eighth of the places, and somebody at another address who asks for
// the same account takes one of these and the next slot, even from the same network.
func TestOwnerAmongStrangersAtTheSameAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(2, 64)
		from := func(address int) Request {
			return Request{One: "account", Parties: []Party{{Name: fmt.Sprint("address ", address)}, {Name: "network", Weight: 2}}}
		}
		for address := range 20 {
			if _, err := request(t.Context(), q, from(address)); err != nil {
				t.Fatal(err)
			}
		}
		results := make(chan error, 20)
		for address := range 20 {
			go func() { _, err := request(t.Context(), q, from(address)); results <- err }()
		}
		synctest.Wait()
		if len(q.working) != 1 || len(q.waiting) != 8 || len(results) != 11 {
			t.Errorf("%d work, %d wait and %d are refused, want 1, 8 and 11", len(q.working), len(q.waiting), len(results))
		}
		waited, err := request(t.Context(), q, from(100))
		if err != nil || waited != work {
			t.Errorf("the owner waits %s, %v; want %s", waited, err, work)
		}
		time.Sleep(20 * work)
	})
}

// A frequent party leaves the last free slot to others.
func TestLastSlotIsForThoseWhoHaveUsedFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(2, 64)
		for range frequent {
			if _, err := request(t.Context(), q, of("a")); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			go func() { _, _ = request(t.Context(), q, of("a")) }()
		}
		synctest.Wait()
		if len(q.working) != 1 || len(q.waiting) != 2 {
			t.Errorf("%d work and %d wait, want 1 and 2", len(q.working), len(q.waiting))
		}
		waited, err := request(t.Context(), q, of("b"))
		if err != nil || waited != 0 {
			t.Errorf("somebody else waits %s, %v; want a slot at once", waited, err)
		}
		time.Sleep(10 * work)
	})
}

// A refunded slot counts as not used.
func TestRefund(t *testing.T) {
	q := New(1, 8)
	for range 3 {
		slot, err := q.Acquire(t.Context(), of("a"))
		if err != nil {
			t.Fatal(err)
		}
		slot.Refund()
		slot.Release()
	}
	if got := q.usage([]Party{{Name: "a"}}).most; got != 0 {
		t.Errorf("the usage is %d, want 0", got)
	}
}

// What was used is forgotten after two periods.
func TestUsageIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(1, 8)
		mustUse := func(name string, want int) {
			t.Helper()
			if _, err := request(t.Context(), q, of(name)); err != nil {
				t.Fatal(err)
			}
			if got := q.usage([]Party{{Name: "a"}}).most; got != want {
				t.Errorf("the usage is %d, want %d", got, want)
			}
		}
		mustUse("a", 1)
		mustUse("a", 2)
		time.Sleep(period)
		mustUse("b", 2)
		time.Sleep(period)
		mustUse("b", 0)
		mustUse("a", 1)
		time.Sleep(3 * period)
		mustUse("b", 0)
	})
}

// Without places, a request gets a slot at once or not at all.
func TestQueueWithoutPlaces(t *testing.T) {
	q := New(1, -1)
	slot, err := q.Acquire(t.Context(), Request{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Acquire(t.Context(), Request{Member: true}); !errors.Is(err, ErrFull) {
		t.Errorf("got %v, want ErrFull", err)
	}
	slot.Release()
	if _, err := q.Acquire(t.Context(), Request{}); err != nil {
		t.Errorf("afterwards: got %v, want a slot", err)
	}
}

// A slot that is granted at the moment when the caller gives up is not lost.
func TestGrantedSlotIsNotLost(t *testing.T) {
	q := New(1, 8)
	slot, err := q.Acquire(t.Context(), Request{})
	if err != nil {
		t.Fatal(err)
	}
	w, err := q.enqueue(Request{})
	if err != nil {
		t.Fatal(err)
	}
	slot.Release()
	slot.Release() // the second call does nothing
	if err := q.leave(w); err != nil {
		t.Fatalf("got %v, want the slot that was granted", err)
	}
	q.release(w)
	if len(q.working) != 0 {
		t.Errorf("%d slots are taken, want 0", len(q.working))
	}
}

// Yield lets others work, but none with the same One.
func TestYield(t *testing.T) {
	q := New(1, 8)
	first, err := q.Acquire(t.Context(), Request{One: "anna"})
	if err != nil {
		t.Fatal(err)
	}
	same, err := q.enqueue(Request{One: "anna"})
	if err != nil {
		t.Fatal(err)
	}
	first.Yield()
	first.Yield() // the second call does nothing
	other, err := q.enqueue(Request{One: "ben"})
	if err != nil {
		t.Fatal(err)
	}
	if len(same.granted) != 0 || len(other.granted) != 1 {
		t.Fatalf("after Yield %d requests of the same One and %d of others have a slot, want 0 and 1",
			len(same.granted), len(other.granted))
	}
	q.release(other)
	first.Release()
	if len(same.granted) != 1 {
		t.Error("the next request of the same One has no slot after Release")
	}
	q.release(same)
	if len(q.working)+len(q.yielded)+len(q.waiting) != 0 {
		t.Errorf("left: %d working, %d yielded, %d waiting", len(q.working), len(q.yielded), len(q.waiting))
	}
}

// Members get three of four slots while others wait, and the places of others in a full queue.
func TestMembersComeFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(1, 16)
		var order record
		begin := func(member bool, name string) chan error {
			result := make(chan error, 1)
			go func() {
				r := of(name)
				r.Member = member
				slot, err := q.Acquire(t.Context(), r)
				if err == nil {
					order.add(name[:1])
					time.Sleep(work)
					slot.Release()
				}
				result <- err
			}()
			synctest.Wait()
			return result
		}
		var last chan error
		for i := range 17 {
			last = begin(false, fmt.Sprint("other ", i))
		}
		for i := range 7 {
			begin(true, fmt.Sprint("member ", i))
		}
		if len(last) != 1 || !errors.Is(<-last, ErrFull) {
			t.Error("the last of the others keeps its place, though a member has none")
		}
		time.Sleep(100 * work)
		if got, want := order.String(), "ommmommmomooooooo"; got != want {
			t.Errorf("slots went to %s, want %s", got, want)
		}
	})
}

// One account uses one slot at a time, and leaves the others to whoever comes later.
func TestOneSlotAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(3, 64)
		began := time.Now()
		var order record
		begin := func(name string) {
			go func() {
				r := Request{One: map[string]string{"account": "account"}[name]}
				slot, err := q.Acquire(t.Context(), r)
				if err != nil {
					t.Error(err)
					return
				}
				order.add(fmt.Sprint(name, int(time.Since(began)/work)))
				time.Sleep(work)
				slot.Release()
			}()
			synctest.Wait()
		}
		for _, name := range []string{"account", "account", "account", "b", "c", "d"} {
			begin(name)
		}
		time.Sleep(10 * work)
		got, want := order.sorted(), []string{"account0", "account1", "account2", "b0", "c0", "d1"}
		if !slices.Equal(got, want) {
			t.Errorf("slots went to %v, want %v", got, want)
		}
	})
}

// 10,000 attackers, each with an address of their own, send request after request. Of 20 members, and of 20 people in
// new browsers at addresses that have not been used, nobody is refused. They wait for the work in progress and not for
// the attackers.
func TestPeopleAmongTenThousandAttackers(t *testing.T) {
	const attackers, people, slots = 10_000, 20, 2
	synctest.Test(t, func(t *testing.T) {
		q := New(slots, 0)
		ctx, cancel := context.WithCancel(t.Context())
		var served atomic.Int64
		for i := range attackers {
			go func() {
				for ctx.Err() == nil {
					if _, err := request(ctx, q, of(fmt.Sprint("address ", i))); err == nil {
						served.Add(1)
					} else {
						time.Sleep(5 * time.Second)
					}
				}
			}()
		}
		ask := func(kind string, member bool) {
			var longest time.Duration
			for i := range people {
				time.Sleep(137 * time.Millisecond)
				r := of(fmt.Sprint(kind, i))
				r.Member = member
				waited, err := request(t.Context(), q, r)
				if err != nil {
					t.Errorf("%s %d: %v", kind, i, err)
				}
				longest = max(longest, waited)
			}
			t.Logf("%s: the longest wait was %s", kind, longest)
			if longest > 2*work {
				t.Errorf("%s: the longest wait was %s, want at most %s", kind, longest, 2*work)
			}
		}
		time.Sleep(time.Second)
		ask("member", true) // while most addresses are as new as theirs
		// Attackers who were refused come back until each address has used a slot.
		time.Sleep(250 * time.Second)
		ask("newcomer", false)
		if served.Load() < 2000 {
			t.Errorf("attackers got %d slots: the slots were not contended", served.Load())
		}
		cancel()
		time.Sleep(10 * time.Second)
	})
}

// Stats counts who works, who waits, and who was refused: because the queue is full, because another comes first, or
// because its time ended.
func TestStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(1, 1)
		slot, err := q.Acquire(t.Context(), of("a"))
		if err != nil {
			t.Fatal(err)
		}
		slot.Release()
		if slot, err = q.Acquire(t.Context(), of("a")); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		for _, name := range []string{"a", "a", "b"} { // the second is refused, and the first for the third
			go func() { _, _ = q.Acquire(ctx, of(name)) }()
			synctest.Wait()
		}
		if got, want := q.Stats(), (Stats{Working: 1, Waiting: 1, Refused: 2}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		cancel()
		synctest.Wait()
		slot.Release()
		if got, want := q.Stats(), (Stats{Refused: 3}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}
