package account

import (
	"context"
	"fmt"
	"time"

	"twostep.example/twostep/internal/limit"
	"twostep.example/twostep/internal/store"
)

// PasswordSource is who tries a password, as far as anybody can tell.
type PasswordSource struct {
	Network string // "": nobody knows
	Device  string // the browser, if the account of the name that is tried knows it
}

// siteFailures is the ration of wrong passwords of all strangers.
const siteFailures = "wrong passwords"

// failureKey is by what the waits of a name are counted: for a browser that it knows, and
// otherwise for each network by itself. Whoever shares neither with the owner cannot delay
// them. A name without an account has them too. It is "", and there are none, for all whose
// network nobody knows: behind a proxy that is not named that is everybody.
func (r *Accounts) failureKey(name string, by PasswordSource) string {
	if by.Device != "" {
		return "password " + r.Pseudonym("password "+name+" device "+by.Device)
	}
	if by.Network == "" {
		return ""
	}
	return "password " + r.Pseudonym("password "+name+" network "+by.Network)
}

// checkPasswordLimit says whether another password may be tried now, and how many were wrong: it never
// locks, it waits. *WaitError.
func (r *Accounts) checkPasswordLimit(ctx context.Context, tries string, by PasswordSource) (wrong int64, err error) {
	if tries == "" {
		return 0, r.checkNetworkLimit(ctx, by.Network)
	}
	now := r.Now()
	w, err := r.Store.Wait(ctx, tries)
	if err != nil {
		return 0, fmt.Errorf("account: tries: %w", err)
	}
	last := store.Time(w.At)
	if again := last.Add(limit.PasswordDelay(w.Wrong)); now.Before(again) && !last.After(now) {
		return 0, &LimitedError{RetryAt: again}
	}
	if by.Device != "" {
		return w.Wrong, nil
	}
	return w.Wrong, r.checkNetworkLimit(ctx, by.Network)
}

// checkNetworkLimit says whether a network may try another password, of whomever. *WaitError.
func (r *Accounts) checkNetworkLimit(ctx context.Context, network string) error {
	site, err := r.counter(ctx, siteFailures, time.Minute)
	if err != nil {
		return err
	}
	minute, hour := limit.NetworkPasswordLimit(site), int64(limit.NetworkPasswordFailuresPerHour)
	if network == "" {
		minute, hour = minute*limit.UnknownNetworkFactor, hour*limit.UnknownNetworkFactor
	}
	for _, one := range []struct {
		window time.Duration
		most   int64
	}{{time.Minute, minute}, {time.Hour, hour}} {
		used, err := r.counter(ctx, r.networkFailures(network), one.window)
		if err != nil {
			return err
		}
		if used >= one.most {
			return &LimitedError{RetryAt: r.Now().Truncate(one.window).Add(one.window)}
		}
	}
	return nil
}

func (r *Accounts) networkFailures(network string) string {
	return "wrong passwords of network " + r.Pseudonym("network "+network)
}

func (r *Accounts) counter(ctx context.Context, name string, window time.Duration) (int64, error) {
	ends := r.Now().Truncate(window).Add(window)
	used, err := r.Store.Used(ctx, rationName(name, window), store.Millis(ends))
	if err != nil {
		return 0, fmt.Errorf("account: tries: %w", err)
	}
	return used, nil
}

// recordPasswordFailure counts a wrong password.
func (r *Accounts) recordPasswordFailure(ctx context.Context, tries string, by PasswordSource) error {
	now := r.Now()
	err := r.Store.Tx(ctx, func(tx *store.DB) error {
		if tries != "" {
			if err := tx.AddWrong(ctx, tries, store.Millis(now.Add(-limit.PasswordFailureTTL)), store.Millis(now)); err != nil || by.Device != "" {
				return err
			}
		}
		for _, one := range []struct {
			name   string
			window time.Duration
		}{{r.networkFailures(by.Network), time.Minute}, {r.networkFailures(by.Network), time.Hour}, {siteFailures, time.Minute}} {
			ends := now.Truncate(one.window).Add(one.window)
			if err := tx.Count(ctx, rationName(one.name, one.window), store.Millis(ends), 1); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("account: tries: %w", err)
	}
	return nil
}
