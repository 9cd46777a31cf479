package ratelimit

import "time"

const (
	// NetworkPasswordFailuresPerMinute and NetworkPasswordFailuresPerHour are the wrong
	// passwords of one network.
	NetworkPasswordFailuresPerMinute, NetworkPasswordFailuresPerHour = 30, 300
	// SitePasswordFailuresPerMinute are the wrong passwords of all sources together in a
	// minute. Beyond them a network that has given a wrong one has no more than one a minute.
	SitePasswordFailuresPerMinute = 600
	// PasswordFailureTTL is after how long without a wrong password the delays start again.
	PasswordFailureTTL = 24 * time.Hour
)

// PasswordDelay is how long after the last of so many wrong passwords for one name from one
// network the next may come: 0 three times, then 1, 2, 4 … 60 s. It never becomes a lock
// (NIST SP 800-63B-4, 3.2.2).
func PasswordDelay(wrong int64) time.Duration {
	switch {
	case wrong < 3:
		return 0
	case wrong > 8:
		return time.Minute
	}
	return time.Second << (wrong - 3)
}

// NetworkPasswordLimit is how many wrong passwords a network may give in a minute, when so
// many were given by all.
func NetworkPasswordLimit(site int64) int64 {
	if site >= SitePasswordFailuresPerMinute {
		return 1
	}
	return NetworkPasswordFailuresPerMinute
}
