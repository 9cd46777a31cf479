package account

import (
	"context"
	"fmt"
	"time"

	"twostep.example/twostep/internal/limit"
	"twostep.example/twostep/internal/store"
)

// Guesser is who tries a password, as far as anybody can tell.
type Guesser struct {
	Network string // "": nobody knows
	Device  string // the browser, if the account of the name that is tried knows it
	From    From
}

// sitePasswords is the ration of wrong passwords of all strangers.
const sitePasswords = "wrong passwords"

// tries is by what the waits of a name are counted: for a browser that it knows, and
// otherwise for each network by itself. Whoever shares neither with the owner cannot delay
// them. A name without an account has them too. It is "", and there are none, for all whose
// network nobody knows: behind a proxy that is not named that is everybody.
func (r *Registry) tries(name string, by Guesser) string {
	if by.Device != "" {
		return "password " + r.Keyed("password "+name+" device "+by.Device)
	}
	if by.Network == "" {
		return ""
	}
	return "password " + r.Keyed("password "+name+" network "+by.Network)
}

// mayTry says whether another password may be tried now, and how many were wrong: it never
// locks, it waits. *WaitError.
func (r *Registry) mayTry(ctx context.Context, tries string, by Guesser) (wrong int64, err error) {
	if tries == "" {
		return 0, r.networkMayTry(ctx, by.Network)
	}
	now := r.Now()
	w, err := r.Store.Wait(ctx, tries)
	if err != nil {
		return 0, fmt.Errorf("account: tries: %w", err)
	}
	last := store.Time(w.At)
	if again := last.Add(limit.PasswordWait(w.Wrong)); now.Before(again) && !last.After(now) {
		return 0, &WaitError{Until: again}
	}
	if by.Device != "" {
		return w.Wrong, nil
	}
	return w.Wrong, r.networkMayTry(ctx, by.Network)
}

// networkMayTry says whether a network may try another password, of whomever. *WaitError.
func (r *Registry) networkMayTry(ctx context.Context, network string) error {
	site, err := r.used(ctx, sitePasswords, time.Minute)
	if err != nil {
		return err
	}
	minute, hour := limit.NetworkPasswords(site), int64(limit.PasswordsPerHour)
	if network == "" {
		minute, hour = minute*limit.Unknown, hour*limit.Unknown
	}
	for _, one := range []struct {
		window time.Duration
		most   int64
	}{{time.Minute, minute}, {time.Hour, hour}} {
		used, err := r.used(ctx, r.wrongIn(network), one.window)
		if err != nil {
			return err
		}
		if used >= one.most {
			return &WaitError{Until: r.Now().Truncate(one.window).Add(one.window)}
		}
	}
	return nil
}

func (r *Registry) wrongIn(network string) string {
	return "wrong passwords of network " + r.Keyed("network "+network)
}

func (r *Registry) used(ctx context.Context, name string, window time.Duration) (int64, error) {
	ends := r.Now().Truncate(window).Add(window)
	used, err := r.Store.Used(ctx, rationName(name, window), store.Millis(ends))
	if err != nil {
		return 0, fmt.Errorf("account: tries: %w", err)
	}
	return used, nil
}

// wrong counts a wrong password.
func (r *Registry) wrong(ctx context.Context, tries string, by Guesser) error {
	now := r.Now()
	err := r.Store.Tx(ctx, func(tx *store.DB) error {
		if tries != "" {
			if err := tx.AddWrong(ctx, tries, store.Millis(now.Add(-limit.PasswordsForgotten)), store.Millis(now)); err != nil || by.Device != "" {
				return err
			}
		}
		for _, one := range []struct {
			name   string
			window time.Duration
		}{{r.wrongIn(by.Network), time.Minute}, {r.wrongIn(by.Network), time.Hour}, {sitePasswords, time.Minute}} {
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
