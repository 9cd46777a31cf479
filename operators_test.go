package twostep

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor/recovery"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/device"
	"twostep.example/twostep/internal/enroll"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/signin"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/internal/trust"
)

// office is a server without background work, on which an operator helps Anna. It keeps the messages that are put into
// the outbox.
type office struct {
	*testing.T
	*Server
	database string
	now      time.Time
	sent     []delivery.Message
}

// boss is the signed-in operator who makes the changes of the tests.
var boss = By{Account: "BOSSBOSSBOSSBOSSBOSSBOSSBO", Name: "Bea Boss"}

func newOffice(t *testing.T, database string) *office {
	t.Helper()
	o := &office{T: t, database: database, now: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)}
	opts := options(t)
	opts.Database, opts.NoBackgroundWork, opts.Logger = database, true, slog.New(slog.DiscardHandler)
	opts.Now = func() time.Time { return o.now }
	opts.Methods = append(opts.Methods, recovery.New())
	opts.TrustDays = 30
	var err error
	if o.Server, err = New(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.Close() })
	o.services.Accounts.Passwords = seal.NewPasswordHasher(seal.HashCost{MemoryKiB: 64, Passes: 1}, 4, 0)
	o.services.Accounts.Enqueue = func(_ context.Context, tx *store.DB, m delivery.Message, _ time.Time) error {
		tx.AfterCommit(func() { o.sent = append(o.sent, m) })
		return nil
	}
	o.create(AccountParams{Email: annaEmail, Name: "Anna Adams", Password: annaWord, Groups: []string{"staff"}})
	return o
}

func (o *office) must(err error) {
	o.Helper()
	if err != nil {
		o.Fatal(err)
	}
}

func (o *office) create(a AccountParams) { o.Helper(); o.must(o.CreateAccount(o.Context(), a)) }

func (o *office) anna() store.Account {
	o.Helper()
	a, err := o.services.Accounts.Lookup(o.Context(), annaEmail)
	o.must(err)
	return a
}

// found returns the first group of a pattern in the newest message that has it.
func (o *office) found(pattern string) string {
	o.Helper()
	for _, m := range slices.Backward(o.sent) {
		if found := regexp.MustCompile(pattern).FindStringSubmatch(m.Text); found != nil {
			return found[1]
		}
	}
	o.Fatal("no message has " + pattern)
	return ""
}

// signIn signs Anna in with both steps, in a browser that she trusts.
func (o *office) signIn() (session.Session, session.Cookies) {
	o.Helper()
	o.now = o.now.Add(time.Minute)
	cookies, err := o.services.SignIns.Start(o.Context(), signin.Credentials{Email: annaEmail, Password: annaWord}, here)
	o.must(err)
	a, err := o.services.Challenges.Load(o.Context(), cookies.Attempt, here)
	o.must(err)
	a.SetTrust(true)
	cookies, err = a.Verify(o.Context(), url.Values{"code": {o.found(`(?m)^(\d{6})\r?$`)}})
	o.must(err)
	who, err := o.services.Sessions.Get(o.Context(), cookies.Session)
	o.must(err)
	return who, cookies
}

// recoveryCodes gives Anna recovery codes, in a session of its own.
func (o *office) recoveryCodes() (codes []string) {
	o.Helper()
	who, _ := o.signIn()
	o.must(o.services.Enrollments.Start(o.Context(), who, "recovery", nil, here))
	p, err := o.services.Enrollments.Pending(o.Context(), who, "recovery", here)
	o.must(err)
	_, err = o.services.Enrollments.Confirm(o.Context(), who, "recovery", nil, here)
	o.must(err)
	return p.Show.Codes
}

// method is the ID of Anna's method beside email.
func (o *office) method() string {
	o.Helper()
	a, err := o.ShowAccount(o.Context(), annaEmail)
	o.must(err)
	for _, m := range a.Methods {
		if m.ID != "" {
			return m.ID
		}
	}
	o.Fatal("no method")
	return ""
}

// freeze lets somebody ask to undo that Anna has added a method.
func (o *office) freeze() {
	o.Helper()
	o.recoveryCodes()
	token := o.found(`/undo#(\S+)`)
	o.must(o.services.Accounts.RequestPasswordReset(o.Context(), annaEmail, "", here))
	o.must(o.services.Accounts.ResetPassword(o.Context(), o.found(`/reset#(\S+)`), "another horse battery", here))
	_, err := o.services.Enrollments.Undo(o.Context(), enroll.UndoRequest{Token: token, Password: annaWord}, here)
	o.must(err)
}

// operation is a change that an operator makes to an account.
type operation struct {
	name    string
	prepare func(o *office) // nil: nothing
	do      func(o *office, who string) error
	kind    audit.Kind
	target  string // the begin of the target of the event
	mails   []string
	ends    bool // the sessions and trust of the account end
	ended   bool // one session ends
	trust   bool // trust ends, the sessions continue
}

