package faults

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/test/e2e/live"
)

var long = flag.Bool("long", false, "let each fault last longer, and write the table of docs/explanation/reliability.md")

// Passwords of the accounts are hashed at a low cost here. The servers hash at theirs.
func TestMain(m *testing.M) {
	var err error
	if programDir, err = os.MkdirTemp("", "twostep-faults-"); err != nil {
		panic(err)
	}
	code := live.Main(m)
	os.RemoveAll(programDir)
	os.Exit(code)
}

var (
	// Other tests run at the same time, so that the machine may be slow.
	shortPace = pace{
		rounds: 1, pause: 200 * time.Millisecond, patience: 4 * time.Second, answer: 20 * time.Second,
		recovery: 15 * time.Second, accounts: 120, waiting: 100,
	}
	longPace = pace{
		rounds: 3, fault: 30 * time.Second, outage: 10 * time.Minute, pause: time.Second,
		patience: 10 * time.Second, answer: 12 * time.Second, recovery: 5 * time.Second, accounts: 2000, waiting: 5000,
	}
)

// fault is a row of the table.
type fault struct {
	name, promise string
	site          func(*testing.T, programs) site
	strike        func(*drive)
}

var faultList = []fault{
	{
		"One of two servers is killed (`kill -9`)",
		"The other one goes on.",
		postgres, killServer,
	},
	{
		"The only server is killed (`kill -9`) and started again",
		"It starts without repair and goes on.",
		sqlite, killServer,
	},
	{
		"One of two servers is stopped (`SIGTERM`)",
		"It finishes its requests and ends. The other one goes on.",
		postgres, stopServer,
	},
	{
		"Two servers are restarted, one after the other",
		"People can sign in all the time.",
		postgres, restartEach,
	},
	{
		"PostgreSQL is restarted",
		"The servers connect again by themselves.",
		alone, restartDatabase,
	},
	{
		"The PostgreSQL primary is killed, and the standby is promoted",
		"The servers find the new primary, if the URL names both.",
		replicated, killPrimary,
	},
	{
		"The PostgreSQL primary hangs (`SIGSTOP`), and the standby is promoted",
		"The same: nothing waits for the old one.",
		replicated, hangPrimary,
	},
	{
		"PgBouncer is restarted",
		"The servers connect again by themselves.",
		pooled, restartPooler,
	},
	{
		"PostgreSQL is read-only",
		"People who are signed in stay signed in. Nobody can sign in until it is over.",
		alone, readOnly,
	},
	{
		"The disk with the SQLite file is full",
		"People who are signed in stay signed in. Nobody can sign in until there is space.",
		smallDisk, fillDisk,
	},
	{
		"Another process locks the SQLite file for 30 seconds",
		"Requests that write wait, at most 10 seconds. Pages can still be read.",
		sqlite, lockFile,
	},
	{
		"The mail server is away for 10 minutes, and 5,000 messages wait",
		"New codes come first when it is back. No message is lost.",
		postgres, mailAway,
	},
	{
		"The mail server takes connections and does not answer",
		"Pages come as fast as always. Codes are sent when it answers.",
		postgres, mailHangs,
	},
	{
		"The mail server refuses all mails for a time (451)",
		"Codes are sent when it takes them.",
		postgres, mailRefuses,
	},
	{
		"The clock of one of two servers is 5 seconds ahead",
		"Nothing changes. The server logs a warning.",
		clocks, clockFiveSeconds,
	},
	{
		"The clock of one of two servers is 90 seconds ahead",
		"Within a minute that server answers 503, until its clock is right. It does not start. The other one goes on.",
		clocks, clockNinetySeconds,
	},
}

// Complete sign-ins go on through each fault. Nothing that a server has acknowledged is lost, nothing is allowed twice,
// no answer is wrong, and after the end of the cause people sign in without a restart.
func TestFaults(t *testing.T) {
	p := build(t)
	pace := shortPace
	if *long {
		pace = longPace
	}
	var mu sync.Mutex
	texts := map[string]string{} // of the column "seen", by name; "" while the fault goes on
	record := func(f fault, text string) {
		mu.Lock()
		defer mu.Unlock()
		texts[f.name] = text
	}
	t.Run("each", func(t *testing.T) {
		for _, f := range faultList {
			t.Run(f.name, func(t *testing.T) {
				if !*long {
					t.Parallel()
				}
				record(f, "")
				record(f, newDrive(t, pace, f.site(t, p)).run(f.strike).String())
			})
		}
	})
	if *long {
		writeTable(t, texts)
	}
}

