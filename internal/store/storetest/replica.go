//go:build unix

package storetest

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// NewReplicatedPostgres returns the URL of a PostgreSQL server of this test's own, whose every commit is on a
// second server before it is answered, and what lets the first die without a word and the second
// take over, which has another URL.
func NewReplicatedPostgres(t testing.TB) (first string, failover func() (second string)) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	// Not t.TempDir: the account postgres may not enter it.
	dir, err := os.MkdirTemp("", "twostep-replicated-")
	must(err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	must(os.Chmod(dir, 0o711))
	one, two := cluster{filepath.Join(dir, "one")}, cluster{filepath.Join(dir, "two")}
	must(errors.Join(one.createDir(), two.createDir()))
	first, err = one.initAndStart("")
	must(err)
	died := func() error { return one.runTool("pg_ctl", "-m", "immediate", "stop") }
	t.Cleanup(func() { _ = died() }) // if it lives
	must(two.cloneFrom(first))
	port, err := two.startServer("")
	must(err)
	t.Cleanup(func() { _ = two.runTool("pg_ctl", "-m", "immediate", "stop") })
	must(execSQL(first, "ALTER SYSTEM SET synchronous_standby_names = '*'"))
	must(waitSynchronous(first))
	return first, func() string {
		t.Helper()
		must(died())
		must(two.runTool("pg_ctl", "-w", "promote"))
		return postgresURL(port)
	}
}

// cloneFrom makes the cluster one that follows another.
func (c cluster) cloneFrom(first string) error {
	if err := c.createDataDir(); err != nil {
		return err
	}
	return c.runTool("pg_basebackup", "-d", first, "-R", "-X", "stream", "-c", "fast", "--no-sync")
}

// waitSynchronous waits until a commit at the server waits for the other one.
func waitSynchronous(address string) error {
	return withDB(address, func(ctx context.Context, db *sql.DB) error {
		if _, err := db.ExecContext(ctx, "SELECT pg_reload_conf()"); err != nil {
			return err
		}
		for tick := time.NewTicker(20 * time.Millisecond); ; {
			var following bool
			err := db.QueryRowContext(ctx,
				"SELECT count(*) > 0 FROM pg_stat_replication WHERE sync_state = 'sync' AND state = 'streaming'").Scan(&following)
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
