package odds

import (
	"context"
	"math"
	"time"

	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store"
)

// Guesses at desk codes have a part of each budget that nothing else can use up, and they use up nothing else: somebody
// who has spent the rest cannot keep the help desk from helping.
const (
	// DeskGuessesPerCode is how many answers may be compared with one desk code.
	DeskGuessesPerCode = 5
	// DeskGuessesPerYear is how many answers may be compared with the desk codes of one account in a rolling Year.
	DeskGuessesPerYear = 100
)

// DeskGuess is the probability that one guess at a desk code is right. It is too small for a Chance.
func DeskGuess() float64 { return math.Pow(2, -seal.DeskCodeBits) }

// ChargeDeskGuess charges one guess at a desk code of an account, before it is compared and in the transaction that
// counts it. It returns ErrExhausted if DeskGuessesPerYear are used up.
func (bs *Budgets) ChargeDeskGuess(ctx context.Context, tx *store.DB, a store.Account, from origin.Origin) error {
	b, err := bs.Lock(ctx, tx, AccountBudget(a))
	if err != nil {
		return err
	}
	if n, _ := b.deskGuesses(); n >= DeskGuessesPerYear {
		return ErrExhausted
	}
	e := bs.newEntry(b.Name, store.EntryDesk, "", from)
	return tx.CreateBudgetEntry(ctx, e)
}

// ReserveDeskCode returns a *ratelimit.LimitedError if the account has no DeskGuessesPerCode guesses left for a new
// desk code.
func (bs *Budgets) ReserveDeskCode(ctx context.Context, tx *store.DB, a store.Account) error {
	b, err := bs.Lock(ctx, tx, AccountBudget(a))
	if err != nil {
		return err
	}
	n, oldest := b.deskGuesses()
	if n+DeskGuessesPerCode > DeskGuessesPerYear {
		return &ratelimit.LimitedError{RetryAt: oldest.Add(Year)}
	}
	return nil
}

// deskGuesses returns how many guesses at desk codes were compared within a year, and when the oldest of them was.
// Those of a clock that was ahead count too.
func (b Budget) deskGuesses() (n int64, oldest time.Time) {
	for _, e := range b.Entries {
		if e.Kind != store.EntryDesk {
			continue
		}
		if n++; n == 1 {
			oldest = e.CreatedAt
		}
	}
	return n, oldest
}
