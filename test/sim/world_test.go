package sim_test

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/device"
	"twostep.example/twostep/internal/odds"
	"twostep.example/twostep/internal/outbox"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/signin"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/internal/trust"
)

var (
	oneSeed = flag.Uint64("seed", 0, "play this one story again")
	long    = flag.Bool("long", false, "play many stories, and the long ones whole")
)

// begins is when every story does.
var begins = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

// world is a site with all who want something of it, and how late it is.
type world struct {
	*testing.T
	seed   uint64
	dice   *rand.Rand
	url    string
	keys   *seal.KeyRing
	db     *store.DB
	rows   *sql.DB // what is committed, read beside the store
	outbox *outbox.Outbox
	*signin.Services

	now    time.Time     // in truth
	skew   time.Duration // of the clock of the server
	actors []*actor
	inbox  map[string][]letter // by address
	mails  float64             // how much of the mail is lost, and how much is late
	faults faults
	book   book
}

// letter is a mail in a mailbox.
type letter struct {
	delivery.Message
	sent, arrives time.Time
}

// actor is somebody who does something at times.
type actor struct {
	at   time.Time
	next func() (time.Duration, bool)
	stop func()
}

// seeds are the stories to play: the first few, or fresh ones where there is time for many.
func seeds(few, many int) iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		first, n := uint64(1), few
		switch {
		case *oneSeed != 0:
			first, n = *oneSeed, 1
		case *long:
			first, n = uint64(time.Now().UnixNano())%1_000_000_000, many
		}
		for i := range uint64(n) {
			if !yield(first + i) {
				return
			}
		}
	}
}

// play plays the story of a seed on an empty database: a new one on SQLite if url is "".
func play(t *testing.T, seed uint64, url string, story func(w *world)) {
	t.Helper()
	if url == "" {
		url = filepath.Join(storetest.TempDir(t), "twostep.db")
	}
	name, _, _ := strings.Cut(t.Name(), "/")
	defer func() {
		if t.Failed() {
			t.Logf("again: go test ./sim -run '^%s$' -seed=%d", name, seed)
		}
	}()
	cryptotest.SetGlobalRandom(t, seed)
	keys, err := seal.ParseKeyRing(seal.NewKeyLine())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, seed: seed, dice: rand.New(rand.NewPCG(seed, seed)), url: url, keys: keys, now: begins, inbox: map[string][]letter{}}
	w.book = newBook()
	w.open()
	defer w.close()
	w.rows = w.beside()
	defer w.rows.Close()
	defer func() {
		for _, a := range w.actors {
			a.stop()
		}
	}()
	story(w)
}

// open builds the engine on the database, as a start of the program does.
func (w *world) open() {
	db, err := store.Open(context.Background(), w.url)
	if err != nil {
		w.Fatal(err)
	}
	w.db = db
	w.outbox = outbox.New(db, w.keys, map[delivery.Channel]delivery.SendFunc{delivery.Email: w.post}, w.clock, slog.New(slog.DiscardHandler))
	w.Services = signin.New(signin.Config{
		Store: db, Keys: w.keys, Passwords: seal.NewPasswordHasher(seal.HashCost{MemoryKiB: 64, Passes: 1}, 4, 0), Now: w.clock, Log: slog.New(slog.DiscardHandler),
		Settings: account.Settings{Site: "Example", PublicURL: "https://signin.example.com", SignUp: "open", Location: time.UTC},
		Enqueue:  w.outbox.Enqueue, NotifyOutbox: func() {}, Trust: trust.Policy{TTL: trust.MaxTTL}, GuessBudget: odds.AccountBudgetPerYear,
		Methods: []factor.Method{mailbox{w: w}, app{w: w}, newRecoveryCodes(w)},
		Idle:    time.Hour, Absolute: 24 * time.Hour,
	})
}

func (w *world) close() {
	if err := w.db.Close(); err != nil {
		w.Error(err)
	}
}

