package ratelimit

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"twostep.example/twostep/internal/store"
)

// PasswordSource identifies who tries a password.
type PasswordSource struct {
	Networks Networks // of the client
	Device   string   // id of the browser if the account knows it, else ""
}

const (
	siteFailures    = "wrong_passwords"         // of all sources except known devices
	networkFailures = "wrong_passwords_network" // of one network
	networkSignIns  = "sign_ins_network"        // that one network begins for one name
)

// PasswordAttempt is one try of a password, counted both as a wrong one and as a sign-in until SettlePassword.
type PasswordAttempt struct {
	key string // the failures are counted under; "" if they are not counted
	// The windows of failures and of sign-ins; nil for known devices.
	failures, signIns []window
}

// failureKey returns the key that the failures for a name are counted under: one per known browser, or else one
// per network. Someone who shares neither with the account's owner cannot delay them. Names without an account
// are counted too. The key is "" if the network is unknown, because behind a proxy that is not configured it is
// for everybody.
func (l *Limiter) failureKey(name string, source PasswordSource) string {
	if source.Device != "" {
		return "password " + l.Keys.Pseudonym("password "+name+" device "+source.Device)
	}
	network := source.Networks.smallest()
	if network == "" {
		return ""
	}
	return "password " + l.Keys.Pseudonym("password "+name+" network "+network)
}

// ChargePassword counts a password before it is compared, so that no request can avoid the count: not one of many at
// the same time, and not one whose client has gone. Call SettlePassword afterwards. It returns a *LimitedError with the
// time of the next attempt, and counts nothing, if the password may not be compared now. It never locks an account.
func (l *Limiter) ChargePassword(ctx context.Context, name string, source PasswordSource) (PasswordAttempt, error) {
	now := l.Now()
	a := PasswordAttempt{key: l.failureKey(name, source)}
	if source.Device == "" {
		a.failures, a.signIns = l.passwordWindows(name, source.Networks, now)
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
		used, err := tx.AddToCounters(ctx, changes(windows, 1)...)
		if err != nil {
			return err
		}
		return checkWindows(windows, used)
	})
	if err != nil {
		return a, fmt.Errorf("ratelimit: password: %w", err)
	}
	return a, nil
}

// RememberRefused remembers for a second that ChargePassword has refused this name and source, so that many tries at the
// same time cost one access to the database. Call it after the refusal is recorded.
func (l *Limiter) RememberRefused(name string, source PasswordSource, refused error) {
	if limited := (*LimitedError)(nil); errors.As(refused, &limited) {
		l.passwords.add(recentKey(name, source), l.Now(), limited.RetryAt)
	}
}

// RecentlyRefused returns the *LimitedError of RememberRefused, or nil. It does not read the database.
func (l *Limiter) RecentlyRefused(name string, source PasswordSource) error {
	if retryAt, ok := l.passwords.find(recentKey(name, source), l.Now); ok {
		return &LimitedError{RetryAt: retryAt}
	}
	return nil
}

// recentKey returns a hash, because a name is as long as somebody likes.
func recentKey(name string, source PasswordSource) string {
	sum := sha256.Sum256([]byte(strconv.Quote(source.Device) + source.Networks.smallest() + " " + name))
	return string(sum[:])
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

// window is one window of a counter, with its limit.
type window struct {
	store.CounterKey
	limit func(site int64) int64 // site: wrong passwords of all sources in this minute; nil: no limit
}

func changes(windows []window, amount int64) []store.CounterChange {
	all := make([]store.CounterChange, len(windows))
	for i, w := range windows {
		all[i] = store.CounterChange{CounterKey: w.CounterKey, Amount: amount}
	}
	return all
}

// checkWindows decides whether another password may be tried. The last window is that of the site; used includes this
// attempt.
func checkWindows(windows []window, used []int64) error {
	site := used[len(used)-1] - 1
	for i, w := range windows {
		if w.limit != nil && used[i] > w.limit(site) {
			return &LimitedError{RetryAt: w.EndsAt}
		}
	}
	return nil
}

// passwordWindows returns the windows of wrong passwords, per minute and per hour for each of networks and per minute
// for the site, and those of the sign-ins which the networks begin for this name.
func (l *Limiter) passwordWindows(name string, networks Networks, now time.Time) (failures, signIns []window) {
	key := func(kind, subject string, length time.Duration) store.CounterKey {
		return store.CounterKey{Counter: counter(kind, subject, length), EndsAt: windowEnd(now, length)}
	}
	times := func(weight, limit int64) func(int64) int64 { return func(int64) int64 { return weight * limit } }
	for _, n := range networks {
		pair := l.Keys.Pseudonym("sign-in " + name + " network " + n.Name)
		signIns = append(signIns, window{key(networkSignIns, pair, time.Hour), times(n.Weight, SignInsPerNetworkHour)})
		subject := l.Keys.Pseudonym("network " + n.Name)
		failures = append(failures,
			window{key(networkFailures, subject, time.Minute),
				func(site int64) int64 { return n.Weight * NetworkPasswordLimit(site) }},
			window{key(networkFailures, subject, time.Hour), times(n.Weight, NetworkPasswordFailuresPerHour)})
	}
	return append(failures, window{key(siteFailures, "", time.Minute), nil}), signIns
}

// SettlePassword gives back what ChargePassword has counted too much, in the transaction that records the result. After a
// correct password it also forgets the failures of the source for this name. The work is the same whether there is an
// account or not. Call it last in the transaction: every sign-in in a new browser changes the counter of the site.
func (l *Limiter) SettlePassword(ctx context.Context, tx *store.DB, a PasswordAttempt, correct bool) error {
	excess := a.failures
	if !correct {
		excess = a.signIns
	}
	if correct && a.key != "" {
		if err := tx.DeleteFailedPasswords(ctx, a.key); err != nil {
			return fmt.Errorf("ratelimit: password: %w", err)
		}
	}
	if len(excess) == 0 {
		return nil
	}
	if _, err := tx.AddToCounters(ctx, changes(excess, -1)...); err != nil {
		return fmt.Errorf("ratelimit: password: %w", err)
	}
	return nil
}
