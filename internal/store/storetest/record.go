package storetest

import (
	"slices"
	"strings"
	"sync"
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
	t.Cleanup(db.Observe(func(query string, args []any) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.runs = append(r.runs, Statement{query, args})
	}))
	return r
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
