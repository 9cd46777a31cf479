package limit

import "time"

const (
	// PasswordsPerMinute and PasswordsPerHour are the wrong passwords of one network.
	PasswordsPerMinute, PasswordsPerHour = 30, 300
	// SitePasswords are the wrong passwords of all strangers in a minute; beyond them a
	// network that has given a wrong one has no more than one a minute.
	SitePasswords = 600
	// PasswordsForgotten is after how long without a wrong one waits begin anew.
	PasswordsForgotten = 24 * time.Hour
)

// PasswordWait is how long after the last of so many wrong passwords for one name from one
// network the next may come: at once three times, then 1, 2, 4 … 60 s. It never ends in a lock.
func PasswordWait(wrong int64) time.Duration {
	switch {
	case wrong < 3:
		return 0
	case wrong > 8:
		return time.Minute
	}
	return time.Second << (wrong - 3)
}

// NetworkPasswords is how many wrong passwords a network may give in a minute, when so
// many were given by all.
func NetworkPasswords(site int64) int64 {
	if site >= SitePasswords {
		return 1
	}
	return PasswordsPerMinute
}