var operations = []operation{
	{name: "disable", do: func(o *office, who string) error { return o.Disable(o.Context(), boss, who) }, kind: audit.AccountDisabled, mails: []string{annaEmail}, ends: true},
	{name: "enable", prepare: func(o *office) { o.must(o.Disable(o.Context(), boss, annaEmail)) },
		do: func(o *office, who string) error { return o.Enable(o.Context(), boss, who) }, kind: audit.AccountEnabled, mails: []string{annaEmail}, ends: true},
	{name: "delete", do: func(o *office, who string) error { return o.DeleteAccount(o.Context(), boss, who) }, kind: audit.AccountDeleted, mails: []string{annaEmail}, ends: true},
	{name: "rename", do: func(o *office, who string) error {
		return o.RenameAccount(o.Context(), boss, who, AccountNames{Name: "Anna Baker"})
	}, kind: audit.NameChanged, mails: []string{annaEmail}},
	{name: "groups", do: func(o *office, who string) error { return o.SetGroups(o.Context(), boss, who, []string{"b", "a"}) }, kind: audit.GroupsChanged, mails: []string{annaEmail}},
	{name: "reset password", do: func(o *office, who string) error { return o.SendPasswordReset(o.Context(), boss, who) }, kind: audit.PasswordResetRequested, target: "link:", mails: []string{annaEmail}},
	{name: "end sessions", do: func(o *office, who string) error { return o.EndSessions(o.Context(), boss, who) }, kind: audit.SessionsEnded, mails: []string{annaEmail}, ends: true},
	{name: "end session", do: func(o *office, who string) error {
		list, err := o.services.Sessions.ListOf(o.Context(), o.anna(), session.Cursor{}, 1)
		o.must(err)
		return o.EndSession(o.Context(), boss, who, list[0].ID)
	}, kind: audit.SessionEnded, target: "session:", mails: []string{annaEmail}, ended: true},
	{name: "forget devices", do: func(o *office, who string) error { return o.RevokeTrust(o.Context(), boss, who) }, kind: audit.DevicesForgotten, mails: []string{annaEmail}, trust: true},
	{name: "forget device", do: func(o *office, who string) error {
		a, err := o.ShowAccount(o.Context(), annaEmail)
		o.must(err)
		return o.ForgetDevice(o.Context(), boss, who, a.Devices[0].ID)
	}, kind: audit.DeviceForgotten, target: "device:", mails: []string{annaEmail}, trust: true},
	{name: "remove method", prepare: func(o *office) { o.recoveryCodes() }, do: func(o *office, who string) error {
		return o.RemoveMethod(o.Context(), boss, who, o.method())
	}, kind: audit.FactorRemoved, target: "factor:", mails: []string{annaEmail}, ends: true},
	{name: "reset methods", prepare: func(o *office) { o.recoveryCodes() }, do: func(o *office, who string) error {
		return o.ResetMethods(o.Context(), boss, who)
	}, kind: audit.FactorRemoved, mails: []string{annaEmail}, ends: true},
	{name: "propose email", do: func(o *office, who string) error {
		return o.ProposeEmail(o.Context(), boss, who, "anna@example.net")
	}, kind: audit.EmailChangeProposed, target: "link:", mails: []string{"anna@example.net", annaEmail}},
	{name: "end freeze", prepare: (*office).freeze, do: func(o *office, who string) error {
		return o.EndFreeze(o.Context(), boss, who)
	}, kind: audit.UndoRejected, mails: []string{annaEmail}},
}

// Every change of an operator has one event, with the operator and the account, and one email to the person (and one to
// a proposed address) with who made it and when. It ends what it says it ends.
func TestOperationsOfAnOperator(t *testing.T) {
	for _, one := range operations {
		t.Run(one.name, func(t *testing.T) {
			storetest.EachDatabase(t, func(t *testing.T, database string) {
				o := newOffice(t, database)
				o.signIn()
				if one.prepare != nil {
					one.prepare(o)
				}
				if one.name != "enable" && one.name != "end freeze" {
					o.signIn()
				}
				a := o.anna()
				o.sent = nil
				o.now = o.now.Add(time.Second)
				before, err := o.services.Sessions.ListOf(t.Context(), a, session.Cursor{}, 10)
				o.must(err)
				o.must(one.do(o, a.ID))
				o.checkEvent(one, a)
				var to []string
				for _, m := range o.sent {
					to = append(to, m.To)
					if !strings.Contains(m.Text, "Bea Boss") || !strings.Contains(m.Text, "23 Nov 2026") {
						t.Errorf("the email does not say who and when:\n%s", m.Text)
					}
				}
				if !slices.Equal(to, one.mails) {
					t.Errorf("emails to %q, want %q", to, one.mails)
				}
				o.checkEnds(one, a, before)
			})
		})
	}
}

