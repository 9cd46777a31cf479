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
	"slices"
	"strings"
	"time"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/limit"
	"twostep.example/twostep/internal/store"
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
	Pair      int64      // with how many apps two codes in a row are compared; 0: it is no pair
}

// Free reports whether there is nothing to count: what is answered cannot be guessed at.
func (g Guess) Free() bool { return g.Ledger == "" || g.Cost == 0 && g.Pair == 0 }

// Of is the name of the ledger of an account.
func Of(a store.Account) string { return a.ID }

// toPrefix begins the name of a ledger that is of no account.
const toPrefix = "to "

// To is the name of the ledger of an address or number that is to be proven; "" of nothing
// that a message goes to: who enrolls an app is shown its key.
func (l *Ledgers) To(destination string) string {
	if destination == "" {
		return ""
	}
	return toPrefix + l.Keyed(destination)
}

func ofAccount(ledger string) bool { return !strings.HasPrefix(ledger, toPrefix) }

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

// skew is by how much the clocks of two servers may differ.
const skew = time.Minute

// toCome reports whether a debit is of a clock that was ahead and was set back.
func (b book) toCome(d store.Debit) bool { return store.Time(d.At).After(b.now.Add(skew)) }

// count is how many debits of the last d are such. Those that are to come would count for as long
// as the clock was ahead. Only renewals do, which are so many in a year.
func (b book) count(d time.Duration, such func(store.Debit) bool) (n int64, oldest time.Time) {
	for _, one := range b.debits {
		if b.toCome(one) && one.Kind != store.Renewal {
			continue
		}
		if at := store.Time(one.At); at.After(b.now.Add(-d)) && such(one) {
			if n++; n == 1 {
				oldest = at
			}
		}
	}
	return n, oldest
}

// spent is what strangers have spent since the ledger was renewed, in a year at most, and also
// what a clock that was ahead has put into a time to come: it was compared.
func (b book) spent() limit.Odds { return b.spentAfter(b.renewed()) }

// renewed is when the ledger was renewed. Behind a clock that was set back that is still to come:
// until then it counts for nothing, or all that is spent before it would be free.
func (b book) renewed() time.Time {
	if at := store.Time(b.RenewedAt); !at.After(b.now) {
		return at
	}
	return time.Time{}
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

// visits are the other challenges that were given up with wrong codes, by such strangers within
// the last d, and when the last code came.
func (b book) visits(d time.Duration, challenge string, such func(store.Debit) bool) (n int64, last time.Time) {
	seen := map[string]bool{challenge: true}
	for _, one := range b.debits {
		at := store.Time(one.At)
		if one.Kind != store.Guess || one.Device != "" || one.Challenge == challenge || !at.After(b.now.Add(-d)) || b.toCome(one) || !such(one) {
			continue
		}
		if last = at; !seen[one.Challenge] {
			seen[one.Challenge] = true
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
	if g.Pair > 0 {
		d.Kind, d.Cost = store.Pair, g.Pair
	}
	if b.known(g.Device) {
		d.Device = g.Device
		return tx.AddDebit(ctx, d)
	}
	if g.Pair > 0 {
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
	n, last := b.visits(day, d.Challenge, func(one store.Debit) bool { return one.Network == d.Network })
	if again := last.Add(limit.VisitWait(n)); d.Network != "" && b.now.Before(again) {
		return &account.WaitError{Until: again}
	}
	if !limit.Allows(b.spent(), limit.Odds(d.Cost), l.PerYear) {
		return ErrUsedUp
	}
	return l.countSite(ctx, tx, d)
}

// debit draws a debit up. The network is "" if nobody knows it: behind a proxy that is not named
// all are in one, and no wait and no share may be of that one alone.
func (l *Ledgers) debit(ledger, kind, challenge string, from account.From) store.Debit {
	d := store.Debit{ID: rand.Text(), Ledger: ledger, Kind: kind, Challenge: challenge, At: store.Millis(l.Now())}
	if from.Network() != "" {
		d.Network = l.Keyed("network " + from.Network())
	}
	return d
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

// refund removes what a challenge has cost. Where that lets strangers guess again, the owner was
// told for nothing that they cannot, and is to be told when it comes true.
func (l *Ledgers) refund(ctx context.Context, tx *store.DB, challenge string) error {
	debits, err := tx.DebitsOf(ctx, challenge)
	if err != nil || len(debits) == 0 {
		return err
	}
	wrong := slices.DeleteFunc(debits, func(d store.Debit) bool { return d.Kind != store.Guess || d.Device != "" })
	if len(wrong) == 0 {
		return tx.Refund(ctx, challenge)
	}
	b, err := l.hold(ctx, tx, wrong[0].Ledger)
	if err != nil {
		return err
	}
	if err := l.refundSite(ctx, tx, wrong); err != nil {
		return err
	}
	b.debits = slices.DeleteFunc(b.debits, func(d store.Debit) bool { return d.Challenge == challenge })
	if b.LongerAt != 0 && b.spent() < l.PerYear {
		if err := tx.TakeLongerBack(ctx, b.Name); err != nil {
			return err
		}
	}
	return tx.Refund(ctx, challenge)
}

// Renew lets what strangers had spent of an account when its password was changed count no
// more, in the transaction in which a person proves both steps after that, or has proven
// them: limit.Renewals times in a year. Where nothing was spent it does nothing, nor while the
// clock is behind the change: it would take a renewal each time and renew nothing.
func (l *Ledgers) Renew(ctx context.Context, tx *store.DB, a store.Account, changed time.Time) error {
	b, err := l.hold(ctx, tx, Of(a))
	if err != nil || changed.After(b.now) {
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
