package session_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/internal/fault"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/store/storetest"
)

// A request writes nothing. RecordUses writes the last use of many sessions in a few transactions; while it cannot, the
// uses are kept. If nobody calls it, a request does so before a session in use becomes idle.
func TestRecordUses(t *testing.T) {
	storetest.EachWay(t, func(t *testing.T, url string) {
		db := storetest.Open(t, url)
		now := time.Date(2026, 11, 5, 10, 0, 0, 0, time.UTC)
		clock := func() time.Time { return now }
		s := session.Sessions{
			Store: db, Now: clock, Idle: 10 * time.Minute,
			Faults: &fault.Log{Logger: slog.New(slog.DiscardHandler), Now: clock},
		}
		const sessions = 500
		err := db.Tx(t.Context(), func(tx *store.DB) error {
			a := store.Account{ID: "a", Email: "a", Epoch: 1, PasswordHash: []byte{}}
			if err := tx.CreateAccount(t.Context(), a); err != nil {
				return err
			}
			for i := range sessions {
				id := fmt.Sprint(i)
				row := store.Session{
					ID: id, TokenHash: seal.HashToken(id), AccountID: "a", Epoch: 1, StartedAt: now, LastSeenAt: now,
					AuthenticatedAt: now, ExpiresAt: now.Add(24 * time.Hour),
				}
				if err := tx.CreateSession(t.Context(), row); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		use := func(n int) {
			t.Helper()
			for i := range n {
				if _, err := s.Get(t.Context(), fmt.Sprint(i)); err != nil {
					t.Fatalf("session %d: %v", i, err)
				}
			}
		}
		lastSeen := func(id string) time.Time {
			t.Helper()
			row, _, err := db.GetSession(t.Context(), id, time.Time{}, now)
			if err != nil {
				t.Fatal(err)
			}
			return row.LastSeenAt
		}

		count := storetest.Record(t, db)
		use(sessions) // within UseInterval
		now = now.Add(s.UseInterval())
		used := now
		use(sessions)
		now = now.Add(session.RecordInterval)
		use(sessions)
		for _, one := range count.Statements() {
			if !strings.HasPrefix(one.Query, "SELECT") {
				t.Fatalf("a request writes: %s", one.Query)
			}
		}
		count.Reset()
		if n, err := s.RecordUses(t.Context()); n != sessions || err != nil || count.Transactions() != 3 {
			t.Errorf("%d uses in %d transactions, %v", n, count.Transactions(), err)
		}
		if n, err := s.RecordUses(t.Context()); n != 0 || err != nil {
			t.Errorf("%d uses again, %v", n, err)
		}
		if at := lastSeen("7"); !at.Equal(used.Add(session.RecordInterval)) {
			t.Errorf("last seen at %s, want the last use", at)
		}

		now = now.Add(s.UseInterval())
		use(3)
		stop := storetest.FailWrites(db)
		if n, err := s.RecordUses(t.Context()); n != 0 || err == nil {
			t.Errorf("%d uses while nothing can be written, %v", n, err)
		}
		used = now
		now = now.Add(time.Minute)
		use(1) // goes on
		stop()
		if n, err := s.RecordUses(t.Context()); n != 3 || err != nil {
			t.Errorf("%d uses after a failure, %v, want 3", n, err)
		}
		if at := lastSeen("2"); !at.Equal(used) {
			t.Errorf("last seen at %s, want %s", at, used)
		}

		for range 5 { // nobody calls RecordUses
			now = now.Add(6 * time.Minute)
			use(1)
		}
		if _, err := s.Get(t.Context(), "9"); err != session.ErrNoSession {
			t.Errorf("a session that was not used for 30 minutes: %v", err)
		}
	})
}
