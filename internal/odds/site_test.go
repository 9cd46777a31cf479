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

// Guesses at very many accounts raise the alarm: for an hour every unknown device needs a long code, at
// every account, and no known device does. Refunded guesses do not count.
func TestSiteAlarm(t *testing.T) {
	eachDatabase(t, func(h *fixture) {
		db := h.Store
		for n := range 40 { // people who mistype and then pass
			name := "person " + string(rune('a'+n%26)) + string(rune('a'+n/26))
			g := odds.Guess{Budget: name, Challenge: name, Cost: 10_000}
			for range 2 {
				if err := h.charge(g, n); err != nil {
					h.Fatal(err)
				}
			}
			if err := db.Tx(h.Context(), func(tx *store.DB) error { return h.Refund(h.Context(), tx, g, false, network(n)) }); err != nil {
				h.Fatal(err)
			}
		}
		untouched := odds.Guess{Budget: "untouched", Challenge: "u", Cost: 1000}
		for n := range 100 {
			name := "victim " + string(rune('a'+n%26)) + string(rune('a'+n/26))
			if longer, err := h.needsLongCode(untouched); longer || err != nil {
				h.Fatalf("alarm after %d accounts: %v", n, err)
			}
			if err := h.charge(odds.Guess{Budget: name, Challenge: name, Cost: 10_000}, n); err != nil {
				h.Fatal(err)
			}
		}
		if err := h.charge(odds.Guess{Budget: "last", Challenge: "last", Cost: 1000}, 1); err != nil {
			h.Fatal(err)
		}
		if longer, err := h.needsLongCode(untouched); !longer || err != nil {
			h.Errorf("no alarm: %v", err)
		}
		if err := h.charge(untouched, 1); !errors.Is(err, odds.ErrExhausted) {
			h.Errorf("an unknown device: %v", err)
		}
		untouched.Device = "laptop"
		if err := h.charge(untouched, 1); err != nil {
			h.Errorf("a known device: %v", err)
		}
		untouched.Device = ""
		h.now = h.now.Add(odds.AlarmDuration)
		if longer, _ := h.needsLongCode(untouched); longer {
			h.Error("the alarm lasts longer than an hour")
		}
	})
}

// raiseAlarm charges guesses at so many accounts that the site-wide alarm is on.
func (h *fixture) raiseAlarm() {
	h.Helper()
	for n := range 101 {
		name := "victim " + strconv.Itoa(n)
		if err := h.charge(odds.Guess{Budget: name, Challenge: name, Cost: 10_000}, n); err != nil {
			h.Fatal(err)
		}
	}
}

// While the sum of the day exceeds the limit, the first guess after the hour raises the alarm again.
// ResetSiteAlarm ends it at once, the next guess does not raise it, and what was guessed at each account
// stays.
func TestResetSiteAlarm(t *testing.T) {
	eachDatabase(t, func(h *fixture) {
		h.raiseAlarm()
		one := odds.Guess{Budget: "untouched", Challenge: "u", Cost: 1000}
		alarm := func(want bool, when string) {
			h.Helper()
			if longer, err := h.needsLongCode(one); longer != want || err != nil {
				h.Errorf("%s: longer %v, %v", when, longer, err)
			}
		}
		alarm(true, "at once")
		h.now = h.now.Add(odds.AlarmDuration)
		alarm(false, "an hour later")
		if err := h.charge(one, 1); err != nil {
			h.Fatal(err)
		}
		alarm(true, "after one more guess")
		if err := h.ResetSiteAlarm(h.Context()); err != nil {
			h.Fatal(err)
		}
		alarm(false, "after the reset")
		if err := h.charge(one, 1); err != nil {
			h.Fatal(err)
		}
		alarm(false, "after the reset and one guess")
		if longer, err := h.needsLongCode(odds.Guess{Budget: "victim 1", Challenge: "v", Cost: 11_000}); !longer || err != nil {
			h.Errorf("the reset forgets what was guessed at an account: %v", err)
		}
	})
}

