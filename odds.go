package twostep

import (
	"cmp"
	"math"
	"time"

	"twostep.example/twostep/internal/odds"
)

// Odds are the chances of somebody who knows the password of an account to pass the second step within a year by
// guessing, from any number of browsers and networks. All are probabilities, from 0 to 1.
type Odds struct {
	PerYear float64 // by all methods together
	Pair    float64 // by one guess at two app codes in a row, which is asked for at last; 0: there is no such method
	Pairs   int64   // how many such guesses are compared in a year
	OfPairs float64 // the part of PerYear that they add
	// Renewed is PerYear for an account whose password is changed as often as that resets the count of guesses, if
	// each new password becomes known too.
	Renewed float64
	Methods []MethodOdds
}

// MethodOdds are the chances by one method alone.
type MethodOdds struct {
	Method   string
	Digits   int     // of an answer; 0: it cannot be guessed
	Right    int     // how many answers are right at a time
	PerGuess float64 // the chance of one guess
	Guesses  int64   // how many guesses are compared in a year
	PerYear  float64 // the chance in a year
}

func (o Options) perYear() odds.Chance {
	return odds.Certainty / odds.Chance(cmp.Or(o.Odds, leastOdds))
}

// ComputeOdds returns the chances of a server with these options. Only Methods and Odds count; the arithmetic is that
// which limits the guesses. It returns the errors that New returns for options that are missing or wrong.
func (o Options) ComputeOdds() (Odds, error) {
	o, err := o.completed()
	if err != nil {
		return Odds{}, err
	}
	budget := o.perYear()
	share := func(c odds.Chance) float64 { return float64(c) / float64(odds.Certainty) }
	var all Odds
	for _, m := range o.Methods {
		about := m.About()
		one := MethodOdds{Method: about.Method, Digits: about.Digits, Right: max(about.Right, 1)}
		if cost := odds.Cost(one.Right, one.Digits); cost > 0 {
			one.PerGuess, one.Guesses = share(cost), int64(budget/cost)
			one.PerYear = one.PerGuess * float64(one.Guesses)
		}
		if about.Right > 0 { // and then two in a row: of several factors so many fewer
			all.Pair = max(all.Pair, share(odds.Cost(about.Right, about.Digits))/math.Pow10(about.Digits))
			all.Pairs = (odds.CodePairsPerDay + odds.CodePairsPerNetworkDay) * int64(odds.Year/(24*time.Hour))
		}
		all.Methods = append(all.Methods, one)
	}
	all.OfPairs = all.Pair * float64(all.Pairs)
	all.PerYear = share(budget) + all.OfPairs
	all.Renewed = share(budget)*(1+odds.MaxRenewalsPerYear) + all.OfPairs
	return all, nil
}
