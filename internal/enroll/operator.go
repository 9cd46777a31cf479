package enroll

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// ErrNoFactor means that the account has no such factor beside its mailbox.
var ErrNoFactor = errors.New("no such factor")

// RemoveBy removes a factor, for an operator. All sessions, attempts and trust of the account end. The notification has a
// link that undoes the change. RemoveBy returns account.ErrUnknown, account.ErrFrozen, and ErrNoFactor if the account has
// no such factor.
func (e *Enrollments) RemoveBy(ctx context.Context, by account.By, who, id string) error {
	return e.removeBy(ctx, by, who, func(tx *store.DB, a store.Account, rows []store.Factor, n *account.Notification) (err error) {
		i := slices.IndexFunc(rows, func(f store.Factor) bool { return f.ID == id })
		if i < 0 {
			return ErrNoFactor
		}
		n.Event = audit.Event{Kind: audit.FactorRemoved, Target: audit.Target("factor", id), Reason: rows[i].Method}
		n.Template, n.Detail = "operator.removed", e.methodName(rows[i].Method, by.From.Language)
		if n.UndoToken, err = e.createUndoLink(ctx, tx, a, "", &rows[i], e.Now()); err != nil {
			return err
		}
		return tx.DeleteFactor(ctx, a.ID, id)
	})
}

// ResetBy removes all factors of an account, for an operator: codes by email work again, also where the person or the
// site allows them only until another method is set up. All sessions, attempts and trust of the account end. There is
// no link to undo it. ResetBy returns account.ErrUnknown, account.ErrFrozen, and ErrNoFactor if there is nothing to
// remove.
func (e *Enrollments) ResetBy(ctx context.Context, by account.By, who string) error {
	return e.removeBy(ctx, by, who, func(tx *store.DB, a store.Account, rows []store.Factor, n *account.Notification) error {
		if len(rows) == 0 {
			return ErrNoFactor
		}
		n.Event, n.Template = audit.Event{Kind: audit.FactorRemoved, Reason: "all methods"}, "operator.methods"
		for _, row := range rows {
			if err := tx.DeleteFactor(ctx, a.ID, row.ID); err != nil {
				return err
			}
		}
		return nil
	})
}

// removeBy removes factors and ends what began with them.
func (e *Enrollments) removeBy(ctx context.Context, by account.By, who string,
	remove func(*store.DB, store.Account, []store.Factor, *account.Notification) error) error {
	return e.Accounts.ChangeBy(ctx, by, who, func(tx *store.DB, a store.Account, n *account.Notification) error {
		if err := account.Frozen(a); err != nil {
			return err
		}
		rows, err := tx.ListFactors(ctx, a.ID) // also of methods that the server no longer has
		if err != nil {
			return err
		}
		if err := remove(tx, a, rows, n); err != nil {
			return err
		}
		if err := tx.IncrementEpoch(ctx, a.ID, a.Epoch); err != nil {
			return err
		}
		return e.Accounts.EndTrust(ctx, tx, a.Ref(), trust.RevokedFactorChanged, "")
	})
}

// ProposeEmail sends a link to a new email address of an account, for an operator. The address changes with
// ConfirmProposedEmail. The present address is notified. ProposeEmail returns account.ErrUnknown, account.ErrEmail,
// account.ErrExists if the address has an account, account.ErrDisabled and account.ErrFrozen.
func (e *Enrollments) ProposeEmail(ctx context.Context, by account.By, who, email string) error {
	address, err := e.Accounts.ParseNewEmail(email)
	if err != nil {
		return err
	}
	switch _, err := e.Store.FindAccountByEmail(ctx, address); {
	case err == nil:
		return account.ErrExists
	case !errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("enroll: propose email: %w", err)
	}
	l := account.LinkBy{
		Purpose: store.LinkAddress, Email: address, Template: "operator.address", Event: audit.EmailChangeProposed,
	}
	return e.Accounts.SendLinkBy(ctx, by, who, l, func(tx *store.DB, a store.Account) error {
		n := account.Notification{
			Template: "operator.email", Account: a, Detail: account.MaskEmail(address), Who: by.Who(),
			SendUntil: e.Now().Add(account.LinkTTL), // as the link, which would otherwise be sent before
		}
		return e.Accounts.SendNotification(ctx, tx, n, by.From)
	})
}