// beside opens the database a second time, to look.
func (w *world) beside() *sql.DB {
	driver := "sqlite"
	if w.postgres() {
		driver = "pgx"
	}
	db, err := sql.Open(driver, w.url)
	if err != nil {
		w.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	return db
}

func (w *world) postgres() bool { return strings.HasPrefix(w.url, "postgres") }

// enter lets somebody act until the story ends.
func (w *world) enter(act func(wait func(time.Duration))) {
	type ended struct{}
	next, stop := iter.Pull(func(yield func(time.Duration) bool) {
		defer func() {
			if r := recover(); r != nil && r != (ended{}) {
				panic(r)
			}
		}()
		act(func(d time.Duration) {
			if !yield(max(d, time.Millisecond)) {
				panic(ended{})
			}
		})
	})
	w.actors = append(w.actors, &actor{w.now, next, stop})
}

// run lets everybody act in the order of time, for so long or until something is wrong.
func (w *world) run(d time.Duration) {
	end := w.now.Add(d)
	for len(w.actors) > 0 && !w.Failed() {
		a := slices.MinFunc(w.actors, func(a, b *actor) int { return a.at.Compare(b.at) })
		if a.at.After(end) {
			break
		}
		w.now = a.at
		wait, ok := a.next()
		a.at = w.now.Add(wait)
		if !ok {
			w.actors = slices.DeleteFunc(w.actors, func(b *actor) bool { return a == b })
		}
	}
	w.now = end
}

// clock is the clock of the server.
func (w *world) clock() time.Time {
	w.faults.tick(w)
	return w.now.Add(w.skew)
}

func (w *world) chance(p float64) bool { return p > 0 && w.dice.Float64() < p }

// between is a time between two.
func (w *world) between(least, most time.Duration) time.Duration {
	return least + time.Duration(w.dice.Int64N(int64(most-least)+1))
}

var codeLine = regexp.MustCompile(`(?m)^(\d{6}|[0-9A-Z]{5}-[0-9A-Z]{4}-[0-9A-Z]{4})$`)

// post puts a message into its mailbox, now or late or not at all.
func (w *world) post(_ context.Context, m delivery.Message) error {
	at := w.now
	switch {
	case w.chance(w.mails):
		return fmt.Errorf("the mail server is away")
	case w.chance(w.mails):
		return nil // and it is lost
	case w.chance(w.mails):
		at = at.Add(w.between(time.Minute, 20*time.Minute))
	}
	w.inbox[m.To] = append(w.inbox[m.To], letter{m, w.now, at})
	return nil
}

// deliver sends what is due.
func (w *world) deliver() {
	for range 20 {
		sent, err := w.outbox.DeliverNext(context.Background())
		if err != nil {
			w.Errorf("deliver: %v", err)
		}
		if !sent || err != nil {
			return
		}
	}
}

// sweep does what the server does every now and then.
func (w *world) sweep() {
	before := func(d time.Duration) time.Time { return w.clock().Add(-d) }
	old := store.Cutoffs{
		Now: before(0), Ended: before(24 * time.Hour), Trust: before(2 * trust.MaxTTL),
		Decisions: before(device.KeepDecisions),
		Guesses:   before(odds.Year + 24*time.Hour), Events: before(400 * 24 * time.Hour),
	}
	if _, err := w.db.DeleteExpired(context.Background(), old); err != nil {
		w.Fatal(err)
	}
	for to, letters := range w.inbox {
		w.inbox[to] = slices.DeleteFunc(letters, func(l letter) bool { return l.sent.Before(w.now.Add(-24 * time.Hour)) })
	}
}

// query reads one row; false if there is none.
func (w *world) query(what string, args []any, into ...any) bool {
	w.Helper()
	switch err := w.rows.QueryRow(what, args...).Scan(into...); err {
	case nil:
		return true
	case sql.ErrNoRows:
		return false
	default:
		w.Fatalf("%s: %v", what, err)
		return false
	}
}
