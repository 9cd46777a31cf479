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

// NewReplicatedPostgres starts two PostgreSQL servers with synchronous replication: every commit on the first is also
// on the second before it returns. It returns the URL of the first, and a function that stops the first without a
// shutdown, promotes the second and returns the URL of the second.
func NewReplicatedPostgres(t testing.TB) (first string, failover func() (second string)) {
	t.Helper()
	p := NewSynchronousReplica(t)
	return p.First, func() string {
		t.Helper()
		p.Failover(t)
		return p.Second
	}
}

// Pair is a PostgreSQL server and its replica.
type Pair struct {
	First, Second string // URLs; the second answers reads only until Failover
	one, two      cluster
}

// NewReplica starts two PostgreSQL servers with asynchronous replication. They run until the test ends.
func NewReplica(t testing.TB) *Pair {
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
	p := &Pair{one: cluster{filepath.Join(dir, "one")}, two: cluster{filepath.Join(dir, "two")}}
	must(errors.Join(p.one.createDir(), p.two.createDir()))
	p.First, err = p.one.initAndStart("")
	must(err)
	t.Cleanup(func() { _ = p.stopFirst() }) // fails if it was stopped before
	must(p.two.cloneFrom(p.First))
	port, err := p.two.startServer("")
	must(err)
	p.Second = postgresURL(port)
	t.Cleanup(func() { _ = p.two.runTool("pg_ctl", "-m", "immediate", "stop") })
	return p
}

func (p *Pair) stopFirst() error { return p.one.runTool("pg_ctl", "-m", "immediate", "stop") }

// Detach waits until the replica has everything that was committed, and ends the replication.
func (p *Pair) Detach(t testing.TB) {
	t.Helper()
	err := withDB(p.First, func(ctx context.Context, db *sql.DB) error {
		var at string
		if err := db.QueryRowContext(ctx, "SELECT pg_current_wal_lsn()::text").Scan(&at); err != nil {
			return err
		}
		return withDB(p.Second, func(ctx context.Context, replica *sql.DB) error {
			for tick := time.NewTicker(20 * time.Millisecond); ; {
				var has bool
				err := replica.QueryRowContext(ctx, "SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn", at).Scan(&has)
				if err != nil || has {
					return err
				}
				select {
				case <-tick.C:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		})
	})
	err = errors.Join(err, execSQL(p.Second, "ALTER SYSTEM SET primary_conninfo = ''"),
		p.two.runTool("pg_ctl", "-w", "-m", "fast", "-l", filepath.Join(p.two.dir, "log"), "restart"))
	if err != nil {
		t.Fatal(err)
	}
}

// Failover stops the first server without a shutdown and promotes the second.
func (p *Pair) Failover(t testing.TB) {
	t.Helper()
	if err := errors.Join(p.stopFirst(), p.two.runTool("pg_ctl", "-w", "promote")); err != nil {
		t.Fatal(err)
	}
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