// The checks after a fault notice what is lost, and what is allowed twice.
func TestChecksNoticeALoss(t *testing.T) {
	t.Parallel()
	d := newDrive(t, shortPace, sqlite(t, build(t)))
	stop := d.people()
	defer stop()
	d.goOn(1)
	stop()
	if lost := d.check(); len(lost) > 0 {
		t.Fatalf("lost without a fault: %q", lost)
	}
	for _, loss := range []struct{ what, key, statement string }{
		{
			"a used code works again", "code ",
			"UPDATE attempts SET finished_at = 0; UPDATE challenges SET passed_at = 0; UPDATE one_time_codes SET used_at = 0",
		},
		{"a session is lost", "session of ", "DELETE FROM sessions"},
		{"a trusted browser is lost", "trust of ", "DELETE FROM trusted_networks"},
		{"a token is lost", "token of ", "DELETE FROM tokens"},
		{"an authenticator app is lost", "app of ", "DELETE FROM factors"},
		{"a password is lost", "password of ", "UPDATE accounts SET disabled_at = 1"},
	} {
		storetest.Exec(t, d.site.direct, loss.statement)
		isLoss := func(key string) bool { return strings.HasPrefix(key, loss.key) }
		if lost := d.check(); !slices.ContainsFunc(lost, isLoss) {
			t.Errorf("%s, and the checks say %q", loss.what, lost)
		}
	}
}

func postgres(t *testing.T, p programs) site {
	return site{binary: p.plain, database: storetest.NewPostgres(t), servers: 2}
}

func sqlite(_ *testing.T, p programs) site { return site{binary: p.plain, servers: 1} }

func alone(t *testing.T, p programs) site {
	a := storetest.NewAlone(t)
	return site{binary: p.plain, database: a.URL, servers: 2, alone: a}
}

func replicated(t *testing.T, p programs) site {
	r := storetest.NewSynchronousReplica(t)
	return site{
		binary: p.plain, database: r.Both(t) + "&target_session_attrs=read-write", direct: r.First,
		servers: 2, replicated: r,
	}
}

func pooled(t *testing.T, p programs) site {
	direct := storetest.NewPostgres(t)
	pooler := storetest.NewPooler(t, direct)
	return site{binary: p.plain, database: pooler.URL, direct: direct, servers: 2, pooler: pooler}
}

func clocks(t *testing.T, p programs) site {
	return site{binary: p.clock, database: storetest.NewPostgres(t), servers: 2}
}

// smallDisk is SQLite on a file system of its own. To mount it needs root, or sudo without a password.
func smallDisk(t *testing.T, p programs) site {
	dir := t.TempDir()
	asRoot(t, "mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=24m,mode=700,uid=%d", os.Getuid()), "tmpfs", dir)
	t.Cleanup(func() { asRoot(t, "umount", dir) })
	return site{binary: p.plain, dir: dir, servers: 1}
}

func asRoot(t *testing.T, args ...string) {
	t.Helper()
	if os.Getuid() != 0 {
		args = append([]string{"sudo", "-n"}, args...)
	}
	if said, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, said)
	}
}

func killServer(d *drive) {
	d.servers[0].kill()
	d.last(d.pace.fault)
	d.servers[0].mustStart()
	d.recovered()
}

func stopServer(d *drive) {
	d.servers[0].stop()
	d.last(d.pace.fault)
	d.servers[0].mustStart()
	d.recovered()
}

func restartEach(d *drive) {
	for range 2 {
		for _, s := range d.servers {
			s.stop()
			s.mustStart()
			d.recovered()
		}
	}
}

func restartDatabase(d *drive) {
	d.site.alone.Stop(d.T)
	d.last(d.pace.fault)
	d.site.alone.Start(d.T)
	d.recovered()
}

func killPrimary(d *drive) {
	d.site.replicated.Kill(d.T)
	d.last(d.pace.fault)
	d.site.replicated.Promote(d.T)
	d.recovered()
}

