// Package odds counts guesses at verification codes, and says when a code must be longer.
//
//	NeedsLongCode ─▶ the challenge is asked ─▶ SpendMail ─▶ Charge ─▶ (compare) ─▶ Refund
//	                                                                           └▶ NotifyGuessed
//
// A budget belongs to an account, or to an email address or phone number that is being confirmed. It adds up the
// probability that guesses from unknown devices were right, in a rolling year. Passing a challenge refunds what that
// challenge cost, and nothing else. A known device, one in which the account has completed both steps, has guesses of
// its own that no other device can use up. Limits on wrong codes: NIST SP 800-63B-4 3.2.2.
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

// ErrExhausted says that the code was not compared because the guess budget of the account or of the site
// is used up. Only a long code is accepted now.
var ErrExhausted = errors.New("odds: budget exhausted")

// Budgets manages the guess budgets of all accounts.
type Budgets struct {
	Store    *store.DB
	Keys     *seal.KeyRing
	Now      func() time.Time
	Log      *slog.Logger
	Accounts *account.Accounts // whose owners are notified
	PerYear  Chance            // what unknown devices may spend of each budget in a rolling Year
}

// Guess is one answer to a challenge, before it is compared.
type Guess struct {
	Budget         string // name of the budget it is charged to; "" if the answer needs no limit
	Challenge      string // ID of the challenge
	Device         string // ID of the known device it comes from; "" for an unknown device
	Cost           Chance // probability that the guess is right
	CostIfReissued Chance // cost of a guess after the challenge is reissued, with one live code
	AppsPaired     int64  // number of apps that a pair of consecutive codes is compared with; 0 for single codes
}

// Free reports whether the guess is not counted: it belongs to no budget, or its answer is too long to
// guess.
func (g Guess) Free() bool { return g.Budget == "" || g.Cost == 0 && g.AppsPaired == 0 }

// AccountBudget returns the name of the budget of an account.
func AccountBudget(a store.Account) string { return a.ID }

// destinationPrefix starts the name of a budget that belongs to an address or number and not to an
// account.
const destinationPrefix = "to "

// DestinationBudget returns the name of the budget of an email address or phone number that is being
// confirmed. It returns "" for "", which is an authenticator app: the person enrolling it can read its
// key, so there is nothing to guess.
func (bs *Budgets) DestinationBudget(destination string) string {
	if destination == "" {
		return ""
	}
	return destinationPrefix + bs.Keys.Pseudonym(destination)
}

func isAccountBudget(name string) bool { return !strings.HasPrefix(name, destinationPrefix) }

// Budget is a budget with its entries, as loaded at one time.
type Budget struct {
	store.GuessBudgetView
	now  time.Time
	year Chance // Budgets.PerYear
}

// Load reads a budget. A budget that was never charged is empty.
func (bs *Budgets) Load(ctx context.Context, db *store.DB, name string) (Budget, error) {
	now := bs.Now()
	v, err := db.LoadGuessBudget(ctx, name, now.Add(-Year), bs.site(now))
	if err != nil {
		return Budget{}, fmt.Errorf("odds: load: %w", err)
	}
	return Budget{v, now, bs.PerYear}, nil
}

// Lock locks a budget until the end of the transaction and reads it.
func (bs *Budgets) Lock(ctx context.Context, tx *store.DB, name string) (Budget, error) {
	if _, err := tx.LockGuessBudget(ctx, name); err != nil {
		return Budget{}, fmt.Errorf("odds: lock: %w", err)
	}
	return bs.Load(ctx, tx, name)
}

// skew is by how much the clocks of two servers may differ.
const skew = time.Minute

// inFuture reports whether an entry was made by a clock that was ahead and has been set back since.
func (b Budget) inFuture(e store.BudgetEntry) bool {
	return e.CreatedAt.After(b.now.Add(skew))
}

// count returns how many entries of the last d match, and when the oldest of them was made. Entries in the
// future do not count: they would for as long as the clock was ahead. Renewals in the future do count,
// since MaxRenewalsPerYear limits them.
func (b Budget) count(d time.Duration, matches func(store.BudgetEntry) bool) (n int64, oldest time.Time) {
	for _, e := range b.Entries {
		if b.inFuture(e) && e.Kind != store.EntryRenewal {
			continue
		}
		if e.CreatedAt.After(b.now.Add(-d)) && matches(e) {
			if n++; n == 1 {
				oldest = e.CreatedAt
			}
		}
	}
	return n, oldest
}

