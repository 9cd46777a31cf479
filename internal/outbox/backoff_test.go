package outbox

import (
	"testing"
	"time"
)

// Delays grow from one second to one minute.
func TestBackoff(t *testing.T) {
	last := time.Duration(0)
	for attempts := int64(0); attempts < 200; attempts++ {
		wait := Backoff(attempts)
		if wait < last || wait < time.Second || wait > time.Minute {
			t.Errorf("after %d: %v", attempts, wait)
		}
		last = wait
	}
	if last != time.Minute {
		t.Errorf("the longest is %v", last)
	}
}
