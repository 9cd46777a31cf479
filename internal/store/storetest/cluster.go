//go:build unix

package storetest

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// cluster is a PostgreSQL server that keeps all of its files in one directory:
//
//	lock  locked while a process checks for or starts the server
//	url   its URL
//	log   its log
//	data  its data directory
//
// Anybody who can connect to 127.0.0.1 can use it, so it must hold only test data.
type cluster struct{ dir string }

// sharedCluster returns the cluster of this user on this machine. `make clean` removes the same path.
func sharedCluster() cluster {
	return cluster{filepath.Join(os.TempDir(), fmt.Sprintf("twostep-postgres-%d-v1", os.Getuid()))}
}

// ensureRunning returns the URL of the server, and starts it if it does not run. If several processes call it at once,
// one starts the server and the others wait.
func (c cluster) ensureRunning() (string, error) {
	if err := c.createDir(); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(c.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close() // also unlocks
	for {
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return "", err
	}
	if address, err := os.ReadFile(c.urlFile()); err == nil && c.isRunningAt(string(address)) {
		return string(address), nil
	}
	return c.initAndStart("-c full_page_writes=off -c synchronous_commit=off")
}

func (c cluster) urlFile() string { return filepath.Join(c.dir, "url") }
func (c cluster) dataDir() string { return filepath.Join(c.dir, "data") }

// createDir creates the directory. Its path is predictable and any user can create it, so createDir returns an error if
// the directory belongs to another user.
func (c cluster) createDir() error {
	if err := os.Mkdir(c.dir, 0o711); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	info, err := os.Lstat(c.dir)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || int(stat.Uid) != os.Getuid() {
		return fmt.Errorf("%s belongs to another user", c.dir)
	}
	return nil
}

// isRunningAt reports whether the server at address is this cluster. After a restart of the machine another program may
// use the port.
func (c cluster) isRunningAt(address string) bool {
	var data string
	err := withDB(address, func(ctx context.Context, db *sql.DB) error {
		return db.QueryRowContext(ctx, "SHOW data_directory").Scan(&data)
	})
	return err == nil && data == c.dataDir()
}

// initAndStart removes what is left of an old cluster and starts a new one with additional server options.
func (c cluster) initAndStart(options string) (string, error) {
	if _, err := os.Stat(filepath.Join(c.dataDir(), "postmaster.pid")); err == nil {
		// An error means that the server does not run.
		_ = c.runTool("pg_ctl", "-m", "immediate", "stop")
	}
	if err := os.RemoveAll(c.dataDir()); err != nil {
		return "", err
	}
	if err := c.createDataDir(); err != nil {
		return "", err
	}
	if err := c.runTool("initdb", "-U", "twostep", "--auth=trust", "--locale=C.UTF-8", "--encoding=UTF8",
		"--no-sync"); err != nil {
		return "", err
	}
	port, err := c.startServer(options)
	if err != nil {
		return "", err
	}
	address := postgresURL(port)
	return address, os.WriteFile(c.urlFile(), []byte(address), 0o600)
}

// startServer starts the server on the existing data directory, at a free port.
func (c cluster) startServer(options string) (port int, err error) {
	if port, err = freePort(); err != nil {
		return 0, err
	}
	return port, c.startServerAt(port, options)
}

func (c cluster) startServerAt(port int, options string) error {
	args := fmt.Sprintf("-p %d -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=300"+
		" -c fsync=off -c log_min_messages=fatal -c log_min_error_statement=panic %s", port, options)
	return c.runTool("pg_ctl", "-l", filepath.Join(c.dir, "log"), "-w", "-t", "60", "-o", args, "start")
}

func postgresURL(port int) string {
	return fmt.Sprintf("postgres://twostep@127.0.0.1:%d/postgres?sslmode=disable", port)
}

// createDataDir creates the data directory and the log, owned by the user that runs the server.
func (c cluster) createDataDir() error {
	as, err := serverCredential()
	if err != nil {
		return err
	}
	log := filepath.Join(c.dir, "log")
	if err := os.Mkdir(c.dataDir(), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(log, nil, 0o600); err != nil {
		return err
	}
	if as == nil {
		return nil
	}
	return errors.Join(os.Chown(c.dataDir(), int(as.Uid), int(as.Gid)), os.Chown(log, int(as.Uid), int(as.Gid)))
}

// runTool runs a program of PostgreSQL on the data directory of this cluster.
func (c cluster) runTool(name string, args ...string) error {
	programs, err := findBinDir()
	if err != nil {
		return err
	}
	as, err := serverCredential()
	if err != nil {
		return err
	}
	cmd := exec.Command(filepath.Join(programs, name), append([]string{"-D", c.dataDir()}, args...)...)
	cmd.Dir = "/" // its user may not have access to the working directory
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, output.Bytes())
	}
	return nil
}

var errNotInstalled = errors.New("PostgreSQL is not installed: run make test, it installs what the tests need")

// findBinDir returns the directory of the newest initdb. Debian does not put it in PATH.
func findBinDir() (string, error) {
	newest, dir := -1, ""
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	for _, path := range found {
		version, err := strconv.Atoi(strings.Split(path, "/")[4])
		if err == nil && version > newest {
			newest, dir = version, filepath.Dir(path)
		}
	}
	if dir != "" {
		return dir, nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", errNotInstalled
	}
	return filepath.Dir(path), nil
}

// serverCredential returns the user to run PostgreSQL as, nil for the current one: initdb refuses to run as root.
func serverCredential() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		return nil, errNotInstalled
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// firstPort and portCount are the ports of freePort. No outgoing connection gets them: on Linux these have ports from
// 32768 on.
const firstPort, portCount = 20_000, 12_000

// ports has the lock file of each port that freePort returned in this process.
var ports struct {
	sync.Mutex
	files []*os.File
	next  int
}

// freePort returns a port of 127.0.0.1 that nobody listens on. Until this process ends, no other call gets the port,
// here or in another process of this user, so a server may start there later, or again.
func freePort() (int, error) {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("twostep-ports-%d", os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, err
	}
	ports.Lock()
	defer ports.Unlock()
	for range portCount {
		// Processes begin at different ports, so that they rarely try the same ones.
		port := firstPort + (os.Getpid()*97+ports.next)%portCount
		ports.next++
		f, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(port)), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return 0, err
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			_ = f.Close() // another process has the port
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			_ = f.Close() // another program listens there
			continue
		}
		ports.files = append(ports.files, f) // open, and so locked, until the process ends
		return port, l.Close()
	}
	return 0, errors.New("no port is free")
}
