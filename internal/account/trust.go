package account

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// EndTrust ends trust in all browsers of an account, in the transaction of whatever made
// the epoch void that the account had: a password or a factor that was changed, and the
// like. The browser in which it was done ("": there is none) keeps its own.
func (r *Accounts) EndTrust(ctx context.Context, tx *store.DB, a store.AccountRef, why trust.Reason, keep string) error {
	if err := tx.RevokeTrust(ctx, a.ID, keep, string(why), r.Now()); err != nil {
		return err
	}
	if keep == "" {
		return nil
	}
	return tx.UpdateTrustEpoch(ctx, a.ID, keep, a.Epoch, a.Epoch+1)
}

// Disable closes an account: nothing that began before goes on, and no browser is trusted any more. It
// returns ErrEmail or ErrUnknown.
func (r *Accounts) Disable(ctx context.Context, email string) error {
	return r.setDisabled(ctx, email, r.Now(), audit.AccountDisabled)
}

// Enable opens a disabled account again; what was ended stays so. It returns ErrEmail or ErrUnknown.
func (r *Accounts) Enable(ctx context.Context, email string) error {
	return r.setDisabled(ctx, email, time.Time{}, audit.AccountEnabled)
}

func (r *Accounts) setDisabled(ctx context.Context, email string, at time.Time, kind audit.Kind) error {
	return r.update(ctx, email, func(tx *store.DB, a store.Account) error {
		if err := tx.SetDisabled(ctx, a.ID, a.Epoch, at); err != nil {
			return err
		}
		if err := r.EndTrust(ctx, tx, a.Ref(), trust.RevokedAccountDisabled, ""); err != nil {
			return err
		}
		return r.Event(ctx, tx, audit.Event{Kind: kind, Actor: r.OperatorActor(), Account: a.ID}, origin.Origin{})
	})
}

// ForgetDevices ends trust in all browsers of an account, for the operator. ErrEmail, ErrUnknown.
func (r *Accounts) ForgetDevices(ctx context.Context, email string) error {
	return r.update(ctx, email, func(tx *store.DB, a store.Account) error {
		if err := tx.DeleteKnownDevices(ctx, a.ID); err != nil {
			return err
		}
		if err := r.EndTrust(ctx, tx, a.Ref(), trust.RevokedByOperator, ""); err != nil {
			return err
		}
		return r.Event(ctx, tx, audit.Event{Kind: audit.DevicesForgotten, Actor: r.OperatorActor(), Account: a.ID}, origin.Origin{})
	})
}

var groupPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,31}$`)

// ValidateGroup says in plain words what is wrong with the name of a group, or nil. Apps compare
// names by their letters, and a proxy lists them with commas.
func ValidateGroup(name string) error {
	if !groupPattern.MatchString(name) {
		return fmt.Errorf("the group %q is not 1 to 32 small letters, digits, dots, dashes and underscores", name)
	}
	return nil
}

// SetGroups replaces the groups of an account, for the operator: they count from the next
// request on. ErrEmail, ErrUnknown, or what is wrong with a name.
func (r *Accounts) SetGroups(ctx context.Context, email string, groups []string) error {
	for _, name := range groups {
		if err := ValidateGroup(name); err != nil {
			return fmt.Errorf("account: %w", err)
		}
	}
	groups = slices.Compact(slices.Sorted(slices.Values(groups)))
	return r.update(ctx, email, func(tx *store.DB, a store.Account) error {
		if err := tx.SetGroups(ctx, a.ID, strings.Join(groups, " ")); err != nil {
			return err
		}
		e := audit.Event{Kind: audit.GroupsChanged, Actor: r.OperatorActor(), Account: a.ID, Reason: strings.Join(groups, " ")}
		return r.Event(ctx, tx, e, origin.Origin{})
	})
}

// update does something to the account of an address, all or nothing.
func (r *Accounts) update(ctx context.Context, email string, f func(*store.DB, store.Account) error) error {
	a, err := r.Find(ctx, email)
	if err != nil {
		return err
	}
	if err := r.Store.Tx(ctx, func(tx *store.DB) error { return f(tx, a) }); err != nil {
		return fmt.Errorf("account: change: %w", err)
	}
	return nil
}

// Find is the account of an address, for the operator. ErrEmail, ErrUnknown.
func (r *Accounts) Find(ctx context.Context, email string) (store.Account, error) {
	address, err := ParseEmail(email)
	if err != nil {
		return store.Account{}, err
	}
	a, err := r.Store.FindAccountByEmail(ctx, address)
	if errors.Is(err, store.ErrNotFound) {
		return a, ErrUnknown
	}
	if err != nil {
		return a, fmt.Errorf("account: find: %w", err)
	}
	return a, nil
}
