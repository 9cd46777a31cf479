package odds

import (
	"cmp"
	"context"
	"errors"
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
	// alarmState and a group of accounts are the name of the server state that holds until when the alarm of the group
	// is on, in Unix milliseconds.
	alarmState = "longer until "
	hour, day  = time.Hour, 24 * time.Hour
)

// groups are the groups of accounts that have an alarm each. So somebody who creates accounts and guesses at them raises
// the alarm of new accounts, and not that of people who have used the site for a while.
var groups = [...]string{store.GroupEstablished, store.GroupNew}

// site says what to read about the site with a budget.
func (bs *Budgets) site(now time.Time) store.SiteSums {
	return store.SiteSums{
		State: alarmState, Created: now.Add(-EstablishedAge), Counter: siteGuesses("", day),
		Recent: now.Add(-day), Year: now.Add(-Year),
	}
}

// siteGuesses is the counter of what unknown devices have spent on all accounts of a group together.
func siteGuesses(group string, window time.Duration) store.Counter {
	return store.Counter{Kind: store.SiteGuesses, Subject: group, Window: window.Milliseconds()}
}

// networkGuesses is the counter of what the unknown devices of a large network have spent on all accounts in a day.
func networkGuesses(network string) store.Counter {
	return store.Counter{Kind: "guesses_network", Subject: network, Window: day.Milliseconds()}
}

// siteWindows are the windows of the counters that an entry is added to: of its network, and of its group of accounts
// for the day and for the hour.
func siteWindows(e store.BudgetEntry) []store.CounterKey {
	counters := []store.Counter{siteGuesses(e.SiteGroup, day), siteGuesses(e.SiteGroup, hour)}
	if e.Network != "" {
		counters = append([]store.Counter{networkGuesses(e.LargeNetwork)}, counters...)
	}
	var windows []store.CounterKey
	for _, c := range counters {
		length := time.Duration(c.Window) * time.Millisecond
		windows = append(windows, store.CounterKey{Counter: c, EndsAt: e.CreatedAt.Truncate(length).Add(length)})
	}
	return windows
}

// addSite adds the costs of entries to the counters of the site, times sign, and returns how much of the first window is
// used then. Networks come first, then days, then hours: transactions that lock the rows in different orders would
// deadlock.
func addSite(ctx context.Context, tx *store.DB, sign int64, entries ...store.BudgetEntry) (Chance, error) {
	amounts := map[store.CounterKey]int64{}
	for _, e := range entries {
		if e.SiteGroup == "" {
			continue
		}
		for _, w := range siteWindows(e) {
			w.EndsAt = w.EndsAt.UTC() // one key for one time
			amounts[w] += sign * e.Cost
		}
	}
	if len(amounts) == 0 {
		return 0, nil
	}
	var changes []store.CounterChange
	for _, w := range slices.SortedFunc(maps.Keys(amounts), func(a, b store.CounterKey) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(b.Window, a.Window), cmp.Compare(a.Subject, b.Subject),
			a.EndsAt.Compare(b.EndsAt))
	}) {
		changes = append(changes, store.CounterChange{CounterKey: w, Amount: amounts[w]})
	}
	used, err := tx.AddToCounters(ctx, changes...)
	if err != nil {
		return 0, err
	}
	return Chance(used[0]), nil
}

// chargeSite counts a guess at an account for its network and for the site, and raises the alarm of the account's group
// if that exceeds a limit. It returns ErrExhausted while the alarm is on, because guesses at so many accounts mean that
// somebody has many passwords, and if the network has used up its part.
func (bs *Budgets) chargeSite(ctx context.Context, tx *store.DB, b Budget, e *store.BudgetEntry) error {
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
	if b.siteShare()+Chance(e.Cost) > bs.PerYear {
		return nil // the account has added to the counters what one account may
	}
	e.SiteGroup = b.Group
	used, err := addSite(ctx, tx, 1, *e)
	if err != nil {
		return err
	}
	if e.Network != "" && used > NetworkBudgetPerDay {
		return ErrExhausted // rolls the changes back
	}
	due, err := bs.alarmDue(ctx, tx, b, Chance(e.Cost))
	if err != nil || !due {
		return err
	}
	until := b.now.Add(AlarmDuration)
	bs.Log.Error("site-wide guessing alarm raised: new browsers need a longer code", "event", audit.SiteAlarmRaised,
		"accounts", b.Group, "until", until, "reset", "twostep guesses forget")
	if err := tx.SetState(ctx, alarmState+b.Group, strconv.FormatInt(until.UnixMilli(), 10)); err != nil {
		return err
	}
	raised := audit.Event{Kind: audit.SiteAlarmRaised, Actor: audit.System(), Reason: b.Group + " accounts"}
	return bs.Accounts.Event(ctx, tx, raised, origin.Origin{})
}

// siteShare returns what the guesses at this account have added to the counters of the site in the last year. A renewal
// does not reset it: the owner of an account can renew its budget, and guess at it.
func (b Budget) siteShare() (sum Chance) {
	for _, e := range b.Entries {
		if e.Kind == store.EntryGuess && e.SiteGroup != "" {
			sum += Chance(e.Cost)
		}
	}
	return sum
}

// ResetSiteAlarm ends the alarms of all groups and deletes what was counted for them in the last day and year. It
// keeps what was spent of each account, and the hours before the last day that DayAlarm compares with.
func (bs *Budgets) ResetSiteAlarm(ctx context.Context) error {
	err := bs.Store.Tx(ctx, func(tx *store.DB) error {
		for _, group := range groups {
			if err := tx.DeleteCounterWindows(ctx, siteGuesses(group, day), time.Time{}); err != nil {
				return err
			}
			if err := tx.DeleteCounterWindows(ctx, siteGuesses(group, hour), bs.Now().Add(-day)); err != nil {
				return err
			}
			if err := tx.SetState(ctx, alarmState+group, "0"); err != nil {
				return err
			}
		}
		e := audit.Event{Kind: audit.SiteAlarmCleared, Actor: bs.Accounts.OperatorActor()}
		return bs.Accounts.Event(ctx, tx, e, origin.Origin{})
	})
	if err != nil {
		return fmt.Errorf("odds: reset site alarm: %w", err)
	}
	return nil
}

// SiteAlarm reports whether the site-wide guessing alarm of a group of accounts is on.
func (bs *Budgets) SiteAlarm(ctx context.Context) (on bool, err error) {
	now := bs.Now()
	for _, group := range groups {
		state, err := bs.Store.GetState(ctx, alarmState+group)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("odds: site alarm: %w", err)
		}
		active, err := alarmActive(state, now)
		if active || err != nil {
			return active, err
		}
	}
	return false, nil
}

// alarmDue reports whether a charge raises the alarm of the account's group. b was read before the charge. The hours
// and the number of accounts are read only if the sum of the day or the year exceeds its fixed limit,
// because otherwise they cannot matter.
func (bs *Budgets) alarmDue(ctx context.Context, tx *store.DB, b Budget, cost Chance) (bool, error) {
	if Chance(b.Recent)+cost > SiteBudgetPerDay {
		rows, err := tx.ListCounterWindows(ctx, siteGuesses(b.Group, hour), b.now.Add(-(AlarmBaselineDays+1)*day))
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
