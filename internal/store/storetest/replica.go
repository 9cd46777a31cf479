//go:build unix

package storetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Replicated is two PostgreSQL servers with synchronous replication: every commit on the first is also on the second
// before it returns.
type Replicated struct {
	First, Second string // URLs

	t        testing.TB
	one, two cluster
}

// StartReplicated starts both servers until the test ends. The second one is a standby until Promote.
func StartReplicated(t testing.TB) *Replicated {
	t.Helper()
	// Not t.TempDir: the user postgres has no access to it.
	dir, err := os.MkdirTemp(memory(), "twostep-replicated-")
	r := &Replicated{t: t, one: cluster{filepath.Join(dir, "one")}, two: cluster{filepath.Join(dir, "two")}}
	r.must(err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	r.must(os.Chmod(dir, 0o711))
	r.must(errors.Join(r.one.createDir(), r.two.createDir()))
	r.First, err = r.one.initAndStart("")
	r.must(err)
	t.Cleanup(func() { _ = r.one.kill() }) // fails if it was killed before
	r.must(r.two.cloneFrom(r.First))
	port, err := r.two.startServer("")
	r.must(err)
	r.Second = postgresURL(port)
	t.Cleanup(func() { _ = r.two.kill() })
	r.must(execSQL(r.First, "ALTER SYSTEM SET synchronous_standby_names = '*'"))
	r.must(waitSynchronous(r.First))
	return r
}

func (r *Replicated) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// Kill ends the first server without a shutdown.
func (r *Replicated) Kill() { r.t.Helper(); r.must(r.one.kill()) }

// Hang stops all processes of the first server. Its port takes connections, and nothing answers.
func (r *Replicated) Hang() { r.t.Helper(); r.must(r.one.signal(syscall.SIGSTOP)) }

// Promote makes the second server the primary. The first one must not answer any more.
func (r *Replicated) Promote() { r.t.Helper(); r.must(r.two.runTool("pg_ctl", "-w", "promote")) }

// NewReplicatedPostgres is StartReplicated with one failover. It returns the URL of the first server, and a function
// that kills it, promotes the second and returns the URL of the second.
func NewReplicatedPostgres(t testing.TB) (first string, failover func() (second string)) {
	t.Helper()
	r := StartReplicated(t)
	return r.First, func() string {
		t.Helper()
		r.Kill()
		r.Promote()
		return r.Second
	}
}

// Alone is one PostgreSQL server that no other test uses, so that a test may restart it or change its configuration.
type Alone struct {
	URL string

	t testing.TB
	c cluster
}

// StartAlone starts the server until the test ends.
func StartAlone(t testing.TB) *Alone {
	t.Helper()
	// Not t.TempDir: the user postgres has no access to it.
	dir, err := os.MkdirTemp(memory(), "twostep-alone-")
	a := &Alone{t: t, c: cluster{filepath.Join(dir, "one")}}
	a.must(err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	a.must(errors.Join(os.Chmod(dir, 0o711), a.c.createDir()))
	a.URL, err = a.c.initAndStart("")
	a.must(err)
	t.Cleanup(func() { _ = a.c.kill() })
	return a
}

func (a *Alone) must(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}

// Stop shuts the server down and ends its connections.
func (a *Alone) Stop() { a.t.Helper(); a.must(a.c.runTool("pg_ctl", "-w", "-m", "fast", "stop")) }

// Start starts the server again, at the same URL.
func (a *Alone) Start() {
	a.t.Helper()
	address, err := url.Parse(a.URL)
	a.must(err)
	port, err := strconv.Atoi(address.Port())
	a.must(err)
	a.must(a.c.startServerAt(port, ""))
}

// ReadOnly makes every transaction read-only, as managed databases do when their disk is full, or ends that.
func (a *Alone) ReadOnly(on bool) {
	a.t.Helper()
	admin := a.URL + "&default_transaction_read_only=off"
	a.must(execSQL(admin, fmt.Sprintf("ALTER SYSTEM SET default_transaction_read_only = %t", on)))
	a.must(execSQL(admin, "SELECT pg_reload_conf()"))
}

// kill ends all processes of the server. It returns an error if the server does not run.
func (c cluster) kill() error {
	if err := c.signal(syscall.SIGKILL); err != nil {
		return err
	}
	return os.Remove(c.pidFile()) // so that nothing signals another process that gets the number
}

func (c cluster) pidFile() string { return filepath.Join(c.dataDir(), "postmaster.pid") }

// signal sends a signal to the process that started the server and to its children.
func (c cluster) signal(sig syscall.Signal) error {
	text, err := os.ReadFile(c.pidFile())
	if err != nil {
		return err
	}
	number, _, _ := strings.Cut(string(text), "\n")
	parent, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	// A process that is stopped starts no more children.
	if err := syscall.Kill(parent, syscall.SIGSTOP); err != nil {
		return err
	}
	children, err := exec.Command("pgrep", "-P", number).Output()
	if err != nil {
		return fmt.Errorf("pgrep: %w", err)
	}
	for child := range strings.FieldsSeq(string(children)) {
		if pid, err := strconv.Atoi(child); err == nil {
			_ = syscall.Kill(pid, sig) // it may have ended
		}
	}
	return syscall.Kill(parent, sig)
}

// cloneFrom makes this cluster a replica of the server at first.
func (c cluster) cloneFrom(first string) error {
	if err := c.createDataDir(); err != nil {
		return err
	}
	return c.runTool("pg_basebackup", "-d", first, "-R", "-X", "stream", "-c", "fast", "--no-sync")
}

// waitSynchronous waits until commits on the server wait for the replica.
func waitSynchronous(address string) error {
	return withDB(address, func(ctx context.Context, db *sql.DB) error {
		if _, err := db.ExecContext(ctx, "SELECT pg_reload_conf()"); err != nil {
			return err
		}
		for tick := time.NewTicker(20 * time.Millisecond); ; {
			var following bool
			err := db.QueryRowContext(ctx,
				`SELECT count(*) > 0 FROM pg_stat_replication
				WHERE sync_state = 'sync' AND state = 'streaming'`).Scan(&following)
			if err != nil || following {
				return err
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
}
