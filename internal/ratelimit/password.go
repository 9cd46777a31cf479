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

// siteFailures counts the wrong passwords of all sources that are not known devices.
const siteFailures = "wrong passwords"

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
	a := PasswordAttempt{key: l.failureKey(name, by), by: by}
	if a.key != "" {
		w, err := l.Store.Wait(ctx, a.key)
		if err != nil {
			return a, fmt.Errorf("ratelimit: password: %w", err)
		}
		a.Failures = w.Wrong
		now, last := l.Now(), store.Time(w.At)
		if again := last.Add(PasswordDelay(w.Wrong)); now.Before(again) && !last.After(now) {
			return a, &LimitedError{RetryAt: again}
		}
	}
	if by.Device != "" {
		return a, nil
	}
	return a, l.checkNetwork(ctx, by.Network)
}

// checkNetwork says whether a network may try another password, of whatever account.
func (l *Limiter) checkNetwork(ctx context.Context, network string) error {
	site, err := l.counter(ctx, siteFailures, time.Minute)
	if err != nil {
		return err
	}
	minute, hour := NetworkPasswordLimit(site), int64(NetworkPasswordFailuresPerHour)
	if network == "" {
		minute, hour = minute*UnknownNetworkFactor, hour*UnknownNetworkFactor
	}
	for _, one := range []struct {
		window time.Duration
		most   int64
	}{{time.Minute, minute}, {time.Hour, hour}} {
		used, err := l.counter(ctx, l.networkFailures(network), one.window)
		if err != nil {
			return err
		}
		if used >= one.most {
			return &LimitedError{RetryAt: l.Now().Truncate(one.window).Add(one.window)}
		}
	}
	return nil
}

func (l *Limiter) networkFailures(network string) string {
	return "wrong passwords of network " + l.Keys.Pseudonym("network "+network)
}

func (l *Limiter) counter(ctx context.Context, name string, window time.Duration) (int64, error) {
	ends := l.Now().Truncate(window).Add(window)
	used, err := l.Store.Used(ctx, counterName(name, window), store.Millis(ends))
	if err != nil {
		return 0, fmt.Errorf("ratelimit: password: %w", err)
	}
	return used, nil
}

// RecordPasswordFailure counts a wrong password.
func (l *Limiter) RecordPasswordFailure(ctx context.Context, a PasswordAttempt) error {
	now := l.Now()
	err := l.Store.Tx(ctx, func(tx *store.DB) error {
		if a.key != "" {
			since := store.Millis(now.Add(-PasswordFailureTTL))
			if err := tx.AddWrong(ctx, a.key, since, store.Millis(now)); err != nil || a.by.Device != "" {
				return err
			}
		}
		for _, one := range []struct {
			name   string
			window time.Duration
		}{{l.networkFailures(a.by.Network), time.Minute}, {l.networkFailures(a.by.Network), time.Hour}, {siteFailures, time.Minute}} {
			ends := now.Truncate(one.window).Add(one.window)
			if err := tx.Count(ctx, counterName(one.name, one.window), store.Millis(ends), 1); err != nil {
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
	if err := l.Store.Forgive(ctx, a.key); err != nil {
		return fmt.Errorf("ratelimit: password: %w", err)
	}
	return nil
}
