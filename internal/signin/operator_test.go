package signin_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/device"
	"twostep.example/twostep/internal/enroll"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/store"
)

// person creates an account with a role and returns who it is as an operator.
func (h *fixture) person(name, role string) account.By {
	h.Helper()
	email := name + "@example.com"
	err := h.Accounts.Create(h.Context(), account.NewAccount{
		Email: email, Name: name, Password: "another horse battery", Role: role,
	})
	if err != nil {
		h.Fatal(err)
	}
	a, err := h.Store.FindAccountByEmail(h.Context(), email)
	if err != nil {
		h.Fatal(err)
	}
	return account.By{Actor: audit.Actor{Type: audit.TypeOperator, ID: a.ID}, Name: name, From: home, Account: a.ID}
}

// operatorChange is something that an operator does to an account.
type operatorChange struct {
	name          string
	operatorsOnly bool
	do            func(h *fixture, ctx context.Context, by account.By, who string) error
}

var operatorChanges = []operatorChange{
	{"disable", false, func(h *fixture, ctx context.Context, by account.By, who string) error {
		return h.Accounts.Disable(ctx, by, who, false)
	}},
	{"enable", false, func(h *fixture, ctx context.Context, by account.By, who string) error {
		return h.Accounts.Enable(ctx, by, who)
	}},
	{"rename", false, func(h *fixture, ctx context.Context, by account.By, who string) error {
		return h.Accounts.Rename(ctx, by, who, account.Names{Name: "Renamed"})
	}},
	{"reset link", false, func(h *fixture, ctx context.Context, by account.By, who string) error {
		return h.Accounts.SendPasswordReset(ctx, by, who)
	}},
	{"propose an address", false, func(h *fixture, ctx context.Context, by account.By, who string) error {
		return h.Enrollments.ProposeEmail(ctx, by, who, "proposed@example.net")
	}},
	{"end a session", false, func(h *fixture, ctx context.Context, by account.By, who string) error {
		return h.Sessions.EndBy(ctx, by, who, "none")
	}},
	{"end all sessions", false, func(h *fixture, ctx context.Context, by account.By, who string) error {
		return h.Sessions.EndAllBy(ctx, by, who)
	}},
	{"forget a device", false, func(h *fixture, ctx context.Context, by account.By, who string) error {
		return h.Devices.ForgetBy(ctx, by, who, "none")
	}},
	{"forget all devices", false, func(h *fixture, ctx context.Context, by account.By, who string) error {
		return h.Devices.ForgetAllBy(ctx, by, who)
	}},
	{"remove a method", false, func(h *fixture, ctx context.Context, by account.By, who string) error {
		return h.Enrollments.RemoveBy(ctx, by, who, "none")
	}},
	{"reset methods", false, func(h *fixture, ctx context.Context, by account.By, who string) error {
		return h.Enrollments.ResetBy(ctx, by, who)
	}},
	{"groups", true, func(h *fixture, ctx context.Context, by account.By, who string) error {
		return h.Accounts.SetGroups(ctx, by, who, nil, []string{"staff"})
	}},
	{"end a freeze", true, func(h *fixture, ctx context.Context, by account.By, who string) error {
		return h.Enrollments.EndFreeze(ctx, by, who)
	}},
	{"role", true, func(h *fixture, ctx context.Context, by account.By, who string) error {
		return h.Accounts.ChangeRole(ctx, by, who, nil, account.RoleAuditor, true)
	}},
	{"delete", true, func(h *fixture, ctx context.Context, by account.By, who string) error {
		return h.Accounts.Delete(ctx, by, who, true)
	}},
}

