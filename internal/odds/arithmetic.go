package odds

import (
	"math"
	"slices"
	"time"
)

// Chance is a chance in a thousand million (nano-odds): 1,000 is one in a million.
type Chance int64

const (
	// Certainty is certainty.
	Certainty Chance = 1_000_000_000
	// AccountBudgetPerYear is what strangers who know the password of an account may spend on guessing
	// in any Year, over all methods, sessions and networks: 1 in 50,000.
	AccountBudgetPerYear Chance = 20_000
	// MaxAccountBudgetPerYear is the most that an account may ever allow in a year, with all renewals, but for pairs
	// of app codes.
	MaxAccountBudgetPerYear Chance = 100_000
	// MaxRenewalsPerYear are the fresh ledgers of a year that a new password may bring, beyond the first.
	MaxRenewalsPerYear = 4
	// Year is the window of a ledger. It rolls.
	Year = 365 * 24 * time.Hour
	// CodePairsPerDay are the pairs of app codes that strangers may have compared in a day, of
	// an account, when single codes are not enough any more: two in a million million each, for
	// each app. PairsPerNetwork are those from one network; those in which the account has taken
	// both steps have as many together, beside those of all others, which cannot use them up.
	CodePairsPerDay, CodePairsPerNetworkDay = 50, 10
	// KnownDeviceGuessesPerHour and KnownPerMonth are the wrong codes of one known browser; beyond them
	// it is a stranger. They cost an account nothing: nobody else can spend them.
	KnownDeviceGuessesPerHour, KnownDeviceGuessesPerMonth = 10, 50
	// Month is the window of KnownPerMonth, and for how long a network is known.
	Month = 30 * 24 * time.Hour
)

// Cost is what one guess costs where so many of all answers of so many digits are right. What
// has digits can be guessed, however many: it costs something. Without digits it is nothing: 65
// bits are worth less than 3 in 10^20.
func Cost(right, digits int) Chance {
	if digits <= 0 || right <= 0 {
		return 0
	}
	return max(Chance(math.Ceil(float64(right)*float64(Certainty)/math.Pow10(digits))), 1)
}

// Allows reports whether a guess may be compared after so much was spent of a budget.
func Allows(spent, cost, budget Chance) bool { return cost == 0 || spent+cost <= budget }

// GuessDelay is how long after the last of so many wrong codes of a sign-in the next one may
// come: at once twice, then 2, 5 and 15 s.
func GuessDelay(wrong int64) time.Duration {
	return delayOf(wrong, 0, 0, 2*time.Second, 5*time.Second, 15*time.Second)
}

// AttemptDelay is how long after the last wrong code the next sign-in from the same network
// may compare one, after so many that were given up with wrong codes.
func AttemptDelay(visits int64) time.Duration {
	return delayOf(visits, 0, 0, 30*time.Second, 2*time.Minute, 10*time.Minute, time.Hour)
}

func delayOf(n int64, waits ...time.Duration) time.Duration {
	return waits[min(max(n, 0), int64(len(waits)-1))]
}

// HourSpent is what strangers have spent in one hour on all accounts together, without what was
// given back.
type HourSpent struct {
	Ends  time.Time
	Spent Chance
}

const (
	// SiteBudgetPerDay and SiteYear are what strangers may spend on all accounts together: a leak of
	// many passwords is then bounded too.
	SiteBudgetPerDay, SiteBudgetPerYear Chance = 1_000_000, 10_000_000
	// SiteBudgetPerAccount is what a year of an honest person's mistakes that were never made good may
	// come to, with room: a large site has more of them.
	SiteBudgetPerAccount Chance = 2_000
	// AlarmDuration is for how long strangers then need a longer proof, everywhere. The first guess after
	// that begins it again while the sums are what they are.
	AlarmDuration = time.Hour
	// AlarmBaselineDays is how many days a usual hour is known from.
	AlarmBaselineDays = 14
)

// DayAlarm reports whether the last 24 hours are far beyond what is usual: more than
// SiteDay, and more than three times the middle one of the SitePast days before. Hours that
// have not begun are of a clock that was ahead: they would be of the last 24 for as long as it was.
func DayAlarm(hours []HourSpent, now time.Time) bool {
	days := make([]Chance, AlarmBaselineDays+1) // today, a day ago …
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

// YearAlarm reports whether so much spent in a year is too much for so many people.
func YearAlarm(spent Chance, people int64) bool {
	return spent > max(SiteBudgetPerYear, SiteBudgetPerAccount*Chance(people))
}