// Guesses at addresses that are being confirmed are not counted for the site, and not subtracted when they
// are refunded.
func TestSiteAlarmIgnoresDestinations(t *testing.T) {
	eachDatabase(t, func(h *fixture) {
		g := odds.Guess{Challenge: "c", Cost: 20_000}
		for n := range 60 {
			g.Budget = h.DestinationBudget(strconv.Itoa(n) + "@example.com")
			if err := h.charge(g, n); err != nil {
				h.Fatal(err)
			}
		}
		if longer, err := h.needsLongCode(odds.Guess{Budget: "anna", Challenge: "a", Cost: 1000}); longer || err != nil {
			h.Errorf("alarm: %v", err)
		}
		if err := h.Store.Tx(h.Context(), func(tx *store.DB) error { return h.Refund(h.Context(), tx, g, false, network(1)) }); err != nil {
			h.Fatal(err)
		}
		rows, err := h.Store.ListCounterWindows(h.Context(), siteGuesses(24*time.Hour), time.Time{})
		if err != nil || len(rows) != 0 {
			h.Errorf("counted %v, %v", rows, err)
		}
	})
}

// siteGuesses is the counter of what unknown devices have spent in a window.
func siteGuesses(window time.Duration) store.Counter {
	return store.Counter{Kind: store.SiteGuesses, Subject: store.GroupNew, Window: window.Milliseconds()}
}

// Guesses from one network end at its part: it needs long codes, and neither another network nor the site does. A
// passed challenge gives the part back.
func TestOneNetworkRaisesNoAlarm(t *testing.T) {
	eachDatabase(t, func(h *fixture) {
		guess := func(n int) error {
			name := "account " + strconv.Itoa(n)
			return h.charge(odds.Guess{Budget: name, Challenge: name, Cost: 1000}, 1)
		}
		for n := range 100 {
			if err := guess(n); err != nil {
				h.Fatalf("guess %d: %v", n, err)
			}
		}
		for n := 100; n < 120; n++ {
			if err := guess(n); !errors.Is(err, odds.ErrExhausted) {
				h.Fatalf("guess %d of one network: %v", n, err)
			}
		}
		rows, err := h.Store.ListCounterWindows(h.Context(), siteGuesses(24*time.Hour), time.Time{})
		if err != nil || len(rows) != 1 || rows[0].Used != int64(odds.NetworkBudgetPerDay) {
			h.Errorf("counted for the site: %v, %v", rows, err)
		}
		if err := h.charge(odds.Guess{Budget: "anna", Challenge: "a", Cost: 1000}, 2); err != nil {
			h.Errorf("another network: %v", err)
		}
		passed := odds.Guess{Budget: "account 1", Challenge: "account 1", Cost: 1000}
		if err := h.Store.Tx(h.Context(), func(tx *store.DB) error { return h.Refund(h.Context(), tx, passed, true, network(1)) }); err != nil {
			h.Fatal(err)
		}
		if err := guess(120); err != nil {
			h.Errorf("after a refund: %v", err)
		}
	})
}