// The role of an operator decides what they change, in the transaction of the change: a page that was open while a role
// was given or taken changes nothing.
func TestRolesPermitChanges(t *testing.T) {
	withAccount(t, func(h *fixture) {
		disabled := h.person("gone", account.RoleOperator)
		if err := h.Accounts.Disable(h.Context(), h.Accounts.OperatorBy(""), disabled.Account, true); err != nil {
			h.Fatal(err)
		}
		actors := map[string]account.By{
			account.RoleOperator: h.person("olga", account.RoleOperator),
			account.RoleHelpdesk: h.person("hanna", account.RoleHelpdesk),
			account.RoleAuditor:  h.person("arno", account.RoleAuditor),
			"":                   h.person("nobody", ""),
			"disabled":           disabled,
			"deleted":            {Account: "deleted"},
		}
		for n, change := range operatorChanges {
			for target, role := range []string{"", account.RoleAuditor, account.RoleHelpdesk, account.RoleOperator} {
				who := h.person(fmt.Sprintf("target%d.%d", n, target), role).Account
				for name, by := range actors {
					helps := name == account.RoleHelpdesk && role == "" && !change.operatorsOnly
					if name == account.RoleOperator || helps {
						continue
					}
					if err := change.do(h, h.Context(), by, who); !errors.Is(err, account.ErrNotPermitted) {
						h.Errorf("%s by %q for the role %q: %v", change.name, name, role, err)
					}
				}
				by := actors[account.RoleOperator]
				if role == "" && !change.operatorsOnly {
					by = actors[account.RoleHelpdesk]
				}
				by.From = home
				err := change.do(h, h.Context(), by, who)
				for _, expected := range []error{
					account.ErrEnabled, session.ErrNoSession, device.ErrNoDevice, enroll.ErrNoFactor, account.ErrNotFrozen,
				} {
					if errors.Is(err, expected) {
						err = nil
					}
				}
				if err != nil {
					h.Errorf("%s by an operator who may, for the role %q: %v", change.name, role, err)
				}
			}
		}
		olga := actors[account.RoleOperator]
		h.wantErr("their own account", h.Accounts.Disable(h.Context(), olga, olga.Account, false), account.ErrNotPermitted)
	})
}

// The help desk proposes an address for an account that then gets a role, or proposes another one.
func TestProposedAddressEnds(t *testing.T) {
	withAccount(t, func(h *fixture) {
		hanna, olga := h.person("hanna", account.RoleHelpdesk), h.person("olga", account.RoleOperator)
		propose := func(email string) (token string) {
			h.Helper()
			if err := h.Enrollments.ProposeEmail(h.Context(), hanna, annaEmail, email); err != nil {
				h.Fatal(err)
			}
			for _, m := range h.mails() {
				if m.To == email {
					token = strings.Fields(strings.SplitN(m.Text, "#", 2)[1])[0]
				}
			}
			return token
		}
		wrong := propose("wrong@example.net")
		right := propose("right@example.net")
		h.wantErr("an older proposal", h.Enrollments.ConfirmProposedEmail(h.Context(), wrong, home), account.ErrLink)
		if email, err := h.Enrollments.FindProposedEmail(h.Context(), right); err != nil || email != "right@example.net" {
			h.Errorf("the last proposal: %q, %v", email, err)
		}
		if err := h.Accounts.ChangeRole(h.Context(), olga, annaEmail, nil, account.RoleOperator, false); err != nil {
			h.Fatal(err)
		}
		h.wantErr("after a role was given", h.Enrollments.ConfirmProposedEmail(h.Context(), right, home), account.ErrLink)
	})
}