func (o *office) checkEvent(one operation, a store.Account) {
	o.Helper()
	events, err := o.events.List(o.Context(), audit.Filter{Account: a.ID, Since: o.now})
	o.must(err)
	if len(events) != 1 || events[0].Kind != one.kind {
		o.Fatalf("events %+v, want one %s", events, one.kind)
	}
	e := events[0]
	if e.Actor != (audit.Actor{Type: audit.TypeOperator, ID: boss.Account}) || e.Result != audit.Success ||
		!strings.HasPrefix(e.Target, one.target) || one.target == "" && e.Target != "" && one.kind != audit.UndoRejected {
		o.Errorf("event %+v", e)
	}
}

func (o *office) checkEnds(one operation, a store.Account, before []session.Session) {
	o.Helper()
	now, err := o.store.GetAccount(o.Context(), a.ID)
	if one.name == "delete" {
		if !errors.Is(err, store.ErrNotFound) {
			o.Errorf("the account is there: %v", err)
		}
		now = a
	} else {
		o.must(err)
	}
	after, err := o.services.Sessions.ListOf(o.Context(), now, session.Cursor{}, 10)
	o.must(err)
	want := len(before)
	switch {
	case one.ends:
		want = 0
	case one.ended:
		want--
	}
	if len(after) != want {
		o.Errorf("%d sessions of %d are left, want %d", len(after), len(before), want)
	}
	devices, err := o.services.Devices.ListTrustedDevices(o.Context(), device.SessionDevice{AccountRef: now.Ref()})
	o.must(err)
	if some := len(devices) > 0; some == (one.ends || one.trust) && one.name != "end freeze" && one.name != "forget device" {
		o.Errorf("devices are trusted: %v", some)
	}
}

// An operator's change that cannot be made says why, changes nothing and sends nothing.
func TestRefusalsOfAnOperator(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, database string) {
		o := newOffice(t, database)
		ctx := t.Context()
		for _, one := range operations {
			if one.name == "end session" || one.name == "forget device" || one.name == "remove method" {
				continue
			}
			for _, who := range []string{"nobody@example.com", "NOBODY", "no@address@"} {
				if err := one.do(o, who); !errors.Is(err, ErrAccountNotFound) {
					t.Errorf("%s of %s: %v", one.name, who, err)
				}
			}
		}
		o.create(AccountParams{Email: "boss@example.com", Name: "Boss", Password: annaWord, Operator: true})
		o.create(AccountParams{Email: "off@example.com", Name: "Off", Password: annaWord, Operator: true})
		o.must(o.Disable(ctx, boss, "off@example.com"))
		o.sent = nil
		for want, errs := range map[error][]error{
			ErrSessionNotFound:   {o.EndSession(ctx, boss, annaEmail, "none")},
			ErrDeviceNotFound:    {o.ForgetDevice(ctx, boss, annaEmail, "none")},
			ErrMethodNotFound:    {o.RemoveMethod(ctx, boss, annaEmail, "none"), o.ResetMethods(ctx, boss, annaEmail)},
			ErrAccountNotFrozen:  {o.EndFreeze(ctx, boss, annaEmail)},
			ErrAccountEnabled:    {o.Enable(ctx, boss, annaEmail)},
			ErrAccountDisabled:   {o.Disable(ctx, boss, "off@example.com"), o.SendPasswordReset(ctx, boss, "off@example.com"), o.ProposeEmail(ctx, boss, "off@example.com", "new@example.com")},
			ErrLastOperator:      {o.Disable(ctx, boss, "boss@example.com"), o.DeleteAccount(ctx, boss, "boss@example.com")},
			ErrAccountExists:     {o.ProposeEmail(ctx, boss, annaEmail, "boss@example.com")},
			account.ErrEmail:     {o.ProposeEmail(ctx, boss, annaEmail, "no address")},
			account.ErrName:      {o.RenameAccount(ctx, boss, annaEmail, AccountNames{Name: "\n"})},
			ErrNoInvitation:      {o.ResendInvitation(ctx, boss, annaEmail), o.RevokeInvitation(ctx, boss, "no address")},
			account.ErrGivenName: {o.RenameAccount(ctx, boss, annaEmail, AccountNames{Name: "A", GivenName: strings.Repeat("a", 65)})},
		} {
			for i, err := range errs {
				if !errors.Is(err, want) {
					t.Errorf("%d: %v, want %v", i, err, want)
				}
			}
		}
		if err := o.SetGroups(ctx, boss, annaEmail, []string{"a,b"}); err == nil {
			t.Error("a group with a comma is accepted")
		}
		if len(o.sent) != 0 {
			t.Errorf("%d emails of refused changes", len(o.sent))
		}
		force := boss
		force.Force = true
		o.must(o.Disable(ctx, force, "boss@example.com"))
		o.must(o.DeleteAccount(ctx, boss, "boss@example.com")) // it is not active: no operator is lost
	})
	storetest.EachDatabase(t, func(t *testing.T, database string) {
		o := newOffice(t, database)
		o.freeze()
		o.sent = nil
		for i, err := range []error{
			o.RemoveMethod(t.Context(), boss, annaEmail, "any"), o.ResetMethods(t.Context(), boss, annaEmail),
			o.SendPasswordReset(t.Context(), boss, annaEmail), o.ProposeEmail(t.Context(), boss, annaEmail, "new@example.com"),
		} {
			if !errors.Is(err, ErrAccountFrozen) {
				t.Errorf("%d: %v", i, err)
			}
		}
		if len(o.sent) != 0 {
			t.Errorf("%d emails about a frozen account", len(o.sent))
		}
		o.must(o.EndFreeze(t.Context(), boss, annaEmail))
		o.must(o.ResetMethods(t.Context(), boss, annaEmail))
	})
}

