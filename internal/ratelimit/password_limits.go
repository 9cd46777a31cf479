package ratelimit

import "time"

const (
	// NetworkPasswordFailuresPerMinute and NetworkPasswordFailuresPerHour limit the wrong passwords of one network.
	NetworkPasswordFailuresPerMinute, NetworkPasswordFailuresPerHour = 30, 300
	// SitePasswordFailuresPerMinute is the number of wrong passwords of all sources together beyond which each network
	// is limited to one per minute.
	SitePasswordFailuresPerMinute = 600
	// PasswordFailureTTL is the time without a wrong password after which the delays start again at 0.
	PasswordFailureTTL = 24 * time.Hour
	// maxDelayFailures is the number of failures from which the delay no longer grows.
	maxDelayFailures = 9
)

// PasswordDelay returns the delay after a number of wrong passwords for one name from one source: 0 up to two,
// then 1, 2, 4 … 60 seconds. It never becomes a lock (NIST SP 800-63B-4 3.2.2).
func PasswordDelay(failures int64) time.Duration {
	switch {
	case failures < 3:
		return 0
	case failures >= maxDelayFailures:
		return time.Minute
	}
	return time.Second << (failures - 3)
}

// NetworkPasswordLimit returns how many wrong passwords a network may enter per minute; site is the number of
// all sources in this minute.
func NetworkPasswordLimit(site int64) int64 {
	if site >= SitePasswordFailuresPerMinute {
		return 1
	}
	return NetworkPasswordFailuresPerMinute
}
