package ratelimit_test

import (
	"errors"
	"log/slog"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store/storetest"
)

func eachLimiter(t *testing.T, f func(t *testing.T, allowed func(quotas ...ratelimit.Quota) bool)) {
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		keys, _, err := seal.CreateKeyRing(filepath.Join(t.TempDir(), "keys"))
		if err != nil {
			t.Fatal(err)
		}
		now := time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC)
		l := &ratelimit.Limiter{
			Store: storetest.Open(t, url), Keys: keys, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
		}
		f(t, func(quotas ...ratelimit.Quota) bool {
			t.Helper()
			err := l.Spend(t.Context(), l.Store, quotas...)
			if err != nil && !errors.Is(err, ratelimit.ErrLimited) {
				t.Fatal(err)
			}
			return err == nil
		})
	})
}

// Somebody who uses one /64 after the other ends at the limit of their /56 and of their /48. A refused request takes
// nothing from the larger networks.
func TestLargerNetworksHaveLimits(t *testing.T) {
	eachLimiter(t, func(t *testing.T, allowed func(...ratelimit.Quota) bool) {
		from := func(n int) []ratelimit.Quota {
			return ratelimit.PerNetwork("test", ratelimit.Networks{
				{Name: "64 " + strconv.Itoa(n), Weight: 1}, {Name: "56 " + strconv.Itoa(n/256), Weight: 4}, {Name: "48", Weight: 16},
			}, time.Hour, 2)
		}
		tries := func(first, last, step, each int) (n int) {
			for i := first; i < last; i += step {
				for range each {
					if allowed(from(i)...) {
						n++
					}
				}
			}
			return n
		}
		if got := tries(0, 1, 1, 10); got != 2 {
			t.Errorf("one /64: %d, want 2", got)
		}
		if got := tries(1, 20, 1, 1); got != 6 {
			t.Errorf("other networks of its /56: %d, want 6", got)
		}
		if got := tries(256, 256*40, 100, 1); got != 24 {
			t.Errorf("other networks of its /48: %d, want 24", got)
		}
	})
}

// Newcomers use up half of a shared budget, strangers three quarters, and one account what it may; what is left is for
// people who have proven who they are.
func TestSharedBudgetKeepsAPart(t *testing.T) {
	eachLimiter(t, func(t *testing.T, allowed func(...ratelimit.Quota) bool) {
		s := ratelimit.Shared{Kind: "test", Window: time.Hour, Limit: 100, PartyLimit: 20}
		spend := func(who ratelimit.Standing, party string) (n int) {
			for range 200 {
				if allowed(s.For(who, party, 1)...) {
					n++
				}
			}
			return n
		}
		if got := spend(ratelimit.Newcomer, "mallory"); got != 20 {
			t.Errorf("one newcomer: %d, want 20", got)
		}
		for i := range 10 {
			spend(ratelimit.Newcomer, "mallory "+strconv.Itoa(i))
		}
		if got := spend(ratelimit.Newcomer, "one more"); got != 0 {
			t.Errorf("newcomers use more than half: %d", got)
		}
		if got := spend(ratelimit.Stranger, "anna") + spend(ratelimit.Stranger, "ben"); got != 25 {
			t.Errorf("strangers after the newcomers: %d, want 25", got)
		}
		if got := spend(ratelimit.Proven, "anna"); got != 0 {
			t.Errorf("anna has used up her part: %d", got)
		}
		if got := spend(ratelimit.Proven, "carl") + spend(ratelimit.Proven, "dora"); got != 25 {
			t.Errorf("those who have proven who they are: %d, want 25", got)
		}
		if got := (ratelimit.Shared{Kind: "none"}).For(ratelimit.Stranger, "", 1); got != nil {
			t.Errorf("a budget without a limit: %v", got)
		}
	})
}
