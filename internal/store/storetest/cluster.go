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
	"syscall"
)

// cluster is a PostgreSQL server that keeps everything below one folder:
//
//	lock  held while somebody looks whether the server runs, or starts it
//	url   where it listens
//	log   what it says
//	data  its files
//
// Whoever may connect to 127.0.0.1 may use it, so nothing but made-up data belongs into it.
type cluster struct{ dir string }

// sharedCluster is the cluster of this user on this machine. `make clean` knows the same path.
func sharedCluster() cluster {
	return cluster{filepath.Join(os.TempDir(), fmt.Sprintf("twostep-postgres-%d-v1", os.Getuid()))}
}

// ensureRunning returns the URL of the running cluster and starts it if need be. Of any number of
// processes that ask at once, one starts it and the others wait.
func (c cluster) ensureRunning() (string, error) {
	if err := c.createDir(); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(c.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close() // which unlocks
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

// createDir makes the folder. The name is predictable and the place is everybody's, so a folder that
// another user has put there first is refused.
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
		return fmt.Errorf("%s belongs to somebody else", c.dir)
	}
	return nil
}

// isRunningAt says whether our server is the one at address: after a restart of the machine the
// port may be another program's.
func (c cluster) isRunningAt(address string) bool {
	var data string
	err := withDB(address, func(ctx context.Context, db *sql.DB) error {
		return db.QueryRowContext(ctx, "SHOW data_directory").Scan(&data)
	})
	return err == nil && data == c.dataDir()
}

// initAndStart makes a new cluster in place of whatever is left of an old one, with more options.
func (c cluster) initAndStart(more string) (string, error) {
	if _, err := os.Stat(filepath.Join(c.dataDir(), "postmaster.pid")); err == nil {
		// An error means that nothing is left to stop.
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
	port, err := c.startServer(more)
	if err != nil {
		return "", err
	}
	address := postgresURL(port)
	return address, os.WriteFile(c.urlFile(), []byte(address), 0o600)
}

// startServer starts the server on the files that are there.
func (c cluster) startServer(more string) (port int, err error) {
	if port, err = freePort(); err != nil {
		return 0, err
	}
	options := fmt.Sprintf("-p %d -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=300"+
		" -c fsync=off -c log_min_messages=fatal -c log_min_error_statement=panic %s", port, more)
	return port, c.runTool("pg_ctl", "-l", filepath.Join(c.dir, "log"), "-w", "-t", "60", "-o", options, "start")
}

func postgresURL(port int) string {
	return fmt.Sprintf("postgres://twostep@127.0.0.1:%d/postgres?sslmode=disable", port)
}

// createDataDir makes what the server writes, and hands it to the account that runs the server.
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

// runTool runs one of PostgreSQL's programs on the files of this cluster.
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
	cmd.Dir = "/" // the account that runs it may not enter where the test runs
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, said.Bytes())
	}
	return nil
}

var errNotInstalled = errors.New("PostgreSQL is not installed: run make test, it installs what the tests need")

// findBinDir returns the folder of the newest initdb. Debian keeps it out of PATH.
func findBinDir() (string, error) {
	newest, folder := -1, ""
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	for _, path := range found {
		version, err := strconv.Atoi(strings.Split(path, "/")[4])
		if err == nil && version > newest {
			newest, folder = version, filepath.Dir(path)
		}
	}
	if folder != "" {
		return folder, nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", errNotInstalled
	}
	return filepath.Dir(path), nil
}

// serverCredential returns the account to run PostgreSQL as, nil for our own: initdb refuses root.
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

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(port)
}