// After a reset of the methods a code by email is enough again, and the link in the email about one method that an
// operator removed brings it back.
func TestMethodsAfterAnOperator(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, database string) {
		o := newOffice(t, database)
		codes := o.recoveryCodes()
		o.must(o.RemoveMethod(t.Context(), boss, annaEmail, o.method()))
		undo := enroll.UndoRequest{Token: o.found(`/undo#(\S+)`), Password: annaWord}
		if until, err := o.services.Enrollments.Undo(t.Context(), undo, here); err != nil || !until.IsZero() {
			t.Fatal(until, err)
		}
		o.method() // it is back
		o.must(o.services.Accounts.RequestPasswordReset(t.Context(), annaEmail, "", here))
		o.must(o.services.Accounts.ResetPassword(t.Context(), o.found(`/reset#(\S+)`), annaWord, here))
		o.must(o.ResetMethods(t.Context(), boss, annaEmail))
		o.signIn()
		if len(codes) == 0 {
			t.Error("there were no codes")
		}
	})
}

// The email about groups says so if there are none left.
func TestEmailAboutNoGroups(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, database string) {
		o := newOffice(t, database)
		for groups, want := range map[string]string{
			"":       "Your account at signin.example.com is no longer in any group.",
			"b, a":   "Your account at signin.example.com is now in these groups: a, b",
			"b, –":   "Your account at signin.example.com is now in these groups: b, –",
			"no one": "Your account at signin.example.com is now in these groups: no one",
		} {
			var list []string
			if groups != "" {
				list = strings.Split(groups, ", ")
			}
			o.sent = nil
			o.must(o.SetGroups(t.Context(), boss, annaEmail, list))
			if len(o.sent) != 1 || !strings.Contains(o.sent[0].Text, want+"\n") {
				t.Errorf("%q: %+v", groups, o.sent)
			}
		}
	})
}

// A proposed address becomes the address with its link, once. The old address gets a link that undoes it.
func TestProposedEmail(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, database string) {
		o := newOffice(t, database)
		o.signIn()
		confirm := func(token string) error { return o.services.Enrollments.ConfirmProposedEmail(t.Context(), token, here) }
		propose := func(email string) string {
			o.must(o.ProposeEmail(t.Context(), boss, annaEmail, email))
			return o.found(`/address#(\S+)`)
		}
		taken, late, disabled := propose("ben@example.com"), propose("late@example.com"), propose("cleo@example.com")
		o.create(AccountParams{Email: "ben@example.com", Name: "Ben", Password: annaWord})
		if err := confirm(taken); !errors.Is(err, account.ErrLink) {
			t.Errorf("an address that has an account: %v", err)
		}
		o.must(o.Disable(t.Context(), boss, annaEmail))
		if err := confirm(disabled); !errors.Is(err, account.ErrLink) {
			t.Errorf("disabled: %v", err)
		}
		o.must(o.Enable(t.Context(), boss, annaEmail))
		if err := confirm(disabled); !errors.Is(err, account.ErrLink) {
			t.Errorf("a link from before a change of the account: %v", err)
		}
		if err := confirm(late); !errors.Is(err, account.ErrLink) {
			t.Errorf("likewise: %v", err)
		}
		token := propose("anna@example.net")
		if email, err := o.services.Enrollments.FindProposedEmail(t.Context(), token); err != nil || email != "anna@example.net" {
			t.Error(email, err)
		}
		reset := func() error { _, err := o.services.Accounts.FindReset(t.Context(), token); return err }
		if err := reset(); !errors.Is(err, account.ErrLink) {
			t.Errorf("the link chooses a password: %v", err)
		}
		id := o.anna().ID
		o.signIn()
		o.sent = nil
		o.must(confirm(token))
		if err := confirm(token); !errors.Is(err, account.ErrLink) {
			t.Errorf("a second time: %v", err)
		}
		a, err := o.ShowAccount(t.Context(), "anna@example.net")
		if err != nil || a.ID != id || len(a.Sessions) != 0 || len(a.Devices) != 0 {
			t.Fatal(a, err)
		}
		if len(o.sent) != 2 || o.sent[0].To != annaEmail || o.sent[1].To != "anna@example.net" {
			t.Errorf("sent %+v", o.sent)
		}
		undo := enroll.UndoRequest{Token: o.found(`/undo#(\S+)`), Password: annaWord}
		if _, err := o.services.Enrollments.Undo(t.Context(), undo, here); err != nil {
			t.Error(err)
		}
		if o.anna().ID != id {
			t.Error("the address is not restored")
		}
	})
	t.Run("expired", func(t *testing.T) {
		o := newOffice(t, t.TempDir()+"/twostep.db")
		o.must(o.ProposeEmail(t.Context(), boss, annaEmail, "anna@example.net"))
		o.now = o.now.Add(31 * time.Minute)
		if err := o.services.Enrollments.ConfirmProposedEmail(t.Context(), o.found(`/address#(\S+)`), here); !errors.Is(err, account.ErrLink) {
			t.Error(err)
		}
	})
}