// One operator sends emails to one address, or to one person, without end. Commands may.
func TestOperatorsMailsAreLimited(t *testing.T) {
	withAccount(t, func(h *fixture) {
		hanna := h.person("hanna", account.RoleHelpdesk)
		until := func(what string, limit int, do func(n int) error) {
			h.Helper()
			for n := range limit {
				if err := do(n); err != nil {
					h.Fatalf("%s %d: %v", what, n, err)
				}
			}
			h.wantErr(what+" beyond the limit", do(limit), ratelimit.ErrLimited)
		}
		until("a reset link", ratelimit.OperatorMailsPerHour, func(int) error {
			return h.Accounts.SendPasswordReset(h.Context(), hanna, annaEmail)
		})
		until("a proposal to one address", ratelimit.OperatorMailsPerHour, func(n int) error {
			who := h.person(fmt.Sprint("proposed", n), "").Account
			return h.Enrollments.ProposeEmail(h.Context(), hanna, who, "outsider@example.net")
		})
		people := []account.NewAccount{{Email: "invited@example.net"}}
		until("an invitation of one address", ratelimit.OperatorMailsPerHour, func(n int) error {
			if n > 1 {
				return h.Accounts.ResendInvitation(h.Context(), hanna, people[0].Email)
			}
			return h.Accounts.SendInvitations(h.Context(), hanna, people)
		})
		left := ratelimit.OperatorChangesPerAccountHour - ratelimit.OperatorMailsPerHour
		until("changes of one account", left, func(n int) error {
			return h.Accounts.Rename(h.Context(), hanna, annaEmail, account.Names{Name: fmt.Sprint("Anna ", n)})
		})
		for range ratelimit.OperatorMailsPerHour + 1 {
			if err := h.Accounts.SendPasswordReset(h.Context(), h.Accounts.OperatorBy(""), annaEmail); err != nil {
				h.Fatal(err)
			}
		}
		list := make([]account.NewAccount, account.MaxInvitations+1)
		for i := range list {
			list[i] = account.NewAccount{Email: fmt.Sprintf("many%d@example.net", i)}
		}
		h.wantErr("a list that is too long", h.Accounts.SendInvitations(h.Context(), hanna, list), account.ErrTooMany)
		h.advance(time.Hour)
		for range ratelimit.OperatorMailsPerDay - ratelimit.OperatorMailsPerHour {
			if err := h.Accounts.SendPasswordReset(h.Context(), hanna, annaEmail); err != nil {
				h.Fatal(err)
			}
		}
		h.advance(time.Hour)
		h.wantErr("beyond the limit of a day", h.Accounts.SendPasswordReset(h.Context(), hanna, annaEmail), ratelimit.ErrLimited)
	})
}

// The owner hears of a proposed address not after the new address does, however many invitations wait.
func TestNoticeOfAProposedAddressComesFirst(t *testing.T) {
	withAccount(t, func(h *fixture) {
		hanna := h.person("hanna", account.RoleHelpdesk)
		var list []account.NewAccount
		for i := range 20 {
			list = append(list, account.NewAccount{Email: fmt.Sprintf("many%d@example.net", i)})
		}
		if err := h.Accounts.SendInvitations(h.Context(), hanna, list); err != nil {
			h.Fatal(err)
		}
		h.advance(time.Second)
		if err := h.Enrollments.ProposeEmail(h.Context(), hanna, annaEmail, "proposed@example.net"); err != nil {
			h.Fatal(err)
		}
		first := map[string]bool{}
		for range 2 {
			if _, err := h.outbox.DeliverNext(h.Context()); err != nil {
				h.Fatal(err)
			}
		}
		for _, m := range h.mail {
			first[m.To] = true
		}
		if !first[annaEmail] || !first["proposed@example.net"] {
			h.Errorf("the first two mails go to %v", first)
		}
	})
}

