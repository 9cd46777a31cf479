package odds

import (
	"context"
	"time"

	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/store"
)

// knownNetwork marks the debits of somebody in a network in which the account has taken both steps, and
// in a browser that is not known.
const knownNetwork = "near"

// add adds a debit from when it may be. *account.WaitError.
func (b Budget) add(ctx context.Context, tx *store.DB, d store.BudgetEntry, may func(store.BudgetEntry) time.Time) error {
	if d.DeviceID == "" && b.networkKnown(d.Network) {
		d.DeviceID = knownNetwork
	}
	if until := may(d); b.now.Before(until) {
		return &ratelimit.LimitedError{RetryAt: until}
	}
	return tx.CreateBudgetEntry(ctx, d)
}

// networkKnown reports whether both steps were taken from a network lately.
func (b Budget) networkKnown(network string) bool {
	n, _ := b.count(Month, func(d store.BudgetEntry) bool { return d.Kind == store.EntryProof && d.Network == network })
	return n > 0
}

// sameSource are the debits of d's kind that come out of the same share as d: that of its browser
// or network.
func sameSource(d store.BudgetEntry) func(store.BudgetEntry) bool {
	return func(one store.BudgetEntry) bool {
		return one.Kind == d.Kind && one.DeviceID == d.DeviceID && (one.Network == d.Network || d.DeviceID != "" && d.DeviceID != knownNetwork)
	}
}

// knownNetworks are the debits of d's kind in all networks in which the account has taken both steps.
func knownNetworks(d store.BudgetEntry) func(store.BudgetEntry) bool {
	return func(one store.BudgetEntry) bool { return one.Kind == d.Kind && one.DeviceID == knownNetwork }
}

// unknownSources are the debits of d's kind by all other strangers.
func unknownSources(d store.BudgetEntry) func(store.BudgetEntry) bool {
	return func(one store.BudgetEntry) bool { return one.Kind == d.Kind && one.DeviceID == "" }
}

// availableAt is from when there are fewer than so many such debits in a window; zero if now.
func (b Budget) availableAt(window time.Duration, most int64, such func(store.BudgetEntry) bool) time.Time {
	n, oldest := b.count(window, such)
	if n < most {
		return time.Time{}
	}
	return oldest.Add(window)
}

func later(one, other time.Time) time.Time {
	if one.After(other) {
		return one
	}
	return other
}

// pairAvailableAt is from when a pair of app codes may be compared. With several apps each is compared
// with all of them, so there are fewer. All networks in which the account has
// taken both steps have one share together, or there were as many pairs as there are networks.
func (b Budget) pairAvailableAt(d store.BudgetEntry) time.Time {
	most := func(pairs int64) int64 { return max(pairs/d.Cost, 1) }
	if d.DeviceID == knownNetwork {
		return b.availableAt(day, most(CodePairsPerNetworkDay), knownNetworks(d))
	}
	all := b.availableAt(day, most(CodePairsPerDay), unknownSources(d))
	if d.Network == "" { // it may be everybody's
		return all
	}
	return later(all, b.availableAt(day, most(CodePairsPerNetworkDay), sameSource(d)))
}