// Of a deleted account nothing is left that names or describes the person, and the apps of its sessions are notified.
func TestDeletedAccount(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, database string) {
		o := newOffice(t, database)
		o.recoveryCodes()
		o.signIn()
		o.must(o.services.Accounts.RequestPasswordReset(t.Context(), annaEmail, "", here))
		a := o.anna()
		o.must(o.DeleteAccount(t.Context(), boss, annaEmail))
		for _, table := range []string{"accounts", "account_keys", "sessions", "attempts", "factors", "trusted_networks",
			"trust_decisions", "known_devices", "email_links", "consents", "guess_budgets", "guess_budget_entries"} {
			if n := storetest.CountRows(t, database, table); n != 0 {
				t.Errorf("%d rows of %s are left", n, table)
			}
		}
		events, err := o.AuditEvents(t.Context(), AuditFilter{Account: a.ID, Limit: 1000})
		o.must(err)
		deleted := func(e AuditEvent) bool { return e.Event == "account.deleted" }
		if len(events) < 5 || !slices.ContainsFunc(events, deleted) {
			t.Fatalf("%d events are left", len(events))
		}
		for _, e := range events {
			if text, _ := json.Marshal(e); e.Address != "" || e.Browser != "" || strings.Contains(string(text), "anna") {
				t.Errorf("an event describes the person: %s", text)
			}
		}
		o.create(AccountParams{Email: annaEmail, Name: "Anna Adams", Password: annaWord})
		if o.anna().ID == a.ID {
			t.Error("the address has the old account")
		}
	})
}

