package account

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// By is the operator who makes a change, and where from. The emails to people say who made it.
type By struct {
	Actor audit.Actor
	Name  string        // as emails name the operator; "": the ID of the actor
	From  origin.Origin // of the request, and the language of the emails; zero: a command
	// Account is the id of the account whose role permits the change; "": a command or the API, which may change
	// everything, as often as it likes.
	Account string

	operatorsOnly bool
}

// OperatorsOnly returns b for a change that the role operator permits, but not the role helpdesk.
func (b By) OperatorsOnly() By {
	b.operatorsOnly = true
	return b
}

// permits returns ErrNotPermitted unless the role of actor permits a change of the account target: the help desk changes
// no account with a role, and nobody their own, because they could shut themselves out.
func (b By) permits(actor, target store.Account) error {
	switch {
	case !actor.DisabledAt.IsZero() || actor.ID == target.ID:
	case actor.Role == RoleOperator:
		return nil
	case actor.Role == RoleHelpdesk && target.Role == "" && !b.operatorsOnly:
		return nil
	}
	return ErrNotPermitted
}

// Permit returns the account with this id, and keeps it and the role of the operator as they are until the
// transaction ends. It returns ErrNotPermitted, ErrChanged if the account was deleted, and a *ratelimit.LimitedError if
// the operator has changed too much.
func (a *Accounts) Permit(ctx context.Context, tx *store.DB, by By, id string) (target store.Account, err error) {
	if err := tx.LockAccounts(ctx, id, by.Account); err != nil {
		return target, err
	}
	target, err = tx.GetAccount(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return target, ErrChanged
	}
	if err != nil || by.Account == "" {
		return target, err
	}
	actor, err := tx.GetAccount(ctx, by.Account)
	if errors.Is(err, store.ErrNotFound) {
		return target, ErrNotPermitted
	}
	if err == nil {
		err = by.permits(actor, target)
	}
	if err != nil {
		return target, err
	}
	return target, a.Limits.Spend(ctx, tx,
		ratelimit.PerHour("operator_changes", by.Account, ratelimit.OperatorChangesPerHour),
		ratelimit.PerHour("operator_changes_account", id, ratelimit.OperatorChangesPerAccountHour))
}

// OperatorBy returns By of the operator of these Accounts, with emails in a language ("": English).
func (a *Accounts) OperatorBy(language string) By {
	return By{Actor: a.OperatorActor(), From: origin.Origin{Language: language}}
}

// Who returns how emails name the operator.
func (b By) Who() string {
	w := i18n.ForTag(b.From.Language)
	name := cmp.Or(b.Name, b.Actor.ID)
	if name == "" {
		return w.Translate("mail.operator.nameless")
	}
	return w.Translate("mail.operator.name", "Name", name)
}

// Lookup returns the account of an email address or with an ID, for operators. It returns ErrUnknown.
func (a *Accounts) Lookup(ctx context.Context, who string) (store.Account, error) {
	if strings.Contains(who, "@") {
		account, err := a.Find(ctx, who)
		if errors.Is(err, ErrEmail) {
			err = ErrUnknown
		}
		return account, err
	}
	account, err := a.Store.GetAccount(ctx, strings.TrimSpace(who))
	if errors.Is(err, store.ErrNotFound) {
		return account, ErrUnknown
	}
	if err != nil {
		return account, fmt.Errorf("account: lookup: %w", err)
	}
	return account, nil
}

// PermitSite is Permit for a change that concerns no account, like one of an app: only the role operator permits it. It
// returns ErrNotPermitted or a *ratelimit.LimitedError.
func (a *Accounts) PermitSite(ctx context.Context, tx *store.DB, by By) error {
	if by.Account == "" {
		return nil
	}
	if err := tx.LockAccounts(ctx, by.Account, ""); err != nil {
		return err
	}
	actor, err := tx.GetAccount(ctx, by.Account)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && (!actor.DisabledAt.IsZero() || actor.Role != RoleOperator):
		return ErrNotPermitted
	case err != nil:
		return err
	}
	return a.Limits.Spend(ctx, tx,
		ratelimit.PerHour("operator_changes", by.Account, ratelimit.OperatorChangesPerHour))
}

