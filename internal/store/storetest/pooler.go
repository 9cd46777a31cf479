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
	command *exec.Cmd
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
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	password, _ := to.User.Password()
	config := fmt.Sprintf(`[databases]
%s = host=%s port=%s user=%s password='%s'
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
	p.command = exec.Command(program, filepath.Join(p.dir, "pgbouncer.ini"))
	p.command.Dir, p.command.Stderr = "/", &output
	p.command.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	if err := p.command.Start(); err != nil {
		t.Fatalf("%v: run make test, it installs what the tests need", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), postgresTimeout)
	defer cancel()
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		conn, err := net.Dial("tcp", p.address)
		if err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-ctx.Done():
			p.Stop()
			t.Fatalf("%v\n%s", err, output.Bytes())
		case <-tick.C:
		}
	}
}

// Stop kills the pooler, which closes all connections.
func (p *Pooler) Stop() {
	_ = p.command.Process.Kill()
	_ = p.command.Wait()
}
