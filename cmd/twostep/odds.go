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
	JSON     bool     `name:"json" help:"Print JSON, with total_per_year."`
	Page     bool     `help:"Print docs/odds.md."`
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
		_, err = fmt.Fprint(to.out, formatOddsTable(odds)+"\n"+oddsAssumptions)
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
		Renewed float64      `json:"with_new_passwords_per_year"`
		Methods []methodJSON `json:"methods"`
	}{Total: odds.PerYear, Pairs: odds.PairsShare, Renewed: odds.PerYearWithResets}
	for _, m := range odds.Methods {
		out.Methods = append(out.Methods, methodJSON(m))
	}
	e := json.NewEncoder(to.out)
	e.SetIndent("", "  ")
	return e.Encode(out)
}

const oddsAssumptions = `Assumed: somebody knows the password, guesses without end from any number of browsers and networks, and
nobody notices. A mail tells the owner of the second sign-in in 30 days that has wrong codes; a new password ends it.
One guess passes with (right answers at a time) / 10^digits. Each is paid for before it is compared, and given
back only by the very sign-in that is passed. All methods of an account share one budget of a rolling year.
When it is used up nobody is refused: a browser that is new to the account needs a code of 65 bits, two app
codes in a row, or a recovery code. Browsers in which the account has signed in have tries of their own.
With several apps a pair is compared with each of them, and there are so many fewer.
`

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
	fmt.Fprintln(w, "method\tone guess\tguesses a year\tchance a year")
	for _, m := range odds.Methods {
		if m.GuessesPerYear == 0 {
			fmt.Fprintf(w, "%s\tcannot be guessed\t\t\n", m.Method)
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\n", m.Method, formatChance(m.PerGuess), m.GuessesPerYear,
			formatChance(m.PerYear))
	}
	if odds.PairsPerYear > 0 {
		fmt.Fprintf(w, "pairs of app codes, once that is used up\t%s\t%d\t%s\n", formatChance(odds.PerPair),
			odds.PairsPerYear, formatChance(odds.PairsShare))
	}
	fmt.Fprintf(w, "all together\t\t\t%s\n", formatChance(odds.PerYear))
	fmt.Fprintf(w, "with a new password four times, each known again\t\t\t%s\n", formatChance(odds.PerYearWithResets))
	_ = w.Flush() // into memory
	return b.String()
}
