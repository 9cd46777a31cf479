package ratelimit

import (
	"context"
	"fmt"
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
)

// PasswordAttempt is an attempt that CheckPassword has allowed.
type PasswordAttempt struct {
	key      string // the failures are counted under; "" if they are not counted
	source   PasswordSource
	Failures int64 // wrong passwords of this source for this name so far
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

// CheckPassword decides whether a password for a name may be compared now. It returns a *LimitedError with the
// time of the next attempt if not. It never locks an account.
func (l *Limiter) CheckPassword(ctx context.Context, name string, source PasswordSource) (PasswordAttempt, error) {
	now := l.Now()
	a := PasswordAttempt{key: l.failureKey(name, source), source: source}
	var windows []store.CounterKey
	if source.Device == "" {
		windows = l.failureWindows(source.Network, now)
	}
	failed, used, err := l.Store.GetFailedPasswords(ctx, a.key, windows)
	if err != nil {
		return a, fmt.Errorf("ratelimit: password: %w", err)
	}
	a.Failures = failed.Failures
	last := failed.LastAt
	if retryAt := last.Add(PasswordDelay(failed.Failures)); now.Before(retryAt) && !last.After(now) {
		return a, &LimitedError{RetryAt: retryAt}
	}
	if source.Device != "" {
		return a, nil
	}
	return a, checkNetwork(source.Network, windows, used)
}

// checkNetwork decides whether a network may try another password, for any account.
func checkNetwork(network string, windows []store.CounterKey, used []int64) error {
	minute, hour := NetworkPasswordLimit(used[2]), int64(NetworkPasswordFailuresPerHour)
	if network == "" {
		minute, hour = minute*UnknownNetworkFactor, hour*UnknownNetworkFactor
	}
	for i, most := range []int64{minute, hour} {
		if used[i] >= most {
			return &LimitedError{RetryAt: windows[i].EndsAt}
		}
	}
	return nil
}

// failureWindows returns the counters of wrong passwords of a network: per minute, per hour, and of all
// networks per minute.
func (l *Limiter) failureWindows(network string, now time.Time) []store.CounterKey {
	subject := l.Keys.Pseudonym("network " + network)
	window := func(kind, subject string, length time.Duration) store.CounterKey {
		return store.CounterKey{Counter: counter(kind, subject, length), EndsAt: windowEnd(now, length)}
	}
	return []store.CounterKey{
		window(networkFailures, subject, time.Minute),
		window(networkFailures, subject, time.Hour),
		window(siteFailures, "", time.Minute),
	}
}

// RecordPasswordFailure counts a wrong password.
func (l *Limiter) RecordPasswordFailure(ctx context.Context, a PasswordAttempt) error {
	now := l.Now()
	err := l.Store.Tx(ctx, func(tx *store.DB) error {
		if a.key != "" {
			since := now.Add(-PasswordFailureTTL)
			if err := tx.CountFailedPassword(ctx, a.key, since, now); err != nil || a.source.Device != "" {
				return err
			}
		}
		for _, w := range l.failureWindows(a.source.Network, now) {
			if err := tx.AddToCounter(ctx, w.Counter, w.EndsAt, 1); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("ratelimit: password: %w", err)
	}
	return nil
}

// ResetPasswordFailures deletes the failures of a source after a correct password.
func (l *Limiter) ResetPasswordFailures(ctx context.Context, a PasswordAttempt) error {
	if a.Failures == 0 {
		return nil
	}
	if err := l.Store.DeleteFailedPasswords(ctx, a.key); err != nil {
		return fmt.Errorf("ratelimit: password: %w", err)
	}
	return nil
}
