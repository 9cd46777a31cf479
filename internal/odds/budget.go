// Package odds counts what is guessed at, and says when a verification code must be longer.
//
//	NeedsLongCode ─▶ the challenge is asked ─▶ SpendMail ─▶ Charge ─▶ (compare) ─▶ Refund
//	                                                                           └▶ NotifyGuessed
//
// A budget belongs to an account, or to an address or number that is to be proven. It adds up the
// chances that unknown devices have had of guessing a code, in a rolling year. What a challenge
// cost is refunded when that very challenge is passed, and never otherwise. A device in which the
// account has taken both steps has guesses of its own, which nobody else can spend.
package odds

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store"
)

// ErrExhausted says that nothing was compared: so much was guessed that only an answer will do
// that nobody can guess.
var ErrExhausted = errors.New("odds: budget exhausted")

// Budgets are the guess budgets of all accounts.
type Budgets struct {
	Store    *store.DB
	Keys     *seal.KeyRing
	Now      func() time.Time
	Log      *slog.Logger
	Accounts *account.Accounts // whose owners are notified
	PerYear  Chance            // what unknown devices may spend of each budget in a rolling year
}

// Guess is an answer that is about to be compared.
type Guess struct {
	Budget         string // the name of the budget it is charged to; "" if there is nothing to guess at
	Challenge      string
	Device         string // the known device it comes from; "" from an unknown one
	Cost           Chance
	CostIfReissued Chance // what one guess costs once the challenge is asked again, with one live code
	AppsPaired     int64  // with how many apps two codes in a row are compared; 0: it is no pair
}

// Free reports whether there is nothing to count: what is answered cannot be guessed at.
func (g Guess) Free() bool { return g.Budget == "" || g.Cost == 0 && g.AppsPaired == 0 }

// AccountBudget is the name of the budget of an account.
func AccountBudget(a store.Account) string { return a.ID }

// destinationPrefix begins the name of a budget that belongs to no account.
const destinationPrefix = "to "

// DestinationBudget is the name of the budget of an address or number that is to be proven; "" of
// nothing that a message goes to: who enrolls an authenticator app is shown its key.
func (l *Budgets) DestinationBudget(destination string) string {
	if destination == "" {
		return ""
	}
	return destinationPrefix + l.Keys.Pseudonym(destination)
}

func isAccountBudget(name string) bool { return !strings.HasPrefix(name, destinationPrefix) }

// Budget is a budget with its entries, as they were at one time.
type Budget struct {
	store.GuessBudgetView
	now  time.Time
	year Chance // Budgets.PerYear
}

// Load reads a budget. One that was never charged is empty.
func (l *Budgets) Load(ctx context.Context, db *store.DB, name string) (Budget, error) {
	now := l.Now()
	v, err := db.LoadGuessBudget(ctx, name, now.Add(-Year), alarmState)
	if err != nil {
		return Budget{}, fmt.Errorf("odds: load: %w", err)
	}
	return Budget{v, now, l.PerYear}, nil
}

// Lock is Load for who changes the budget: nobody else does until the transaction ends.
func (l *Budgets) Lock(ctx context.Context, tx *store.DB, name string) (Budget, error) {
	if _, err := tx.LockGuessBudget(ctx, name); err != nil {
		return Budget{}, fmt.Errorf("odds: lock: %w", err)
	}
	return l.Load(ctx, tx, name)
}

// skew is by how much the clocks of two servers may differ.
const skew = time.Minute

// inFuture reports whether an entry was made by a clock that was ahead and has been set back.
func (b Budget) inFuture(d store.BudgetEntry) bool {
	return d.CreatedAt.After(b.now.Add(skew))
}

// count is how many entries of the last d satisfy such, and when the oldest of them was made.
// Entries in the future do not count, or they would for as long as the clock was ahead. Renewals
// do, which are few in a year.
func (b Budget) count(d time.Duration, such func(store.BudgetEntry) bool) (n int64, oldest time.Time) {
	for _, one := range b.Entries {
		if b.inFuture(one) && one.Kind != store.EntryRenewal {
			continue
		}
		if at := one.CreatedAt; at.After(b.now.Add(-d)) && such(one) {
			if n++; n == 1 {
				oldest = at
			}
		}
	}
	return n, oldest
}

