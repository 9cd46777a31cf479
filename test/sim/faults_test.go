package sim_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"modernc.org/sqlite"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/session"
)

// writing is asked before every row that SQLite writes, by a trigger: it is the one thing
// in this package that a database can reach.
var writing func() error

func TestMain(m *testing.M) {
	sqlite.MustRegisterScalarFunction("sim_writing", 0, func(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) {
		if writing == nil {
			return int64(0), nil
		}
		return int64(0), writing()
	})
	os.Exit(m.Run())
}

// fault is what may go wrong in a call.
type fault int

const (
	none      fault = iota
	badWrite        // one row cannot be written
	crash           // no row can be written from then on, and the program starts anew
	cancelled       // whoever asked has gone away
	jump            // the clock of the server jumps
	lost            // all is well, but the answer gets lost
	restart         // all is well, and afterwards the program starts anew
	faultKinds
)

var errLost = errors.New("the answer was lost")

// faults is what goes wrong.
type faults struct {
	often  float64 // in how many calls
	kind   fault
	after  int // so many rows written, or looks at the clock
	struck bool
	cancel context.CancelFunc
	count  map[fault]int
}

// prepare makes the database ask before it writes.
func (w *world) prepare(often float64) {
	w.faults.often, w.faults.count = often, map[fault]int{}
	if w.postgres() {
		return
	}
	var tables []string
	rows, err := w.rows.Query(`SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE 'goose%'`)
	if err != nil {
		w.Fatal(err)
	}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			w.Fatal(err)
		}
		tables = append(tables, name)
	}
	rows.Close()
	for _, table := range tables {
		for _, act := range []string{"INSERT", "UPDATE", "DELETE"} {
			_, err := w.rows.Exec(fmt.Sprintf(`CREATE TRIGGER sim_%s_%s BEFORE %s ON %s BEGIN SELECT sim_writing(); END`, table, act, act, table))
			if err != nil {
				w.Fatal(err)
			}
		}
	}
	writing = w.faults.write
	w.Cleanup(func() { writing = nil })
}

// write is asked before a row is written.
func (f *faults) write() error {
	if f.kind != badWrite && f.kind != crash {
		return nil
	}
	if f.after--; f.after > 0 || f.after < 0 && f.kind == badWrite {
		return nil
	}
	f.struck = true
	return errors.New("the disk does not answer")
}

// tick is asked whenever somebody looks at the clock.
func (f *faults) tick(w *world) {
	if f.kind != cancelled && f.kind != jump {
		return
	}
	if f.after--; f.after != 0 {
		return
	}
	f.struck = true
	if f.kind == cancelled {
		f.cancel()
		return
	}
	jumps := []time.Duration{time.Second, 40 * time.Second, 10 * time.Minute, time.Hour, 26 * time.Hour, 40 * 24 * time.Hour}
	w.skew = jumps[w.dice.IntN(len(jumps))]
	if w.chance(0.5) {
		w.skew = -w.skew
	}
}

// call is one request to the engine. Whatever goes wrong, goes wrong in it; and afterwards
// everything is looked at. It says whether something went wrong.
func (w *world) call(what string, f func(ctx context.Context) error) (err error, struck bool) {
	w.Helper()
	ctx := context.Background()
	w.faults.struck, w.faults.kind = false, none
	if w.chance(w.faults.often) {
		w.faults.kind, w.faults.after = none+1+fault(w.dice.IntN(int(faultKinds)-1)), 1+w.dice.IntN(12)
		ctx, w.faults.cancel = context.WithCancel(ctx)
		defer w.faults.cancel()
	}
	w.book.before(w)
	err = f(ctx)
	kind := w.faults.kind
	struck = w.faults.struck || kind == lost || kind == restart
	w.faults.kind = none
	if struck {
		w.faults.count[kind]++
	}
	if err != nil && !struck && !slices.ContainsFunc(expected, func(one error) bool { return errors.Is(err, one) }) {
		w.Errorf("%s: a fault where there is none: %v", what, err)
	}
	if kind == crash && struck || kind == restart {
		w.close()
		w.open()
	}
	w.deliver()
	w.check(what, struck)
	if kind == lost && err == nil {
		err = errLost
	}
	return err, struck
}

// expected are the errors that the contract of the engine names.
var expected = []error{account.ErrCredentials, ratelimit.ErrLimited, account.ErrLink, factor.ErrIncorrect, factor.ErrMalformed,
	challenge.ErrNoAttempt, session.ErrNoSession, challenge.ErrTooManyGuesses, challenge.ErrLongCodeNeeded, challenge.ErrUnknownMethod, session.ErrStepUpRequired}

// setRight is whoever sets the clock of the server right again, some time after it jumped.
func (w *world) setRight(wait func(time.Duration)) {
	for {
		wait(w.between(time.Hour, 12*time.Hour))
		w.skew = 0
	}
}

// Every fault happens, and none where none should.
func TestFaultsHappen(t *testing.T) {
	play(t, 1, "", func(w *world) {
		w.prepare(0)
		w.faults.kind, w.faults.after = badWrite, 2
		var got []bool
		for range 4 {
			got = append(got, w.faults.write() != nil)
		}
		w.faults.kind, w.faults.after = crash, 2
		for range 4 {
			got = append(got, w.faults.write() != nil)
		}
		w.faults.kind = none
		if want := []bool{false, true, false, false, false, true, true, true}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}
