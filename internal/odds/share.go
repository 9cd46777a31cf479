package odds

import (
	"context"
	"time"

	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/store"
)

// add stores an entry. It returns a *ratelimit.LimitedError if availableAt returns a time in the future.
func (b Budget) add(
	ctx context.Context, tx *store.DB, e store.BudgetEntry, availableAt func(store.BudgetEntry) time.Time,
) error {
	e.KnownNetwork = e.DeviceID == "" && b.networkKnown(e.Network)
	if retryAt := availableAt(e); b.now.Before(retryAt) {
		return &ratelimit.LimitedError{RetryAt: retryAt}
	}
	return tx.CreateBudgetEntry(ctx, e)
}

// networkKnown reports whether the account has completed both steps from a network within the last Month.
func (b Budget) networkKnown(network string) bool {
	n, _ := b.count(Month, func(e store.BudgetEntry) bool { return e.Kind == store.EntryProof && e.Network == network })
	return n > 0
}

// sameSource matches the entries of the kind of e that share a limit with it: those of the same known device, or of the
// same network: the same large one, unless it is known.
func sameSource(e store.BudgetEntry) func(store.BudgetEntry) bool {
	return func(other store.BudgetEntry) bool {
		return other.Kind == e.Kind && other.DeviceID == e.DeviceID && other.KnownNetwork == e.KnownNetwork &&
			(e.DeviceID != "" || other.Network == e.Network || !e.KnownNetwork && other.LargeNetwork == e.LargeNetwork)
	}
}

// knownNetworks matches the entries of the kind of e by unknown devices in any known network.
func knownNetworks(e store.BudgetEntry) func(store.BudgetEntry) bool {
	return func(other store.BudgetEntry) bool { return other.Kind == e.Kind && other.KnownNetwork }
}

// unknownSources matches the entries of the kind of e by unknown devices in unknown networks.
func unknownSources(e store.BudgetEntry) func(store.BudgetEntry) bool {
	return func(other store.BudgetEntry) bool {
		return other.Kind == e.Kind && other.DeviceID == "" && !other.KnownNetwork
	}
}

// availableAt returns from when fewer than limit matching entries are in a window; zero if that is now.
func (b Budget) availableAt(window time.Duration, limit int64, matches func(store.BudgetEntry) bool) time.Time {
	n, oldest := b.count(window, matches)
	if n < limit {
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

// pairAvailableAt returns from when the pair of app codes of e may be compared with the codes of so many apps: zero or
// a time in the past means now. An account with more apps gets fewer pairs. All known networks share one limit, or
// there would be as many pairs as there are known networks.
func (b Budget) pairAvailableAt(e store.BudgetEntry, apps int64) time.Time {
	limit := func(pairs int64) int64 { return max(pairs/apps, 1) }
	if e.KnownNetwork {
		return b.availableAt(day, limit(CodePairsPerNetworkDay), knownNetworks(e))
	}
	all := b.availableAt(day, limit(CodePairsPerDay), unknownSources(e))
	if e.Network == "" { // an unknown network may be shared by all clients
		return all
	}
	return later(all, b.availableAt(day, limit(CodePairsPerNetworkDay), sameSource(e)))
}
