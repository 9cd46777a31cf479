package twostep

import (
	"context"
	"errors"
	"testing"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/store/storetest"
)

// helper is somebody of the help desk.
var helper = account.By{
	Actor: audit.Actor{Type: audit.TypeOperator, ID: "HELPHELPHELPHELPHELPHELPHE"}, Name: "Hal Help", Role: account.RoleHelpdesk,
}

// changesByHelpdesk are all changes of an account that a page offers to the help desk, and those that it does not.
func (o *office) changesByHelpdesk(who string) map[string]error {
	s, ctx := o.services, o.Context()
	return map[string]error{
		"disable": s.Accounts.Disable(ctx, helper, who, false), "enable": s.Accounts.Enable(ctx, helper, who),
		"disable by force": s.Accounts.Disable(ctx, helper, who, true),
		"delete":           s.Accounts.Delete(ctx, helper, who, false),
		"rename":           s.Accounts.Rename(ctx, helper, who, account.Names{Name: "X"}),
		"groups":           s.Accounts.SetGroups(ctx, helper, who, []string{"x"}),
		"role":             s.Accounts.ChangeRole(ctx, helper, who, "", false),
		"reset link":       s.Accounts.SendPasswordReset(ctx, helper, who),
		"new address":      s.Enrollments.ProposeEmail(ctx, helper, who, "new@example.com"),
		"remove method":    s.Enrollments.RemoveBy(ctx, helper, who, "x"),
		"reset methods":    s.Enrollments.ResetBy(ctx, helper, who),
		"end freeze":       s.Enrollments.EndFreeze(ctx, helper, who),
		"end session":      s.Sessions.EndBy(ctx, helper, who, "x"), "sign out": s.Sessions.EndAllBy(ctx, helper, who),
		"forget device": s.Devices.ForgetBy(ctx, helper, who, "x"), "forget devices": s.Devices.ForgetAllBy(ctx, helper, who),
	}
}

// The help desk changes nothing of an account with a role, whatever entry point is used, and of others it does.
func TestHelpDeskLeavesRolesAlone(t *testing.T) {
	o := newOffice(t, t.TempDir()+"/twostep.db")
	for _, role := range []string{account.RoleOperator, account.RoleHelpdesk, account.RoleAuditor} {
		email := role + "@example.com"
		o.create(AccountParams{Email: email, Name: "Rolf", Password: annaWord, Role: role})
		o.sent = nil
		for what, err := range o.changesByHelpdesk(email) {
			if !errors.Is(err, account.ErrForbidden) {
				t.Errorf("%s of an account with the role %s: %v", what, role, err)
			}
		}
		if len(o.sent) != 0 {
			t.Errorf("%d emails of refused changes", len(o.sent))
		}
	}
	for what, err := range o.changesByHelpdesk(annaEmail) {
		if errors.Is(err, account.ErrForbidden) {
			t.Errorf("%s of an account without a role: %v", what, err)
		}
	}
}

// The help desk sends no invitation with a role or groups, and neither replaces, repeats nor revokes one with a role.
func TestHelpDeskInvitesWithoutRole(t *testing.T) {
	o := newOffice(t, t.TempDir()+"/twostep.db")
	const admin, plain = "admin@example.com", "plain@example.com"
	o.must(o.SendInvitations(t.Context(), boss, []AccountParams{{Email: admin, Role: account.RoleOperator}}))
	link := o.found(`/join#(\S+)`)
	invite := func(n account.NewAccount) error {
		return o.services.Accounts.SendInvitations(t.Context(), helper, []account.NewAccount{n})
	}
	for what, err := range map[string]error{
		"with a role": invite(account.NewAccount{Email: plain, Role: account.RoleAuditor}),
		"with groups": invite(account.NewAccount{Email: plain, Groups: []string{"x"}}),
		"replace":     invite(account.NewAccount{Email: admin}),
		"again":       o.services.Accounts.ResendInvitation(t.Context(), helper, admin),
		"revoke":      o.services.Accounts.RevokeInvitation(t.Context(), helper, admin),
	} {
		if !errors.Is(err, account.ErrForbidden) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := o.services.Accounts.FindInvitation(t.Context(), link); err != nil {
		t.Errorf("the invitation with a role: %v", err)
	}
	o.must(invite(account.NewAccount{Email: plain}))
}

// meanwhile calls change in a transaction, starts do in another one, which has read before and waits for the first, and
// returns what do returns.
func (o *office) meanwhile(change func(tx *store.DB) error, do func() error) error {
	o.Helper()
	done := make(chan error)
	ctx, stop := context.WithTimeout(o.Context(), time.Minute)
	defer stop()
	o.must(o.store.Tx(ctx, func(tx *store.DB) error {
		if err := change(tx); err != nil {
			return err
		}
		go func() { done <- do() }()
		for storetest.CountRows(o.T, o.database, "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") == 0 {
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
		return nil
	}))
	return <-done
}

// An account that becomes the last operator, or gets a role, while it is being changed stays as it is. SQLite runs one
// writing transaction at a time.
func TestRoleThatAppearsMeanwhile(t *testing.T) {
	o := newOffice(t, storetest.NewPostgres(t))
	o.create(AccountParams{Email: "one@example.com", Name: "One", Password: annaWord, Role: account.RoleOperator})
	o.services.Accounts.Enqueue = func(context.Context, *store.DB, delivery.Message, time.Time) error { return nil }
	one, err := o.services.Accounts.Lookup(t.Context(), "one@example.com")
	o.must(err)
	err = o.meanwhile(func(tx *store.DB) error {
		_, err := tx.LockOperators(t.Context())
		return errors.Join(err, tx.SetRole(t.Context(), o.anna().ID, account.RoleOperator),
			tx.SetRole(t.Context(), one.ID, ""))
	}, func() error { return o.Disable(t.Context(), boss, annaEmail) })
	if !errors.Is(err, ErrLastOperator) {
		t.Errorf("the account that became the last operator: %v", err)
	}
	o.must(o.store.SetRole(t.Context(), o.anna().ID, ""))
	err = o.meanwhile(func(tx *store.DB) error {
		return tx.SetRole(t.Context(), o.anna().ID, account.RoleAuditor)
	}, func() error {
		return o.services.Accounts.Rename(t.Context(), helper, annaEmail, account.Names{Name: "X"})
	})
	if !errors.Is(err, account.ErrForbidden) || o.anna().Name == "X" {
		t.Errorf("the help desk and an account that got a role: %v", err)
	}
}
