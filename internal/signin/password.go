package signin

import (
	"context"
	"errors"
	"fmt"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// ChangePassword sets a new password for somebody who is in and knows the current
// one. Every other session ends; this one goes on under the new token it returns.
// ErrStepUp, account.ErrCredentials, *account.WaitError, ErrNoSession, seal.Err….
func (e *Engine) ChangePassword(ctx context.Context, who Session, current, password string, from account.From) (session string, err error) {
	a, err := e.Store.Account(ctx, who.Account.ID)
	if err != nil {
		return "", fmt.Errorf("signin: change password: %w", err)
	}
	if !who.Fresh(e.Now()) {
		return "", ErrStepUp
	}
	if err := e.spendPassword(ctx, who); err != nil {
		return "", err
	}
	same, _, err := e.SamePassword(ctx, a, current)
	if err != nil {
		return "", err
	}
	if !same {
		return "", account.ErrCredentials
	}
	sealed, err := e.SealPassword(ctx, a, password)
	if err != nil {
		return "", err
	}
	err = e.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.SetPassword(ctx, a.ID, who.epoch, sealed, 0); err != nil {
			return endedMeanwhile(err)
		}
		if err := e.EndTrust(ctx, tx, who.row(), trust.EndedPassword, who.device); err != nil {
			return err
		}
		if session, err = e.carryOn(ctx, tx, who, from); err != nil {
			return err
		}
		if err := e.Ledgers.Renew(ctx, tx, a, e.Now()); err != nil { // both steps are fresh
			return err
		}
		return e.Tell(ctx, tx, account.Notice{Event: audit.Event{Kind: audit.PasswordChanged}, Words: "changed", Account: a}, from)
	})
	if errors.Is(err, ErrNoSession) {
		return "", err
	}
	if err != nil {
		return "", fmt.Errorf("signin: change password: %w", err)
	}
	e.Wake()
	return session, nil
}
