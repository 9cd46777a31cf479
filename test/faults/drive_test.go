package faults

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/email"
	"twostep.example/twostep/factor/totp"
	"twostep.example/twostep/internal/outbox"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store/storetest"
)

const (
	password = "correct horse battery"
	// memoryLimit is how much memory a server may use, in MB.
	memoryLimit = 200
	// logLimit is how many warnings and errors a server may log in a second besides those of requests.
	logLimit = 5
)

// ack is what a server acknowledged.
type ack string

const (
	unknown        ack = "" // an answer was lost, and one of two states must hold
	usedCode       ack = "codes"
	madeSession    ack = "sessions"
	signedOut      ack = "sign-outs"
	trustedBrowser ack = "trusted browsers"
	newPassword    ack = "passwords"
	addedApp       ack = "authenticator apps"
	issuedToken    ack = "tokens"
)

// drive is one fault: servers, people who sign in all the time, and what they were told.
type drive struct {
	*testing.T
	pace    pace
	servers []*server
	mail    *mailServer
	public  string // the public URL
	site    site

	accounts chan *account
	persons  atomic.Int64
	rounds   []*atomic.Int64 // that have ended, of each of the people

	mu      sync.Mutex
	claims  map[string]func() error // what must hold, by a key that tells what replaces it
	acks    map[ack]int
	wrongs  []string // wrong answers
	excused []string // parts of those that the page names
	seen    seen
}

// pace is how long the phases of a drive last.
type pace struct {
	rounds   int64         // of each person, before, during and after a fault
	fault    time.Duration // how long a fault lasts; 0: for some rounds
	outage   time.Duration // how long the mail server is away; 0: for some rounds
	pause    time.Duration // of a person between two rounds
	answer   time.Duration // to a request, at most; a server ends it after 10 s
	recovery time.Duration // from the end of a cause to the first complete sign-in, at most
	patience time.Duration // of a person who waits for a mail with a code
	accounts int
	waiting  int // messages while the mail server is away
}

// seen is what was seen, for the table.
type seen struct {
	answered, unavailable, internal, closed, refused int // requests
	acked, lost, wrong, excused                      int
	recovery                                         time.Duration
	log, memory                                      int
	also                                             string
}

func (d *drive) count(n *int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	*n++
}

// acknowledged records what a server has told a person. check says whether it holds; it replaces the check with the
// same key.
func (d *drive) acknowledged(what ack, key string, check func() error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if what != unknown {
		d.acks[what]++
	}
	d.claims[key] = check
}

// forget drops a check, because an answer is awaited that may change what holds.
func (d *drive) forget(key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.claims, key)
}

func (d *drive) wrong(what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if slices.ContainsFunc(d.excused, func(part string) bool { return strings.Contains(what, part) }) {
		d.seen.excused++
		return
	}
	d.wrongs = append(d.wrongs, what)
}

// excuse accepts wrong answers that contain one of these texts from now on, as a consequence that the page names.
func (d *drive) excuse(parts ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.excused = parts
}

func (d *drive) nextAccount() *account {
	select {
	case a := <-d.accounts:
		return a
	default:
		d.wrong("the people have used up all accounts")
		return &account{email: "nobody@example.com", password: password}
	}
}

// site is where a drive takes place.
type site struct {
	binary   string
	database string // the URL of the servers; "": SQLite
	direct   string // the URL for the test, if it is another
	dir      string // of SQLite and the keys; "": a new one
	servers  int

	// What is in front of or behind the servers, for its fault.
	replicated *storetest.Pair
	alone      *storetest.Alone
	pooler     *storetest.Pooler
}

// newDrive starts the servers of a site with its accounts.
func newDrive(t *testing.T, p pace, s site) *drive {
	t.Helper()
	d := &drive{
		T: t, pace: p, mail: startMail(t), claims: map[string]func() error{}, acks: map[ack]int{},
		accounts: make(chan *account, p.accounts),
	}
	if s.dir == "" {
		s.dir = storetest.TempDir(t)
	}
	if s.direct == "" {
		s.direct = cmp.Or(s.database, filepath.Join(s.dir, "twostep.db"))
	}
	d.site = s
	addresses := make([]string, s.servers)
	for i := range addresses {
		addresses[i] = fmt.Sprintf("127.0.0.1:%d", storetest.FreePort(t))
	}
	d.public = "http://" + addresses[0]
	d.beside(func(ts *twostep.Server) {
		app := twostep.App{ID: appID, RedirectURIs: []string{appRedirect}}
		if err := ts.CreateApp(t.Context(), app); err != nil {
			t.Fatal(err)
		}
		for i := range p.accounts {
			a := &account{email: fmt.Sprintf("p%d@example.com", i), password: password}
			params := twostep.AccountParams{Email: a.email, Name: "P", Password: password}
			if err := ts.CreateAccount(t.Context(), params); err != nil {
				t.Fatal(err)
			}
			d.accounts <- a
		}
	})
	for i, address := range addresses {
		one := &server{
			t: t, binary: s.binary, address: address, clock: filepath.Join(s.dir, fmt.Sprintf("clock%d", i)),
			args: []string{
				"serve", "--listen", address, "--public-url", d.public, "--data", s.dir, "--log-format", "json",
				"--smtp-host", "127.0.0.1", "--smtp-port", fmt.Sprint(d.mail.port), "--smtp-security", "none",
				"--smtp-from", "Example <signin@example.com>",
			},
		}
		if s.database != "" {
			one.args = append(one.args, "--database", s.database)
		}
		one.env = []string{clockVariable + "=" + one.clock}
		d.servers = append(d.servers, one)
		t.Cleanup(one.kill)
		one.mustStart()
	}
	return d
}

