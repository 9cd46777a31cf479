//go:build unix

package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
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

// Pooler is a PgBouncer in transaction mode: each transaction may run in another session of PostgreSQL. It takes the
// sessions in turn, so that what belongs to a session is lost at once.
type Pooler struct {
	URL string // of the database, through the pooler

	dir     string
	address string
	process *os.Process
	ended   chan struct{} // closed when the process has ended
}

// NewPooler starts a pooler in front of the PostgreSQL database at address. It runs until the test ends.
func NewPooler(t testing.TB, address string) *Pooler {
	t.Helper()
	to, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	// Not t.TempDir: the user postgres has no access to it.
	dir, err := os.MkdirTemp("", "twostep-pooler-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	password := ""
	if text, ok := to.User.Password(); ok {
		password = " password='" + text + "'"
	}
	config := fmt.Sprintf(`[databases]
%s = host=%s port=%s user=%s%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 8
server_round_robin = 1
max_client_conn = 300
`, strings.TrimPrefix(to.Path, "/"), to.Hostname(), to.Port(), to.User.Username(), password, port)
	p := &Pooler{dir: dir, address: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	err = errors.Join(os.Chmod(dir, 0o711), os.WriteFile(filepath.Join(dir, "pgbouncer.ini"), []byte(config), 0o644))
	if err != nil {
		t.Fatal(err)
	}
	to.Host = p.address
	p.URL = to.String()
	p.Start(t)
	t.Cleanup(p.Stop)
	return p
}

// Start starts the pooler again after Stop.
func (p *Pooler) Start(t testing.TB) {
	t.Helper()
	as, err := serverCredential()
	if err != nil {
		t.Fatal(err)
	}
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer" // not in the PATH of every user
	}
	var output bytes.Buffer
	command := exec.Command(program, filepath.Join(p.dir, "pgbouncer.ini"))
	command.Dir, command.Stderr = "/", &output
	command.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	if err := command.Start(); err != nil {
		t.Fatalf("%v: run make test, it installs what the tests need", err)
	}
	p.process, p.ended = command.Process, make(chan struct{})
	go func() {
		_ = command.Wait() // fails, because Stop kills the process
		close(p.ended)
	}()
	ctx, cancel := context.WithTimeout(t.Context(), postgresTimeout)
	defer cancel()
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		conn, err := net.Dial("tcp", p.address)
		if err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-p.ended:
			t.Fatalf("the pooler has ended:\n%s", output.Bytes())
		case <-ctx.Done():
			t.Fatal(err)
		case <-tick.C:
		}
	}
}

// Stop kills the pooler, which closes all connections.
func (p *Pooler) Stop() {
	_ = p.process.Kill() // fails if it has ended
	<-p.ended
}
