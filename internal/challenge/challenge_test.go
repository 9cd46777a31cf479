package challenge

import (
	"testing"
	"time"
)

func TestResendDelay(t *testing.T) {
	for sent, want := range map[int64]time.Duration{0: 30, 1: 30, 2: 60, 3: 120, 4: 120, 1000: 120} {
		if got := ResendDelay(sent); got != want*time.Second {
			t.Errorf("after %d: got %v, want %v s", sent, got, want)
		}
	}
}
