package odds_test

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"twostep.example/twostep/internal/odds"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/store/storetest"
)

// Guesses at very many accounts: every stranger needs a longer code for an hour, also at an
// account that nobody touched, and no known browser does. What is passed counts for nothing.
func TestSiteTrips(t *testing.T) {
	each(t, func(h *house) {
		db := h.Store
		for n := range 40 { // honest people
			name := "honest " + string(rune('a'+n%26)) + string(rune('a'+n/26))
			g := odds.Guess{Budget: name, Challenge: name, Cost: 10_000}
			for range 2 {
				if err := h.debit(g, n); err != nil {
					h.Fatal(err)
				}
			}
			if err := db.Tx(h.Context(), func(tx *store.DB) error { return h.Refund(h.Context(), tx, g, false, at(n)) }); err != nil {
				h.Fatal(err)
			}
		}
		untouched := odds.Guess{Budget: "untouched", Challenge: "u", Cost: 1000}
		for n := range 100 {
			name := "victim " + string(rune('a'+n%26)) + string(rune('a'+n/26))
			if longer, err := h.needsLongCode(untouched); longer || err != nil {
				h.Fatalf("tripped after %d accounts: %v", n, err)
			}
			if err := h.debit(odds.Guess{Budget: name, Challenge: name, Cost: 10_000}, n); err != nil {
				h.Fatal(err)
			}
		}
		if err := h.debit(odds.Guess{Budget: "last", Challenge: "last", Cost: 1000}, 1); err != nil {
			h.Fatal(err)
		}
		if longer, err := h.needsLongCode(untouched); !longer || err != nil {
			h.Errorf("not tripped: %v", err)
		}
		if err := h.debit(untouched, 1); !errors.Is(err, odds.ErrExhausted) {
			h.Errorf("a stranger: %v", err)
		}
		untouched.Device = "laptop"
		if err := h.debit(untouched, 1); err != nil {
			h.Errorf("a known browser: %v", err)
		}
		untouched.Device = ""
		h.now = h.now.Add(odds.AlarmDuration)
		if longer, _ := h.needsLongCode(untouched); longer {
			h.Error("it lasts longer than an hour")
		}
	})
}

// trip lets strangers guess at so many accounts that the site trips.
func (h *house) trip() {
	h.Helper()
	for n := range 101 {
		name := "victim " + strconv.Itoa(n)
		if err := h.debit(odds.Guess{Budget: name, Challenge: name, Cost: 10_000}, n); err != nil {
			h.Fatal(err)
		}
	}
}

// While the sum of the day is what it is, the first guess after the hour begins another one. The
// operator can end that: it is over at once, the next guess does not begin it again, and what was
// guessed at each account stays.
func TestSiteForgotten(t *testing.T) {
	each(t, func(h *house) {
		h.trip()
		one := odds.Guess{Budget: "untouched", Challenge: "u", Cost: 1000}
		tripped := func(want bool, when string) {
			h.Helper()
			if longer, err := h.needsLongCode(one); longer != want || err != nil {
				h.Errorf("%s: longer %v, %v", when, longer, err)
			}
		}
		tripped(true, "at once")
		h.now = h.now.Add(odds.AlarmDuration)
		tripped(false, "an hour later")
		if err := h.debit(one, 1); err != nil {
			h.Fatal(err)
		}
		tripped(true, "and after one guess")
		if err := h.ResetSiteAlarm(h.Context()); err != nil {
			h.Fatal(err)
		}
		tripped(false, "forgotten")
		if err := h.debit(one, 1); err != nil {
			h.Fatal(err)
		}
		tripped(false, "forgotten, and after one guess")
		if longer, err := h.needsLongCode(odds.Guess{Budget: "victim 1", Challenge: "v", Cost: 11_000}); !longer || err != nil {
			h.Errorf("what was guessed at an account is forgotten too: %v", err)
		}
	})
}

// Guesses at addresses that are to be proven are no guesses at accounts, nor given back as such.
func TestSiteOfAccounts(t *testing.T) {
	each(t, func(h *house) {
		g := odds.Guess{Challenge: "c", Cost: 20_000}
		for n := range 60 {
			g.Budget = h.DestinationBudget(strconv.Itoa(n) + "@example.com")
			if err := h.debit(g, n); err != nil {
				h.Fatal(err)
			}
		}
		if longer, err := h.needsLongCode(odds.Guess{Budget: "anna", Challenge: "a", Cost: 1000}); longer || err != nil {
			h.Errorf("tripped: %v", err)
		}
		if err := h.Store.Tx(h.Context(), func(tx *store.DB) error { return h.Refund(h.Context(), tx, g, false, at(1)) }); err != nil {
			h.Fatal(err)
		}
		rows, err := h.Store.ListCounterWindows(h.Context(), guesses(24*time.Hour), time.Time{})
		if err != nil || len(rows) != 0 {
			h.Errorf("%v is counted, %v", rows, err)
		}
	})
}

// guesses is what strangers have spent in a window.
func guesses(window time.Duration) store.Counter {
	return store.Counter{Kind: store.SiteGuesses, Window: window.Milliseconds()}
}

// A sign-in that gives guesses of two hours back and one that guesses hold what they both count in
// the same order: neither waits for the other in a circle, which PostgreSQL would have to break.
func TestSiteInOrder(t *testing.T) {
	h := &house{T: t, now: time.Date(2026, 11, 23, 10, 59, 0, 0, time.UTC)}
	url := storetest.NewPostgres(t)
	h.Budgets = budgets(t, url, func() time.Time { return h.now })
	first, g := h.now, odds.Guess{Budget: "anna", Challenge: "c", Cost: 1000}
	for range 2 {
		if err := h.debit(g, 1); err != nil {
			t.Fatal(err)
		}
		h.now = h.now.Add(time.Minute)
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	ends := func(length time.Duration) time.Time { return first.Truncate(length).Add(length) }
	var runs atomic.Int64
	done := make(chan error, 1)
	err := h.Store.Tx(ctx, func(tx *store.DB) error {
		if runs.Add(1); runs.Load() > 1 {
			return errors.New("it was given up")
		}
		if err := tx.AddToCounter(ctx, guesses(24*time.Hour), ends(24*time.Hour), 0); err != nil {
			return err
		}
		go func() {
			done <- h.Store.Tx(ctx, func(tx *store.DB) error {
				runs.Add(1)
				return h.Refund(ctx, tx, g, false, at(1))
			})
		}()
		for storetest.CountRows(t, url, "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") == 0 {
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
		return tx.AddToCounter(ctx, guesses(time.Hour), ends(time.Hour), 0)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil || runs.Load() != 2 {
		t.Errorf("%d transactions for two: %v", runs.Load(), err)
	}
}
