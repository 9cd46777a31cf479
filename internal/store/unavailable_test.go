package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/internal/fault"
)

// wantUnavailable checks that a write fails for now, and that it works again once repair has run.
func wantUnavailable(t *testing.T, db *DB, what string, repair func()) {
	t.Helper()
	write := func(ctx context.Context) error { return db.SetState(ctx, "x", strings.Repeat("x", 100_000)) }
	for name, f := range map[string]func(context.Context) error{
		"statement": write,
		"transaction": func(ctx context.Context) error {
			return db.Tx(ctx, func(tx *DB) error { return tx.SetState(ctx, "y", "y") })
		},
	} {
		ctx, stop := context.WithTimeout(t.Context(), 200*time.Millisecond)
		err := f(ctx)
		stop()
		if !errors.Is(err, fault.ErrUnavailable) || errors.Is(err, ErrNotFound) {
			t.Errorf("%s, %s: got %v, want fault.ErrUnavailable", what, name, err)
		}
	}
	repair()
	if err := write(t.Context()); err != nil {
		t.Errorf("%s: after the repair: %v", what, err)
	}
}

func exec(t *testing.T, db *sql.DB, statement string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// A SQLite database that is full, read-only or locked can be written again later, and is read meanwhile.
func TestSQLiteIsUnavailable(t *testing.T) {
	db := openTemp(t)
	read := func(what string) {
		t.Helper()
		if err := db.Ping(t.Context()); err != nil {
			t.Errorf("%s: it cannot be read: %v", what, err)
		}
	}
	exec(t, db.writers, "PRAGMA max_page_count = 1") // sets it to the present size
	read("full")
	err := db.SetState(t.Context(), "x", strings.Repeat("x", 100_000))
	if !errors.Is(err, fault.ErrUnavailable) || !strings.Contains(err.Error(), "full") {
		t.Errorf("full: got %v, want fault.ErrUnavailable", err)
	}
	exec(t, db.writers, "PRAGMA max_page_count = 1000000")

	exec(t, db.writers, "PRAGMA query_only = 1")
	read("read-only")
	wantUnavailable(t, db, "read-only", func() { exec(t, db.writers, "PRAGMA query_only = 0") })

	other, err := Open(t.Context(), pathOf(t, db))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	tx, err := other.writers.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	read("locked")
	wantUnavailable(t, db, "locked", func() { _ = tx.Rollback() })

	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.SetState(t.Context(), "x", "x"); !errors.Is(err, fault.ErrUnavailable) {
		t.Errorf("closed: got %v, want fault.ErrUnavailable", err)
	}
}

func pathOf(t *testing.T, db *DB) (path string) {
	t.Helper()
	err := db.readers.QueryRowContext(t.Context(), "SELECT file FROM pragma_database_list").Scan(&path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// A client that has gone, an error in a statement and a missing row are no faults that pass.
func TestOtherErrorsDoNotPass(t *testing.T) {
	db := openTemp(t)
	gone, stop := context.WithCancel(t.Context())
	stop()
	_, missing := db.GetState(t.Context(), "missing")
	_, wrong := db.change(t.Context(), "UPDATE nothing SET x = 1")
	for what, err := range map[string]error{
		"client gone": db.SetState(gone, "x", "x"), "missing row": missing, "wrong statement": wrong,
	} {
		if err == nil || errors.Is(err, fault.ErrUnavailable) {
			t.Errorf("%s: got %v", what, err)
		}
	}
}

// An error of SQLite or PostgreSQL that passes is still the error that it was.
func TestClassifiedErrorsKeepTheirCause(t *testing.T) {
	err := fmt.Errorf("store: begin: %w", classify(context.DeadlineExceeded))
	if !errors.Is(err, context.DeadlineExceeded) || err.Error() != "store: begin: context deadline exceeded" {
		t.Errorf("got %v", err)
	}
}
