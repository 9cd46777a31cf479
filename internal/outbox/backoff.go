package outbox

import "time"

// Backoff is how long to wait after so many failed attempts: 1, 2, 4 … 60 s.
func Backoff(attempts int64) time.Duration {
	if attempts > 6 {
		return time.Minute
	}
	return time.Second << max(attempts-1, 0)
}
