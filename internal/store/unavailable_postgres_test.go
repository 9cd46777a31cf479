package store_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/internal/fault"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/store/storetest"
)

// A PostgreSQL database that is read-only, refuses connections or answers too late is unavailable, and
// can be used again later without a restart.
func TestPostgresIsUnavailable(t *testing.T) {
	address := storetest.NewPostgres(t)
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	u.Path = "/postgres"
	beside := u.String()
	db := storetest.Open(t, address)
	alter := func(setting string) {
		t.Helper()
		storetest.Exec(t, beside, fmt.Sprintf("ALTER DATABASE %s %s", name, setting))
		storetest.Exec(t, beside, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
	}
	write := func() error { return db.SetState(t.Context(), "x", "x") }
	transaction := func() error {
		return db.Tx(t.Context(), func(tx *store.DB) error { return tx.SetState(t.Context(), "x", "x") })
	}
	for _, c := range []struct{ what, begin, end string }{
		{"read-only", "SET default_transaction_read_only = on", "SET default_transaction_read_only = off"},
		{"no connections", "ALLOW_CONNECTIONS false", "ALLOW_CONNECTIONS true"},
	} {
		alter(c.begin)
		for range 2 { // the first may find out that its connection has ended
			err = write()
		}
		if !errors.Is(err, fault.ErrUnavailable) {
			t.Errorf("%s: got %v, want fault.ErrUnavailable", c.what, err)
		}
		if c.what == "read-only" {
			if err := db.Ping(t.Context()); err != nil {
				t.Errorf("read-only: it cannot be read: %v", err)
			}
			if err := transaction(); !errors.Is(err, fault.ErrUnavailable) {
				t.Errorf("read-only, transaction: got %v, want fault.ErrUnavailable", err)
			}
		}
		alter(c.end)
		_ = write() // may find out that its connection has ended
		if err := write(); err != nil {
			t.Errorf("%s: after the repair: %v", c.what, err)
		}
	}
	late, stop := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer stop()
	if err := db.SetState(late, "x", "x"); !errors.Is(err, fault.ErrUnavailable) {
		t.Errorf("out of time: got %v, want fault.ErrUnavailable", err)
	}
}
