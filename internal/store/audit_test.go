package store_test

import (
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/store/storetest"
)

// event is a valid event.
var event = store.AuditEvent{Kind: "session.created", ActorType: "person", ActorID: "anna", Account: "anna",
	Result: "success", Browser: "Firefox", Occurrences: 1}

func create(t *testing.T, db *store.DB, e store.AuditEvent, when time.Time) store.EventID {
	t.Helper()
	id, err := db.CreateAuditEvent(t.Context(), e, when)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// An id has the time of its event, and its text is parsed again. Ids are sorted by time, and no time makes an id
// negative or less than that of an earlier time.
func TestEventID(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		var last store.EventID
		for _, when := range []time.Time{{}, at(1), at(2), time.Date(2026, 11, 29, 8, 0, 0, 5e6, time.UTC),
			time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)} {
			id := create(t, db, event, when)
			if id < last || !when.IsZero() && !id.Time().Equal(when) {
				t.Errorf("%s: id %d after %d, time %s", when, id, last, id.Time())
			}
			if again, ok := store.ParseEventID(id.String()); !ok || again != id {
				t.Errorf("%d: text %q is parsed as %d, %v", id, id, again, ok)
			}
			last = id
		}
		for _, f := range []store.AuditFilter{
			{Since: time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC)}, {Until: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)},
		} {
			f.Limit = 9
			if list, err := db.ListAuditEvents(t.Context(), f); err != nil || len(list) != 5 {
				t.Errorf("%+v: %d events, %v, want 5", f, len(list), err)
			}
		}
	})
	for _, text := range []string{"", "A", "AAAAAAAAAAAAA", "AAAAAAAAAAAAB", "777777777777A", "aaaaaaaaaaaaq", "AAAAAAAAAAAAAAAA",
		"AAAAAAAAAAAAC==="} {
		if id, ok := store.ParseEventID(text); ok || id != 0 {
			t.Errorf("%q is parsed as %d, %v", text, id, ok)
		}
	}
}

// An event whose id is taken gets another one. If no id is free it is refused.
func TestEventIDIsTaken(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		taken := create(t, db, event, at(1))
		drawn := 0
		id, err := store.CreateAuditEventWithIDs(t.Context(), db, event, at(1), func(time.Time) store.EventID {
			drawn++
			return taken + store.EventID(drawn/3)
		})
		if err != nil || id != taken+1 || drawn != 3 {
			t.Errorf("id %d, %v, %d drawn, want %d after 3", id, err, drawn, taken+1)
		}
		_, err = store.CreateAuditEventWithIDs(t.Context(), db, event, at(1), func(time.Time) store.EventID { return taken })
		if err == nil {
			t.Error("an event is stored although its id is taken")
		}
		if list, err := db.ListAuditEvents(t.Context(), store.AuditFilter{Limit: 9}); err != nil || len(list) != 2 {
			t.Errorf("%d events, %v, want 2", len(list), err)
		}
	})
}

// An event of an unknown kind or actor is refused.
func TestUnknownTerms(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		kind, actor := event, event
		kind.Kind, actor.ActorType = "no.such", "nobody"
		for _, e := range []store.AuditEvent{kind, actor} {
			if _, err := db.CreateAuditEvent(t.Context(), e, at(1)); err == nil {
				t.Errorf("%+v is stored", e)
			}
		}
	})
}

// The actor is read as it was written, whether it is the person of the account or not.
func TestActorOfEvent(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		for i, actor := range [][2]string{{"person", "anna"}, {"person", "ben"}, {"operator", ""}, {"operator", "anna"},
			{"anonymous", ""}} {
			e := event
			e.ActorType, e.ActorID = actor[0], actor[1]
			e.ID = create(t, db, e, at(int64(1+i)))
			list, err := db.ListAuditEvents(t.Context(), store.AuditFilter{Limit: 1})
			if err != nil || len(list) != 1 || list[0] != e {
				t.Errorf("got %+v, %v, want %+v", list, err, e)
			}
		}
	})
}

// Occurrences are added to an event, and to none that does not exist.
func TestAddOccurrences(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		id := create(t, db, event, at(1))
		if err := db.AddOccurrences(t.Context(), id, 6); err != nil {
			t.Fatal(err)
		}
		if err := db.AddOccurrences(t.Context(), id+1, 6); err != store.ErrNotFound {
			t.Errorf("another id: %v, want ErrNotFound", err)
		}
		list, err := db.ListAuditEvents(t.Context(), store.AuditFilter{Limit: 5})
		if err != nil || len(list) != 1 || list[0].Occurrences != 7 {
			t.Errorf("got %+v, %v, want 7 occurrences", list, err)
		}
	})
}

