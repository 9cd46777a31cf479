package odds

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestCost(t *testing.T) {
	for _, one := range []struct {
		right, digits int
		want          Chance
	}{
		{1, 6, 1000}, {2, 6, 2000}, {10, 6, 10_000}, {1, 8, 10}, {1, 9, 1}, {1, 10, 1}, {11, 10, 2}, {1, 13, 1},
		{1, 400, 1}, {1, 0, 0}, {0, 6, 0},
	} {
		if got := Cost(one.right, one.digits); got != one.want {
			t.Errorf("%d right of %d digits: %d, want %d", one.right, one.digits, got, one.want)
		}
	}
}

// In whatever order costs are requested, those that are allowed never exceed the budget, and a cost that
// fits is allowed. The random source has a fixed seed, so every run checks the same values.
func TestAllowsStaysInBudget(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		budget := Chance(random.Int64N(int64(AccountBudgetPerYear) + 1))
		if random.IntN(4) == 0 { // a small budget
			budget = Chance(random.Int64N(20_000))
		}
		var spent Chance
		for range random.IntN(100) {
			cost := Cost(1+random.IntN(10), 6)
			allowed := Allows(spent, cost, budget)
			if allowed != (spent+cost <= budget) {
				t.Fatalf("%d of %d spent, %d more: %v", spent, budget, cost, allowed)
			}
			if allowed {
				spent += cost
			}
		}
		if spent > budget {
			t.Fatalf("%d of %d", spent, budget)
		}
	}
}

// A budget with all its renewals stays within MaxAccountBudgetPerYear, which the documentation promises.
func TestYearWithRenewalsStaysInMaximum(t *testing.T) {
	if got := AccountBudgetPerYear * (1 + MaxRenewalsPerYear); got > MaxAccountBudgetPerYear {
		t.Errorf("%d in a year with renewals, ceiling %d", got, MaxAccountBudgetPerYear)
	}
	if AccountBudgetPerYear != Certainty/50_000 || MaxAccountBudgetPerYear != Certainty/10_000 {
		t.Errorf("1 in %d and 1 in %d", Certainty/AccountBudgetPerYear, Certainty/MaxAccountBudgetPerYear)
	}
}

// Delays never get shorter with more failures, and never exceed their maximum.
func TestDelays(t *testing.T) {
	for name, one := range map[string]struct {
		wait func(int64) time.Duration
		cap  time.Duration
		free int64
	}{
		"guesses": {GuessDelay, 15 * time.Second, 2}, "sign-ins": {AttemptDelay, time.Hour, 2},
	} {
		check := func(n int64) {
			if one.wait(n) > one.wait(n+1) || one.wait(n) > one.cap {
				t.Fatalf("%s: %s after %d, %s after one more", name, one.wait(n), n, one.wait(n+1))
			}
		}
		for n := int64(-1); n < 1000; n++ {
			check(n)
		}
		for power := 10; power <= 40; power++ { // where an exponent or a product could overflow
			for near := int64(-2); near <= 2; near++ {
				check(1<<power + near)
			}
		}
		if one.free > 0 && (one.wait(one.free-1) != 0 || one.wait(one.free) == 0) {
			t.Errorf("%s: %s after %d, %s after %d", name, one.wait(one.free-1), one.free-1, one.wait(one.free),
				one.free)
		}
		if one.wait(1<<40) != one.cap {
			t.Errorf("%s: never reaches %s", name, one.cap)
		}
	}
}

// DayAlarm and YearAlarm report far more than usual, but not the volume of a large site.
func TestSiteAlarmLimits(t *testing.T) {
	now := time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
	hours := func(today, before Chance) (all []HourSpent) {
		for h := range (AlarmBaselineDays + 1) * 24 {
			odds := before / 24
			if h < 24 {
				odds = today / 24
			}
			all = append(all, HourSpent{Ends: now.Add(-time.Duration(h) * time.Hour), Spent: odds})
		}
		return all
	}
	for _, one := range []struct {
		today, before Chance
		want          bool
	}{
		{0, 0, false},
		{SiteBudgetPerDay, 0, false},
		{SiteBudgetPerDay + 24, 0, true},
		{3_600_000, 1_200_000, false},
		{3_600_024, 1_200_000, true},
		{100 * SiteBudgetPerDay, 50 * SiteBudgetPerDay, false},
	} {
		if got := DayAlarm(hours(one.today, one.before), now); got != one.want {
			t.Errorf("%d today, %d a day before: %v", one.today, one.before, got)
		}
	}
	if DayAlarm([]HourSpent{{now.Add(time.Hour + time.Minute), 100 * SiteBudgetPerDay}}, now) {
		t.Error("an hour in the future counts")
	}
	if !DayAlarm([]HourSpent{{now.Add(time.Hour), 100 * SiteBudgetPerDay}}, now) {
		t.Error("the current hour does not count")
	}
	if !YearAlarm(SiteBudgetPerYear+1, 10) || YearAlarm(SiteBudgetPerYear+1, 1_000_000) {
		t.Error("the yearly limit does not depend on the number of accounts")
	}
}
