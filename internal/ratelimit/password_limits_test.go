package ratelimit

import (
	"testing"
	"time"
)

// The delay grows up to a minute and never becomes a lock.
func TestPasswordDelay(t *testing.T) {
	for n, want := range []time.Duration{0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60} {
		if got := PasswordDelay(int64(n)); got != want*time.Second {
			t.Errorf("after %d wrong passwords: %s, want %d s", n, got, want)
		}
	}
	if got := PasswordDelay(1 << 40); got != time.Minute {
		t.Errorf("the longest is %s", got)
	}
}

func TestNetworkPasswordLimitFallsUnderAttack(t *testing.T) {
	if NetworkPasswordLimit(SitePasswordFailuresPerMinute-1) != NetworkPasswordFailuresPerMinute ||
		NetworkPasswordLimit(SitePasswordFailuresPerMinute) != 1 {
		t.Error("the limit of a network does not depend on all networks")
	}
}
