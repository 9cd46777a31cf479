package storetest

import (
	"database/sql/driver"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"twostep.example/twostep/internal/store"
)

// Recorder records the statements that a database runs.
type Recorder struct {
	mu   sync.Mutex
	runs []Statement
}

// Statement is a statement and its arguments.
type Statement struct {
	Query string
	Args  []any
}

// Record records all statements of db until the test ends. Only one recorder at a time is active.
func Record(t testing.TB, db *store.DB) *Recorder {
	r := &Recorder{}
	t.Cleanup(db.Observe(func(query string, args []any) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.runs = append(r.runs, Statement{query, args})
		return nil
	}))
	return r
}

// Fail lets the next n statements of db run, and fails all after them as if the database could not be reached, until
// stop is called. Beginning a transaction is a statement too. No recorder is active meanwhile.
func Fail(db *store.DB, n int64) (stop func()) {
	var left atomic.Int64
	left.Store(n)
	return db.Observe(func(string, []any) error {
		if left.Add(-1) < 0 {
			return driver.ErrBadConn
		}
		return nil
	})
}

// FailWrites fails every statement of db that writes, as if the disk were full, until stop is called. The database is
// read as before.
func FailWrites(db *store.DB) (stop func()) {
	return db.Observe(func(query string, _ []any) error {
		for _, verb := range []string{store.Begin, "INSERT", "UPDATE", "DELETE"} {
			if strings.HasPrefix(query, verb) {
				return syscall.ENOSPC
			}
		}
		return nil
	})
}

// Reset discards the recorded statements.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs = nil
}

// Statements returns the statements since the last Reset, in order, without Begin.
func (r *Recorder) Statements() (list []Statement) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.runs), func(s Statement) bool { return s.Query == store.Begin })
}

// Transactions returns how many transactions have begun since the last Reset.
func (r *Recorder) Transactions() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, s := range r.runs {
		if s.Query == store.Begin {
			n++
		}
	}
	return n
}

// String returns the statements since the last Reset and Begin for each transaction, one per line.
func (r *Recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	for _, s := range r.runs {
		b.WriteString(strings.Join(strings.Fields(s.Query), " ") + "\n")
	}
	return b.String()
}