// beside opens the database with the keys of the servers, for what takes too long in a browser.
func (d *drive) beside(f func(*twostep.Server)) {
	d.Helper()
	ts, err := twostep.New(d.Context(), twostep.Options{
		Database: d.site.direct, KeyFile: filepath.Join(d.site.dir, "keys"), PublicURL: d.public, NoBackgroundWork: true,
		Logger:  slog.New(slog.DiscardHandler),
		Methods: []factor.Method{email.Method{}, totp.Method{}},
		Senders: map[delivery.Channel]delivery.SendFunc{
			delivery.Email: func(context.Context, delivery.Message) error { return errors.New("sends nothing") },
		},
	})
	if err != nil {
		d.Fatal(err)
	}
	f(ts)
	if err := ts.Close(); err != nil {
		d.Fatal(err)
	}
}

// queueMessages queues emails to other people, which wait with those of the test.
func (d *drive) queueMessages(n int) {
	d.Helper()
	keys, err := seal.LoadKeyRing(filepath.Join(d.site.dir, "keys"))
	if err != nil {
		d.Fatal(err)
	}
	db := storetest.Open(d.T, d.site.direct)
	queue := outbox.New(db, keys, nil, time.Now, slog.New(slog.DiscardHandler))
	for i := range n {
		m := delivery.Message{
			ID: fmt.Sprint("other-", i), Channel: delivery.Email, To: fmt.Sprintf("other%d@example.com", i),
			Subject: "News", Text: "One of many emails.",
		}
		if err := queue.Enqueue(d.Context(), db, m, time.Now().Add(24*time.Hour)); err != nil {
			d.Fatal(err)
		}
	}
}

// queuedMessages returns how many messages of queueMessages are not sent.
func (d *drive) queuedMessages() int {
	d.Helper()
	return storetest.CountRows(d.T, d.site.direct, "outbox_messages WHERE state <> 'sent' AND id LIKE 'other-%'")
}

// run signs people in before, during and after the fault, and checks what they were told.
func (d *drive) run(strike func(*drive)) seen {
	d.Helper()
	stop := d.people()
	defer stop() // also if the fault ends the test
	d.goOn(d.pace.rounds)
	strike(d) // ends with recovered
	d.goOn(d.pace.rounds)
	stop()
	lost := d.check()
	d.seen.lost = len(lost)
	for _, what := range lost {
		d.Error("lost: " + what)
	}
	for _, s := range d.servers {
		if s.running() {
			s.measure()
		}
		d.seen.log, d.seen.memory = max(d.seen.log, s.log.busiest()), max(d.seen.memory, s.memory)
	}
	for _, n := range d.acks {
		d.seen.acked += n
	}
	d.judge()
	return d.seen
}

// people start to sign in. The function ends that.
func (d *drive) people() (stop func()) {
	ctx, cancel := context.WithCancel(d.Context())
	var all sync.WaitGroup
	for name, round := range map[string]func(*person) error{
		"comes and goes": (*person).comesAndGoes, "returns": (*person).returns, "stays": (*person).stays,
		"changes the password": (*person).changesPassword, "adds an authenticator app": (*person).addsApp,
		"uses an app": (*person).usesApp,
	} {
		p, ended := d.newPerson(ctx, name, d.nextAccount()), new(atomic.Int64)
		d.rounds = append(d.rounds, ended)
		all.Go(func() {
			for ctx.Err() == nil {
				err := round(p)
				ended.Add(1)
				if err != nil {
					p.wait(max(d.pace.pause, 300*time.Millisecond))
				} else {
					p.wait(d.pace.pause)
				}
			}
		})
	}
	return func() { cancel(); all.Wait() } // may be called twice
}