// spent is what unknown devices have spent since the budget was renewed, in a year at most.
// Entries in the future count too: they were compared.
func (b Budget) spent() Chance { return b.spentAfter(b.renewed()) }

// renewed is when the budget was renewed. A renewal in the future counts for nothing, or all that
// is spent before it would be free.
func (b Budget) renewed() time.Time {
	if at := b.RenewedAt; !at.After(b.now) {
		return at
	}
	return time.Time{}
}

func (b Budget) spentAfter(t time.Time) (sum Chance) {
	for _, one := range b.Entries {
		if one.Kind == store.EntryGuess && one.DeviceID == "" && one.CreatedAt.After(t) {
			sum += Chance(one.Cost)
		}
	}
	return sum
}

// allows reports whether unknown devices may still spend a cost.
func (b Budget) allows(cost Chance) bool { return Allows(b.spent(), cost, b.year) }

// knownDeviceHasGuesses reports whether a known device has guesses left of its own.
func (b Budget) knownDeviceHasGuesses(device string) bool {
	its := func(d store.BudgetEntry) bool {
		return d.DeviceID == device && (d.Kind == store.EntryGuess || d.Kind == store.EntryPair)
	}
	lastHour, _ := b.count(time.Hour, its)
	lastMonth, _ := b.count(Month, its)
	return device != "" && lastHour < KnownDeviceGuessesPerHour && lastMonth < KnownDeviceGuessesPerMonth
}

// failedAttempts are the other challenges that unknown devices which satisfy such have given up
// with wrong codes within the last d, and when the last wrong code came.
func (b Budget) failedAttempts(d time.Duration, challenge string, such func(store.BudgetEntry) bool) (n int64, last time.Time) {
	seen := map[string]bool{challenge: true}
	for _, one := range b.Entries {
		at := one.CreatedAt
		if one.Kind != store.EntryGuess || one.DeviceID != "" || one.ChallengeID == challenge || !at.After(b.now.Add(-d)) || b.inFuture(one) || !such(one) {
			continue
		}
		if last = at; !seen[one.ChallengeID] {
			seen[one.ChallengeID] = true
			n++
		}
	}
	return n, last
}

// NeedsLongCode reports whether a challenge must be answered by a code that nobody can guess:
// because the budget, or that of the whole site, is spent.
func (b Budget) NeedsLongCode(g Guess) (bool, error) {
	if g.Free() || b.knownDeviceHasGuesses(g.Device) {
		return false, nil
	}
	if !b.allows(g.Cost) {
		return true, nil
	}
	return alarmActive(b.State, b.now)
}

// Charge spends a guess, in the transaction of the try that it is and before anything is
// compared. It returns ErrExhausted, or a *ratelimit.LimitedError.
func (l *Budgets) Charge(ctx context.Context, tx *store.DB, g Guess, from origin.Origin) error {
	if g.Free() {
		return nil
	}
	b, err := l.lockForGuess(ctx, tx, g.Budget)
	if err != nil {
		return err
	}
	d := l.newEntry(g.Budget, store.EntryGuess, g.Challenge, from)
	d.Cost = int64(g.Cost)
	if g.AppsPaired > 0 {
		d.Kind, d.Cost = store.EntryPair, g.AppsPaired
	}
	if b.knownDeviceHasGuesses(g.Device) {
		d.DeviceID = g.Device
		return tx.CreateBudgetEntry(ctx, d)
	}
	if g.AppsPaired > 0 {
		return b.add(ctx, tx, d, b.pairAvailableAt)
	}
	if err := l.chargeUnknownDevice(ctx, tx, b, d); err != nil {
		return err
	}
	return tx.CreateBudgetEntry(ctx, d)
}

// lockForGuess is Lock, with what was spent of the budget of the site.
func (l *Budgets) lockForGuess(ctx context.Context, tx *store.DB, name string) (Budget, error) {
	if _, err := tx.LockGuessBudget(ctx, name); err != nil {
		return Budget{}, fmt.Errorf("odds: lock: %w", err)
	}
	now := l.Now()
	year := now.Add(-Year)
	v, err := tx.LoadGuessBudgetForCharge(ctx, name, year, store.SiteSums{
		State: alarmState, Counter: daily(), Recent: now.Add(-day), Year: year,
	})
	if err != nil {
		return Budget{}, fmt.Errorf("odds: lock: %w", err)
	}
	return Budget{v, now, l.PerYear}, nil
}

