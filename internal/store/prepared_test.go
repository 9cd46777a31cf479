package store

import (
	"context"
	"path/filepath"
	"testing"
)

// openTemp returns a new SQLite database.
func openTemp(t *testing.T) *DB {
	t.Helper()
	db, err := Open(t.Context(), filepath.Join(t.TempDir(), "twostep.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// A statement whose rows are still being read is not used again: another one is prepared. A statement that was
// interrupted can be used again.
func TestPrepared(t *testing.T) {
	db := openTemp(t)
	conn, err := db.readers.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const count = `WITH RECURSIVE n(i) AS (SELECT $1 UNION ALL SELECT i + 1 FROM n WHERE i < $2) SELECT i FROM n`
	for range 3 { // prepared the first time, cached after that
		rows, err := conn.QueryContext(t.Context(), count, 1, 3)
		if err != nil {
			t.Fatal(err)
		}
		var got []int
		for len(got) <= 6 && rows.Next() {
			var outer, inner int
			if err := rows.Scan(&outer); err != nil {
				t.Fatal(err)
			}
			if err := conn.QueryRowContext(t.Context(), count, 10*outer, 10*outer).Scan(&inner); err != nil {
				t.Fatal(err)
			}
			got = append(got, outer, inner)
		}
		_ = rows.Close()
		if err := rows.Err(); err != nil || len(got) != 6 || got[4] != 3 || got[5] != 30 {
			t.Errorf("one inside the other: %v, %v", got, err)
		}
		ctx, stop := context.WithCancel(t.Context())
		if rows, err = conn.QueryContext(ctx, count, 1, 1_000_000_000); err != nil {
			t.Fatal(err)
		}
		rows.Next()
		stop()
		for rows.Next() {
		}
		_ = rows.Close()
	}
}
