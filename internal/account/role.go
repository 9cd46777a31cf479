package account

import (
	"context"
	"errors"
	"fmt"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/store"
)

// Roles of accounts on the operators' pages.
const (
	RoleOperator = store.RoleOperator
	RoleHelpdesk = store.RoleHelpdesk
	RoleAuditor  = store.RoleAuditor
)

// ValidateRole returns ErrRole unless role is "", operator, helpdesk or auditor.
func ValidateRole(role string) error {
	switch role {
	case "", store.RoleOperator, store.RoleHelpdesk, store.RoleAuditor:
		return nil
	}
	return ErrRole
}

// RoleChange is a change of the role of an account.
type RoleChange struct {
	Role  string      // "" removes the role
	Force bool        // also from the last operator
	Actor audit.Actor // zero: OperatorActor
	From  origin.Origin
}

// ChangeRole changes the role of an account and tells its owner by email. It takes effect with the next request, and ends
// nothing. It returns ErrEmail, ErrUnknown, ErrRole, or ErrLastOperator if no enabled operator would be left. It does
// nothing if the account has the role already.
func (a *Accounts) ChangeRole(ctx context.Context, email string, c RoleChange) error {
	if err := ValidateRole(c.Role); err != nil {
		return err
	}
	if c.Actor.Type == "" {
		c.Actor = a.OperatorActor()
	}
	account, err := a.Find(ctx, email)
	if err != nil {
		return err
	}
	err = a.Store.Tx(ctx, func(tx *store.DB) error {
		account, err := tx.GetAccount(ctx, account.ID)
		if err != nil {
			return err
		}
		if account.Role == c.Role {
			return nil
		}
		if account.Role == store.RoleOperator && !c.Force {
			if err := RefuseLastOperator(ctx, tx, account); err != nil {
				return err
			}
		}
		if err := tx.SetRole(ctx, account.ID, c.Role); err != nil {
			return err
		}
		n := Notification{
			Event: audit.Event{Kind: audit.RoleChanged, Actor: c.Actor, Reason: roleName(c.Role)}, Template: "role",
			Account: account, Detail: i18n.ForTag(c.From.Language).Translate("role." + roleName(c.Role)),
		}
		return a.NotifyOwner(ctx, tx, n, c.From)
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return ErrUnknown
	case err != nil:
		return fmt.Errorf("account: change role: %w", err)
	}
	a.NotifyOutbox()
	return nil
}

// RefuseLastOperator returns ErrLastOperator if the account is the only enabled one with the role operator. Call it in the
// transaction of a change after which the account is no operator.
func RefuseLastOperator(ctx context.Context, tx *store.DB, account store.Account) error {
	if account.Role != store.RoleOperator || !account.DisabledAt.IsZero() {
		return nil
	}
	others, err := tx.CountOtherOperators(ctx, account.ID)
	if err == nil && others == 0 {
		err = ErrLastOperator
	}
	return err
}

// roleName returns the role for events, emails and commands.
func roleName(role string) string {
	if role == "" {
		return "none"
	}
	return role
}
