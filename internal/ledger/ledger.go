// Package ledger counts what is guessed at and sent, and says when a proof must be longer.
//
//	Longer ─▶ the challenge is asked ─▶ Send ─▶ Debit ─▶ (compare) ─▶ Succeed gives back
//	                                                              └▶ Guessed tells the owner
//
// A ledger is of an account, or of an address or number that is to be proven. It counts
// in odds (limit.Odds) what strangers have had compared, in a rolling year; what a challenge
// cost is given back when that very challenge is passed, and never otherwise. A browser in
// which the account has taken both steps has tries of its own, which nobody else can spend.
package ledger

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"time"

	"twostep/internal/account"
	"twostep/internal/limit"
	"twostep/internal/store"
)

// The kinds of event.
const (
	guessed = "codes guessed"
	usedUp  = "guesses used up"
)

// ErrUsedUp says that nothing was compared: so much was guessed that only an answer will do
// that nobody can guess.
var ErrUsedUp = errors.New("ledger: used up")

// Ledgers are all of them.
type Ledgers struct {
	*account.Registry
	PerYear limit.Odds // what strangers may spend of each in a rolling year
}

// Guess is an answer that is about to be compared.
type Guess struct {
	Ledger    string // whose; "" if there is nothing to guess at
	Challenge string
	Device    string // the known browser it comes from; "" from a stranger
	Cost      limit.Odds
	Next      limit.Odds // what one will cost when it is asked for anew, with one code that is good
	Pair      bool       // of two app codes in a row, which cost nothing and are counted
}

// Free reports whether there is nothing to count: what is answered cannot be guessed at.
func (g Guess) Free() bool { return g.Ledger == "" || g.Cost == 0 && !g.Pair }

// Of is the name of the ledger of an account.
func Of(a store.Account) string { return a.ID }

// To is the name of the ledger of an address or number that is to be proven; "" of nothing
// that a message goes to: who enrolls an app is shown its key.
func (l *Ledgers) To(destination string) string {
	if destination == "" {
		return ""
	}
	return "to " + l.Keyed(destination)
}

// book is a ledger with what was debited, at one time.
type book struct {
	store.Ledger
	debits []store.Debit
	now    time.Time
}

func (l *Ledgers) open(ctx context.Context, db *store.DB, row store.Ledger) (book, error) {
	now := l.Now()
	debits, err := db.Debits(ctx, row.Name, store.Millis(now.Add(-limit.Year)))
	return book{row, debits, now}, err
}

// hold is open for whoever changes the ledger: nobody else does until the transaction ends.
func (l *Ledgers) hold(ctx context.Context, tx *store.DB, name string) (book, error) {
	row, err := tx.HoldLedger(ctx, name)
	if err != nil {
		return book{}, err
	}
	return l.open(ctx, tx, row)
}

// count is how many debits of the last d are such.
func (b book) count(d time.Duration, such func(store.Debit) bool) (n int64, oldest time.Time) {
	for _, one := range b.debits {
		if at := store.Time(one.At); at.After(b.now.Add(-d)) && such(one) {
			if n++; n == 1 {
				oldest = at
			}
		}
	}
	return n, oldest
}

// spent is what strangers have spent since the ledger was renewed, in a year at most. Behind
// a clock that was set back the renewal is still to come: until then it counts for nothing,
// or all that is spent before it would be free.
func (b book) spent() limit.Odds {
	renewed := store.Time(b.RenewedAt)
	if renewed.After(b.now) {
		renewed = time.Time{}
	}
	return b.spentAfter(renewed)
}

func (b book) spentAfter(t time.Time) (sum limit.Odds) {
	for _, one := range b.debits {
		if one.Kind == store.Guess && one.Device == "" && one.At > store.Millis(t) {
			sum += limit.Odds(one.Cost)
		}
	}
	return sum
}

// known reports whether a known browser has tries left of its own.
func (b book) known(device string) bool {
	its := func(d store.Debit) bool {
		return d.Device == device && (d.Kind == store.Guess || d.Kind == store.Pair)
	}
	hour, _ := b.count(time.Hour, its)
	month, _ := b.count(limit.Month, its)
	return device != "" && hour < limit.KnownPerHour && month < limit.KnownPerMonth
}

// visits are the other challenges that were given up with wrong codes, by strangers in this
// network ("": in all) within a day, and when the last code came.
func (b book) visits(challenge, network string) (n int64, last time.Time) {
	seen := map[string]bool{challenge: true}
	for _, d := range b.debits {
		at := store.Time(d.At)
		if d.Kind != store.Guess || d.Device != "" || network != "" && d.Network != network || d.Challenge == challenge || !at.After(b.now.Add(-24*time.Hour)) {
			continue
		}
		if last = at; !seen[d.Challenge] {
			seen[d.Challenge] = true
			n++
		}
	}
	return n, last
}

// Debit spends a guess, in the transaction of the try that it is and before anything is
// compared. ErrUsedUp, *account.WaitError.
func (l *Ledgers) Debit(ctx context.Context, tx *store.DB, g Guess, from account.From) error {
	if g.Free() {
		return nil
	}
	b, err := l.hold(ctx, tx, g.Ledger)
	if err != nil {
		return err
	}
	d := l.debit(g.Ledger, store.Guess, g.Challenge, from)
	d.Cost = int64(g.Cost)
	if g.Pair {
		d.Kind = store.Pair
	}
	if b.known(g.Device) {
		d.Device = g.Device
		return tx.AddDebit(ctx, d)
	}
	if g.Pair {
		return b.add(ctx, tx, d, b.mayPair)
	}
	if err := l.stranger(ctx, tx, b, d); err != nil {
		return err
	}
	return tx.AddDebit(ctx, d)
}