// Somebody who creates accounts and guesses at them raises the alarm of new accounts. Those that are a week old, and
// whose owners have completed both steps, have another.
func TestNewAccountsHaveTheirOwnAlarm(t *testing.T) {
	eachDatabase(t, func(h *fixture) {
		create := func(id string, age time.Duration, proven bool) {
			h.Helper()
			a := store.Account{ID: id, Email: id + "@example.com", PasswordHash: []byte{1}, CreatedAt: h.now.Add(-age)}
			err := h.Store.CreateAccount(h.Context(), a)
			if err == nil && proven {
				d := store.Device{ID: id, Series: []byte(id), Secret: []byte(id), ExpiresAt: h.now.Add(time.Hour)}
				if err = h.Store.CreateDevice(h.Context(), d); err == nil {
					err = h.Store.SaveKnownDevice(h.Context(), id, id, h.now)
				}
			}
			if err != nil {
				h.Fatal(err)
			}
		}
		create("old", odds.EstablishedAge, true)
		create("unproven", odds.EstablishedAge, false)
		create("new", odds.EstablishedAge-time.Second, true)
		h.raiseAlarm()
		for account, want := range map[string]bool{"old": false, "unproven": true, "new": true} {
			longer, err := h.needsLongCode(odds.Guess{Budget: account, Challenge: "c", Cost: 1000})
			if longer != want || err != nil {
				h.Errorf("%s: longer %v, %v", account, longer, err)
			}
		}
		if err := h.charge(odds.Guess{Budget: "old", Challenge: "c", Cost: 1000}, 1); err != nil {
			h.Errorf("a guess at an established account: %v", err)
		}
		rows, err := h.Store.ListCounterWindows(h.Context(), store.Counter{
			Kind: store.SiteGuesses, Subject: store.GroupEstablished, Window: (24 * time.Hour).Milliseconds(),
		}, time.Time{})
		if err != nil || len(rows) != 1 || rows[0].Used != 1000 {
			h.Errorf("counted for established accounts: %v, %v", rows, err)
		}
	})
}

// Renewals let the owner of an account guess more at it, and not add more to the counters of the site.
func TestAccountAddsItsBudgetOnce(t *testing.T) {
	eachDatabase(t, func(h *fixture) {
		a := store.Account{ID: "mallory", Email: "mallory@example.com"}
		for n := range 5 {
			for i := range 20 {
				name := strconv.Itoa(n*20 + i)
				if err := h.charge(odds.Guess{Budget: "mallory", Challenge: name, Cost: 1000}, n*20+i); err != nil {
					h.Fatal(err)
				}
			}
			h.now = h.now.Add(time.Second)
			if n < 4 {
				if err := h.Store.Tx(h.Context(), func(tx *store.DB) error { return h.Renew(h.Context(), tx, a, h.now) }); err != nil {
					h.Fatal(err)
				}
			}
			h.now = h.now.Add(time.Second)
		}
		rows, err := h.Store.ListCounterWindows(h.Context(), siteGuesses(24*time.Hour), time.Time{})
		if err != nil || len(rows) != 1 || rows[0].Used != int64(odds.AccountBudgetPerYear) {
			h.Errorf("counted %v, %v, want %d", rows, err, odds.AccountBudgetPerYear)
		}
	})
}

// A sign-in that refunds guesses of two hours and one that guesses lock the counters in the same order, so
// PostgreSQL finds no deadlock.
func TestSiteCountersAreLockedInOrder(t *testing.T) {
	h := &fixture{T: t, now: time.Date(2026, 11, 23, 10, 59, 0, 0, time.UTC)}
	url := storetest.NewPostgres(t)
	h.Budgets = budgets(t, url, func() time.Time { return h.now })
	first, g := h.now, odds.Guess{Budget: "anna", Challenge: "c", Cost: 1000}
	for range 2 {
		if err := h.charge(g, 1); err != nil {
			t.Fatal(err)
		}
		h.now = h.now.Add(time.Minute)
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	lock := func(tx *store.DB, length time.Duration) error {
		key := store.CounterKey{Counter: siteGuesses(length), EndsAt: first.Truncate(length).Add(length)}
		_, err := tx.AddToCounters(ctx, store.CounterChange{CounterKey: key})
		return err
	}
	var runs atomic.Int64
	done := make(chan error, 1)
	err := h.Store.Tx(ctx, func(tx *store.DB) error {
		if runs.Add(1); runs.Load() > 1 {
			return errors.New("the transaction was retried")
		}
		if err := lock(tx, 24*time.Hour); err != nil {
			return err
		}
		go func() {
			done <- h.Store.Tx(ctx, func(tx *store.DB) error {
				runs.Add(1)
				return h.Refund(ctx, tx, g, false, network(1))
			})
		}()
		for storetest.CountRows(t, url, "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") == 0 {
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
		return lock(tx, time.Hour)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil || runs.Load() != 2 {
		t.Errorf("%d transactions for two: %v", runs.Load(), err)
	}
}
