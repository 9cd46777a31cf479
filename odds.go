package twostep

import (
	"cmp"
	"math"
	"time"

	"twostep.example/twostep/internal/odds"
)

// GuessOdds are the chances of somebody who knows the password of an account to pass the second step within a year by
// guessing, from any number of browsers and networks. All are probabilities, from 0 to 1.
type GuessOdds struct {
	PerYear      float64 // by all methods together
	PerPair      float64 // by one guess at two app codes in a row, which is asked for at last; 0: there is no such method
	PairsPerYear int64   // how many such guesses are compared in a year
	PairsShare   float64 // the part of PerYear that they add
	// PerYearWithResets is PerYear for an account whose password is changed as often as that resets the count of
	// guesses, if each new password becomes known too.
	PerYearWithResets float64
	Methods           []MethodOdds
}

// MethodOdds are the chances by one method alone.
type MethodOdds struct {
	Method         string
	Digits         int     // of an answer; 0: it cannot be guessed
	ValidAnswers   int     // how many answers are right at a time
	PerGuess       float64 // the chance of one guess
	GuessesPerYear int64   // how many guesses are compared in a year
	PerYear        float64 // the chance in a year
}

func (o Options) perYear() odds.Chance {
	return odds.Certainty / odds.Chance(cmp.Or(o.GuessOddsOneIn, leastOdds))
}

// ComputeOdds returns the chances of a server with these options. Only Methods and GuessOddsOneIn count.
// The arithmetic is that which limits the guesses. It returns the errors that New returns for options that are missing or wrong.
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
	all.PerYear = share(budget) + all.PairsShare
	all.PerYearWithResets = share(budget)*(1+odds.MaxRenewalsPerYear) + all.PairsShare
	return all, nil
}