// The list finds accounts by the beginning of the address or of a word of the name, by ID, group, state, methods and
// last sign-in, in each order, page by page.
func TestListAccounts(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, database string) {
		o := newOffice(t, database)
		o.recoveryCodes()
		for i, name := range []string{"Ben Adamson", "Cleo Öz", "Dora van der Berg", "Émile Zola"} {
			o.now = o.now.Add(time.Hour)
			p := AccountParams{Email: strings.ToLower(name[:1]) + fmt.Sprint(i) + "@example.com", Name: name, Password: annaWord}
			if i%2 == 0 {
				p.Groups = []string{"Domain Users", "staff"}
			}
			if i == 3 {
				p.Email, p.FamilyName = "zola@example.com", "Zola"
			}
			o.create(p)
		}
		o.must(o.Disable(t.Context(), boss, "d2@example.com"))
		if n, err := o.store.TouchAccounts(t.Context(), o.now); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		if n, err := o.store.TouchAccounts(t.Context(), o.now); err != nil || n != 0 {
			t.Fatal("again:", n, err)
		}
		const a, b, c, d, z = annaEmail, "b0@example.com", "c1@example.com", "d2@example.com", "zola@example.com"
		id := o.anna().ID
		for what, row := range map[string]struct {
			q    AccountQuery
			want []string
		}{
			"all":            {AccountQuery{}, []string{a, b, c, d, z}},
			"address":        {AccountQuery{Search: "AN"}, []string{a}},
			"name":           {AccountQuery{Search: " adams"}, []string{a, b}},
			"two words":      {AccountQuery{Search: "anna  AD"}, []string{a}},
			"inner words":    {AccountQuery{Search: "der b"}, []string{d}},
			"not the middle": {AccountQuery{Search: "dams"}, nil},
			"accent":         {AccountQuery{Search: "ö"}, []string{c}},
			"no accent":      {AccountQuery{Search: "oz"}, nil},
			"family name":    {AccountQuery{Search: "zola"}, []string{z}},
			"id":             {AccountQuery{Search: id}, []string{a}},
			"no id":          {AccountQuery{Search: strings.Repeat("A", 26)}, nil},
			"wildcards":      {AccountQuery{Search: "%"}, nil},
			"group":          {AccountQuery{Group: "staff"}, []string{a, b, d}},
			"group case":     {AccountQuery{Group: "domain users"}, nil},
			"disabled":       {AccountQuery{State: "disabled"}, []string{d}},
			"active":         {AccountQuery{State: "active", Group: "staff"}, []string{a, b}},
			"frozen":         {AccountQuery{State: "frozen"}, nil},
			"email only":     {AccountQuery{Methods: "email"}, []string{b, c, d, z}},
			"other":          {AccountQuery{Methods: "other"}, []string{a}},
			"signed in":      {AccountQuery{SignedInSince: o.now.Add(-24 * time.Hour)}, []string{a}},
			"not for long":   {AccountQuery{SignedInBefore: o.now.Add(-time.Minute)}, []string{a, b, c, d, z}},
			"never":          {AccountQuery{SignedInBefore: o.now.Add(-24 * time.Hour)}, []string{b, c, d, z}},
			"newest":         {AccountQuery{Sort: "created"}, []string{z, d, c, b, a}},
			"latest":         {AccountQuery{Sort: "last-sign-in", Search: "adams"}, []string{a, b}},
		} {
			for _, limit := range []int{1, 2, 50} {
				if got := o.list(row.q, limit); !slices.Equal(got, row.want) {
					t.Errorf("%s, %d at a time: %q, want %q", what, limit, got, row.want)
				}
			}
		}
		o.must(o.RenameAccount(t.Context(), boss, a, AccountNames{Name: "Zoe"}))
		o.must(o.SetGroups(t.Context(), boss, a, nil))
		if got := o.list(AccountQuery{Search: "zo"}, 9); !slices.Equal(got, []string{a, z}) {
			t.Errorf("after a change of name: %q", got)
		}
		if got := append(o.list(AccountQuery{Search: "anna a"}, 9), o.list(AccountQuery{Search: "adams"}, 9)...); len(got) != 1 {
			t.Errorf("by the old name: %q", got)
		}
		if got := o.list(AccountQuery{Group: "staff"}, 9); len(got) != 2 {
			t.Errorf("in a group that it has left: %q", got)
		}
		const e, f, g = "eva@example.com", "fay@example.com", "gil@example.com"
		o.must(o.SendInvitations(t.Context(), boss, []AccountParams{{Email: g}, {Email: e, Name: "Eva Adams", Groups: []string{"staff"}}, {Email: "z9@example.com"}}))
		o.create(AccountParams{Email: "z9@example.com", Name: "Has an account", Password: annaWord})
		o.now = o.now.Add(8 * 24 * time.Hour) // the first ones have expired
		o.must(o.SendInvitations(t.Context(), boss, []AccountParams{{Email: f, Name: "Fay"}}))
		for what, row := range map[string]struct {
			q    AccountQuery
			want []string
		}{
			"invited":      {AccountQuery{}, []string{e, f, g}},
			"newest":       {AccountQuery{Sort: "created"}, []string{f, g, e}},
			"last sign-in": {AccountQuery{Sort: "last-sign-in", SignedInBefore: o.now}, []string{f, g, e}},
			"name":         {AccountQuery{Search: "ADAMS"}, []string{e}},
			"address":      {AccountQuery{Search: "f"}, []string{f}},
			"group":        {AccountQuery{Group: "staff"}, []string{e}},
			"other":        {AccountQuery{Methods: "other"}, nil},
			"signed in":    {AccountQuery{SignedInSince: o.now.Add(-time.Hour)}, nil},
			"id":           {AccountQuery{Search: id}, nil},
		} {
			row.q.State = "invited"
			for _, limit := range []int{1, 2, 50} {
				if got := o.list(row.q, limit); !slices.Equal(got, row.want) {
					t.Errorf("invited, %s, %d at a time: %q, want %q", what, limit, got, row.want)
				}
			}
		}
		first, err := o.ListAccounts(t.Context(), AccountQuery{Limit: 1, State: "invited"})
		o.must(err)
		if _, err := o.ListAccounts(t.Context(), AccountQuery{After: first.Next}); !errors.Is(err, ErrAccountQuery) {
			t.Errorf("a position of another list: %v", err)
		}
		page, err := o.ListAccounts(t.Context(), AccountQuery{Limit: 1})
		o.must(err)
		for _, q := range []AccountQuery{{State: "x"}, {Methods: "x"}, {Sort: "x"}, {Limit: -1}, {Limit: 1001}, {After: "x"},
			{After: page.Next, Sort: "created"}, {After: page.Next, State: "invited"}, {Search: "\x00"}} {
			if _, err := o.ListAccounts(t.Context(), q); !errors.Is(err, ErrAccountQuery) {
				t.Errorf("%+v: %v", q, err)
			}
		}
	})
}

