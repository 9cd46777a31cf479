package limit

import (
	"testing"
	"time"
)

func TestResendWait(t *testing.T) {
	for sends, want := range map[int64]time.Duration{0: 30, 1: 30, 2: 60, 3: 120, 4: 120, 1000: 120} {
		if got := ResendDelay(sends); got != want*time.Second {
			t.Errorf("after %d: got %v, want %v s", sends, got, want)
		}
	}
}

// Waits grow, and never past a minute or below a second.
func TestRetryWait(t *testing.T) {
	last := time.Duration(0)
	for tries := int64(0); tries < 200; tries++ {
		wait := DeliveryBackoff(tries)
		if wait < last || wait < time.Second || wait > time.Minute {
			t.Errorf("after %d: %v", tries, wait)
		}
		last = wait
	}
	if last != time.Minute {
		t.Errorf("the longest is %v", last)
	}
}
