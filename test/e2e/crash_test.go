package e2e

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"twostep.example/twostep/internal/store/storetest"
)

const (
	// minKills is how many times TestCrash kills at least.
	minKills = 200
	// minPoints is the least number of points it must find, so that a driver without its hooks,
	// or a flow that ends early, does not pass for a server without faults.
	minPoints = 120
)

// A server that is killed at any write point of any act of a person leaves no half
// state and loses nothing that it has acknowledged; the next server starts quickly and
// lets the person go on; every mail is accepted once or twice.
func TestCrash(t *testing.T) {
	k := &kills{points: map[string]int{}, took: map[string]time.Duration{}}
	k.prepare(t)
	t.Run("every point", func(t *testing.T) {
		for _, f := range k.flows() {
			t.Run(f.name, func(t *testing.T) { t.Parallel(); k.everyPoint(t, f) })
		}
	})
	if t.Failed() {
		return
	}
	points := k.sum
	t.Run("any moment", func(t *testing.T) {
		for lane := range 2 {
			t.Run(fmt.Sprintf("lane %d", lane), func(t *testing.T) { t.Parallel(); k.anyMoment(t, max(30, (minKills-points+1)/2)) })
		}
	})
	for _, point := range slices.Sorted(maps.Keys(k.points)) {
		t.Logf("%3d × %s", k.points[point], point)
	}
	t.Logf("%d kills at points, %d in all; slowest start after a kill %v", points, k.sum, k.slowest)
	if points < minPoints || k.sum < minKills {
		t.Errorf("%d kills at points, %d in all; want at least %d and %d", points, k.sum, minPoints, minKills)
	}
}

// kills keeps the accounts, and what every walk begins with.
type kills struct {
	folder  string          // a server's data after a good first day: Anna's account and a session of hers
	cookies []*http.Cookie  // of that session's browser
	before  map[string]bool // the messages that were sent on that day

	mu      sync.Mutex
	sum     int
	points  map[string]int           // kills at a point, by its name
	took    map[string]time.Duration // how long a flow takes that nobody disturbs
	slowest time.Duration
}

const firstStart = "first start"

// flows are all flows, and the one that begins with an empty folder.
func (k *kills) flows() []flow {
	return append([]flow{{name: firstStart, do: func(*walk) error { return nil }}}, flows...)
}

func (k *kills) prepare(t *testing.T) {
	t.Helper()
	w := newWalk(t, storetest.TempDir(t))
	w.add = true
	w.start()
	k.took[firstStart] = w.life.took
	w.must(inTurn(w.enter, w.enterCode))
	db := w.open()
	w.must(w.quiet(db))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	w.life.stop()
	k.folder, k.cookies, k.before = w.folder, w.jar.Cookies(home), map[string]bool{}
	for id := range w.mail.sends() {
		k.before[id] = true
	}
}

// walk begins a walk of the flow in a folder of its own.
func (k *kills) walk(t *testing.T, f flow) *walk {
	t.Helper()
	w := newWalk(t, storetest.TempDir(t))
	if f.name == firstStart {
		w.add = true
		return w
	}
	// CopyFS widens the modes of files, and the server takes no keys that others can read.
	if err := errors.Join(os.CopyFS(w.folder, os.DirFS(k.folder)), os.Chmod(filepath.Join(w.folder, "keys"), 0o600)); err != nil {
		t.Fatal(err)
	}
	w.before = k.before
	if f.inside {
		w.jar.SetCookies(home, k.cookies)
	}
	return w
}

// everyPoint kills at the first point of the flow, the second, and so on, until the flow
// ends with nobody killed.
func (k *kills) everyPoint(t *testing.T, f flow) {
	for n, died := 1, true; died && !t.Failed(); n++ {
		died = false
		t.Run(fmt.Sprintf("point %d", n), func(t *testing.T) {
			w := k.walk(t, f)
			if died = w.disturbed(f, n, k); died {
				k.afterwards(w)
			}
		})
	}
}

// disturbed runs the flow on a server that dies at its n-th point, and reports whether
// there was one.
func (w *walk) disturbed(f flow, n int, k *kills) bool {
	w.t.Helper()
	o := w.order()
	if f.name == firstStart {
		o.Kill = int64(n)
	}
	w.life = begin(w.t, o)
	if w.life.url == "" {
		return w.died()
	}
	began := time.Now()
	if f.name != firstStart {
		w.life.control("/crash/arm", "n", strconv.Itoa(n))
	}
	db := w.open()
	defer db.Close()
	err := f.do(w)
	if err == nil {
		err = w.quiet(db)
	}
	if err == nil {
		w.life.control("/crash/arm", "n", "0")
	}
	if err != nil || w.life.over.Err() != nil {
		return w.died()
	}
	k.mu.Lock()
	k.took[f.name] = max(k.took[f.name], time.Since(began))
	k.mu.Unlock()
	if w.life.finish(); w.life.died != "" {
		return w.died() // at its last point, after the flow
	}
	w.life.stop()
	w.inspect()
	w.delivered(db)
	return false
}

// died insists that a server that is over was killed at a crash point.
func (w *walk) died() bool {
	w.t.Helper()
	w.life.await()
	if w.life.died == "" {
		w.t.Fatalf("the server ended by itself:\n%s", w.life.said.String())
	}
	return true
}

// anyMoment kills from outside, at moments nobody has chosen.
func (k *kills) anyMoment(t *testing.T, times int) {
	all := k.flows()
	for i := range times {
		f := all[i%len(all)]
		delay := rand.N(k.took[f.name]*11/10 + time.Millisecond)
		t.Run(fmt.Sprintf("%s after %v", f.name, delay), func(t *testing.T) {
			w := k.walk(t, f)
			if f.name == firstStart {
				w.life = launch(t, w.order())
			} else {
				w.start()
			}
			shot := time.AfterFunc(delay, w.life.kill)
			defer shot.Stop()
			if f.name != firstStart {
				_ = f.do(w) // to wherever it comes
			}
			w.life.await()
			k.afterwards(w)
		})
	}
}

// afterwards is all that has to hold once a server was killed.
func (k *kills) afterwards(w *walk) {
	w.t.Helper()
	w.life.await()
	point := w.life.died
	if point == "" {
		point = "at any moment"
	}
	if said := w.life.said.String(); strings.Contains(said, "--- FAIL") || strings.Contains(said, "level=ERROR") {
		w.t.Errorf("it failed before it was killed (%s):\n%s", point, said)
	}
	w.inspect()
	w.start()
	db := w.open()
	defer db.Close()
	w.goOn(w.facts(db))
	w.must(w.quiet(db))
	w.check(db)
	w.delivered(db)
	w.life.stop()
	if w.t.Failed() {
		w.t.Logf("killed: %s", point)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sum++
	k.points[point]++
	k.slowest = max(k.slowest, w.life.took)
}