// list returns the addresses of all pages.
func (o *office) list(q AccountQuery, limit int) (emails []string) {
	o.Helper()
	q.Limit = limit
	for range 20 {
		page, err := o.ListAccounts(o.Context(), q)
		o.must(err)
		for _, e := range page.Entries {
			emails = append(emails, e.Email)
		}
		if q.After = page.Next; q.After == "" {
			return emails
		}
	}
	o.Fatal("the list has no end")
	return nil
}

// What an operator reads has no password, secret, code, token or hash of the account, and masks its numbers.
func TestOperatorSeesNoSecret(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, database string) {
		o := newOffice(t, database)
		codes := o.recoveryCodes()
		_, cookies := o.signIn()
		o.must(o.services.Accounts.RequestPasswordReset(t.Context(), annaEmail, "", here))
		o.must(o.SendInvitations(t.Context(), boss, []AccountParams{{Email: "ben@example.com", Name: "Ben"}}))
		secrets := append(codes, annaWord, cookies.Session, cookies.Device, o.found(`/reset#(\S+)`), o.found(`/join#(\S+)`),
			o.found(`/undo#(\S+)`), o.found(`(?m)^(\d{6})\r?$`))
		for _, token := range []string{cookies.Session, o.found(`/reset#(\S+)`), o.found(`/join#(\S+)`)} {
			hash := seal.HashToken(token)
			secrets = append(secrets, hex.EncodeToString(hash), base64.StdEncoding.EncodeToString(hash))
		}
		a := o.anna()
		factors, err := o.store.ListFactors(t.Context(), a.ID)
		o.must(err)
		for _, sealed := range [][]byte{a.PasswordHash, factors[0].Body} {
			secrets = append(secrets, hex.EncodeToString(sealed), base64.StdEncoding.EncodeToString(sealed))
		}
		shown, err := o.ShowAccount(t.Context(), annaEmail)
		o.must(err)
		exported, err := o.ExportAccount(t.Context(), boss, annaEmail)
		o.must(err)
		page, err := o.ListAccounts(t.Context(), AccountQuery{})
		o.must(err)
		invitations, err := o.ListInvitations(t.Context(), nil, 10)
		o.must(err)
		if len(shown.Sessions) == 0 || len(shown.Devices) == 0 || len(shown.Methods) != 2 || len(shown.Decisions) == 0 ||
			len(exported.Events) < 5 || len(invitations) != 1 {
			t.Fatalf("not all is shown: %+v", shown)
		}
		for what, value := range map[string]any{"show": shown, "export": exported, "list": page, "invitations": invitations} {
			text, err := json.Marshal(value)
			o.must(err)
			for _, secret := range secrets {
				if secret == "" {
					t.Fatal("an empty secret is in every text")
				}
				if strings.Contains(string(text), secret) {
					t.Errorf("%s has the secret %s", what, secret)
				}
			}
		}
		if shown.Methods[0].Destination != account.MaskEmail(annaEmail) || exported.Methods[0].Destination != annaEmail {
			t.Errorf("masked: %q, exported: %q", shown.Methods[0].Destination, exported.Methods[0].Destination)
		}
		if shown.LastSignInAt.IsZero() || len(exported.Events) <= len(shown.Events)-1 {
			t.Errorf("last sign-in %v, %d events", shown.LastSignInAt, len(exported.Events))
		}
	})
}

