package ledger

import (
	"context"
	"errors"
	"fmt"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/limit"
	"twostep.example/twostep/internal/store"
)

// Guessed tells the owner of an account, after an answer was wrong, that somebody guesses
// with their password: once a day, and not for mistakes in one sign-in; or that this was the
// last guess. It looks back a month, or a patient thief would never be mentioned.
func (l *Ledgers) Guessed(ctx context.Context, a store.Account, g Guess, from account.From) error {
	if g.Ledger != Of(a) || g.Free() {
		return nil // it is no account's, or no guess
	}
	if err := l.UsedUp(ctx, a, g, from); err != nil {
		return err
	}
	return l.tell(ctx, a, account.Notice{Event: audit.Event{Kind: audit.GuessingReported, Actor: audit.System()}, Words: "guessed", Account: a}, from, func(tx *store.DB, b book) error {
		anywhere := func(store.Debit) bool { return true }
		if n, _ := b.visits(limit.Month, g.Challenge, anywhere); n == 0 || b.known(g.Device) {
			return store.ErrNotFound
		}
		return tx.TellGuessed(ctx, b.Name, store.Millis(b.now.Add(-day)), store.Millis(b.now))
	})
}

// UsedUp tells the owner of an account that strangers have nothing left to guess with, also in a
// sign-in that is begun anew: once for each ledger.
func (l *Ledgers) UsedUp(ctx context.Context, a store.Account, g Guess, from account.From) error {
	if g.Ledger != Of(a) {
		return nil
	}
	return l.tell(ctx, a, account.Notice{Event: audit.Event{Kind: audit.GuessBudgetExhausted, Actor: audit.System()}, Words: "longer", Account: a}, from, func(tx *store.DB, b book) error {
		if limit.Allows(b.spent(), g.Next, l.PerYear) {
			return store.ErrNotFound // it is not this account that is guessed at
		}
		return tx.TellLonger(ctx, b.Name, max(store.Millis(b.renewed()), store.Millis(b.now.Add(-limit.Year))), store.Millis(b.now))
	})
}

// tell tells the owner if due notes that it must be done, once: store.ErrNotFound if not.
func (l *Ledgers) tell(ctx context.Context, a store.Account, n account.Notice, from account.From, due func(*store.DB, book) error) error {
	err := l.Store.Tx(ctx, func(tx *store.DB) error {
		row, err := tx.Ledger(ctx, Of(a))
		if err != nil {
			return err
		}
		b, err := l.open(ctx, tx, row)
		if err != nil {
			return err
		}
		if err := due(tx, b); err != nil {
			return err
		}
		return l.Tell(ctx, tx, n, from)
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("ledger: tell: %w", err)
	}
	l.Wake()
	return nil
}
