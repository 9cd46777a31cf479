package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"text/tabwriter"

	"twostep.example/twostep"
	"twostep.example/twostep/delivery"
)

type oddsCommand struct {
	Settings settings `embed:"" group:"settings"`
	JSON     bool     `name:"json" help:"Print JSON"`
	Page     bool     `hidden:"" help:"Print docs/odds.md"`
}

// Run prints the guessing odds of the settings. It needs no database, and rejects the settings that
// a server would reject.
func (c *oddsCommand) Run(_ context.Context, to console, from *settingSources) error {
	if err := c.Settings.complete(from); err != nil {
		return usageError{err}
	}
	s := &c.Settings
	public, err := s.publicURL(s.Listen)
	if err != nil {
		return usageError{err}
	}
	// Storage and delivery do not affect the odds.
	o := twostep.Options{Database: "-", KeyFile: "-", PublicURL: public, Methods: verificationMethods(s),
		GuessOddsOneIn: s.oddsOneIn, Senders: map[delivery.Channel]delivery.SendFunc{delivery.Email: nil}}
	odds, err := o.ComputeOdds()
	if err != nil {
		return usageError{err}
	}
	switch {
	case c.JSON:
		return writeOddsJSON(to, odds)
	case c.Page:
		_, err = fmt.Fprint(to.out, formatOddsPage(odds))
	default:
		_, err = fmt.Fprint(to.out, formatOddsTable(odds)+"\nAssumptions:\n\n"+oddsAssumptions)
	}
	return err
}

type methodJSON struct {
	Method         string  `json:"method"`
	Digits         int     `json:"digits"`
	ValidAnswers   int     `json:"right_at_a_time"`
	PerGuess       float64 `json:"per_guess"`
	GuessesPerYear int64   `json:"guesses_per_year"`
	PerYear        float64 `json:"per_year"`
}

func writeOddsJSON(to console, odds twostep.GuessOdds) error {
	out := struct {
		Total   float64      `json:"total_per_year"`
		Pairs   float64      `json:"of_it_pairs"`
		Desk    float64      `json:"of_it_desk_codes"`
		Renewed float64      `json:"with_new_passwords_per_year"`
		Methods []methodJSON `json:"methods"`
	}{Total: odds.PerYear, Pairs: odds.PairsShare, Desk: odds.DeskShare, Renewed: odds.PerYearWithResets}
	for _, m := range odds.Methods {
		out.Methods = append(out.Methods, methodJSON(m))
	}
	e := json.NewEncoder(to.out)
	e.SetIndent("", "  ")
	return e.Encode(out)
}

const oddsAssumptions = `- The attacker knows the password and guesses for a whole year, from any number of browsers and networks.
- The owner does nothing. In practice, the owner gets an email after the second sign-in with wrong codes within 30 days.
  A new password stops the attacker.
- One guess succeeds with a chance of (number of valid codes) / 10^digits.
- Each guess is counted before the code is compared. It is given back only if the same sign-in succeeds.
- All methods of an account share one budget for the last 365 days.
- A used-up budget does not lock the owner out. New browsers then need a longer code (65 bits), two authenticator codes in
  a row, or a recovery code.
- Browsers in which the person has signed in before have a budget of their own.
- Desk codes have 10 characters (50 bits) and exist only while the help desk helps someone. At most 5 guesses are compared
  with each, in one browser. They have a part of the budget that no other guesses can use up.
- Several authenticator apps do not raise the chance. Two codes in a row are compared with the codes of each app, so an
  attacker gets fewer of these guesses.
`

// Rows of the table that are no method.
const (
	oddsPairs   = "two authenticator codes in a row, after the budget is used up"
	oddsDesk    = "desk code, which the help desk reads to a person who is locked out"
	oddsTotal   = "all methods together"
	oddsResets  = "all methods together, if the attacker learns four new passwords in the year"
	notGuessing = "cannot be guessed"
)

// formatChance formats a probability and never understates it.
func formatChance(p float64) string {
	const slip = 1e-9 // rounding error: 1 in 50,000 must not become 1 in 49,900
	return formatProbability(p, func(n float64) float64 { return math.Floor(n * (1 + slip)) })
}

// formatProbability formats a probability as a percentage or as "1 in N" with three significant
// digits.
func formatProbability(p float64, round func(float64) float64) string {
	switch {
	case p <= 0:
		return "none"
	case p > 0.0105:
		return fmt.Sprintf("%.0f %%", 100*p)
	case p > 0.001:
		return fmt.Sprintf("%.1f %%", 100*p)
	}
	n := 1 / p
	unit := math.Pow(10, math.Floor(math.Log10(n))-2)
	return "1 in " + groupDigits(int64(round(n/unit)*unit))
}

// groupDigits formats a number with a comma at every third digit.
func groupDigits(n int64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func formatOddsTable(odds twostep.GuessOdds) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "method\tone guess\tguesses per year\tchance per year")
	for _, m := range odds.Methods {
		if m.GuessesPerYear == 0 {
			fmt.Fprintf(w, "%s\t%s\t\t\n", m.Method, notGuessing)
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\n", m.Method, formatChance(m.PerGuess), m.GuessesPerYear,
			formatChance(m.PerYear))
	}
	if odds.PairsPerYear > 0 {
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\n", oddsPairs, formatChance(odds.PerPair), odds.PairsPerYear,
			formatChance(odds.PairsShare))
	}
	fmt.Fprintf(w, "%s\t%s\t%d\t%s\n", oddsDesk, formatChance(odds.PerDeskGuess), odds.DeskGuessesPerYear,
		formatChance(odds.DeskShare))
	fmt.Fprintf(w, "%s\t\t\t%s\n", oddsTotal, formatChance(odds.PerYear))
	fmt.Fprintf(w, "%s\t\t\t%s\n", oddsResets, formatChance(odds.PerYearWithResets))
	_ = w.Flush() // into memory
	return b.String()
}
