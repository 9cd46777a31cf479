package store

import (
	"path/filepath"
	"strings"
	"testing"
)

// What a trust decision reads is found by keys, however many devices there are.
func TestDevicePlan(t *testing.T) {
	db := opened(t)
	rows, err := db.readers.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+seen, []byte("series"), "account", 0)
	plan, err := all(rows, err, func(s scanner) (step string, err error) {
		var id, parent, unused int
		return step, s.Scan(&id, &parent, &unused, &step)
	})
	if err != nil || len(plan) < 4 {
		t.Fatalf("plan %q, %v", plan, err)
	}
	for _, step := range plan {
		if strings.HasPrefix(step, "SCAN") {
			t.Errorf("a whole table is read: %q", plan)
		}
	}
}

// opened is a new database on SQLite.
func opened(t *testing.T) *DB {
	t.Helper()
	db, err := Open(t.Context(), filepath.Join(t.TempDir(), "twostep.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// Lists of events and their removal are read from an index, however many events there are.
func TestAuditPlan(t *testing.T) {
	db := opened(t)
	columns := `SELECT ` + auditColumns + ` FROM audit_events WHERE `
	order := ` ORDER BY time DESC, id DESC LIMIT 50`
	for query, index := range map[string]string{
		columns + `account = 'a'` + order:                                      "audit_events_account",
		columns + `account = 'a' AND result = 'failure' AND time >= 5` + order: "audit_events_account",
		columns + `account = 'a' AND (time, id) < (5, 'x')` + order:            "audit_events_account",
		columns + `(time, id) < (5, 'x')` + order:                              "audit_events_time",
		columns + `kind IN ('session.created')` + order:                        "audit_events_kind",
		columns + `address = '192.0.2.1'` + order:                              "audit_events_address",
		`SELECT id FROM audit_events WHERE time < 5 ORDER BY time LIMIT 500`:   "audit_events_time",
	} {
		rows, err := db.readers.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query)
		plan, err := all(rows, err, func(s scanner) (step string, err error) {
			var id, parent, unused int
			return step, s.Scan(&id, &parent, &unused, &step)
		})
		if err != nil || len(plan) != 1 || !strings.HasPrefix(plan[0], "SEARCH") || !strings.Contains(plan[0], index+" ") {
			t.Errorf("%s: %q, %v, want a search of %s alone", query, plan, err, index)
		}
	}
}