// The help desk invites with groups, or takes an invitation with a role or groups from somebody.
func TestHelpDeskReplacesNoInvitation(t *testing.T) {
	withAccount(t, func(h *fixture) {
		hanna, olga := h.person("hanna", account.RoleHelpdesk), h.person("olga", account.RoleOperator)
		reserved := []account.NewAccount{
			{Email: "carla@example.com", Role: account.RoleOperator}, {Email: "dora@example.com", Groups: []string{"boss"}},
		}
		if err := h.Accounts.SendInvitations(h.Context(), olga, reserved); err != nil {
			h.Fatal(err)
		}
		for email, do := range map[string]error{
			"carla@example.com": account.ErrNotPermitted, "dora@example.com": nil,
		} {
			err := h.Accounts.SendInvitations(h.Context(), hanna, []account.NewAccount{{Email: email, Name: "Mallory"}})
			h.wantErr("replacing "+email, err, account.ErrInvited)
			err = h.Accounts.CheckInvitations(h.Context(), hanna, []account.NewAccount{{Email: email, Name: "Mallory"}})
			h.wantErr("checking "+email, err, account.ErrInvited)
			h.wantErr("ending "+email, h.Accounts.RevokeInvitation(h.Context(), hanna, email), account.ErrNotPermitted)
			if err := h.Accounts.ResendInvitation(h.Context(), hanna, email); !errors.Is(err, do) {
				h.Errorf("sending %s again: %v", email, err)
			}
		}
		for _, n := range []account.NewAccount{
			{Email: "emil@example.com", Role: account.RoleAuditor}, {Email: "emil@example.com", Groups: []string{"boss"}},
		} {
			err := h.Accounts.SendInvitations(h.Context(), hanna, []account.NewAccount{n})
			h.wantErr("with rights", err, account.ErrNotPermitted)
		}
		arno := h.person("arno", account.RoleAuditor)
		err := h.Accounts.SendInvitations(h.Context(), arno, []account.NewAccount{{Email: "emil@example.com"}})
		h.wantErr("by an auditor", err, account.ErrNotPermitted)
		// An operator replaces it, and the events say what was lost and given.
		err = h.Accounts.SendInvitations(h.Context(), olga, []account.NewAccount{
			{Email: "dora@example.com", Role: account.RoleAuditor, Groups: []string{"a", "b"}},
		})
		if err != nil {
			h.Fatal(err)
		}
		var reasons []string
		kinds := []audit.Kind{audit.InvitationRevoked, audit.AccountInvited}
		events, err := h.Accounts.Audit().List(h.Context(), audit.Filter{Kinds: kinds})
		if err != nil {
			h.Fatal(err)
		}
		for _, e := range events {
			reasons = append(reasons, string(e.Kind)+" "+e.Reason)
		}
		for _, want := range []string{"account.invited role auditor; groups a, b", "invitation.revoked replaced"} {
			if !slices.Contains(reasons, want) {
				h.Errorf("the events say %q, not %q", reasons, want)
			}
		}
	})
}

// Two operators change the groups or the role of one account at the same time: the second does not undo what they did
// not see.
func TestChangesAreNotUndoneUnseen(t *testing.T) {
	withAccount(t, func(h *fixture) {
		olga := h.person("olga", account.RoleOperator)
		seen := []string{"admins", "staff"}
		set := func(seen *[]string, groups ...string) error {
			return h.Accounts.SetGroups(h.Context(), olga, annaEmail, seen, groups)
		}
		if err := errors.Join(set(nil, seen...), set(&seen, "staff")); err != nil {
			h.Fatal(err)
		}
		h.wantErr("an old form", set(&seen, "admins", "staff", "wiki"), account.ErrChanged)
		none := ""
		if err := h.Accounts.ChangeRole(h.Context(), olga, annaEmail, &none, account.RoleHelpdesk, false); err != nil {
			h.Fatal(err)
		}
		err := h.Accounts.ChangeRole(h.Context(), olga, annaEmail, &none, account.RoleOperator, false)
		h.wantErr("an old form of the role", err, account.ErrChanged)
		a, err := h.Store.FindAccountByEmail(h.Context(), annaEmail)
		if err != nil || a.Groups != "staff" || a.Role != store.RoleHelpdesk {
			h.Errorf("%q %q, %v", a.Groups, a.Role, err)
		}
	})
}

// A change of the site needs the role operator in its transaction.
func TestRolesPermitChangesOfTheSite(t *testing.T) {
	withAccount(t, func(h *fixture) {
		permit := func(by account.By) error {
			return h.Store.Tx(h.Context(), func(tx *store.DB) error { return h.Accounts.PermitSite(h.Context(), tx, by) })
		}
		olga := h.person("olga", account.RoleOperator)
		for name, by := range map[string]account.By{
			"help desk": h.person("hanna", account.RoleHelpdesk), "auditor": h.person("arno", account.RoleAuditor),
			"no role": h.person("nobody", ""), "deleted": {Account: "deleted"},
		} {
			h.wantErr(name, permit(by), account.ErrNotPermitted)
		}
		for range ratelimit.OperatorChangesPerHour {
			if err := permit(olga); err != nil {
				h.Fatal(err)
			}
		}
		h.wantErr("beyond the limit", permit(olga), ratelimit.ErrLimited)
		if err := permit(h.Accounts.OperatorBy("")); err != nil {
			h.Errorf("a command: %v", err)
		}
	})
}
