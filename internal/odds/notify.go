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

// NotifyGuessed notifies the owner of an account after a wrong answer: that their password is used for
// guessing codes, at most once a day, or that the budget is now used up. It does not count the wrong codes
// of a single sign-in. It looks back over a Month, so that it also finds somebody who guesses slowly.
func (bs *Budgets) NotifyGuessed(ctx context.Context, a store.Account, g Guess, from origin.Origin) error {
	if g.Budget != AccountBudget(a) || g.Free() {
		return nil
	}
	if err := bs.NotifyExhausted(ctx, a, g, from); err != nil {
		return err
	}
	event := audit.Event{Kind: audit.GuessingReported, Actor: audit.System()}
	n := account.Notification{Event: event, Template: "guessed", Account: a}
	return bs.notify(ctx, n, from, func(tx *store.DB, b Budget) error {
		anyNetwork := func(store.BudgetEntry) bool { return true }
		if n, _ := b.failedAttempts(Month, g.Challenge, anyNetwork); n == 0 || b.knownDeviceHasGuesses(g.Device) {
			return store.ErrNotFound
		}
		return tx.ClaimGuessNotice(ctx, b.Name, b.now.Add(-day), b.now)
	})
}

// NotifyExhausted notifies the owner of an account that unknown devices need a long code from now on, once
// until the budget is renewed or refunded. It does nothing if only the site-wide alarm is on.
func (bs *Budgets) NotifyExhausted(ctx context.Context, a store.Account, g Guess, from origin.Origin) error {
	if g.Budget != AccountBudget(a) {
		return nil
	}
	event := audit.Event{Kind: audit.GuessBudgetExhausted, Actor: audit.System()}
	n := account.Notification{Event: event, Template: "longer", Account: a}
	return bs.notify(ctx, n, from, func(tx *store.DB, b Budget) error {
		if b.allows(g.CostIfReissued) {
			return store.ErrNotFound // the budget of this account is not used up
		}
		return tx.ClaimSpentNotice(ctx, b.Name, later(b.renewed(), b.now.Add(-Year)), b.now)
	})
}

// notify sends a notification to the owner unless claim, which records that it is sent, returns
// store.ErrNotFound.
func (bs *Budgets) notify(
	ctx context.Context, n account.Notification, from origin.Origin, claim func(*store.DB, Budget) error,
) error {
	err := bs.Store.Tx(ctx, func(tx *store.DB) error {
		b, err := bs.Load(ctx, tx, AccountBudget(n.Account))
		if err != nil {
			return err
		}
		if err := claim(tx, b); err != nil {
			return err
		}
		return bs.Accounts.NotifyOwner(ctx, tx, n, from)
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("odds: notify: %w", err)
	}
	bs.Accounts.NotifyOutbox()
	return nil
}
