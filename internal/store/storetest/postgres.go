//go:build unix

// Package storetest gives every store test databases of its own.
// It serves tests only; nothing in it knows a table.
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

// postgresTimeout bounds everything that is asked of PostgreSQL here, on a machine busy with other tests.
const postgresTimeout = 60 * time.Second

// NewPostgres returns the URL of a new, empty PostgreSQL database that belongs to this test alone
// and is dropped after it, whoever is still connected.
//
// The server is the one TWOSTEP_TEST_POSTGRES names (a postgres:// URL of somebody who may
// create databases); if that is not set, a throw-away server of this user on this machine, which
// all test binaries share and which stays up for the next run.
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
	// template0 is never in use, so any number of tests may copy it at once.
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

// execSQL executes one statement on a connection of its own.
func execSQL(address, statement string) error {
	return withDB(address, func(ctx context.Context, db *sql.DB) error {
		_, err := db.ExecContext(ctx, statement)
		return err
	})
}

// withDB opens a database for as long as f takes.
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
