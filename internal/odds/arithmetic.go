package odds

import (
	"math"
	"slices"
	"time"
)

// Chance is a probability in billionths: 1,000 is one in a million.
type Chance int64

const (
	// Certainty is the probability 1.
	Certainty Chance = 1_000_000_000
	// AccountBudgetPerYear is what unknown devices that have the password of an account may spend on guessing in any
	// Year, over all methods, sessions and networks: 1 in 50,000.
	AccountBudgetPerYear Chance = 20_000
	// MaxAccountBudgetPerYear is the most that an account can allow in a year, with all renewals and without pairs of
	// app codes: 1 in 10,000.
	MaxAccountBudgetPerYear Chance = 100_000
	// MaxRenewalsPerYear is how often a new password may renew the budget of an account in a year.
	MaxRenewalsPerYear = 4
	// Year is the rolling window of a budget.
	Year = 365 * 24 * time.Hour
	// CodePairsPerDay is how many pairs of consecutive app codes unknown devices may have compared per account and
	// day once single codes are no longer accepted from them. Each pair is right with a probability of 2 in 10^12
	// per app. CodePairsPerNetworkDay is the limit for one network. All networks from which the account has
	// completed both steps share one further limit of CodePairsPerNetworkDay, which other networks cannot use up.
	CodePairsPerDay, CodePairsPerNetworkDay = 50, 10
	// KnownDeviceGuessesPerHour and KnownDeviceGuessesPerMonth limit the wrong codes of one known device. Beyond them
	// it counts as unknown. They are not charged to the budget of the account, and no other device can use them up.
	KnownDeviceGuessesPerHour, KnownDeviceGuessesPerMonth = 10, 50
	// Month is the window of KnownDeviceGuessesPerMonth, and how long a network stays known after both steps were
	// completed from it.
	Month = 30 * 24 * time.Hour
)

// Cost returns the probability that one guess is right if right of all answers with this number of digits are correct.
// It is rounded up, and at least 1. It returns 0 for digits == 0, an answer that is not a number: a long code has 65
// bits, and from 64 bits on guesses need no limit (NIST SP 800-63B-4 3.1.3.2).
func Cost(right, digits int) Chance {
	if digits <= 0 || right <= 0 {
		return 0
	}
	return max(Chance(math.Ceil(float64(right)*float64(Certainty)/math.Pow10(digits))), 1)
}

// Allows reports whether a guess at this cost may be compared when spent of budget is already used.
func Allows(spent, cost, budget Chance) bool { return cost == 0 || spent+cost <= budget }

// GuessDelay returns how long after the last wrong code of a sign-in the next one may be compared, by the number of
// wrong codes so far: no delay for the first two, then 2, 5 and 15 seconds.
func GuessDelay(wrong int64) time.Duration {
	return delayOf(wrong, 0, 0, 2*time.Second, 5*time.Second, 15*time.Second)
}

// AttemptDelay returns how long after the last wrong code a new sign-in from the same network may have a code compared,
// by the number of earlier sign-ins that were abandoned after wrong codes: no delay for the first two, then 30 seconds,
// 2 minutes, 10 minutes and 1 hour.
func AttemptDelay(abandoned int64) time.Duration {
	return delayOf(abandoned, 0, 0, 30*time.Second, 2*time.Minute, 10*time.Minute, time.Hour)
}

// delayOf returns the n-th delay, or the last one if n is beyond it.
func delayOf(n int64, delays ...time.Duration) time.Duration {
	return delays[min(max(n, 0), int64(len(delays)-1))]
}

// HourSpent is what unknown devices have spent in one hour on all accounts together, without what was refunded.
type HourSpent struct {
	Ends  time.Time
	Spent Chance
}

const (
	// SiteBudgetPerDay and SiteBudgetPerYear are what unknown devices may spend on all accounts together before the
	// site-wide alarm can be raised. They bound the damage when many passwords have leaked.
	SiteBudgetPerDay, SiteBudgetPerYear Chance = 1_000_000, 10_000_000
	// SiteBudgetPerAccount raises the yearly limit of a large site: it is more than one person's own mistakes that
	// were never refunded come to in a year.
	SiteBudgetPerAccount Chance = 2_000
	// NetworkBudgetPerDay is what the unknown devices of one large network (IPv4 /24, IPv6 /48) may spend on all accounts
	// in a day. Beyond it they need a long code, and nobody else does: the alarm needs guesses from many networks.
	NetworkBudgetPerDay Chance = 100_000
	// EstablishedAge is the age from which an account whose owner has completed both steps is established. New accounts
	// have an alarm of their own.
	EstablishedAge = 7 * 24 * time.Hour
	// AlarmDuration is how long the site-wide alarm lasts: unknown devices need a long code at every account. The
	// first guess after that raises it again if the limits are still exceeded.
	AlarmDuration = time.Hour
	// AlarmBaselineDays is the number of days that today is compared with.
	AlarmBaselineDays = 14
)

// DayAlarm reports whether more was spent in the last 24 hours than SiteBudgetPerDay and than three times the median of
// the AlarmBaselineDays days before. It ignores hours that end more than an hour after now: they were counted by a
// clock that was ahead, and would count as today for as long as that.
func DayAlarm(hours []HourSpent, now time.Time) bool {
	days := make([]Chance, AlarmBaselineDays+1) // days[0] is the last 24 hours
	for _, h := range hours {
		if h.Ends.After(now.Add(time.Hour)) {
			continue
		}
		if ago := int(max(now.Sub(h.Ends), 0) / (24 * time.Hour)); ago < len(days) {
			days[ago] += h.Spent
		}
	}
	past := days[1:]
	slices.Sort(past)
	return days[0] > max(SiteBudgetPerDay, 3*past[AlarmBaselineDays/2])
}

// YearAlarm reports whether what was spent in a year exceeds the limit of a site with this number of accounts.
func YearAlarm(spent Chance, accounts int64) bool {
	return spent > max(SiteBudgetPerYear, SiteBudgetPerAccount*Chance(accounts))
}