// stranger says whether somebody in a browser that is not known may guess now, and counts
// it for the site.
func (l *Ledgers) stranger(ctx context.Context, tx *store.DB, b book, d store.Debit) error {
	n, last := b.visits(d.Challenge, d.Network)
	if again := last.Add(limit.VisitWait(n)); b.now.Before(again) && !last.After(b.now) {
		return &account.WaitError{Until: again}
	}
	if !limit.Allows(b.spent(), limit.Odds(d.Cost), l.PerYear) {
		return ErrUsedUp
	}
	return l.countSite(ctx, tx, limit.Odds(d.Cost))
}

func (l *Ledgers) debit(ledger, kind, challenge string, from account.From) store.Debit {
	return store.Debit{
		ID: rand.Text(), Ledger: ledger, Kind: kind, Challenge: challenge,
		Network: l.Keyed("network " + from.Network()), At: store.Millis(l.Now()),
	}
}

// Longer reports whether a question must be asked so that nobody can guess the answer:
// because there is nothing left to guess with.
func (l *Ledgers) Longer(ctx context.Context, g Guess) (bool, error) {
	if g.Free() {
		return false, nil
	}
	row, err := l.Store.Ledger(ctx, g.Ledger)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return false, fmt.Errorf("ledger: longer: %w", err)
	}
	row.Name = g.Ledger
	b, err := l.open(ctx, l.Store, row)
	if err != nil {
		return false, fmt.Errorf("ledger: longer: %w", err)
	}
	if b.known(g.Device) {
		return false, nil
	}
	if !limit.Allows(b.spent(), g.Cost, l.PerYear) {
		return true, nil
	}
	return l.tripped(ctx, l.Store)
}

// Succeed gives back what a challenge cost, in the transaction that passes it, and notes
// that both steps were taken from this network if that is what was proven.
func (l *Ledgers) Succeed(ctx context.Context, tx *store.DB, g Guess, both bool, from account.From) error {
	if g.Challenge != "" {
		if err := l.refund(ctx, tx, g.Challenge); err != nil {
			return err
		}
	}
	if !both || from.Network() == "" || from.Unclear {
		return nil // nobody knows where it was done
	}
	return tx.KeepProof(ctx, l.debit(g.Ledger, store.Proof, "", from))
}

func (l *Ledgers) refund(ctx context.Context, tx *store.DB, challenge string) error {
	debits, err := tx.DebitsOf(ctx, challenge)
	if err != nil || len(debits) == 0 {
		return err
	}
	for _, d := range debits {
		if d.Kind != store.Guess || d.Device != "" {
			continue
		}
		if err := l.addSite(ctx, tx, store.Time(d.At), -limit.Odds(d.Cost)); err != nil {
			return err
		}
	}
	return tx.Refund(ctx, challenge)
}

// Renew lets what strangers had spent of an account when its password was changed count no
// more, in the transaction in which a person proves both steps after that, or has proven
// them: limit.Renewals times in a year. Where nothing was spent it does nothing.
func (l *Ledgers) Renew(ctx context.Context, tx *store.DB, a store.Account, changed time.Time) error {
	b, err := l.hold(ctx, tx, Of(a))
	if err != nil {
		return err
	}
	used, _ := b.count(limit.Year, func(d store.Debit) bool { return d.Kind == store.Renewal })
	if used >= limit.Renewals || b.spent() == b.spentAfter(changed) {
		return nil
	}
	if err := tx.AddDebit(ctx, store.Debit{ID: rand.Text(), Ledger: b.Name, Kind: store.Renewal, At: store.Millis(b.now)}); err != nil {
		return err
	}
	return tx.RenewLedger(ctx, b.Name, store.Millis(changed))
}

// hourly and daily are the names of what all strangers have spent together.
const (
	hourly = "odds of the hour"
	daily  = "odds of the day"
	// trippedMark says until when strangers need a longer proof everywhere.
	trippedMark = "longer until"
)

func (l *Ledgers) addSite(ctx context.Context, tx *store.DB, at time.Time, odds limit.Odds) error {
	const hour, day = time.Hour, 24 * time.Hour
	if err := tx.Count(ctx, hourly, store.Millis(at.Truncate(hour).Add(hour)), int64(odds)); err != nil {
		return err
	}
	return tx.Count(ctx, daily, store.Millis(at.Truncate(day).Add(day)), int64(odds))
}

// countSite counts a guess for the site. ErrUsedUp if strangers have guessed at so many
// accounts that somebody must have found many passwords.
func (l *Ledgers) countSite(ctx context.Context, tx *store.DB, cost limit.Odds) error {
	over, err := l.tripped(ctx, tx)
	if err != nil {
		return err
	}
	if over {
		return ErrUsedUp
	}
	now := l.Now()
	if err := l.addSite(ctx, tx, now, cost); err != nil {
		return err
	}
	trips, err := l.trips(ctx, tx, now)
	if err != nil || !trips {
		return err
	}
	until := now.Add(limit.Tripped)
	l.Log.Error("strangers guess codes at many accounts: new browsers need a longer code for a while", "until", until)
	return tx.SetMark(ctx, trippedMark, strconv.FormatInt(store.Millis(until), 10))
}

func (l *Ledgers) trips(ctx context.Context, tx *store.DB, now time.Time) (bool, error) {
	rows, err := tx.Windows(ctx, hourly, store.Millis(now.Add(-(limit.SitePast+1)*24*time.Hour)))
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
