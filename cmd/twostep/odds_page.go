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
	{"Authelia, one address", "30 codes per minute and 50 per 10 minutes, for each address", 7_200, 3},
	{"Authelia, ten addresses", "the same", 72_000, 3},
	{"Keycloak, brute-force detection off (default)", "none", 864_000, 3},
	{"Keycloak, brute-force detection on", "30 failures, then waits of up to 15 minutes; reset after 12 hours", 97, 3},
	{"Ory Kratos, sent codes", "5 per sign-in; no limit on sign-ins", 432_000, 1},
	{"Ory Kratos, authenticator codes", "none", 864_000, 3},
	{"Zitadel, authenticator codes", "none (the setting is 0)", 864_000, 3},
	{"Supabase Auth", "15 per minute for each address, if a header is set", 21_600, 3},
	{"Azure AD B2C, one session", "5 per code, 10 codes, 10 minutes", 7_200, 1},
	{"Vaultwarden, authenticator codes", "1 per minute for each address", 1_440, 3},
	{"Hanko", "3 per minute for each address and person, in memory", 4_320, 3},
	{"SuperTokens", "5, then a wait of 15 minutes", 480, 3},
	{"Nextcloud, authenticator codes", "5 per 100 seconds", 4_320, 7},
	{"privacyIDEA", "10, then locked until an administrator acts; anyone with the password can lock the owner out", 10.0 / 365,
		13},
}

// oddsNames are the names of the methods in docs/odds.md.
var oddsNames = map[string]string{
	"totp": "authenticator app (`totp`)", "sms": "text message (`sms`)", "email": "email (`email`)",
	"recovery": "recovery code (`recovery`)",
}

// formatOddsPage returns docs/odds.md.
func formatOddsPage(odds twostep.GuessOdds) string {
	var b strings.Builder
	b.WriteString(`# The odds of guessing the second step

*Do not edit this page: ` + "`make docs`" + ` prints it. For your own settings, run ` + "`twostep odds`" + `.*

An attacker knows the password of an account. How likely is it that they guess the second step within a year?

| method | one guess | guesses per year | chance per year |
|---|---|---|---|
`)
	for _, m := range odds.Methods {
		if m.GuessesPerYear == 0 {
			fmt.Fprintf(&b, "| %s | %s | | |\n", oddsNames[m.Method], notGuessing)
			continue
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", oddsNames[m.Method], formatChance(m.PerGuess),
			groupDigits(m.GuessesPerYear), formatChance(m.PerYear))
	}
	if odds.PairsPerYear > 0 {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", oddsPairs, formatChance(odds.PerPair), groupDigits(odds.PairsPerYear),
			formatChance(odds.PairsShare))
	}
	fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", oddsDesk, formatChance(odds.PerDeskGuess),
		groupDigits(odds.DeskGuessesPerYear), formatChance(odds.DeskShare))
	fmt.Fprintf(&b, "| **%s** | | | **%s** |\n", oddsTotal, formatChance(odds.PerYear))
	fmt.Fprintf(&b, "| %s | | | %s |\n\n", oddsResets, formatChance(odds.PerYearWithResets))
	b.WriteString("Each account has a guess budget: all methods together allow a chance of 1 in 50,000 per year. Guesses at two\n" +
		"authenticator codes in a row are outside this budget, so the total is slightly higher. Desk codes add nothing that can be\n" +
		"seen in it.\n\n" +
		"## Assumptions\n\n" + oddsAssumptions + "\n## Other products\n\n")
	b.WriteString("The same attacker guesses at one account of another product with its default settings. If p is the " +
		"chance that one guess\nsucceeds, the chance that one of n guesses succeeds is 1 − (1 − p)^n.\n\n" +
		"| product | limits | guesses per day | chance per day | chance per year |\n|---|---|---|---|---|\n")
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
We calculated these figures from the source code and the manuals of 2026, and attacked no one. They are for the product
alone: a firewall or a proxy in front of it changes them. For products without a limit, we assume ten guesses or one sign-in
per second. The number of valid codes depends on the time window in which a product accepts authenticator codes.
`)
	return b.String()
}
