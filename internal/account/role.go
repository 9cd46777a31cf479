package account

import (
	"context"
	"errors"
	"strings"

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

// errSameRole means that the account has the role already.
var errSameRole = errors.New("the account has this role")

// ChangeRole changes the role of an account; "" removes it. It takes effect with the next request. No session ends, but a
// change of the address that somebody proposed before does. It returns ErrUnknown, ErrRole, and ErrLastOperator if no
// active operator would be left, unless force is set. It does nothing if the account has the role already. If seen is not
// nil, it is the role that the operator saw, and ChangeRole returns ErrChanged if somebody has changed it since.
func (a *Accounts) ChangeRole(ctx context.Context, by By, who string, seen *string, role string, force bool) error {
	if err := ValidateRole(role); err != nil {
		return err
	}
	err := a.ChangeBy(ctx, by.OperatorsOnly(), who, func(tx *store.DB, account store.Account, n *Notification) error {
		if seen != nil && account.Role != *seen {
			return ErrChanged
		}
		if account.Role == role {
			return errSameRole
		}
		if err := keepOperator(ctx, tx, account, force); err != nil {
			return err
		}
		n.Event.Kind, n.Event.Reason, n.Template = audit.RoleChanged, roleName(role), "operator.role"
		n.Detail = i18n.ForTag(by.From.Language).Translate("role." + roleName(role))
		// The help desk may have proposed the address, which may not change an account with a role.
		if err := tx.DeleteEmailLinks(ctx, account.ID, store.LinkAddress); err != nil {
			return err
		}
		return tx.SetRole(ctx, account.ID, role)
	})
	if errors.Is(err, errSameRole) {
		return nil
	}
	return err
}

// rights names the role and the groups of a new account, for events.
func rights(role, groups string) string {
	var all []string
	if role != "" {
		all = append(all, "role "+role)
	}
	if groups != "" {
		all = append(all, "groups "+strings.ReplaceAll(groups, ",", ", "))
	}
	return strings.Join(all, "; ")
}

// roleName returns the role for events, emails and commands.
func roleName(role string) string {
	if role == "" {
		return "none"
	}
	return role
}
