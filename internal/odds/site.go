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
	// alarmState is the name of the server state that holds until when the site-wide alarm is on, in Unix
	// milliseconds.
	alarmState = "longer until"
	hour, day  = time.Hour, 24 * time.Hour
)

// hourly and daily are the counters of what unknown devices have spent on all accounts together.
func hourly() store.Counter { return siteGuesses(hour) }
func daily() store.Counter  { return siteGuesses(day) }

func siteGuesses(window time.Duration) store.Counter {
	return store.Counter{Kind: store.SiteGuesses, Window: window.Milliseconds()}
}

// windowEnd returns the end of the hour or day (UTC) that at is in.
func windowEnd(at time.Time, length time.Duration) time.Time {
	return at.Truncate(length).Add(length)
}

// addSite adds an amount to the counters of the day and the hour in which an entry was made. The day
// always comes first: transactions that lock the two rows in different orders would deadlock.
func addSite(ctx context.Context, tx *store.DB, at time.Time, amount int64) error {
	_, err := tx.AddToCounters(ctx, []store.CounterKey{
		{Counter: daily(), EndsAt: windowEnd(at, day)}, {Counter: hourly(), EndsAt: windowEnd(at, hour)},
	}, amount)
	return err
}

// refundSite subtracts refunded guesses of one budget from the counters of the site.
func (bs *Budgets) refundSite(ctx context.Context, tx *store.DB, guesses []store.BudgetEntry) error {
	if !isAccountBudget(guesses[0].Budget) {
		return nil
	}
	amounts := map[int64]int64{} // by hour, in Unix seconds
	for _, e := range guesses {
		amounts[e.CreatedAt.Truncate(hour).Unix()] -= e.Cost
	}
	for _, at := range slices.Sorted(maps.Keys(amounts)) {
		if err := addSite(ctx, tx, time.Unix(at, 0), amounts[at]); err != nil {
			return err
		}
	}
	return nil
}

// chargeSite counts a guess at an account for the whole site, and raises the site-wide alarm if that
// exceeds a limit. It returns ErrExhausted while the alarm is on: guesses at so many accounts mean that
// somebody has many passwords.
func (bs *Budgets) chargeSite(ctx context.Context, tx *store.DB, b Budget, e store.BudgetEntry) error {
	active, err := alarmActive(b.State, b.now)
	if err != nil {
		return err
	}
	if active {
		return ErrExhausted
	}
	if !isAccountBudget(e.Budget) {
		return nil // guesses at an address that is being confirmed need no leaked password
	}
	if err := addSite(ctx, tx, e.CreatedAt, e.Cost); err != nil {
		return err
	}
	due, err := bs.alarmDue(ctx, tx, b, Chance(e.Cost))
	if err != nil || !due {
		return err
	}
	until := b.now.Add(AlarmDuration)
	bs.Log.Error("site-wide guessing alarm raised: new browsers need a longer code", "event", audit.SiteAlarmRaised,
		"until", until, "reset", "twostep guesses forget")
	if err := tx.SetState(ctx, alarmState, strconv.FormatInt(until.UnixMilli(), 10)); err != nil {
		return err
	}
	raised := audit.Event{Kind: audit.SiteAlarmRaised, Actor: audit.System()}
	return bs.Accounts.Event(ctx, tx, raised, origin.Origin{})
}

// ResetSiteAlarm ends the site-wide alarm and deletes what was counted for it in the last day and year. It
// keeps what was spent of each account, and the hours before the last day that DayAlarm compares with.
func (bs *Budgets) ResetSiteAlarm(ctx context.Context) error {
	err := bs.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.DeleteCounterWindows(ctx, daily(), time.Time{}); err != nil {
			return err
		}
		if err := tx.DeleteCounterWindows(ctx, hourly(), bs.Now().Add(-day)); err != nil {
			return err
		}
		if err := tx.SetState(ctx, alarmState, "0"); err != nil {
			return err
		}
		e := audit.Event{Kind: audit.SiteAlarmCleared, Actor: bs.Accounts.OperatorActor()}
		return bs.Accounts.Event(ctx, tx, e, origin.Origin{})
	})
	if err != nil {
		return fmt.Errorf("odds: reset site alarm: %w", err)
	}
	return nil
}

// alarmDue reports whether a charge raises the site-wide alarm. b was read before the charge. The hours
// and the number of accounts are read only if the sum of the day or the year exceeds its fixed limit,
// because otherwise they cannot matter.
func (bs *Budgets) alarmDue(ctx context.Context, tx *store.DB, b Budget, cost Chance) (bool, error) {
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
	accounts, err := tx.CountAccounts(ctx)
	return YearAlarm(year, accounts), err
}

// alarmActive reports whether the value of alarmState is a time within AlarmDuration from now. A later
// time was set by a clock that was ahead, and would keep the alarm on for as long as that.
func alarmActive(state string, now time.Time) (bool, error) {
	if state == "" {
		return false, nil
	}
	millis, err := strconv.ParseInt(state, 10, 64)
	if err != nil {
		return false, fmt.Errorf("odds: %s: %w", alarmState, err)
	}
	until := time.UnixMilli(millis)
	return now.Before(until) && until.Sub(now) <= AlarmDuration, nil
}
