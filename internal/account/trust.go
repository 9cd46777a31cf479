package account

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// EndTrust ends trust in all browsers of an account, except in the device keep if it is not "". With keep, call it in
// the transaction that raises the epoch of the account by one: the trust in keep moves to the new epoch.
func (a *Accounts) EndTrust(ctx context.Context, tx *store.DB, account store.AccountRef, why trust.Reason,
	keep string) error {
	if err := tx.RevokeTrust(ctx, account.ID, keep, string(why), a.Now()); err != nil {
		return err
	}
	if keep == "" {
		return nil
	}
	return tx.UpdateTrustEpoch(ctx, account.ID, keep, account.Epoch, account.Epoch+1)
}

// Disable disables an account and ends all of its sessions and trust. It returns ErrEmail or ErrUnknown.
func (a *Accounts) Disable(ctx context.Context, email string) error {
	return a.setDisabled(ctx, email, a.Now(), audit.AccountDisabled)
}

// Enable enables a disabled account. Sessions and trust that were ended stay ended. It returns ErrEmail or ErrUnknown.
func (a *Accounts) Enable(ctx context.Context, email string) error {
	return a.setDisabled(ctx, email, time.Time{}, audit.AccountEnabled)
}

func (a *Accounts) setDisabled(ctx context.Context, email string, at time.Time, kind audit.Kind) error {
	return a.update(ctx, email, func(tx *store.DB, account store.Account) error {
		if err := tx.SetDisabled(ctx, account.ID, account.Epoch, at); err != nil {
			return err
		}
		if err := a.EndTrust(ctx, tx, account.Ref(), trust.RevokedAccountDisabled, ""); err != nil {
			return err
		}
		return a.Event(ctx, tx, audit.Event{Kind: kind, Actor: a.OperatorActor(), Account: account.ID}, origin.Origin{})
	})
}

// ForgetDevices ends trust in all browsers of an account, for operators. It returns ErrEmail or ErrUnknown.
func (a *Accounts) ForgetDevices(ctx context.Context, email string) error {
	return a.update(ctx, email, func(tx *store.DB, account store.Account) error {
		if err := tx.DeleteKnownDevices(ctx, account.ID); err != nil {
			return err
		}
		if err := a.EndTrust(ctx, tx, account.Ref(), trust.RevokedByOperator, ""); err != nil {
			return err
		}
		e := audit.Event{Kind: audit.DevicesForgotten, Actor: a.OperatorActor(), Account: account.ID}
		return a.Event(ctx, tx, e, origin.Origin{})
	})
}

// ValidateGroup returns an error that says what is wrong with the name of a group. Other programs define these names, so
// any printable text is allowed, like "Domain Users" or "system:masters". Apps compare names exactly, and forward-auth
// lists them separated by commas.
func ValidateGroup(name string) error {
	switch {
	case name == "" || utf8.RuneCountInString(name) > maxGroupLength:
		return fmt.Errorf("the group %q is not valid, want 1 to %d characters", name, maxGroupLength)
	case strings.Contains(name, ","):
		return fmt.Errorf("the group %q has a comma, which separates groups", name)
	case strings.TrimSpace(name) != name:
		return fmt.Errorf("the group %q starts or ends with a space", name)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("the group %q has a character that cannot be printed", name)
	}
	return nil
}

const maxGroupLength = 128 // characters

// SplitGroups returns the names in store.Account.Groups.
func SplitGroups(names string) []string {
	if names == "" {
		return nil
	}
	return strings.Split(names, ",")
}

// SetGroups replaces the groups of an account, for operators. It takes effect with the next request. It returns
// ErrEmail, ErrUnknown, or the error of ValidateGroup.
func (a *Accounts) SetGroups(ctx context.Context, email string, groups []string) error {
	for _, name := range groups {
		if err := ValidateGroup(name); err != nil {
			return fmt.Errorf("account: %w", err)
		}
	}
	groups = slices.Compact(slices.Sorted(slices.Values(groups)))
	return a.update(ctx, email, func(tx *store.DB, account store.Account) error {
		if err := tx.SetGroups(ctx, account.ID, strings.Join(groups, ",")); err != nil {
			return err
		}
		e := audit.Event{Kind: audit.GroupsChanged, Actor: a.OperatorActor(), Account: account.ID,
			Reason: strings.Join(groups, ", ")}
		return a.Event(ctx, tx, e, origin.Origin{})
	})
}

// update runs f on the account of an address, in a transaction.
func (a *Accounts) update(ctx context.Context, email string, f func(*store.DB, store.Account) error) error {
	account, err := a.Find(ctx, email)
	if err != nil {
		return err
	}
	if err := a.Store.Tx(ctx, func(tx *store.DB) error { return f(tx, account) }); err != nil {
		return fmt.Errorf("account: change: %w", err)
	}
	return nil
}

// Find returns the account of an address, for operators. It returns ErrEmail or ErrUnknown.
func (a *Accounts) Find(ctx context.Context, email string) (store.Account, error) {
	address, err := ParseEmail(email)
	if err != nil {
		return store.Account{}, err
	}
	account, err := a.Store.FindAccountByEmail(ctx, address)
	if errors.Is(err, store.ErrNotFound) {
		return account, ErrUnknown
	}
	if err != nil {
		return account, fmt.Errorf("account: find: %w", err)
	}
	return account, nil
}
