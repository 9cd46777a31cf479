package ratelimit

import (
	"context"
	"fmt"
	"time"

	"twostep.example/twostep/internal/store"
)

// PasswordSource is who tries a password, as far as a server can tell.
type PasswordSource struct {
	Network string // "": unknown
	Device  string // the browser, if the account of the name that is tried knows it
}

const (
	siteFailures    = "wrong_passwords"         // of all sources that are not known devices
	networkFailures = "wrong_passwords_network" // of one network
)

// PasswordAttempt is a password that may be compared.
type PasswordAttempt struct {
	key      string // of the failures; "": none are counted for this source
	by       PasswordSource
	Failures int64 // wrong passwords from this source for this name so far
}

// failureKey is by what the failures of a name are counted: for a browser that the account
// knows, and otherwise for each network by itself. Who shares neither with the owner cannot
// delay them. A name without an account is counted too. It is "" for all whose network is
// unknown: behind a proxy that is not configured that is everybody.
func (l *Limiter) failureKey(name string, by PasswordSource) string {
	if by.Device != "" {
		return "password " + l.Keys.Pseudonym("password "+name+" device "+by.Device)
	}
	if by.Network == "" {
		return ""
	}
	return "password " + l.Keys.Pseudonym("password "+name+" network "+by.Network)
}

// CheckPassword says whether another password for a name may be compared now. It returns a
// *LimitedError if not: passwords are delayed and never locked.
func (l *Limiter) CheckPassword(ctx context.Context, name string, by PasswordSource) (PasswordAttempt, error) {
	now := l.Now()
	a := PasswordAttempt{key: l.failureKey(name, by), by: by}
	var windows []store.CounterKey
	if by.Device == "" {
		windows = l.failureWindows(by.Network, now)
	}
	failed, used, err := l.Store.GetFailedPasswords(ctx, a.key, windows)
	if err != nil {
		return a, fmt.Errorf("ratelimit: password: %w", err)
	}
	a.Failures = failed.Failures
	last := failed.LastAt
	if again := last.Add(PasswordDelay(failed.Failures)); now.Before(again) && !last.After(now) {
		return a, &LimitedError{RetryAt: again}
	}
	if by.Device != "" {
		return a, nil
	}
	return a, checkNetwork(by.Network, windows, used)
}

// checkNetwork says whether a network may try another password, of whatever account.
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

// failureWindows are what counts the wrong passwords of a network: in a minute, in an hour, and with
// those of all others in a minute.
func (l *Limiter) failureWindows(network string, now time.Time) []store.CounterKey {
	subject := l.Keys.Pseudonym("network " + network)
	window := func(kind, subject string, length time.Duration) store.CounterKey {
		return store.CounterKey{Counter: counter(kind, subject, length), EndsAt: windowEnd(now, length)}
	}
	return []store.CounterKey{
		window(networkFailures, subject, time.Minute), window(networkFailures, subject, time.Hour), window(siteFailures, "", time.Minute),
	}
}

// RecordPasswordFailure counts a wrong password.
func (l *Limiter) RecordPasswordFailure(ctx context.Context, a PasswordAttempt) error {
	now := l.Now()
	err := l.Store.Tx(ctx, func(tx *store.DB) error {
		if a.key != "" {
			since := now.Add(-PasswordFailureTTL)
			if err := tx.CountFailedPassword(ctx, a.key, since, now); err != nil || a.by.Device != "" {
				return err
			}
		}
		for _, w := range l.failureWindows(a.by.Network, now) {
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

// ResetPasswordFailures forgets the failures of a source after a right password.
func (l *Limiter) ResetPasswordFailures(ctx context.Context, a PasswordAttempt) error {
	if a.Failures == 0 {
		return nil
	}
	if err := l.Store.DeleteFailedPasswords(ctx, a.key); err != nil {
		return fmt.Errorf("ratelimit: password: %w", err)
	}
	return nil
}