// ChangeBy makes a change to the account of an email address or with an ID, in one transaction with its event and the
// notification of the person. The change sets the Event and the Template of the notification; until it ends, nobody
// changes the account or the role of the operator. It returns ErrUnknown, ErrNotPermitted, ErrChanged if the change
// returns store.ErrNotFound, a *ratelimit.LimitedError, and the other errors of the change.
func (a *Accounts) ChangeBy(ctx context.Context, by By, who string,
	change func(tx *store.DB, account store.Account, n *Notification) error) error {
	found, err := a.Lookup(ctx, who)
	if err != nil {
		return err
	}
	err = a.Store.Tx(ctx, func(tx *store.DB) error {
		account, err := a.Permit(ctx, tx, by, found.ID)
		if err != nil {
			return err
		}
		n := Notification{Account: account}
		if err := change(tx, account, &n); err != nil {
			return err
		}
		n.Event.Actor, n.Who = by.Actor, by.Who()
		return a.NotifyOwner(ctx, tx, n, by.From)
	})
	if errors.Is(err, store.ErrNotFound) {
		return ErrChanged
	}
	if err != nil {
		return fmt.Errorf("account: change by operator: %w", err)
	}
	a.NotifyOutbox()
	return nil
}

// Disable disables an account and ends all of its sessions and trust. It returns ErrUnknown, ErrDisabled if it is
// disabled already, and ErrLastOperator unless force is set.
func (a *Accounts) Disable(ctx context.Context, by By, who string, force bool) error {
	return a.ChangeBy(ctx, by, who, func(tx *store.DB, account store.Account, n *Notification) error {
		if !account.DisabledAt.IsZero() {
			return ErrDisabled
		}
		if err := keepOperator(ctx, tx, account, force); err != nil {
			return err
		}
		n.Event.Kind, n.Template = audit.AccountDisabled, "operator.disabled"
		return a.setDisabled(ctx, tx, account, a.Now())
	})
}

// Enable enables a disabled account. Sessions and trust that were ended stay ended. It returns ErrUnknown, and
// ErrEnabled if the account is not disabled.
func (a *Accounts) Enable(ctx context.Context, by By, who string) error {
	return a.ChangeBy(ctx, by, who, func(tx *store.DB, account store.Account, n *Notification) error {
		if account.DisabledAt.IsZero() {
			return ErrEnabled
		}
		n.Event.Kind, n.Template = audit.AccountEnabled, "operator.enabled"
		return a.setDisabled(ctx, tx, account, time.Time{})
	})
}

func (a *Accounts) setDisabled(ctx context.Context, tx *store.DB, account store.Account, at time.Time) error {
	if err := tx.SetDisabled(ctx, account.ID, account.Epoch, at); err != nil {
		return err
	}
	return a.EndTrust(ctx, tx, account.Ref(), trust.RevokedAccountDisabled, "")
}

// keepOperator returns ErrLastOperator if no active operator would be left without the account. Otherwise nobody could
// use the pages of operators.
func keepOperator(ctx context.Context, tx *store.DB, account store.Account, force bool) error {
	if account.Role != RoleOperator || !account.DisabledAt.IsZero() || force {
		return nil
	}
	active, err := tx.LockOperators(ctx)
	if err == nil && active < 2 {
		return ErrLastOperator
	}
	return err
}

// Delete deletes an account with everything that describes the person; see store.DB.DeleteAccount for what stays. Its
// sessions and tokens end, and the apps are notified as after a sign-out. The address of the account gets the notification. It
// returns ErrUnknown, ErrChanged, and ErrLastOperator unless force is set.
func (a *Accounts) Delete(ctx context.Context, by By, who string, force bool) error {
	return a.ChangeBy(ctx, by.OperatorsOnly(), who, func(tx *store.DB, account store.Account, n *Notification) error {
		if err := keepOperator(ctx, tx, account, force); err != nil {
			return err
		}
		n.Event.Kind, n.Template = audit.AccountDeleted, "operator.deleted"
		return tx.DeleteAccount(ctx, account, a.Now())
	})
}

// Rename replaces the names of a person. Apps see them in the next token and at the next request. It returns
// ErrUnknown, ErrName, ErrGivenName or ErrFamilyName.
func (a *Accounts) Rename(ctx context.Context, by By, who string, names Names) error {
	names, err := validateNames(names)
	if err != nil {
		return err
	}
	return a.ChangeBy(ctx, by, who, func(tx *store.DB, account store.Account, n *Notification) error {
		n.Event.Kind, n.Template, n.Detail = audit.NameChanged, "operator.renamed", names.Name
		return tx.SetNames(ctx, account.ID, names, a.Now())
	})
}

