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
