package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"twostep.example/twostep/internal/store"
)

// PasswordSource identifies who tries a password.
type PasswordSource struct {
	Network string // "" if unknown
	Device  string // id of the browser if the account knows it, else ""
	Account string // id of the account, "" if there is none
}

const (
	siteFailures    = "wrong_passwords"         // of all sources except known devices
	networkFailures = "wrong_passwords_network" // of one network
)

// PasswordAttempt is one try of a password, counted as wrong until Refund.
type PasswordAttempt struct {
	key     string             // the failures are counted under; "" if they are not counted
	windows []store.CounterKey // that count it
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

// ChargePassword counts a wrong password before the password is compared, so that no request can avoid the count: not
// one of many at the same time, and not one whose client has gone. Call RefundPassword if the password was correct. It
// returns a *LimitedError with the time of the next attempt, and counts nothing, if the password may not be compared
// now. It never locks an account.
func (l *Limiter) ChargePassword(ctx context.Context, name string, source PasswordSource) (PasswordAttempt, error) {
	now := l.Now()
	a := PasswordAttempt{key: l.failureKey(name, source)}
	if source.Device == "" {
		a.windows = l.failureWindows(source, now)
	}
	err := l.Store.Tx(ctx, func(tx *store.DB) error {
		if a.key != "" {
			if err := countFailure(ctx, tx, a.key, now); err != nil {
				return err
			}
		}
		if len(a.windows) == 0 {
			return nil
		}
		used, err := tx.AddToCounters(ctx, a.windows, 1)
		if err != nil {
			return err
		}
		return checkWindows(source.Network, a.windows, used)
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

// checkWindows decides whether a network may try another password, for any account and for this one. used includes
// this attempt.
func checkWindows(network string, windows []store.CounterKey, used []int64) error {
	site := len(used) - 1
	limits := []int64{NetworkPasswordLimit(used[site] - 1), NetworkPasswordFailuresPerHour, SignInsPerNetworkHour}
	for i := range windows[:site] {
		limit := limits[i]
		if network == "" {
			limit *= UnknownNetworkFactor
		}
		if used[i] > limit {
			return &LimitedError{RetryAt: windows[i].EndsAt}
		}
	}
	return nil
}

// failureWindows returns the counters of wrong passwords of a network, per minute and per hour, of the sign-ins that
// it has begun for the account, and at last of the wrong passwords of all networks.
func (l *Limiter) failureWindows(source PasswordSource, now time.Time) []store.CounterKey {
	window := func(kind, subject string, length time.Duration) store.CounterKey {
		return store.CounterKey{Counter: counter(kind, subject, length), EndsAt: windowEnd(now, length)}
	}
	network := l.Keys.Pseudonym("network " + source.Network)
	all := []store.CounterKey{
		window(networkFailures, network, time.Minute), window(networkFailures, network, time.Hour),
	}
	if source.Account != "" {
		q := SignInQuota(source.Account, source.Network)
		all = append(all, window(q.Kind, q.Subject, q.Window))
	}
	return append(all, window(siteFailures, "", time.Minute))
}

// SignInQuota returns the quota of the sign-ins that a network may begin for an account, in browsers that the account
// does not know.
func SignInQuota(account, network string) Quota {
	q := PerNetwork("sign_ins_account_network", network, SignInsPerNetworkHour)
	q.Subject = account + " " + q.Subject
	return q
}

// RefundPassword takes a charge back after a correct password, and forgets the failures of the source.
func (l *Limiter) RefundPassword(ctx context.Context, a PasswordAttempt) error {
	err := l.Store.Tx(ctx, func(tx *store.DB) error {
		if a.key != "" {
			if err := tx.DeleteFailedPasswords(ctx, a.key); err != nil {
				return err
			}
		}
		if len(a.windows) == 0 {
			return nil
		}
		_, err := tx.AddToCounters(ctx, a.windows, -1)
		return err
	})
	if err != nil {
		return fmt.Errorf("ratelimit: password: %w", err)
	}
	return nil
}
