//go:build unix

// Package storetest gives each test databases of its own. It is for tests only and knows no tables.
package storetest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// postgresTimeout limits each operation of this package on PostgreSQL, on a machine that is busy with other tests.
const postgresTimeout = 60 * time.Second

// NewPostgres returns the URL of a new, empty PostgreSQL database. It is dropped when the test ends, even if there are
// connections.
//
// The server is the one at TWOSTEP_TEST_POSTGRES (a postgres:// URL of a user who may create databases). If that is not
// set, it is a server of this user on this machine, which all test binaries share and which keeps running afterwards.
func NewPostgres(t testing.TB) string {
	t.Helper()
	admin := os.Getenv("TWOSTEP_TEST_POSTGRES")
	if admin == "" {
		var err error
		if admin, err = sharedCluster().ensureRunning(); err != nil {
			t.Fatal(err)
		}
	}
	address, err := url.Parse(admin)
	if err != nil || !strings.HasPrefix(address.Scheme, "postgres") {
		t.Fatal("TWOSTEP_TEST_POSTGRES is not a postgres:// URL")
	}
	name := "t_" + strings.ToLower(rand.Text())
	// template0 has no connections, so any number of tests may copy it at once.
	if err := execSQL(admin, "CREATE DATABASE "+name+" TEMPLATE template0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := execSQL(admin, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	address.Path = "/" + name
	return address.String()
}

// execSQL runs one statement on a connection of its own.
func execSQL(address, statement string) error {
	return withDB(address, func(ctx context.Context, db *sql.DB) error {
		_, err := db.ExecContext(ctx, statement)
		return err
	})
}

// withDB opens a database while f runs.
func withDB(address string, f func(context.Context, *sql.DB) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), postgresTimeout)
	defer cancel()
	db, err := sql.Open("pgx", address)
	if err != nil {
		return err
	}
	defer db.Close()
	return f(ctx, db)
}