// FindProposedEmail returns the new address that a link of ProposeEmail is for, without using it up. It returns
// account.ErrLink or account.ErrFrozen.
func (e *Enrollments) FindProposedEmail(ctx context.Context, token string) (email string, err error) {
	l, _, err := e.Accounts.FindAddressLink(ctx, token)
	return l.Email, err
}

// ConfirmProposedEmail changes the address of an account with a link of ProposeEmail. All sessions, attempts and trust of
// the account end, and both addresses are notified: the old one gets a link that undoes the change. It does not sign in.
// It returns account.ErrLink, also if the address has an account meanwhile, and account.ErrFrozen.
func (e *Enrollments) ConfirmProposedEmail(ctx context.Context, token string, from origin.Origin) error {
	l, a, err := e.Accounts.FindAddressLink(ctx, token)
	if err != nil {
		return err
	}
	err = e.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.UseEmailLink(ctx, l.TokenHash, e.Now()); err != nil {
			return err
		}
		// Another link may have frozen the account since it was read.
		if err := tx.LockAccounts(ctx, a.ID, ""); err != nil {
			return err
		}
		now, err := tx.GetAccount(ctx, a.ID)
		if err == nil {
			err = account.Frozen(now)
		}
		if err != nil {
			return err
		}
		event := audit.Event{Kind: audit.EmailChanged, Target: account.LinkTarget(l), Reason: "proposed by an operator"}
		if err := e.saveEmail(ctx, tx, a, l.Email, event, from); err != nil {
			return err
		}
		if err := tx.IncrementEpoch(ctx, a.ID, a.Epoch); err != nil {
			return err
		}
		return e.Accounts.EndTrust(ctx, tx, a.Ref(), trust.RevokedFactorChanged, "")
	})
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrConflict) {
		return account.ErrLink
	}
	if err != nil {
		return fmt.Errorf("enroll: confirm proposed email: %w", err)
	}
	e.Accounts.NotifyOutbox()
	return nil
}

// EndFreeze ends the freeze of an account and keeps the change, for an operator who has made sure who the person is. It
// is what Object is for somebody who is signed in: every address and number of the account is notified, and the links
// that would undo the change stop working. EndFreeze returns account.ErrUnknown,
// account.ErrNotPermitted and account.ErrNotFrozen.
func (e *Enrollments) EndFreeze(ctx context.Context, by account.By, who string) error {
	a, err := e.Accounts.Lookup(ctx, who)
	if err != nil {
		return err
	}
	n := account.Notification{
		Event: audit.Event{Kind: audit.UndoRejected, Actor: by.Actor}, Template: "operator.kept", Who: by.Who(),
	}
	err = e.keepChanges(ctx, a.ID, n, by.From, func(tx *store.DB) error {
		_, err := e.Accounts.Permit(ctx, tx, by.OperatorsOnly(), a.ID)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return account.ErrNotFrozen
	}
	if err != nil {
		return fmt.Errorf("enroll: end freeze: %w", err)
	}
	e.Accounts.NotifyOutbox()
	return nil
}

// keepChanges ends the freeze of an account and sends n to all of its addresses and numbers. In the same transaction it
// calls authorize before, if it is not nil. It returns store.ErrNotFound if no undo is waiting.
func (e *Enrollments) keepChanges(ctx context.Context, id string, n account.Notification, from origin.Origin,
	authorize func(tx *store.DB) error) error {
	return e.Store.Tx(ctx, func(tx *store.DB) error {
		if authorize != nil {
			if err := authorize(tx); err != nil {
				return err
			}
		}
		if err := tx.CancelUndos(ctx, id, e.Now()); err != nil {
			return err
		}
		a, err := tx.GetAccount(ctx, id)
		if err != nil {
			return err
		}
		everywhere, err := e.contactsOf(ctx, tx, a)
		if err != nil {
			return err
		}
		n.Account = a
		return e.notify(ctx, tx, n, factor.NoticeKept, everywhere, from)
	})
}
