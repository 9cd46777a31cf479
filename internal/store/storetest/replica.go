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

// NewReplicatedPostgres starts two PostgreSQL servers with synchronous replication: every commit on the first is also
// on the second before it returns. It returns the URL of the first, and a function that stops the first without a
// shutdown, promotes the second and returns the URL of the second.
func NewReplicatedPostgres(t testing.TB) (first string, failover func() (second string)) {
	t.Helper()
	p := startPair(t)
	return p.first, func() string {
		t.Helper()
		if err := errors.Join(p.stopFirst(), p.promoteSecond()); err != nil {
			t.Fatal(err)
		}
		return p.second
	}
}

// NewHangingPostgres starts two servers as NewReplicatedPostgres does. It returns a URL with both, a function that stops
// all processes of the first with SIGSTOP, so that it accepts connections and never answers, and a function that
// promotes the second and returns its URL.
func NewHangingPostgres(t testing.TB) (both string, hang func(), promote func() (second string)) {
	t.Helper()
	p := startPair(t)
	address, err := url.Parse(p.first)
	if err != nil {
		t.Fatal(err)
	}
	second, err := url.Parse(p.second)
	if err != nil {
		t.Fatal(err)
	}
	address.Host += "," + second.Host
	address.RawQuery += "&target_session_attrs=read-write&connect_timeout=2"
	signal := func(s syscall.Signal) {
		pids, err := p.one.processes()
		if err != nil {
			t.Error(err)
		}
		for _, pid := range pids {
			_ = syscall.Kill(pid, s) // it may have ended
		}
	}
	hang = func() {
		t.Helper()
		signal(syscall.SIGSTOP)
		t.Cleanup(func() { signal(syscall.SIGCONT) }) // before the server is stopped
	}
	return address.String(), hang, func() string {
		t.Helper()
		if err := p.promoteSecond(); err != nil {
			t.Fatal(err)
		}
		return p.second
	}
}

// pair is two servers, of which the second is a replica of the first.
type pair struct {
	one, two      cluster
	first, second string // their URLs
}

func startPair(t testing.TB) *pair {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	// Not t.TempDir: the user postgres has no access to it.
	dir, err := os.MkdirTemp("", "twostep-replicated-")
	must(err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	must(os.Chmod(dir, 0o711))
	p := &pair{one: cluster{filepath.Join(dir, "one")}, two: cluster{filepath.Join(dir, "two")}}
	must(errors.Join(p.one.createDir(), p.two.createDir()))
	p.first, err = p.one.initAndStart("")
	must(err)
	t.Cleanup(func() { _ = p.stopFirst() }) // fails if it was stopped before
	must(p.two.cloneFrom(p.first))
	port, err := p.two.startServer("")
	must(err)
	p.second = postgresURL(port)
	t.Cleanup(func() { _ = p.two.runTool("pg_ctl", "-m", "immediate", "stop") })
	must(execSQL(p.first, "ALTER SYSTEM SET synchronous_standby_names = '*'"))
	must(waitSynchronous(p.first))
	return p
}

func (p *pair) stopFirst() error { return p.one.runTool("pg_ctl", "-m", "immediate", "stop") }

func (p *pair) promoteSecond() error { return p.two.runTool("pg_ctl", "-w", "promote") }

// processes returns the ids of the server and of its children, the server first, so that it starts no more of them.
func (c cluster) processes() (pids []int, err error) {
	text, err := os.ReadFile(filepath.Join(c.dataDir(), "postmaster.pid"))
	if err != nil {
		return nil, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	server, err := strconv.Atoi(line)
	if err != nil {
		return nil, err
	}
	children, err := exec.Command("ps", "--no-headers", "-o", "pid", "--ppid", line).Output()
	if err != nil {
		return nil, fmt.Errorf("ps: %w", err)
	}
	pids = []int{server}
	for _, field := range strings.Fields(string(children)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	return pids, nil
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
