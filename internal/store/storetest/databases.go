package storetest

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"twostep.example/twostep/internal/store"
)

// TempDir is like t.TempDir, and in memory if possible: waiting for the disk at every commit takes most of the time of
// a test.
func TempDir(t testing.TB) string {
	t.Helper()
	parent := memory()
	if parent == "" {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(parent, "twostep-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// EachDatabase runs a test on an empty SQLite database and on an empty PostgreSQL database.
func EachDatabase(t *testing.T, f func(t *testing.T, url string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { f(t, filepath.Join(TempDir(t), "twostep.db")) })
	t.Run("postgres", func(t *testing.T) { f(t, NewPostgres(t)) })
}

// EachWay is EachDatabase, and runs the test on PostgreSQL behind a pooler in transaction mode too.
func EachWay(t *testing.T, f func(t *testing.T, url string)) {
	t.Helper()
	EachDatabase(t, f)
	t.Run("pooler", func(t *testing.T) { f(t, NewPooler(t, NewPostgres(t)).URL) })
}

// Open opens the database at url until the test ends.
func Open(t testing.TB, url string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// Exec runs a statement on a connection of its own. On SQLite it waits up to 5 seconds for the transaction of a running
// server.
func Exec(t testing.TB, url, statement string, args ...any) {
	t.Helper()
	db := connect(t, url)
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), statement, args...); err != nil {
		t.Fatal(err)
	}
}

// CountRows returns the number of rows of a table, which may be followed by a WHERE clause.
func CountRows(t testing.TB, url, table string) (n int) {
	t.Helper()
	db := connect(t, url)
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// connect opens the database at url without package store.
func connect(t testing.TB, url string) *sql.DB {
	t.Helper()
	driver, source := "sqlite", url+"?_pragma=busy_timeout(5000)"
	if strings.HasPrefix(url, "postgres") {
		mark := "?"
		if strings.Contains(url, mark) {
			mark = "&"
		}
		driver, source = "pgx", url+mark+"default_query_exec_mode=exec" // no prepared statements: url may be of a Pooler
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	return db
}
