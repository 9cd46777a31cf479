package twostep

import (
	"cmp"
	"math"
	"time"

	"twostep.example/twostep/internal/odds"
)

// GuessOdds is the chance that somebody who knows the password of an account guesses the second step within a year,
// from any number of browsers and networks. All float64 fields are probabilities, from 0 to 1.
type GuessOdds struct {
	PerYear      float64 // by all methods together
	PerPair      float64 // by one guess at two app codes in a row, once the budget is used up; 0 without app codes
	PairsPerYear int64   // guesses at pairs that are compared in a year, at most
	PairsShare   float64 // what the pairs add to PerYear
	// PerDeskGuess is the chance of one guess at a code of the help desk, of which DeskGuessesPerYear are compared in a
	// year, at most. They add DeskShare to PerYear.
	PerDeskGuess       float64
	DeskGuessesPerYear int64
	DeskShare          float64
	// PerYearWithResets is PerYear if the password is changed four times, which is as often as that renews the guess
	// budget in a year, and the guesser learns each new one.
	PerYearWithResets float64
	Methods           []MethodOdds
}

// MethodOdds is the chance by one method alone.
type MethodOdds struct {
	Method         string
	Digits         int     // of a code; 0 if it cannot be guessed
	ValidAnswers   int     // codes that are correct at the same time
	PerGuess       float64 // the chance of one guess
	GuessesPerYear int64   // guesses that are compared in a year, at most
	PerYear        float64 // the chance in a year
}

func (o Options) perYear() odds.Chance {
	return odds.Certainty / odds.Chance(cmp.Or(o.GuessOddsOneIn, leastOdds))
}

// ComputeOdds returns the odds of a server with these options, computed by the code that limits guesses. They depend on
// Methods and GuessOddsOneIn only. ComputeOdds returns the errors of New for missing or invalid options.
func (o Options) ComputeOdds() (GuessOdds, error) {
	o, err := o.completed()
	if err != nil {
		return GuessOdds{}, err
	}
	budget := o.perYear()
	share := func(c odds.Chance) float64 { return float64(c) / float64(odds.Certainty) }
	var all GuessOdds
	for _, m := range o.Methods {
		about := m.Info()
		one := MethodOdds{Method: about.Method, Digits: about.Digits, ValidAnswers: max(about.ValidAnswers, 1)}
		if cost := odds.Cost(one.ValidAnswers, one.Digits); cost > 0 {
			one.PerGuess, one.GuessesPerYear = share(cost), int64(budget/cost)
			one.PerYear = one.PerGuess * float64(one.GuessesPerYear)
		}
		if about.ValidAnswers > 0 { // and then two in a row: of several factors so many fewer
			all.PerPair = max(all.PerPair, share(odds.Cost(about.ValidAnswers, about.Digits))/math.Pow10(about.Digits))
			all.PairsPerYear = (odds.CodePairsPerDay + odds.CodePairsPerNetworkDay) * int64(odds.Year/(24*time.Hour))
		}
		all.Methods = append(all.Methods, one)
	}
	all.PairsShare = all.PerPair * float64(all.PairsPerYear)
	all.PerDeskGuess, all.DeskGuessesPerYear = odds.DeskGuess(), odds.DeskGuessesPerYear
	all.DeskShare = all.PerDeskGuess * float64(all.DeskGuessesPerYear)
	beside := all.PairsShare + all.DeskShare
	all.PerYear = share(budget) + beside
	all.PerYearWithResets = share(budget)*(1+odds.MaxRenewalsPerYear) + beside
	return all, nil
}
