package store_test

import (
	"fmt"
	"testing"

	"twostep.example/twostep/internal/store"
)

// Creating an event again only adds to its occurrences.
func TestAuditEventAgain(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		e := store.AuditEvent{ID: "e", At: at(1), Kind: "events.omitted", ActorType: "system", Result: "failure",
			Reason: "site", Occurrences: 2}
		for _, n := range []int64{2, 5} {
			e.Occurrences = n
			if err := db.CreateAuditEvent(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			e.At, e.Reason = at(9), "another"
		}
		want := store.AuditEvent{ID: "e", At: at(1), Kind: "events.omitted", ActorType: "system", Result: "failure",
			Reason: "site", Occurrences: 7}
		if list, err := db.ListAuditEvents(t.Context(),
			store.AuditFilter{Limit: 5}); err != nil || len(list) != 1 || list[0] != want {
			t.Errorf("got %+v, %v, want %+v", list, err, want)
		}
	})
}

// A counter stops at its limit, counts one scope and one window, and is exact.
func TestCountAudit(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		for i, want := range []int64{1, 2, 3, 4, 4} {
			if got, err := db.CountAudit(t.Context(), "network a", at(100), 3); err != nil || got != want {
				t.Errorf("count %d: got %d, %v, want %d", i, got, err, want)
			}
		}
		for _, other := range []struct {
			scope string
			ends  int64
		}{{"network b", 100}, {"network a", 200}} {
			if got, err := db.CountAudit(t.Context(), other.scope, at(other.ends), 3); err != nil || got != 1 {
				t.Errorf("%v: got %d, %v, want 1", other, got, err)
			}
		}
	})
}

// Old events and ended counters are deleted. The others stay.
func TestDeleteExpiredEvents(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		err := db.Tx(t.Context(), func(tx *store.DB) error {
			for i := range 1100 {
				e := store.AuditEvent{ID: fmt.Sprintf("%04d", i), At: at(int64(i)), Kind: "session.created",
					Result: "success", Occurrences: 1}
				if err := tx.CreateAuditEvent(t.Context(), e); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, ends := range []int64{10, 20} {
			if _, err := db.CountAudit(t.Context(), "site ", at(ends), 3); err != nil {
				t.Fatal(err)
			}
		}
		old := store.Cutoffs{Events: at(1000), Ended: at(20)}
		if n, err := db.DeleteExpired(t.Context(), old); err != nil || n != 1001 {
			t.Errorf("%d rows, %v, want 1001", n, err)
		}
		list, err := db.ListAuditEvents(t.Context(), store.AuditFilter{Limit: 2000})
		if err != nil || len(list) != 100 || !list[99].At.Equal(at(1000)) {
			t.Errorf("%d events are left, %v", len(list), err)
		}
		if used, err := db.CountAudit(t.Context(), "site ", at(20), 3); err != nil || used != 2 {
			t.Errorf("the counter that has not ended has %d, %v", used, err)
		}
	})
}