// spent returns what unknown devices have spent since the last renewal, in at most a year. Entries in the
// future count: those guesses were compared.
func (b Budget) spent() Chance { return b.spentAfter(b.renewed()) }

// renewed returns when the budget was last renewed. It ignores a renewal in the future, which would make
// everything before it free.
func (b Budget) renewed() time.Time {
	if at := b.RenewedAt; !at.After(b.now) {
		return at
	}
	return time.Time{}
}

// spentAfter returns what unknown devices have spent after t.
func (b Budget) spentAfter(t time.Time) (sum Chance) {
	for _, e := range b.Entries {
		if e.Kind == store.EntryGuess && e.DeviceID == "" && e.CreatedAt.After(t) {
			sum += Chance(e.Cost)
		}
	}
	return sum
}

// allows reports whether an unknown device may spend cost.
func (b Budget) allows(cost Chance) bool { return Allows(b.spent(), cost, b.year) }

// knownDeviceHasGuesses reports whether a known device has guesses of its own left.
func (b Budget) knownDeviceHasGuesses(device string) bool {
	byDevice := func(e store.BudgetEntry) bool {
		return e.DeviceID == device && (e.Kind == store.EntryGuess || e.Kind == store.EntryPair)
	}
	lastHour, _ := b.count(time.Hour, byDevice)
	lastMonth, _ := b.count(Month, byDevice)
	return device != "" && lastHour < KnownDeviceGuessesPerHour && lastMonth < KnownDeviceGuessesPerMonth
}

// failedAttempts returns how many other challenges with matching guesses by unknown devices got wrong
// codes within the last d and were not passed, and when the last of those codes was entered.
func (b Budget) failedAttempts(
	d time.Duration, challenge string, matches func(store.BudgetEntry) bool,
) (n int64, last time.Time) {
	seen := map[string]bool{}
	for _, e := range b.Entries {
		unknownDevice := e.Kind == store.EntryGuess && e.DeviceID == ""
		inWindow := e.CreatedAt.After(b.now.Add(-d)) && !b.inFuture(e)
		if !unknownDevice || !inWindow || e.ChallengeID == challenge || !matches(e) {
			continue
		}
		last = e.CreatedAt
		if !seen[e.ChallengeID] {
			seen[e.ChallengeID] = true
			n++
		}
	}
	return n, last
}

// NeedsLongCode reports whether a challenge needs a long code because the budget is used up or the
// site-wide alarm is on.
func (b Budget) NeedsLongCode(g Guess) (bool, error) {
	if g.Free() || b.knownDeviceHasGuesses(g.Device) {
		return false, nil
	}
	if !b.allows(g.Cost) {
		return true, nil
	}
	return alarmActive(b.State, b.now)
}

// Charge charges a guess to its budget, before the code is compared and in the transaction that counts the
// guess. It returns ErrExhausted if the budget is used up or the site-wide alarm is on, and a
// *ratelimit.LimitedError if the guess comes too early.
func (bs *Budgets) Charge(ctx context.Context, tx *store.DB, g Guess, from origin.Origin) error {
	if g.Free() {
		return nil
	}
	b, err := bs.lockForGuess(ctx, tx, g.Budget)
	if err != nil {
		return err
	}
	e := bs.newEntry(g.Budget, store.EntryGuess, g.Challenge, from)
	e.Cost = int64(g.Cost)
	if g.AppsPaired > 0 {
		e.Kind, e.Cost = store.EntryPair, 0
	}
	if b.knownDeviceHasGuesses(g.Device) {
		e.DeviceID = g.Device
		return tx.CreateBudgetEntry(ctx, e)
	}
	if g.AppsPaired > 0 {
		return b.add(ctx, tx, e, func(e store.BudgetEntry) time.Time { return b.pairAvailableAt(e, g.AppsPaired) })
	}
	if err := bs.chargeUnknownDevice(ctx, tx, b, &e); err != nil {
		return err
	}
	return tx.CreateBudgetEntry(ctx, e)
}

// lockForGuess locks and reads a budget, with the sums of the whole site.
func (bs *Budgets) lockForGuess(ctx context.Context, tx *store.DB, name string) (Budget, error) {
	if _, err := tx.LockGuessBudget(ctx, name); err != nil {
		return Budget{}, fmt.Errorf("odds: lock: %w", err)
	}
	now := bs.Now()
	v, err := tx.LoadGuessBudgetForCharge(ctx, name, now.Add(-Year), bs.site(now))
	if err != nil {
		return Budget{}, fmt.Errorf("odds: lock: %w", err)
	}
	return Budget{v, now, bs.PerYear}, nil
}

