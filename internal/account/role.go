package account

import (
	"context"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/i18n"
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

// ChangeRole changes the role of an account; "" removes it. It takes effect with the next request, and ends nothing. It
// returns ErrUnknown, ErrRole, and ErrLastOperator if no active operator would be left, unless force is set. It does
// nothing if the account has the role already.
func (a *Accounts) ChangeRole(ctx context.Context, by By, who, role string, force bool) error {
	if err := ValidateRole(role); err != nil {
		return err
	}
	if account, err := a.Lookup(ctx, who); err != nil || account.Role == role {
		return err
	}
	return a.ChangeBy(ctx, by, who, func(tx *store.DB, account store.Account, n *Notification) error {
		if err := keepOperator(ctx, tx, account, force); err != nil {
			return err
		}
		n.Event.Kind, n.Event.Reason, n.Template = audit.RoleChanged, roleName(role), "operator.role"
		n.Detail = i18n.ForTag(by.From.Language).Translate("role." + roleName(role))
		return tx.SetRole(ctx, account.ID, role)
	})
}

// roleName returns the role for events, emails and commands.
func roleName(role string) string {
	if role == "" {
		return "none"
	}
	return role
}
