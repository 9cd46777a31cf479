package odds

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/store"
)

const (
	// alarmState is the name of the fact that says until when unknown devices need a longer
	// code everywhere.
	alarmState = "longer until"
	hour, day  = time.Hour, 24 * time.Hour
)

// hourly and daily count what unknown devices have spent of all accounts together.
func hourly() store.Counter { return siteGuesses(hour) }
func daily() store.Counter  { return siteGuesses(day) }

func siteGuesses(window time.Duration) store.Counter {
	return store.Counter{Kind: store.SiteGuesses, Window: window.Milliseconds()}
}

// windowEnd is the end of the hour or day in which something was.
func windowEnd(at time.Time, length time.Duration) time.Time {
	return at.Truncate(length).Add(length)
}

// addSite adds an amount to the day and the hour in which an entry was made. The day comes first
// everywhere: transactions that lock the rows the other way round would wait for each other.
func addSite(ctx context.Context, tx *store.DB, at time.Time, amount int64) error {
	return tx.AddToCounters(ctx, []store.CounterKey{
		{Counter: daily(), EndsAt: windowEnd(at, day)}, {Counter: hourly(), EndsAt: windowEnd(at, hour)},
	}, amount)
}

// refundSite gives guesses at one budget back to the site, hour by hour.
func (l *Budgets) refundSite(ctx context.Context, tx *store.DB, guesses []store.BudgetEntry) error {
	if !isAccountBudget(guesses[0].Budget) {
		return nil
	}
	back := map[int64]int64{} // by the hour, in Unix seconds
	for _, d := range guesses {
		back[d.CreatedAt.Truncate(hour).Unix()] -= d.Cost
	}
	for _, at := range slices.Sorted(maps.Keys(back)) {
		if err := addSite(ctx, tx, time.Unix(at, 0), back[at]); err != nil {
			return err
		}
	}
	return nil
}

// chargeSite charges the site for a guess at an account. It returns ErrExhausted while the alarm is
// on: unknown devices have guessed at so many accounts that somebody must have many passwords.
func (l *Budgets) chargeSite(ctx context.Context, tx *store.DB, b Budget, d store.BudgetEntry) error {
	active, err := alarmActive(b.State, b.now)
	if err != nil {
		return err
	}
	if active {
		return ErrExhausted
	}
	if !isAccountBudget(d.Budget) {
		return nil // who proves an address of their own has no password of somebody else's
	}
	if err := addSite(ctx, tx, d.CreatedAt, d.Cost); err != nil {
		return err
	}
	due, err := l.alarmDue(ctx, tx, b, Chance(d.Cost))
	if err != nil || !due {
		return err
	}
	until := b.now.Add(AlarmDuration)
	l.Log.Error("unknown devices guess codes at many accounts: new browsers need a longer code, an hour at a time while it goes on; "+
		"twostep guesses forget ends it", "until", until)
	if err := tx.SetState(ctx, alarmState, strconv.FormatInt(until.UnixMilli(), 10)); err != nil {
		return err
	}
	e := audit.Event{Kind: audit.SiteAlarmRaised, Actor: audit.System()}
	return l.Accounts.Event(ctx, tx, e, origin.Origin{})
}

// ResetSiteAlarm forgets what unknown devices have spent of all accounts together, and ends the
// alarm. What was spent of each account stays, and what is usual in an hour.
func (l *Budgets) ResetSiteAlarm(ctx context.Context) error {
	err := l.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.DeleteCounterWindows(ctx, daily(), time.Time{}); err != nil {
			return err
		}
		if err := tx.DeleteCounterWindows(ctx, hourly(), l.Now().Add(-day)); err != nil {
			return err
		}
		if err := tx.SetState(ctx, alarmState, "0"); err != nil {
			return err
		}
		return l.Accounts.Event(ctx, tx, audit.Event{Kind: audit.SiteAlarmCleared, Actor: l.Accounts.OperatorActor()}, origin.Origin{})
	})
	if err != nil {
		return fmt.Errorf("odds: reset site alarm: %w", err)
	}
	return nil
}

// alarmDue says whether the site-wide alarm is due after a charge. b was read before it: what was
// spent in a day or a year bounds what the hours and the accounts can say, so they are read only
// where it may matter.
func (l *Budgets) alarmDue(ctx context.Context, tx *store.DB, b Budget, cost Chance) (bool, error) {
	if Chance(b.Recent)+cost > SiteBudgetPerDay {
		rows, err := tx.ListCounterWindows(ctx, hourly(), b.now.Add(-(AlarmBaselineDays+1)*day))
		if err != nil {
			return false, err
		}
		var hours []HourSpent
		for _, w := range rows {
			hours = append(hours, HourSpent{Ends: w.EndsAt, Spent: Chance(w.Used)})
		}
		if DayAlarm(hours, b.now) {
			return true, nil
		}
	}
	year := Chance(b.Year) + cost
	if year <= SiteBudgetPerYear {
		return false, nil
	}
	people, err := tx.CountAccounts(ctx)
	return YearAlarm(year, people), err
}

// alarmActive reads the fact alarmState. A clock that was set back must not keep the alarm on for
// years.
func alarmActive(fact string, now time.Time) (bool, error) {
	if fact == "" {
		return false, nil
	}
	millis, err := strconv.ParseInt(fact, 10, 64)
	if err != nil {
		return false, fmt.Errorf("odds: %s: %w", alarmState, err)
	}
	until := time.UnixMilli(millis)
	return now.Before(until) && until.Sub(now) <= AlarmDuration, nil
}