// goOn waits until each of the people has ended n more rounds, whatever came of these.
func (d *drive) goOn(n int64) {
	d.Helper()
	late := time.After(2 * time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for _, ended := range d.rounds {
		for until := ended.Load() + n; ended.Load() < until; {
			select {
			case <-tick.C:
			case <-late:
				d.Fatal("nobody goes on")
			}
		}
	}
}

// last lets people go on while the fault lasts: for this time, or for some rounds of each of them if it is zero.
func (d *drive) last(fault time.Duration) {
	d.Helper()
	if fault == 0 {
		d.goOn(d.pace.rounds)
		return
	}
	time.Sleep(fault) // the fault is real
}

// goesOn signs somebody in before a fault, and lets them open a page during it. The page must come: the session is
// there, and that its use cannot be recorded is no reason to end it.
func (d *drive) goesOn(fault func()) {
	d.Helper()
	p := d.newPerson(d.Context(), "reads on", d.nextAccount())
	if err := p.signIn(false); err != nil {
		d.Fatal(err)
	}
	// As if the last use were old enough to be recorded again.
	storetest.Exec(d.T, d.site.direct, "UPDATE sessions SET last_seen_at = last_seen_at - 120000")
	fault()
	if err := p.inside(); err != nil {
		p.wrong("somebody who was signed in before: %v", err)
	}
}

// recovered waits for a complete sign-in at every server, now that the cause has ended.
func (d *drive) recovered() {
	d.Helper()
	began := time.Now()
	var stuck atomic.Bool
	var all sync.WaitGroup
	for _, s := range d.servers {
		all.Go(func() {
			p := d.newPerson(d.Context(), "newcomer", d.nextAccount())
			p.only = s
			for {
				err := p.signIn(false)
				if err == nil {
					return
				}
				if time.Since(began) > time.Minute || errors.Is(err, errWrong) {
					d.Errorf("no sign-in at %s after the end of the cause: %v\n%s", s.address, err, s.log.last())
					stuck.Store(true)
					return
				}
				p.wait(100 * time.Millisecond)
			}
		})
	}
	all.Wait()
	d.seen.recovery = max(d.seen.recovery, time.Since(began))
	if stuck.Load() {
		d.judge()
		d.FailNow()
	}
}

// check checks all that was acknowledged, and returns what does not hold.
func (d *drive) check() (lost []string) {
	d.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for _, key := range slices.Sorted(maps.Keys(d.claims)) {
		err := d.claims[key]()
		for err != nil && !errors.Is(err, errWrong) && time.Now().Before(deadline) {
			time.Sleep(100 * time.Millisecond) // the server is real
			err = d.claims[key]()
		}
		if err != nil {
			lost = append(lost, fmt.Sprintf("%s: %v", key, err))
		}
	}
	return lost
}

// judge fails the test if a promise was broken.
func (d *drive) judge() {
	d.Helper()
	d.seen.wrong = len(d.wrongs)
	times := map[string]int{}
	for _, what := range d.wrongs {
		times[what]++
	}
	for _, what := range slices.Sorted(maps.Keys(times)) {
		d.Errorf("%d × %s", times[what], what)
	}
	if d.seen.recovery > d.pace.recovery {
		d.Errorf("sign-ins %v after the end of the cause, want %v", d.seen.recovery, d.pace.recovery)
	}
	if d.seen.memory > memoryLimit {
		d.Errorf("a server used %d MB, want at most %d", d.seen.memory, memoryLimit)
	}
	if d.seen.log > logLimit {
		d.Errorf("a server logged %d warnings and errors in a second that belong to no request, want at most %d",
			d.seen.log, logLimit)
	}
	for _, what := range []ack{usedCode, madeSession, signedOut, trustedBrowser, newPassword, addedApp, issuedToken} {
		if d.acks[what] == 0 {
			d.Errorf("no %s were acknowledged", what)
		}
	}
	if d.Failed() {
		for _, s := range d.servers {
			d.Logf("%s:\n%s", s.address, s.log.last())
		}
	}
	d.Logf("%+v %v", d.seen, d.acks)
}

// String is the text in the table.
func (s seen) String() string {
	parts := []string{fmt.Sprintf("%d acknowledged, %d lost", s.acked, s.lost)}
	for _, one := range []struct {
		n    int
		text string
	}{
		{s.wrong, "wrong answers"}, {s.internal, "answers 500"}, {s.unavailable, "answers 503"},
		{s.closed, "connections closed"}, {s.refused, "connections refused"},
	} {
		if one.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", one.n, one.text))
		}
	}
	parts = append(parts, fmt.Sprintf("sign-ins after %.1f s", s.recovery.Seconds()))
	if s.log > 0 {
		parts = append(parts, fmt.Sprintf("at most %d log lines a second", s.log))
	}
	parts = append(parts, fmt.Sprintf("%d MB", s.memory))
	if s.also != "" {
		parts = append(parts, s.also)
	}
	return strings.Join(parts, "; ")
}
