//go:build unix

package storetest

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Tests do not see each other's tables. A database is dropped after its test even if there are connections.
func TestDatabasesAreIsolatedAndDropped(t *testing.T) {
	t.Run("own", func(t *testing.T) {
		one, two := NewPostgres(t), NewPostgres(t)
		if one == two {
			t.Fatalf("the same database twice: %s", one)
		}
		for _, address := range []string{one, two} {
			if err := execSQL(address, "CREATE TABLE thing (id TEXT)"); err != nil {
				t.Error(err)
			}
		}
	})
	var gone string
	t.Run("dropped", func(inner *testing.T) {
		gone = NewPostgres(inner)
		db, err := sql.Open("pgx", gone)
		if err != nil {
			inner.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() }) // of the outer test, so that the drop meets an open connection
		if err := db.Ping(); err != nil {
			inner.Fatal(err)
		}
	})
	if err := execSQL(gone, "SELECT 1"); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("after the test: got %v, want that the database does not exist", err)
	}
}

// Text sorts by code point, as SQLite sorts it.
func TestPostgresSortsLikeSQLite(t *testing.T) {
	db, err := sql.Open("pgx", NewPostgres(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var got string
	err = db.QueryRow("SELECT string_agg(x, ' ' ORDER BY x) FROM unnest(ARRAY['a','Z','ä','B']) AS t(x)").Scan(&got)
	if err != nil || got != "B Z a ä" {
		t.Errorf("got %q, %v", got, err)
	}
}

// Everything that was committed on the first server is on the second, which accepts writes after the failover.
func TestFailoverKeepsCommits(t *testing.T) {
	first, failover := NewReplicatedPostgres(t)
	if err := execSQL(first, "CREATE TABLE thing (id TEXT)"); err != nil {
		t.Fatal(err)
	}
	second := failover()
	if err := execSQL(second, "INSERT INTO thing (id) VALUES ('x')"); err != nil {
		t.Error(err)
	}
	if err := execSQL(first, "SELECT 1"); err == nil {
		t.Error("the first server answers")
	}
}

// Concurrent calls start one server. A server that has died is started again.
func TestClusterStartsOnceAndRestarts(t *testing.T) {
	// Not t.TempDir: the user postgres has no access to it.
	dir, err := os.MkdirTemp("", "twostep-cluster-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	c := cluster{filepath.Join(dir, "c")}
	t.Cleanup(func() { stopCluster(t, c) })

	addresses := make([]string, 8)
	var all sync.WaitGroup
	for i := range addresses {
		all.Go(func() {
			address, err := c.ensureRunning()
			if err != nil {
				t.Error(err)
			}
			addresses[i] = address
		})
	}
	all.Wait()
	for _, address := range addresses {
		if address != addresses[0] {
			t.Errorf("two servers: %q and %q", addresses[0], address)
		}
	}

	stopCluster(t, c)
	again, err := c.ensureRunning()
	if err != nil {
		t.Fatal(err)
	}
	if err := execSQL(again, "SELECT 1"); err != nil {
		t.Error(err)
	}
}

func stopCluster(t *testing.T, c cluster) {
	t.Helper()
	if err := c.runTool("pg_ctl", "-m", "immediate", "stop"); err != nil {
		t.Error(err)
	}
}