// chargeUnknownDevice checks whether an unknown device may guess now, and charges the site for the guess.
// Its errors are those of Charge.
func (bs *Budgets) chargeUnknownDevice(ctx context.Context, tx *store.DB, b Budget, e *store.BudgetEntry) error {
	sameNetwork := func(other store.BudgetEntry) bool { return other.Network == e.Network }
	n, last := b.failedAttempts(day, e.ChallengeID, sameNetwork)
	if retryAt := last.Add(AttemptDelay(n)); e.Network != "" && b.now.Before(retryAt) {
		return &ratelimit.LimitedError{RetryAt: retryAt}
	}
	if !b.allows(Chance(e.Cost)) {
		return ErrExhausted
	}
	return bs.chargeSite(ctx, tx, b, e)
}

// newEntry returns a new entry of a budget. Its network is "" if the network of the client is unknown.
// Behind a proxy that is not configured all clients share that one, so it gets no delay and no share of
// its own.
func (bs *Budgets) newEntry(name, kind, challenge string, from origin.Origin) store.BudgetEntry {
	e := store.BudgetEntry{ID: rand.Text(), Budget: name, Kind: kind, ChallengeID: challenge, CreatedAt: bs.Now()}
	if from.Network() != "" {
		e.Network = bs.Keys.Pseudonym("network " + from.Network())
		e.LargeNetwork = bs.Keys.Pseudonym("network " + from.Networks().Largest())
	}
	return e
}

// Refund gives back what the challenge of g cost, in the transaction that passes it. If both steps were
// completed, it also records the network as known.
func (bs *Budgets) Refund(ctx context.Context, tx *store.DB, g Guess, both bool, from origin.Origin) error {
	if g.Challenge != "" && g.Budget != "" {
		if err := bs.refundChallenge(ctx, tx, g); err != nil {
			return err
		}
	}
	if !both || from.Network() == "" || from.Unclear {
		return nil
	}
	return tx.SaveProofEntry(ctx, bs.newEntry(g.Budget, store.EntryProof, "", from))
}

// refundChallenge deletes what a challenge has cost. If that lets unknown devices guess again, it resets
// the notice that the budget is used up, so that the owner is notified when that happens again.
func (bs *Budgets) refundChallenge(ctx context.Context, tx *store.DB, g Guess) error {
	row, err := tx.LockGuessBudget(ctx, g.Budget)
	if err != nil {
		return err
	}
	entries, err := tx.RefundChallenge(ctx, g.Challenge)
	if err != nil {
		return err
	}
	guesses := slices.DeleteFunc(entries, func(e store.BudgetEntry) bool {
		return e.Kind != store.EntryGuess || e.DeviceID != ""
	})
	if len(guesses) == 0 {
		return nil
	}
	if _, err := addSite(ctx, tx, -1, guesses...); err != nil {
		return err
	}
	if row.SpentNotifiedAt.IsZero() {
		return nil
	}
	b, err := bs.Load(ctx, tx, g.Budget)
	if err != nil || b.spent() >= bs.PerYear {
		return err
	}
	return tx.ResetSpentNotice(ctx, b.Name)
}

// Renew renews the budget of an account after its password was changed, at most MaxRenewalsPerYear times
// in a year. Call it in the transaction in which the person completes both steps after the change. It does
// nothing if nothing was spent before the change, or if changed is in the future (the clock was set back):
// it would use up a renewal and renew nothing.
func (bs *Budgets) Renew(ctx context.Context, tx *store.DB, a store.Account, changed time.Time) error {
	b, err := bs.Lock(ctx, tx, AccountBudget(a))
	if err != nil || changed.After(b.now) {
		return err
	}
	used, _ := b.count(Year, func(e store.BudgetEntry) bool { return e.Kind == store.EntryRenewal })
	if used >= MaxRenewalsPerYear || b.spent() == b.spentAfter(changed) {
		return nil
	}
	entry := store.BudgetEntry{ID: rand.Text(), Budget: b.Name, Kind: store.EntryRenewal, CreatedAt: b.now}
	if err := tx.CreateBudgetEntry(ctx, entry); err != nil {
		return err
	}
	return tx.RenewGuessBudget(ctx, b.Name, changed)
}
