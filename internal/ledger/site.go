package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/limit"
	"twostep.example/twostep/internal/store"
)

// hourly and daily are the names of what all strangers have spent together.
const (
	hourly = "odds of the hour"
	daily  = "odds of the day"
	// trippedMark says until when strangers need a longer proof everywhere.
	trippedMark = "longer until"
	hour, day   = time.Hour, 24 * time.Hour
)

// windowOf is the end of the hour or day in which something was.
func windowOf(at time.Time, length time.Duration) int64 {
	return store.Millis(at.Truncate(length).Add(length))
}

// addSite counts a guess. The day is held before the hour, as wherever both are: transactions that
// hold them the other way round would wait for each other.
func (l *Ledgers) addSite(ctx context.Context, tx *store.DB, d store.Debit) error {
	at := store.Time(d.At)
	if err := tx.Count(ctx, daily, windowOf(at, day), d.Cost); err != nil {
		return err
	}
	return tx.Count(ctx, hourly, windowOf(at, hour), d.Cost)
}

// refundSite gives guesses of one ledger back to the site: to all days, the first one first, and
// then to the hours.
func (l *Ledgers) refundSite(ctx context.Context, tx *store.DB, guesses []store.Debit) error {
	if !ofAccount(guesses[0].Ledger) {
		return nil
	}
	for _, of := range []struct {
		name   string
		length time.Duration
	}{{daily, day}, {hourly, hour}} {
		back := map[int64]int64{}
		for _, d := range guesses {
			back[windowOf(store.Time(d.At), of.length)] -= d.Cost
		}
		for _, ends := range slices.Sorted(maps.Keys(back)) {
			if err := tx.Count(ctx, of.name, ends, back[ends]); err != nil {
				return err
			}
		}
	}
	return nil
}

// countSite counts a guess at an account for the site. ErrUsedUp if strangers have guessed at so
// many that somebody must have found many passwords.
func (l *Ledgers) countSite(ctx context.Context, tx *store.DB, d store.Debit) error {
	over, err := l.tripped(ctx, tx)
	if err != nil {
		return err
	}
	if over {
		return ErrUsedUp
	}
	if !ofAccount(d.Ledger) {
		return nil // who proves an address of their own has no password of somebody else's
	}
	if err := l.addSite(ctx, tx, d); err != nil {
		return err
	}
	now := l.Now()
	trips, err := l.trips(ctx, tx, now)
	if err != nil || !trips {
		return err
	}
	until := now.Add(limit.Tripped)
	l.Log.Error("strangers guess codes at many accounts: new browsers need a longer code, an hour after the other while it is so; twostep guesses forget ends it", "until", until)
	if err := l.Event(ctx, tx, audit.Event{Kind: audit.SiteAlarmRaised, Actor: audit.System()}, account.From{}); err != nil {
		return err
	}
	return tx.SetMark(ctx, trippedMark, strconv.FormatInt(store.Millis(until), 10))
}

// ForgetSite lets what strangers have spent of all accounts together count no more, and ends the
// longer proof that came of it. What each account has spent stays, and what is usual in an hour.
func (l *Ledgers) ForgetSite(ctx context.Context) error {
	err := l.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.RemoveWindows(ctx, daily, 0); err != nil {
			return err
		}
		if err := tx.RemoveWindows(ctx, hourly, store.Millis(l.Now().Add(-day))); err != nil {
			return err
		}
		if err := tx.SetMark(ctx, trippedMark, "0"); err != nil {
			return err
		}
		return l.Event(ctx, tx, audit.Event{Kind: audit.SiteAlarmCleared, Actor: l.OperatorActor()}, account.From{})
	})
	if err != nil {
		return fmt.Errorf("ledger: forget site: %w", err)
	}
	return nil
}

func (l *Ledgers) trips(ctx context.Context, tx *store.DB, now time.Time) (bool, error) {
	rows, err := tx.Windows(ctx, hourly, store.Millis(now.Add(-(limit.SitePast+1)*day)))
	if err != nil {
		return false, err
	}
	var hours []limit.Hour
	for _, w := range rows {
		hours = append(hours, limit.Hour{Ends: store.Time(w.EndsAt), Odds: limit.Odds(w.Used)})
	}
	if limit.DayTrips(hours, now) {
		return true, nil
	}
	var year limit.Odds
	if rows, err = tx.Windows(ctx, daily, store.Millis(now.Add(-limit.Year))); err != nil {
		return false, err
	}
	for _, w := range rows {
		year += limit.Odds(w.Used)
	}
	if year <= limit.SiteYear {
		return false, nil
	}
	people, err := tx.CountAccounts(ctx)
	return limit.YearTrips(year, people), err
}

func (l *Ledgers) tripped(ctx context.Context, db *store.DB) (bool, error) {
	text, err := db.Mark(ctx, trippedMark)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	until, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return false, fmt.Errorf("ledger: %s: %w", trippedMark, err)
	}
	now := l.Now()
	// A clock that was set back must not keep it up for years.
	return now.Before(store.Time(until)) && store.Time(until).Sub(now) <= limit.Tripped, nil
}