// chargeUnknownDevice says whether an unknown device may guess now, and charges the site for it.
func (l *Budgets) chargeUnknownDevice(ctx context.Context, tx *store.DB, b Budget, d store.BudgetEntry) error {
	n, last := b.failedAttempts(day, d.ChallengeID, func(one store.BudgetEntry) bool { return one.Network == d.Network })
	if again := last.Add(AttemptDelay(n)); d.Network != "" && b.now.Before(again) {
		return &ratelimit.LimitedError{RetryAt: again}
	}
	if !b.allows(Chance(d.Cost)) {
		return ErrExhausted
	}
	return l.chargeSite(ctx, tx, b, d)
}

// newEntry draws up an entry. The network is "" if it is unknown: behind a proxy that is not
// configured all share one, and no delay and no share may belong to that one alone.
func (l *Budgets) newEntry(name, kind, challenge string, from origin.Origin) store.BudgetEntry {
	d := store.BudgetEntry{ID: rand.Text(), Budget: name, Kind: kind, ChallengeID: challenge, CreatedAt: l.Now()}
	if from.Network() != "" {
		d.Network = l.Keys.Pseudonym("network " + from.Network())
	}
	return d
}

// Refund gives back what the challenge of g cost, in the transaction that passes it, and notes
// that both steps were taken from this network if that is what was proven.
func (l *Budgets) Refund(ctx context.Context, tx *store.DB, g Guess, both bool, from origin.Origin) error {
	if g.Challenge != "" && g.Budget != "" {
		if err := l.refundChallenge(ctx, tx, g); err != nil {
			return err
		}
	}
	if !both || from.Network() == "" || from.Unclear {
		return nil // it is unknown where it was done
	}
	return tx.SaveProofEntry(ctx, l.newEntry(g.Budget, store.EntryProof, "", from))
}

// refundChallenge removes what a challenge has cost. Where that lets unknown devices guess again,
// the owner was told for nothing that they cannot, and is to be told when it comes true.
func (l *Budgets) refundChallenge(ctx context.Context, tx *store.DB, g Guess) error {
	row, err := tx.LockGuessBudget(ctx, g.Budget)
	if err != nil {
		return err
	}
	entries, err := tx.RefundChallenge(ctx, g.Challenge)
	if err != nil {
		return err
	}
	guesses := slices.DeleteFunc(entries, func(d store.BudgetEntry) bool { return d.Kind != store.EntryGuess || d.DeviceID != "" })
	if len(guesses) == 0 {
		return nil
	}
	if err := l.refundSite(ctx, tx, guesses); err != nil {
		return err
	}
	if row.SpentNotifiedAt.IsZero() {
		return nil
	}
	b, err := l.Load(ctx, tx, g.Budget)
	if err != nil || b.spent() >= l.PerYear {
		return err
	}
	return tx.ResetSpentNotice(ctx, b.Name)
}

// Renew starts the budget of an account again after its password was changed, in the transaction
// in which the person takes both steps after that, or has taken them: MaxRenewalsPerYear times in
// a year. Where nothing was spent it does nothing, nor while the clock is behind the change: it
// would use up a renewal each time and renew nothing.
func (l *Budgets) Renew(ctx context.Context, tx *store.DB, a store.Account, changed time.Time) error {
	b, err := l.Lock(ctx, tx, AccountBudget(a))
	if err != nil || changed.After(b.now) {
		return err
	}
	used, _ := b.count(Year, func(d store.BudgetEntry) bool { return d.Kind == store.EntryRenewal })
	if used >= MaxRenewalsPerYear || b.spent() == b.spentAfter(changed) {
		return nil
	}
	entry := store.BudgetEntry{ID: rand.Text(), Budget: b.Name, Kind: store.EntryRenewal, CreatedAt: b.now}
	if err := tx.CreateBudgetEntry(ctx, entry); err != nil {
		return err
	}
	return tx.RenewGuessBudget(ctx, b.Name, changed)
}