// A counter counts one scope and one window, is exact, and keeps the event that is set.
func TestCountAudit(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		for i, want := range []int64{2, 4, 6} {
			if got, event, err := db.CountAudit(t.Context(), "network a", at(100), 2); err != nil || got != want || event != 0 {
				t.Errorf("count %d: got %d, event %d, %v, want %d", i, got, event, err, want)
			}
		}
		if err := db.SetCounterEvent(t.Context(), "network a", at(100), 7); err != nil {
			t.Fatal(err)
		}
		if got, event, err := db.CountAudit(t.Context(), "network a", at(100), 1); err != nil || got != 7 || event != 7 {
			t.Errorf("got %d, event %d, %v, want 7 and 7", got, event, err)
		}
		for _, other := range []struct {
			scope string
			ends  int64
		}{{"network b", 100}, {"network a", 200}} {
			got, event, err := db.CountAudit(t.Context(), other.scope, at(other.ends), 1)
			if err != nil || got != 1 || event != 0 {
				t.Errorf("%v: got %d, event %d, %v, want 1 and 0", other, got, event, err)
			}
		}
	})
}

// The name of a browser is stored once, and needs no statement for other events of the day in this process, unless its
// transaction is rolled back. It is deleted after the events that have it, and not before.
func TestAuditBrowsers(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		db := storetest.Open(t, url)
		const hour = time.Hour
		day := time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)
		statements := storetest.Record(t, db)
		store1 := func(db *store.DB, name string, when time.Time, want int) {
			t.Helper()
			statements.Reset()
			e := event
			e.Browser = name
			create(t, db, e, when)
			if n := len(statements.Statements()); n != want {
				t.Errorf("%s: %d statements, want %d", name, n, want)
			}
		}
		_ = db.Tx(t.Context(), func(tx *store.DB) error {
			store1(tx, "Firefox", day, 2)
			return store.ErrConflict // rolls back
		})
		store1(db, "Firefox", day.Add(hour), 2)
		store1(db, "Firefox", day.Add(23*hour), 1)
		store1(db, "Chrome", day.Add(23*hour), 2)
		store1(db, "", day.Add(23*hour), 1)
		store1(db, "Firefox", day.Add(26*hour), 2)
		store1(storetest.Open(t, url), "Firefox", day.Add(49*hour), 0) // another server, which is not observed
		for _, row := range []struct {
			cutoff           time.Time
			events, browsers int
		}{
			{day.Add(2 * hour), 5, 2}, {day.Add(25 * hour), 2, 1}, {day.Add(50 * hour), 0, 1}, {day.Add(73 * hour), 0, 0},
		} {
			if _, err := db.DeleteExpired(t.Context(), store.Cutoffs{Events: row.cutoff}); err != nil {
				t.Fatal(err)
			}
			list, err := db.ListAuditEvents(t.Context(), store.AuditFilter{Limit: 9})
			browsers := storetest.CountRows(t, url, "audit_browsers")
			if err != nil || len(list) != row.events || browsers != row.browsers {
				t.Errorf("at %s: %d events, %d browsers, %v, want %d and %d", row.cutoff, len(list), browsers, err, row.events,
					row.browsers)
			}
			for _, e := range list {
				if e.Browser == "" && e.ID.Time() != day.Add(23*hour).Local() {
					t.Errorf("the event of %s has no browser", e.ID.Time())
				}
			}
		}
	})
}

// Old events and ended counters are deleted. The others stay.
func TestDeleteExpiredEvents(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		err := db.Tx(t.Context(), func(tx *store.DB) error {
			for i := range 1100 {
				if _, err := tx.CreateAuditEvent(t.Context(), event, at(int64(i))); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, ends := range []int64{10, 20} {
			if _, _, err := db.CountAudit(t.Context(), "site ", at(ends), 1); err != nil {
				t.Fatal(err)
			}
		}
		old := store.Cutoffs{Events: at(1000), Ended: at(20)}
		if n, err := db.DeleteExpired(t.Context(), old); err != nil || n != 1001 {
			t.Errorf("%d rows, %v, want 1001", n, err)
		}
		list, err := db.ListAuditEvents(t.Context(), store.AuditFilter{Limit: 2000})
		if err != nil || len(list) != 100 || !list[99].ID.Time().Equal(at(1000)) {
			t.Errorf("%d events are left, %v", len(list), err)
		}
		if used, _, err := db.CountAudit(t.Context(), "site ", at(20), 1); err != nil || used != 2 {
			t.Errorf("the counter that has not ended has %d, %v", used, err)
		}
	})
}

// Events that PostgreSQL has lost are counted once, and the browsers that may be lost with them are stored again. SQLite
// loses none.
func TestLostEvents(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		db := storetest.Open(t, url)
		create(t, db, event, at(1))
		kept := create(t, db, event, at(2))
		storetest.Exec(t, url, `DELETE FROM audit_events WHERE id <> $1`, int64(kept))
		storetest.Exec(t, url, `DELETE FROM audit_browsers`)
		wants := []int{1, 0}
		if !strings.HasPrefix(url, "postgres") {
			wants = []int{0, 0}
		}
		for _, want := range wants {
			if lost, err := db.LostEvents(t.Context()); err != nil || lost != want {
				t.Errorf("%d events are lost, %v, want %d", lost, err, want)
			}
		}
		create(t, db, event, at(3))
		if n := storetest.CountRows(t, url, "audit_browsers"); n != wants[0] {
			t.Errorf("%d browsers are stored, want %d", n, wants[0])
		}
	})
}
