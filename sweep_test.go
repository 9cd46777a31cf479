package twostep

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/internal/odds"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/store/storetest"
)

// A clock that jumps over a year, for an hour, takes no guess with it; one that goes takes those
// that are a year old.
func TestSweepFollowsTheClock(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		s := &Server{store: storetest.Open(t, url), log: slog.New(slog.DiscardHandler)}
		now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
		sweep := func(at time.Time) {
			t.Helper()
			if _, err := s.deleteExpired(t.Context(), at); err != nil {
				t.Fatal(err)
			}
		}
		left := func() int { return storetest.CountRows(t, url, "guess_budget_entries") }
		sweep(now)
		if err := s.store.CreateBudgetEntry(t.Context(), store.BudgetEntry{ID: "1", Budget: "anna", Kind: store.EntryGuess, CreatedAt: now}); err != nil {
			t.Fatal(err)
		}
		for n := range 7 {
			sweep(now.Add(3*odds.Year + time.Duration(n)*10*time.Minute))
		}
		sweep(now.Add(time.Hour))
		if left() != 1 {
			t.Error("a guess is gone with a jump of the clock")
		}
		for day := range 366 {
			sweep(now.Add(time.Duration(day) * 24 * time.Hour))
		}
		if left() != 1 {
			t.Error("a guess is gone before its year is over")
		}
		sweep(now.Add(odds.Year + 24*time.Hour))
		sweep(now.Add(odds.Year + 24*time.Hour + time.Second))
		if left() != 0 {
			t.Error("a guess stays for ever")
		}
	})
}

// A run that has deleted rows and is out of time is not a failure: the next one goes on. One that could delete nothing is.
func TestDeletionGoesOnInTheNextRun(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
		s := &Server{store: storetest.Open(t, url), log: slog.New(slog.DiscardHandler), now: func() time.Time { return now }}
		for i := range 120 {
			one := store.BudgetEntry{ID: strconv.Itoa(i), Budget: "anna", Kind: store.EntrySend,
				CreatedAt: now.AddDate(-2, 0, 0)}
			if err := s.store.CreateBudgetEntry(t.Context(), one); err != nil {
				t.Fatal(err)
			}
		}
		ctx, outOfTime := context.WithCancel(t.Context())
		steps := 0
		stop := s.store.Observe(func(query string, _ []any) error {
			if strings.HasPrefix(query, "DELETE FROM guess_budget_entries") {
				if steps++; steps == 2 {
					outOfTime()
				}
			}
			return nil
		})
		n, err := s.deleteSomeExpired(ctx)
		if left := storetest.CountRows(t, url, "guess_budget_entries"); err != nil || n == 0 || left == 0 {
			t.Errorf("out of time: %d deleted, %d left: %v, want some and no error", n, left, err)
		}
		if n, err := s.deleteSomeExpired(ctx); err == nil || n != 0 {
			t.Errorf("no time at all: %d deleted: %v, want an error", n, err)
		}
		stop()
		if _, err := s.deleteSomeExpired(t.Context()); err != nil {
			t.Error(err)
		}
		if left := storetest.CountRows(t, url, "guess_budget_entries"); left != 0 {
			t.Errorf("the next run left %d", left)
		}
	})
}
