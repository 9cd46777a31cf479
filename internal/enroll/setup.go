package enroll

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// accountToEnroll returns the account of a session for which a factor of method m is to be set up. A session that a
// desk code opened may set up only what replaces the lost methods: no backup. Its errors are those of account, and
// challenge.ErrUnknownMethod.
func (e *Enrollments) accountToEnroll(
	ctx context.Context, who session.Session, m factor.Method,
) (store.Account, error) {
	if !who.MethodRequired {
		return e.account(ctx, who)
	}
	if !setsUp(m.Info()) {
		return store.Account{}, challenge.ErrUnknownMethod
	}
	a, err := e.Store.GetAccount(ctx, who.Account.ID)
	if err != nil {
		return a, fmt.Errorf("enroll: account: %w", err)
	}
	return a, account.Frozen(a)
}

// setsUp reports whether a factor of a method completes the setup after a desk code.
func setsUp(about factor.Info) bool { return about.Path != "" && !about.Backup }

// Setup is what a person may do in a session that a desk code opened.
type Setup struct {
	Methods []factor.Info // to set up one of them
	// MayKeepEmail says that the account has other methods, which the person may remove so that codes by email work.
	MayKeepEmail bool
}

// GetSetup returns what the person of a session may set up.
func (e *Enrollments) GetSetup(ctx context.Context, who session.Session) (s Setup, err error) {
	a, err := e.Store.GetAccount(ctx, who.Account.ID)
	if err != nil {
		return s, fmt.Errorf("enroll: setup: %w", err)
	}
	all, err := e.Challenges.Factors(ctx, a)
	if err != nil {
		return s, err
	}
	implicit := false
	for _, m := range e.Challenges.Methods {
		about := m.Info()
		implicit = implicit || about.Implicit
		if setsUp(about) {
			s.Methods = append(s.Methods, about)
		}
	}
	s.MayKeepEmail = implicit && slices.ContainsFunc(all, func(f challenge.Enrolled) bool { return f.Row.ID != "" })
	return s, nil
}

// KeepOnlyEmail removes all factors of the account of a session that a desk code opened, so that codes by email work.
// It ends that session and all others: the person signs in with a code by email, which confirms that it arrives. The
// email about each method has a link that brings it back. KeepOnlyEmail returns session.ErrNoSession if the session
// has ended or was not opened by a desk code, account.ErrFrozen, and ErrNoFactor if there is nothing to remove.
func (e *Enrollments) KeepOnlyEmail(ctx context.Context, who session.Session, from origin.Origin) error {
	if !who.MethodRequired {
		return session.ErrNoSession
	}
	a, err := e.Store.GetAccount(ctx, who.Account.ID)
	if err != nil {
		return fmt.Errorf("enroll: only email: %w", err)
	}
	if err := account.Frozen(a); err != nil {
		return err
	}
	setup, err := e.GetSetup(ctx, who)
	if err != nil {
		return err
	}
	if !setup.MayKeepEmail {
		return ErrNoFactor
	}
	err = e.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.IncrementEpoch(ctx, a.ID, who.Ref().Epoch); err != nil {
			return err
		}
		rows, err := tx.ListFactors(ctx, a.ID)
		if err != nil {
			return err
		}
		for _, row := range rows {
			n := account.Notification{
				Event:    audit.Event{Kind: audit.FactorRemoved, Target: audit.Target("factor", row.ID), Reason: row.Method},
				Template: "removed", Account: a, Detail: e.methodName(row.Method, from.Language),
			}
			if n.UndoToken, err = e.createUndoLink(ctx, tx, a, "", &row, e.Now()); err != nil {
				return err
			}
			if err := tx.DeleteFactor(ctx, a.ID, row.ID); err != nil {
				return err
			}
			if err := e.Accounts.NotifyOwner(ctx, tx, n, from); err != nil {
				return err
			}
		}
		return e.Accounts.EndTrust(ctx, tx, a.Ref(), trust.RevokedFactorChanged, "")
	})
	if errors.Is(err, store.ErrNotFound) {
		return session.ErrNoSession
	}
	if err != nil {
		return fmt.Errorf("enroll: only email: %w", err)
	}
	e.Accounts.NotifyOutbox()
	return nil
}

// NotifyEverywhere records the event of n and sends it to every address and number of the account, also to those that
// it had before a change that can be undone. The texts to numbers say how to cancel, with the token of n.
func (e *Enrollments) NotifyEverywhere(
	ctx context.Context, tx *store.DB, n account.Notification, text factor.Notice, from origin.Origin,
) error {
	to, err := e.contactsOf(ctx, tx, n.Account)
	if err != nil {
		return err
	}
	return e.notify(ctx, tx, n, text, to, from)
}
