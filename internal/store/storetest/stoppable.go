//go:build unix

package storetest

import (
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
)

// NewSynchronousReplica is NewReplica with synchronous replication: every commit on the first server is also on the
// second before it returns.
func NewSynchronousReplica(t testing.TB) *Pair {
	t.Helper()
	p := NewReplica(t)
	err := errors.Join(execSQL(p.First, "ALTER SYSTEM SET synchronous_standby_names = '*'"), waitSynchronous(p.First))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.one.signal(syscall.SIGKILL) }) // a server that hangs does not stop otherwise
	return p
}

// Both returns a URL with both servers.
func (p *Pair) Both(t testing.TB) string {
	t.Helper()
	first, err := url.Parse(p.First)
	if err != nil {
		t.Fatal(err)
	}
	second, err := url.Parse(p.Second)
	if err != nil {
		t.Fatal(err)
	}
	first.Host += "," + second.Host
	return first.String()
}

// Kill ends all processes of the first server.
func (p *Pair) Kill(t testing.TB) { t.Helper(); p.signalFirst(t, syscall.SIGKILL) }

// Hang stops all processes of the first server. Its port takes connections, and nothing answers.
func (p *Pair) Hang(t testing.TB) { t.Helper(); p.signalFirst(t, syscall.SIGSTOP) }

func (p *Pair) signalFirst(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := p.one.signal(s); err != nil {
		t.Fatal(err)
	}
}

// Promote makes the second server the primary. The first one must not answer any more.
func (p *Pair) Promote(t testing.TB) {
	t.Helper()
	if err := p.two.runTool("pg_ctl", "-w", "promote"); err != nil {
		t.Fatal(err)
	}
}

// Alone is a PostgreSQL server that no other test uses. So a test may restart it and change its configuration.
type Alone struct {
	URL string

	server cluster
	port   int
}

// NewAlone starts the server. It runs until the test ends.
func NewAlone(t testing.TB) *Alone {
	t.Helper()
	// Not t.TempDir: the user postgres has no access to it.
	dir, err := os.MkdirTemp("", "twostep-alone-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	a := &Alone{server: cluster{filepath.Join(dir, "one")}}
	if err := errors.Join(os.Chmod(dir, 0o711), a.server.createDir()); err != nil {
		t.Fatal(err)
	}
	if a.URL, err = a.server.initAndStart(""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.stop() }) // fails if it does not run
	address, err := url.Parse(a.URL)
	if err != nil {
		t.Fatal(err)
	}
	if a.port, err = strconv.Atoi(address.Port()); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *Alone) stop() error { return a.server.runTool("pg_ctl", "-w", "-m", "fast", "stop") }

// Stop shuts the server down, which ends its connections.
func (a *Alone) Stop(t testing.TB) {
	t.Helper()
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
}

// Start starts the server again, at the same URL.
func (a *Alone) Start(t testing.TB) {
	t.Helper()
	if err := a.server.startServerAt(a.port, ""); err != nil {
		t.Fatal(err)
	}
}

// SetReadOnly makes all transactions read-only, as managed databases do when their disk is full, or ends that.
func (a *Alone) SetReadOnly(t testing.TB, on bool) {
	t.Helper()
	admin := a.URL + "&default_transaction_read_only=off"
	err := errors.Join(execSQL(admin, fmt.Sprintf("ALTER SYSTEM SET default_transaction_read_only = %t", on)),
		execSQL(admin, "SELECT pg_reload_conf()"))
	if err != nil {
		t.Fatal(err)
	}
}

// signal sends a signal to all processes of the server.
func (c cluster) signal(s syscall.Signal) error {
	file := filepath.Join(c.dataDir(), "postmaster.pid")
	text, err := os.ReadFile(file)
	if err != nil {
		return err // it does not run
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
			_ = syscall.Kill(pid, s) // it may have ended
		}
	}
	if err := syscall.Kill(parent, s); err != nil || s != syscall.SIGKILL {
		return err
	}
	return os.Remove(file) // so that no other process that gets the number is signaled
}

// FreePort returns a port of 127.0.0.1 on which nobody listens, for a program that will listen there. No outgoing
// connection of another test gets it.
func FreePort(t testing.TB) int {
	t.Helper()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}
