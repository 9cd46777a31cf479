package twostep

import (
	"cmp"
	"math"
	"time"

	"twostep.example/twostep/internal/odds"
)

// Odds are the chances, in a year, of somebody who knows the password of an account and
// guesses codes without end, from any number of browsers and networks.
type Odds struct {
	PerYear float64 // all methods together
	Pair    float64 // the chance of one pair of app codes, once the rest is used up; 0: there is no app
	Pairs   int64   // that are compared in a year
	OfPairs float64 // the part of PerYear that they add
	Renewed float64 // the same if the owner chooses a new password as often as counts, and all become known
	Methods []MethodOdds
}

// MethodOdds is what one method alone adds up to.
type MethodOdds struct {
	Method   string
	Digits   int     // 0: it cannot be guessed
	Right    int     // answers that are right at a time
	PerGuess float64 // the chance of one
	Guesses  int64   // that are compared in a year
	PerYear  float64
}

func (o Options) perYear() odds.Chance {
	return odds.Certainty / odds.Chance(cmp.Or(o.Odds, leastOdds))
}

// ComputeOdds computes them from Methods and Odds alone, by the same arithmetic that counts the
// guesses. It refuses what New refuses.
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
