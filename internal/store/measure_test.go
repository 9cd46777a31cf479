package store_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/store/storetest"
)

// Each statement is measured by what it does. A fault counts, and what is an answer does not: a conflict, a row that is
// missing, a client that has gone.
func TestMeasure(t *testing.T) {
	storetest.EachWay(t, func(t *testing.T, url string) {
		var got []string
		faults := 0
		db, err := store.Config{URL: url, Measure: func(operation string, took time.Duration, failed bool) {
			got = append(got, operation)
			if failed {
				faults++
			}
			if took < 0 || took > time.Minute {
				t.Errorf("%s took %s", operation, took)
			}
		}}.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		check := func(what string, wantFaults int, want ...string) {
			t.Helper()
			if !slices.Equal(got, want) || faults != wantFaults {
				t.Errorf("%s: got %q with %d faults, want %q with %d", what, got, faults, want, wantFaults)
			}
			got, faults = nil, 0
		}
		got, faults = nil, 0
		if err := db.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		check("ping", 0, "read")
		account := store.Account{ID: "a", Email: "a@example.com", PasswordHash: []byte("h")}
		add := func(ctx context.Context) error {
			return db.Tx(ctx, func(tx *store.DB) error { return tx.CreateAccount(ctx, account) })
		}
		if err := add(t.Context()); err != nil {
			t.Fatal(err)
		}
		check("account", 0, "begin", "write", "write", "commit") // the second is a key by which it is found
		if err := add(t.Context()); !errors.Is(err, store.ErrConflict) {
			t.Fatal(err)
		}
		check("conflict", 0, "begin", "write")
		if _, err := db.GetAccount(t.Context(), "b"); !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
		check("no row", 0, "read")
		gone, stop := context.WithCancel(t.Context())
		stop()
		if err := db.Ping(gone); err == nil {
			t.Fatal("no error")
		}
		check("client has gone", 0, "read")
		stop = storetest.Fail(db, 0)
		_, pingErr := db.CountWaitingMessages(t.Context())
		addErr := add(t.Context())
		stop()
		if pingErr == nil || addErr == nil {
			t.Fatal("no error")
		}
		check("fault", 2, "read", "begin")
	})
}
