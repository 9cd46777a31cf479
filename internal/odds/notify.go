package odds

import (
	"context"
	"errors"
	"fmt"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/store"
)

// NotifyGuessed tells the owner of an account, after an answer was wrong, that somebody guesses
// with their password: once a day, and not for mistakes in one sign-in; or that this was the
// last guess. It looks back a month, or a patient thief would never be mentioned.
func (l *Budgets) NotifyGuessed(ctx context.Context, a store.Account, g Guess, from origin.Origin) error {
	if g.Budget != AccountBudget(a) || g.Free() {
		return nil // it is no account's, or no guess
	}
	if err := l.NotifyExhausted(ctx, a, g, from); err != nil {
		return err
	}
	return l.notify(ctx, a, account.Notification{Event: audit.Event{Kind: audit.GuessingReported, Actor: audit.System()}, Template: "guessed", Account: a}, from, func(tx *store.DB, b Budget) error {
		anywhere := func(store.BudgetEntry) bool { return true }
		if n, _ := b.failedAttempts(Month, g.Challenge, anywhere); n == 0 || b.knownDeviceHasGuesses(g.Device) {
			return store.ErrNotFound
		}
		return tx.ClaimGuessNotice(ctx, b.Name, b.now.Add(-day), b.now)
	})
}

// NotifyExhausted tells the owner of an account that strangers have nothing left to guess with, also in a
// sign-in that is begun anew: once for each ledger.
func (l *Budgets) NotifyExhausted(ctx context.Context, a store.Account, g Guess, from origin.Origin) error {
	if g.Budget != AccountBudget(a) {
		return nil
	}
	return l.notify(ctx, a, account.Notification{Event: audit.Event{Kind: audit.GuessBudgetExhausted, Actor: audit.System()}, Template: "longer", Account: a}, from, func(tx *store.DB, b Budget) error {
		if b.allows(g.CostIfReissued) {
			return store.ErrNotFound // it is not this account that is guessed at
		}
		return tx.ClaimSpentNotice(ctx, b.Name, later(b.renewed(), b.now.Add(-Year)), b.now)
	})
}

// notify tells the owner if due notes that it must be done, once: store.ErrNotFound if not.
func (l *Budgets) notify(ctx context.Context, a store.Account, n account.Notification, from origin.Origin, due func(*store.DB, Budget) error) error {
	err := l.Store.Tx(ctx, func(tx *store.DB) error {
		b, err := l.Load(ctx, tx, AccountBudget(a))
		if err != nil {
			return err
		}
		if err := due(tx, b); err != nil {
			return err
		}
		return l.Accounts.NotifyOwner(ctx, tx, n, from)
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("odds: notify: %w", err)
	}
	l.Accounts.NotifyOutbox()
	return nil
}