// An invited person gets a link, which works until it is sent again or revoked. A list is invited as a whole or not at
// all.
func TestInvitations(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, database string) {
		o := newOffice(t, database)
		ctx, join := t.Context(), `/join#(\S+)`
		err := o.SendInvitations(ctx, boss, []AccountParams{{Email: "ben@example.com"}, {Email: "no address"}, {Email: annaEmail},
			{Email: "BEN@example.com"}, {Email: "cleo@example.com", Groups: []string{"a,b"}}})
		wrong := InvitationErrors{}
		if !errors.As(err, &wrong) || len(wrong) != 4 || !errors.Is(wrong[1], account.ErrEmail) ||
			!errors.Is(wrong[2], ErrAccountExists) || !errors.Is(wrong[3], account.ErrTwice) || wrong[4] == nil || len(o.sent) > 0 {
			t.Fatalf("%v: %v, %d emails", err, wrong, len(o.sent))
		}
		if n := storetest.CountRows(t, database, "email_links"); n != 0 {
			t.Errorf("%d links of people who are not invited", n)
		}
		by := boss
		by.Language = "de"
		o.must(o.SendInvitations(ctx, by, []AccountParams{{Email: "ben@example.com", Name: "Ben", Groups: []string{"staff"}}, {Email: "cleo@example.com"}}))
		if len(o.sent) != 2 || o.sent[0].To != "ben@example.com" || o.sent[0].Language != "de" || !strings.Contains(o.sent[0].Text, "Bea Boss") {
			t.Fatalf("%+v", o.sent)
		}
		first := regexp.MustCompile(join).FindStringSubmatch(o.sent[0].Text)[1]
		o.now = o.now.Add(time.Hour)
		o.must(o.ResendInvitation(ctx, boss, "ben@example.com"))
		if o.sent[2].Language != "de" {
			t.Error("sent again in another language")
		}
		find := func(token string) error { _, err := o.services.Accounts.FindInvitation(ctx, token); return err }
		if err := find(first); !errors.Is(err, account.ErrLink) {
			t.Errorf("the link before: %v", err)
		}
		o.must(o.services.Accounts.Join(ctx, o.found(join), "Ben", annaWord, here))
		if b, err := o.ShowAccount(ctx, "ben@example.com"); err != nil || !slices.Equal(b.Groups, []string{"staff"}) {
			t.Errorf("%+v, %v", b, err)
		}
		if err := o.ResendInvitation(ctx, boss, "ben@example.com"); !errors.Is(err, ErrNoInvitation) {
			t.Error(err)
		}
		o.states("ben@example.com joined", "cleo@example.com pending")
		o.must(o.ResendInvitation(ctx, boss, "cleo@example.com"))
		token := o.found(join)
		o.must(o.RevokeInvitation(ctx, boss, "cleo@example.com"))
		if err := find(token); !errors.Is(err, account.ErrLink) {
			t.Errorf("a revoked link: %v", err)
		}
		o.must(o.SendInvitations(ctx, boss, []AccountParams{{Email: "cleo@example.com"}, {Email: "dora@example.com"}, {Email: "emil@example.com"}}))
		o.now = o.now.Add(8 * 24 * time.Hour)
		o.states("emil@example.com expired", "dora@example.com expired", "cleo@example.com expired", "ben@example.com joined")
		o.must(o.ResendInvitation(ctx, boss, "dora@example.com"))
		if err := find(o.found(join)); err != nil {
			t.Error(err)
		}
	})
}

// states compares the invitations, read one by one.
func (o *office) states(want ...string) {
	o.Helper()
	var got []string
	for after := (*Invitation)(nil); ; {
		page, err := o.ListInvitations(o.Context(), after, 1)
		o.must(err)
		if len(page) == 0 {
			break
		}
		got, after = append(got, page[0].Email+" "+string(page[0].State(o.now))), &page[0]
	}
	if !slices.Equal(got, want) {
		o.Errorf("invitations %q, want %q", got, want)
	}
}

// Two operators at once cannot disable each other, so that one is left.
func TestLastOperatorAtOnce(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, database string) {
		o := newOffice(t, database)
		o.create(AccountParams{Email: "one@example.com", Name: "One", Password: annaWord, Operator: true})
		o.create(AccountParams{Email: "two@example.com", Name: "Two", Password: annaWord, Operator: true})
		o.services.Accounts.Enqueue = func(context.Context, *store.DB, delivery.Message, time.Time) error { return nil }
		results := make(chan error)
		for _, who := range []string{"one@example.com", "two@example.com"} {
			go func() { results <- o.Disable(t.Context(), boss, who) }()
		}
		refused := 0
		for range 2 {
			if err := <-results; errors.Is(err, ErrLastOperator) {
				refused++
			} else if err != nil {
				t.Error(err)
			}
		}
		if refused != 1 {
			t.Errorf("%d refused, want 1", refused)
		}
	})
}

// The reason of trust that an operator has ended says so.
func TestTrustEndedByAnOperator(t *testing.T) {
	o := newOffice(t, t.TempDir()+"/twostep.db")
	_, cookies := o.signIn()
	o.must(o.RevokeTrust(t.Context(), boss, annaEmail))
	from := here
	from.DeviceToken = cookies.Device
	_, decision, err := o.services.Devices.FindAndDecide(t.Context(), o.anna().Ref(), from)
	if err != nil || decision.Reason != trust.RevokedByOperator {
		t.Errorf("%s, %v", decision.Reason, err)
	}
}