func hangPrimary(d *drive) {
	d.site.replicated.Hang(d.T)
	d.last(d.pace.fault)
	d.site.replicated.Promote(d.T)
	d.recovered()
}

func restartPooler(d *drive) {
	d.site.pooler.Stop()
	d.last(d.pace.fault)
	d.site.pooler.Start(d.T)
	d.recovered()
}

func readOnly(d *drive) {
	d.goesOn(func() {
		d.site.alone.SetReadOnly(d.T, true)
		d.last(d.pace.fault)
	})
	d.site.alone.SetReadOnly(d.T, false)
	d.recovered()
}

func fillDisk(d *drive) {
	filler := filepath.Join(d.site.dir, "filler")
	d.goesOn(func() {
		fill(d, filler)
		d.last(d.pace.fault)
	})
	if err := os.Remove(filler); err != nil {
		d.Fatal(err)
	}
	d.recovered()
}

// fill writes a file until no space is left. Before that it empties the write-ahead log, which would have space for
// some more transactions.
func fill(d *drive, name string) {
	storetest.Exec(d.T, d.site.direct, "PRAGMA wal_checkpoint(TRUNCATE)")
	f, err := os.Create(name)
	if err != nil {
		d.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		d.Fatal(err)
	}
}

func lockFile(d *drive) {
	db, err := sql.Open("sqlite", d.site.direct+"?_pragma=busy_timeout(5000)")
	if err != nil {
		d.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Conn(d.Context())
	if err != nil {
		d.Fatal(err)
	}
	d.goesOn(func() {
		if _, err := conn.ExecContext(d.Context(), "BEGIN IMMEDIATE"); err != nil {
			d.Fatal(err)
		}
		d.last(d.pace.fault)
	})
	if _, err := conn.ExecContext(context.WithoutCancel(d.Context()), "ROLLBACK"); err != nil {
		d.Fatal(err)
	}
	d.recovered()
}

func mailAway(d *drive) {
	d.mail.set(away)
	d.queueMessages(d.pace.waiting)
	d.last(d.pace.outage)
	d.mail.set(takes)
	d.recovered()
	began := time.Now()
	for d.queuedMessages() > 0 {
		if time.Since(began) > 10*time.Minute {
			d.Errorf("%d messages are not sent", d.queuedMessages())
			break
		}
		d.goOn(1)
	}
	if often := d.mail.takenOften(); often > 0 {
		d.Errorf("%d messages were sent more than twice", often)
	}
	d.seen.also = fmt.Sprintf("all %d messages sent after %.0f s", d.pace.waiting, time.Since(began).Seconds())
}

func mailHangs(d *drive) {
	d.mail.set(hangs)
	d.last(d.pace.fault)
	d.mail.set(takes)
	d.recovered()
}

func mailRefuses(d *drive) {
	d.mail.set(refuses)
	d.last(d.pace.fault)
	d.mail.set(takes)
	d.recovered()
}

// noticed is how long a running server may take to notice a wrong clock.
const noticed = 70 * time.Second

func clockFiveSeconds(d *drive) {
	one := d.servers[0]
	one.kill()
	one.setClock(5)
	one.mustStart()
	d.last(d.pace.fault)
	if !strings.Contains(one.log.last(), "clock") {
		d.Error("a server whose clock is wrong logs nothing about it")
	}
	one.setClock(0)
	d.recovered()
}

func clockNinetySeconds(d *drive) {
	one := d.servers[0]
	d.excuse("no token for the app", "code of a new app") // codes that live for a minute or less
	one.setClock(90)
	if *long {
		d.last(noticed)
		visitor := d.newPerson(d.Context(), "visitor", d.nextAccount())
		visitor.only = one
		if _, err := visitor.first(); !errors.Is(err, errUnavailable) {
			d.Errorf("after %v a server whose clock is 90 s ahead answers a sign-in with %v, want 503", noticed, err)
		}
	} else {
		d.last(0)
	}
	one.kill()
	if err := one.start(); err == nil || !strings.Contains(err.Error(), "clock") {
		d.Errorf("a server whose clock is 90 s ahead starts: %v", err)
	}
	one.kill()
	one.setClock(0)
	one.mustStart()
	d.excuse()
	d.seen.also = fmt.Sprintf("%d codes of apps refused before the server noticed", d.seen.excused)
	d.recovered()
}
