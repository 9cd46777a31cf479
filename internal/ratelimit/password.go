package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"twostep.example/twostep/internal/store"
)

// PasswordSource identifies who tries a password.
type PasswordSource struct {
	Network string // "" if unknown
	Device  string // id of the browser if the account knows it, else ""
}

const (
	siteFailures    = "wrong_passwords"         // of all sources except known devices
	networkFailures = "wrong_passwords_network" // of one network
	networkSignIns  = "sign_ins_network"        // that one network begins for one name
)

// PasswordAttempt is one try of a password, counted both as a wrong one and as a sign-in until SettlePassword.
type PasswordAttempt struct {
	key string // the failures are counted under; "" if they are not counted
	// The counters of failures and of sign-ins; nil for known devices.
	failures, signIns []store.CounterKey
}

// failureKey returns the key that the failures for a name are counted under: one per known browser, or else one
// per network. Someone who shares neither with the account's owner cannot delay them. Names without an account
// are counted too. The key is "" if the network is unknown, because behind a proxy that is not configured it is
// for everybody.
func (l *Limiter) failureKey(name string, source PasswordSource) string {
	if source.Device != "" {
		return "password " + l.Keys.Pseudonym("password "+name+" device "+source.Device)
	}
	if source.Network == "" {
		return ""
	}
	return "password " + l.Keys.Pseudonym("password "+name+" network "+source.Network)
}

// ChargePassword counts a password before it is compared, so that no request can avoid the count: not one of many at
// the same time, and not one whose client has gone. Call SettlePassword afterwards. It returns a *LimitedError with the
// time of the next attempt, and counts nothing, if the password may not be compared now. It never locks an account.
func (l *Limiter) ChargePassword(ctx context.Context, name string, source PasswordSource) (PasswordAttempt, error) {
	now := l.Now()
	a := PasswordAttempt{key: l.failureKey(name, source)}
	if source.Device == "" {
		a.failures, a.signIns = l.passwordWindows(name, source.Network, now)
	}
	err := l.Store.Tx(ctx, func(tx *store.DB) error {
		if a.key != "" {
			if err := countFailure(ctx, tx, a.key, now); err != nil {
				return err
			}
		}
		if source.Device != "" {
			return nil
		}
		windows := slices.Concat(a.signIns, a.failures)
		used, err := tx.AddToCounters(ctx, windows, 1)
		if err != nil {
			return err
		}
		return checkWindows(source.Network, windows, used)
	})
	if err != nil {
		return a, fmt.Errorf("ratelimit: password: %w", err)
	}
	return a, nil
}

// countFailure counts a failure, or returns a *LimitedError if the delay after the last one has not passed.
func countFailure(ctx context.Context, tx *store.DB, key string, now time.Time) error {
	var latest []time.Time
	for failures := range int64(maxDelayFailures + 1) {
		latest = append(latest, now.Add(-PasswordDelay(failures)))
	}
	err := tx.CountFailedPassword(ctx, key, now.Add(-PasswordFailureTTL), now, latest)
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	failed, err := tx.GetFailedPasswords(ctx, key)
	if err != nil {
		return err
	}
	return &LimitedError{RetryAt: failed.LastAt.Add(PasswordDelay(failed.Failures))}
}

// checkWindows decides whether a network may try another password. The windows are those of passwordWindows; used
// includes this attempt.
func checkWindows(network string, windows []store.CounterKey, used []int64) error {
	site := used[len(used)-1] - 1
	limits := []int64{SignInsPerNetworkHour, NetworkPasswordLimit(site), NetworkPasswordFailuresPerHour}
	for i, limit := range limits {
		if network == "" {
			limit *= UnknownNetworkFactor
		}
		if used[i] > limit {
			return &LimitedError{RetryAt: windows[i].EndsAt}
		}
	}
	return nil
}

// passwordWindows returns the counters of wrong passwords of a network, per minute and per hour, and of all networks
// per minute, and that of the sign-ins which the network begins for this name.
func (l *Limiter) passwordWindows(name, network string, now time.Time) (failures, signIns []store.CounterKey) {
	window := func(kind, subject string, length time.Duration) store.CounterKey {
		return store.CounterKey{Counter: counter(kind, subject, length), EndsAt: windowEnd(now, length)}
	}
	subject := l.Keys.Pseudonym("network " + network)
	failures = []store.CounterKey{
		window(networkFailures, subject, time.Minute), window(networkFailures, subject, time.Hour),
		window(siteFailures, "", time.Minute),
	}
	pair := l.Keys.Pseudonym("sign-in " + name + " network " + network)
	return failures, []store.CounterKey{window(networkSignIns, pair, time.Hour)}
}

// SettlePassword gives back what ChargePassword has counted too much. After a correct password it also forgets the
// failures of the source for this name. The work is the same whether there is an account or not.
func (l *Limiter) SettlePassword(ctx context.Context, a PasswordAttempt, correct bool) error {
	excess := a.failures
	if !correct {
		excess = a.signIns
	}
	err := l.Store.Tx(ctx, func(tx *store.DB) error {
		if correct && a.key != "" {
			if err := tx.DeleteFailedPasswords(ctx, a.key); err != nil {
				return err
			}
		}
		if len(excess) == 0 {
			return nil
		}
		_, err := tx.AddToCounters(ctx, excess, -1)
		return err
	})
	if err != nil {
		return fmt.Errorf("ratelimit: password: %w", err)
	}
	return nil
}