// SetGroups replaces the groups of an account. It takes effect with the next request. It returns ErrUnknown, or the
// error of ValidateGroup. If seen is not nil, it is the groups that the operator saw, and SetGroups returns ErrChanged if
// somebody has changed them since.
func (a *Accounts) SetGroups(ctx context.Context, by By, who string, seen *[]string, groups []string) error {
	joined, err := joinGroups(groups)
	if err != nil {
		return err
	}
	return a.ChangeBy(ctx, by.OperatorsOnly(), who, func(tx *store.DB, account store.Account, n *Notification) error {
		if seen != nil && account.Groups != strings.Join(*seen, ",") {
			return ErrChanged
		}
		n.Event.Kind, n.Event.Reason = audit.GroupsChanged, strings.ReplaceAll(joined, ",", ", ")
		n.Template, n.Detail = "operator.groups", cmp.Or(n.Event.Reason, "–")
		return tx.SetGroups(ctx, account.ID, joined)
	})
}

// SendPasswordReset sends the person a link to choose a new password, as RequestPasswordReset does. The password stays
// as it is until they do. It returns ErrUnknown, ErrDisabled or ErrFrozen.
func (a *Accounts) SendPasswordReset(ctx context.Context, by By, who string) error {
	l := LinkBy{Purpose: store.LinkReset, Template: "operator.reset", Event: audit.PasswordResetRequested}
	return a.SendLinkBy(ctx, by, who, l, nil)
}

// LinkBy is a link that an operator sends to a person.
type LinkBy struct {
	Purpose  string // of store.EmailLink
	Email    string // where it goes; "": the address of the account
	Template string // of the email
	Event    audit.Kind
}

// SendLinkBy sends a link for the account of an email address or with an ID, with its event. Older links of the account
// with the same purpose stop working. In the same transaction it calls then, if it is not nil. It returns ErrUnknown,
// ErrDisabled, ErrFrozen, ErrNotPermitted, a *ratelimit.LimitedError, and the error of then.
func (a *Accounts) SendLinkBy(ctx context.Context, by By, who string, link LinkBy,
	then func(tx *store.DB, account store.Account) error) error {
	found, err := a.Lookup(ctx, who)
	if err != nil {
		return err
	}
	token := seal.NewLinkToken()
	err = a.Store.Tx(ctx, func(tx *store.DB) error {
		account, err := a.Permit(ctx, tx, by, found.ID)
		if err != nil {
			return err
		}
		if !account.DisabledAt.IsZero() {
			return ErrDisabled
		}
		if err := Frozen(account); err != nil {
			return err
		}
		l := store.EmailLink{
			Purpose: link.Purpose, Email: cmp.Or(link.Email, account.Email), AccountID: account.ID, Epoch: account.Epoch,
			TokenHash: seal.HashToken(token), CreatedAt: a.Now(), ExpiresAt: a.Now().Add(LinkTTL),
		}
		if err := a.spendMailBy(ctx, tx, by, l.Email); err != nil {
			return err
		}
		if err := tx.DeleteEmailLinks(ctx, account.ID, l.Purpose); err != nil {
			return err
		}
		if err := tx.CreateEmailLink(ctx, l); err != nil {
			return err
		}
		e := audit.Event{Kind: link.Event, Account: account.ID, Actor: by.Actor, Target: LinkTarget(l)}
		message := a.composeLink(linkMail{link: l, template: link.Template, event: e, who: by.Who()}, token, by.From)
		if err := a.Enqueue(ctx, tx, message, l.ExpiresAt); err != nil {
			return err
		}
		if err := a.Event(ctx, tx, e, by.From); err != nil || then == nil {
			return err
		}
		return then(tx, account)
	})
	if err != nil {
		return fmt.Errorf("account: link by operator: %w", err)
	}
	a.NotifyOutbox()
	return nil
}

// spendMailBy counts an email that an operator sends to an address of their choice, or to one who may be tired of them. It
// returns a *ratelimit.LimitedError if there were too many.
func (a *Accounts) spendMailBy(ctx context.Context, tx *store.DB, by By, email string) error {
	if by.Account == "" {
		return nil
	}
	to := a.Limits.Keys.Pseudonym(email)
	return a.Limits.Spend(ctx, tx, ratelimit.PerHour("operator_mails", to, ratelimit.OperatorMailsPerHour),
		ratelimit.PerDay("operator_mails", to, ratelimit.OperatorMailsPerDay))
}

// FindAddressLink returns the link with which a new address of an account is confirmed, and the account, without using
// the link up. It returns ErrLink if the link is not valid, or the account was changed since or is disabled, and
// ErrFrozen if the account is frozen.
func (a *Accounts) FindAddressLink(ctx context.Context, token string) (store.EmailLink, store.Account, error) {
	return a.findAccountLink(ctx, token, store.LinkAddress)
}
