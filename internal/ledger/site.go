package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"twostep.example/twostep/internal/limit"
	"twostep.example/twostep/internal/store"
)

// hourly and daily are the names of what all strangers have spent together.
const (
	hourly = "odds of the hour"
	daily  = "odds of the day"
	// alarmState says until when strangers need a longer proof everywhere.
	alarmState = "longer until"
	hour, day  = time.Hour, 24 * time.Hour
)

// windowEnd is the end of the hour or day in which something was.
func windowEnd(at time.Time, length time.Duration) int64 {
	return store.Millis(at.Truncate(length).Add(length))
}

// addSiteCharge counts a guess. The day is held before the hour, as wherever both are: transactions that
// hold them the other way round would wait for each other.
func (l *Budgets) addSiteCharge(ctx context.Context, tx *store.DB, d store.Debit) error {
	at := store.Time(d.At)
	if err := tx.Count(ctx, daily, windowEnd(at, day), d.Cost); err != nil {
		return err
	}
	return tx.Count(ctx, hourly, windowEnd(at, hour), d.Cost)
}

// refundSite gives guesses of one ledger back to the site: to all days, the first one first, and
// then to the hours.
func (l *Budgets) refundSite(ctx context.Context, tx *store.DB, guesses []store.Debit) error {
	if !isAccountBudget(guesses[0].Ledger) {
		return nil
	}
	for _, of := range []struct {
		name   string
		length time.Duration
	}{{daily, day}, {hourly, hour}} {
		back := map[int64]int64{}
		for _, d := range guesses {
			back[windowEnd(store.Time(d.At), of.length)] -= d.Cost
		}
		for _, ends := range slices.Sorted(maps.Keys(back)) {
			if err := tx.Count(ctx, of.name, ends, back[ends]); err != nil {
				return err
			}
		}
	}
	return nil
}

// chargeSite counts a guess at an account for the site. ErrUsedUp if strangers have guessed at so
// many that somebody must have found many passwords.
func (l *Budgets) chargeSite(ctx context.Context, tx *store.DB, d store.Debit) error {
	over, err := l.alarmActive(ctx, tx)
	if err != nil {
		return err
	}
	if over {
		return ErrExhausted
	}
	if !isAccountBudget(d.Ledger) {
		return nil // who proves an address of their own has no password of somebody else's
	}
	if err := l.addSiteCharge(ctx, tx, d); err != nil {
		return err
	}
	now := l.Now()
	trips, err := l.alarmDue(ctx, tx, now)
	if err != nil || !trips {
		return err
	}
	until := now.Add(limit.AlarmDuration)
	l.Log.Error("strangers guess codes at many accounts: new browsers need a longer code, an hour after the other while it is so; twostep guesses forget ends it", "until", until)
	return tx.SetMark(ctx, alarmState, strconv.FormatInt(store.Millis(until), 10))
}

// ResetSiteAlarm lets what strangers have spent of all accounts together count no more, and ends the
// longer proof that came of it. What each account has spent stays, and what is usual in an hour.
func (l *Budgets) ResetSiteAlarm(ctx context.Context) error {
	err := l.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.RemoveWindows(ctx, daily, 0); err != nil {
			return err
		}
		if err := tx.RemoveWindows(ctx, hourly, store.Millis(l.Now().Add(-day))); err != nil {
			return err
		}
		return tx.SetMark(ctx, alarmState, "0")
	})
	if err != nil {
		return fmt.Errorf("ledger: forget site: %w", err)
	}
	return nil
}

func (l *Budgets) alarmDue(ctx context.Context, tx *store.DB, now time.Time) (bool, error) {
	rows, err := tx.Windows(ctx, hourly, store.Millis(now.Add(-(limit.AlarmBaselineDays+1)*day)))
	if err != nil {
		return false, err
	}
	var hours []limit.HourSpent
	for _, w := range rows {
		hours = append(hours, limit.HourSpent{Ends: store.Time(w.EndsAt), Spent: limit.Odds(w.Used)})
	}
	if limit.DayAlarm(hours, now) {
		return true, nil
	}
	var year limit.Odds
	if rows, err = tx.Windows(ctx, daily, store.Millis(now.Add(-limit.Year))); err != nil {
		return false, err
	}
	for _, w := range rows {
		year += limit.Odds(w.Used)
	}
	if year <= limit.SiteBudgetPerYear {
		return false, nil
	}
	people, err := tx.CountAccounts(ctx)
	return limit.YearAlarm(year, people), err
}

func (l *Budgets) alarmActive(ctx context.Context, db *store.DB) (bool, error) {
	text, err := db.Mark(ctx, alarmState)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	until, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return false, fmt.Errorf("ledger: %s: %w", alarmState, err)
	}
	now := l.Now()
	// A clock that was set back must not keep it up for years.
	return now.Before(store.Time(until)) && store.Time(until).Sub(now) <= limit.AlarmDuration, nil
}
