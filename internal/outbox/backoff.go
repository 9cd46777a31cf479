package outbox

import "time"

// Backoff returns how long to wait after the given number of failed attempts: 1, 2, 4, … 60 s.
func Backoff(attempts int64) time.Duration {
	if attempts > 6 {
		return time.Minute
	}
	return time.Second << max(attempts-1, 0)
}
