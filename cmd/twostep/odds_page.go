package main

import (
	"fmt"
	"math"
	"strings"

	"twostep.example/twostep"
)

// competitor is another product with its default limits: how many guesses a day it compares for an
// attacker who knows the password, and how many answers are valid at a time.
type competitor struct {
	name, limits    string
	guessesPerDay   float64
	validPerMillion float64 // valid answers of a million
}

// competitors are as of 2026, from their source code and manuals. Without any limit, ten guesses a
// second or one sign-in a second are assumed.
var competitors = []competitor{
	{"Authelia, one address", "30 app codes a minute, 50 in 10 minutes, for each address", 7_200, 3},
	{"Authelia, ten addresses", "the same", 72_000, 3},
	{"Keycloak, as it comes", "none: detection is off", 864_000, 3},
	{"Keycloak, detection on", "30 failures, then up to 15 minutes; forgotten after 12 hours", 97, 3},
	{"Ory Kratos, sent codes", "5 for each sign-in; sign-ins without limit", 432_000, 1},
	{"Ory Kratos, app codes", "none", 864_000, 3},
	{"Zitadel, app codes", "none: the setting is 0", 864_000, 3},
	{"Supabase Auth", "15 a minute for each address, if a header is set", 21_600, 3},
	{"Azure AD B2C, one session", "5 for each code, 10 codes, 10 minutes", 7_200, 1},
	{"Vaultwarden, app codes", "1 a minute for each address", 1_440, 3},
	{"Hanko", "3 a minute for each address and person, in memory", 4_320, 3},
	{"SuperTokens", "5, then 15 minutes", 480, 3},
	{"Nextcloud, app codes", "5 in 100 seconds", 4_320, 7},
	{"privacyIDEA", "10, then an administrator must act: anybody with the password can lock its owner out", 10.0 / 365,
		13},
}

// formatOddsPage returns docs/odds.md.
func formatOddsPage(odds twostep.GuessOdds) string {
	var b strings.Builder
	b.WriteString(`# The odds of guessing the second step

*Made by ` + "`twostep odds --page`" + `; a test compares. With your own settings: ` + "`twostep odds`" + `.*

What is the chance that somebody who knows a password passes the second step by guessing, in a year?

| method | one guess | guesses a year | chance a year |
|---|---|---|---|
`)
	for _, m := range odds.Methods {
		if m.GuessesPerYear == 0 {
			fmt.Fprintf(&b, "| %s | cannot be guessed | | |\n", m.Method)
			continue
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %s |\n", m.Method, formatChance(m.PerGuess), m.GuessesPerYear,
			formatChance(m.PerYear))
	}
	if odds.PairsPerYear > 0 {
		fmt.Fprintf(&b, "| pairs of app codes, once that is used up | %s | %d | %s |\n", formatChance(odds.PerPair),
			odds.PairsPerYear, formatChance(odds.PairsShare))
	}
	fmt.Fprintf(&b, "| **all together** | | | **%s** |\n", formatChance(odds.PerYear))
	fmt.Fprintf(&b, "| with a new password four times, each known again | | | %s |\n\n",
		formatChance(odds.PerYearWithResets))
	b.WriteString("```\n" + oddsAssumptions + "```\n\n## Others, as they come\n\n")
	b.WriteString("The same attacker, and one account. With p for one guess and n guesses the chance is 1 − (1 − " +
		"p)^n.\n\n| product | its limits | guesses a day | in a day | in a year |\n|---|---|---|---|---|\n")
	for _, p := range competitors {
		in := func(days float64) string {
			return formatProbability(1-math.Pow(1-p.validPerMillion/1e6, p.guessesPerDay*days), math.Round)
		}
		day, perDay := in(1), groupDigits(int64(p.guessesPerDay))
		if p.guessesPerDay < 1 {
			day, perDay = "", "10 in all"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", p.name, p.limits, perDay, day, in(365))
	}
	b.WriteString(`
These are the products alone, at their defaults and as their sources and manuals of 2026 say; a firewall in front changes
them, and nobody was attacked. The right answers at a time are those of the window in which app codes are accepted.
`)
	return b.String()
}
