package signin_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/directory"
	"twostep.example/twostep/internal/policy"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/signin"
)

// under sets the rules of a server.
func (h *fixture) under(p policy.Policy) {
	h.Helper()
	rules, err := policy.New(p, nil)
	if err != nil {
		h.Fatal(err)
	}
	h.Devices.Rules, h.Sessions.Rules = rules, rules
}

// inGroups replaces the groups of Anna.
func (h *fixture) inGroups(groups ...string) {
	h.Helper()
	by := account.By{Actor: audit.Actor{Type: audit.TypeProgram}}
	if err := h.Accounts.SetGroups(h.Context(), by, annaEmail, nil, groups); err != nil {
		h.Fatal(err)
	}
}

// wantAsked enters the password on the way to an app, and checks whether a code is asked for.
func (b *browser) wantAsked(says, app string, want bool) {
	b.Helper()
	b.advance(time.Millisecond)
	c := signin.Credentials{Email: b.email, Password: b.password, App: app}
	entry, err := b.SignIns.Start(b.Context(), c, b.from)
	if err != nil {
		b.Fatal(err)
	}
	if asked := entry.Attempt != ""; asked != want {
		b.Errorf("%s: asked is %t", says, asked)
	}
	if entry.Session != "" {
		b.setCookies(entry)
	}
}

// strict is a policy with a stricter group and a stricter app.
func strict() policy.Policy {
	return policy.Policy{
		Groups: map[string]policy.Rule{"finance": {
			Trust: 23 * time.Hour, Idle: 10 * time.Minute, Absolute: 2 * time.Hour, Reauthentication: 5 * time.Minute,
		}},
		Apps: map[string]policy.Rule{"payroll": {Trust: policy.Off}, "books": {Trust: 48 * time.Hour}},
	}
}

// Trust lasts as the strictest rule of the groups and the app says, at each sign-in, and never longer than the person was
// told.
func TestTrustByGroupAndApp(t *testing.T) {
	withAccount(t, func(h *fixture) {
		h.under(strict())
		b := h.newBrowser().signIn(true)
		b.wantAsked("in no app", "", false)
		b.wantAsked("in an app without trust", "payroll", true)
		h.advance(49 * time.Hour)
		b.wantAsked("two days in an app with two days", "books", true)
		b.wantAsked("two days in another app", "wiki", false)
		h.inGroups("finance")
		b.wantAsked("in a group with 23 hours", "wiki", true)
		fresh := h.newBrowser().signIn(true)
		h.inGroups()
		h.advance(22 * time.Hour)
		fresh.wantAsked("out of the group, before the time that was told", "", false)
		h.advance(2 * time.Hour)
		fresh.wantAsked("out of the group, after it", "", true)
		b.wantAsked("the older browser was told 30 days", "", false)
	})
}

// A session ends when its person's rules say, also those that were set after it began.
func TestSessionsByGroup(t *testing.T) {
	withAccount(t, func(h *fixture) {
		h.under(strict())
		live := func(says, token string, want bool) {
			h.Helper()
			_, err := h.Sessions.Get(h.Context(), token)
			if err != nil && !errors.Is(err, session.ErrNoSession) || (err == nil) != want {
				h.Errorf("%s: %v", says, err)
			}
			if _, err := h.Sessions.RecordUses(h.Context()); err != nil {
				h.Fatal(err)
			}
		}
		old := h.newBrowser().signIn(true)
		h.advance(11 * time.Minute)
		live("in no group, eleven minutes without a request", old.session, true)
		h.inGroups("finance")
		live("moved into the group: it was without a request for too long", old.session, false)
		in := h.newBrowser().signIn(false)
		for range 12 {
			h.advance(9 * time.Minute)
			live("used every nine minutes", in.session, true)
		}
		h.advance(9 * time.Minute)
		live("1 h 57 min", in.session, true)
		h.advance(9 * time.Minute)
		live("after two hours", in.session, false)
		if got := h.Sessions.OperatorFreshFor(h.getSession(h.newBrowser().signIn(false).session)); got != 5*time.Minute {
			h.Errorf("operators are asked again after %s", got)
		}
		h.under(policy.Policy{All: policy.Rule{Reauthentication: time.Hour}})
		if got := h.Sessions.OperatorFreshFor(h.getSession(h.newBrowser().signIn(false).session)); got != time.Hour {
			h.Errorf("operators with an hour are asked again after %s", got)
		}
		h.under(strict())
		h.inGroups()
		skipped := h.newBrowser().signIn(true)
		h.advance(25 * time.Hour)
		skipped.wantAsked("by trust", "", false)
		live("begun by trust of a day", skipped.session, true)
		h.inGroups("finance")
		live("begun by trust that the group does not have", skipped.session, false)
	})
}

// While two servers have different rules, each is as strict as its own, and trust that one has given is never longer on
// the other than what either allows.
func TestTwoServersWithDifferentRules(t *testing.T) {
	withAccount(t, func(h *fixture) {
		short := h.services(h.Store, h.Keys)
		rules, err := policy.New(policy.Policy{All: policy.Rule{Trust: 23 * time.Hour, Absolute: time.Hour}}, nil)
		if err != nil {
			h.Fatal(err)
		}
		short.Devices.Rules, short.Sessions.Rules = rules, rules
		long := h.Services
		byLong := h.newBrowser().signIn(true)
		h.Services = short
		byShort := h.newBrowser().signIn(true)
		h.advance(90 * time.Minute)
		if _, err := short.Sessions.Get(h.Context(), byLong.session); !errors.Is(err, session.ErrNoSession) {
			h.Errorf("a session of the other server at the strict one: %v", err)
		}
		if _, err := long.Sessions.Get(h.Context(), byShort.session); !errors.Is(err, session.ErrNoSession) {
			h.Errorf("a session of the strict server at the other one: %v", err)
		}
		h.advance(24 * time.Hour)
		byLong.wantAsked("30 days, at the strict server", "", true)
		h.Services = long
		byLong.wantAsked("30 days, at the other server", "", false)
		byShort.wantAsked("23 hours, at the server with 30 days", "", true)
	})
}

// Trust counts only if it was verified by a method that the policy allows.
func TestTrustByAllowedMethods(t *testing.T) {
	withAccount(t, func(h *fixture) {
		h.under(policy.Policy{Apps: map[string]policy.Rule{
			"payroll": {Methods: []string{"totp"}}, "wiki": {Methods: []string{"email", "totp"}},
		}})
		b := h.newBrowser().signIn(true)
		verified := b.session
		b.wantAsked("by email, where it is allowed", "wiki", false)
		b.wantAsked("by email, where it is not allowed", "payroll", true)
		who := h.getSession(b.session)
		limits := h.Sessions.Rules.For(nil, "payroll")
		missing, err := h.Challenges.FindSetUp(h.Context(), who, limits)
		if err != nil || missing == nil || !missing.Due || len(missing.Methods) != 1 || missing.Methods[0].Method != "totp" ||
			who.Method != "email" || who.Allows(limits) {
			h.Errorf("%+v, %v, method %q", missing, err, who.Method)
		}
		in := h.newBrowser().enterPassword()
		a, err := h.Challenges.Load(h.Context(), in.Attempt, home)
		if err != nil {
			h.Fatal(err)
		}
		for app, want := range map[string]bool{"payroll": false, "wiki": true, "": true} {
			if a.SetApp(app); a.Challenge == nil || a.Trust.For > 0 != want {
				h.Errorf("trust by email on the way to %q: %+v, by %+v", app, a.Trust, a.Challenge)
			}
		}
		h.enrollApp(verified)
		entry, err := h.SignIns.Start(h.Context(), signin.Credentials{Email: annaEmail, Password: annaPassword, App: "payroll"}, home)
		if err != nil {
			h.Fatal(err)
		}
		a, err = h.Challenges.Load(h.Context(), entry.Attempt, home)
		if err != nil {
			h.Fatal(err)
		}
		if len(a.Offers) < 2 {
			h.Errorf("in no app: %+v", a.Offers)
		}
		if a.SetApp("payroll"); len(a.Offers) != 1 || a.Offers[0].Method != "totp" {
			h.Errorf("in the app: %+v", a.Offers)
		}
	})
}

// Another method is required from a day on: before, there are days left; then it is due, and email stays on. Who has one
// is not asked.
func TestRequiredMethod(t *testing.T) {
	withAccount(t, func(h *fixture) {
		from := h.now.Add(10 * 24 * time.Hour).Truncate(24 * time.Hour)
		h.under(policy.Policy{All: policy.Rule{Require: from}})
		find := func(token string) (due, missing bool) {
			h.Helper()
			found, err := h.Challenges.FindSetUp(h.Context(), h.getSession(token), h.Sessions.Rules.For(nil, ""))
			if err != nil {
				h.Fatal(err)
			}
			return found != nil && found.Due, found != nil && found.From.Equal(from)
		}
		b := h.newBrowser().signIn(false)
		if due, missing := find(b.session); due || !missing {
			h.Errorf("before the day: due %t, missing %t", due, missing)
		}
		h.advance(10 * 24 * time.Hour)
		b = h.newBrowser().signIn(false)
		if due, missing := find(b.session); !due || !missing {
			h.Errorf("on the day: due %t, missing %t", due, missing)
		}
		_, token := h.enrollApp(b.session)
		if due, missing := find(token); due || missing {
			h.Errorf("with an app: due %t, missing %t", due, missing)
		}
	})
}

// Under the rules of today, the replay of the kept decisions is what was decided, in every detail. Under other rules it
// counts the questions, of people who trust their devices again.
func TestReplayOfKeptDecisions(t *testing.T) {
	withAccount(t, func(h *fixture) {
		h.under(strict())
		b := h.newBrowser()
		b.wantAsked("a new browser", "", true)
		b.signIn(true)
		for range 5 {
			h.advance(12 * time.Hour)
			b.wantAsked("trusted", "wiki", false)
		}
		b.wantAsked("an app without trust", "payroll", true)
		b.at(officeIP).wantAsked("another network", "", true)
		b.at("203.0.113.5").wantAsked("at home again", "", false)
		full := signin.Credentials{Email: annaEmail, Password: annaPassword, SkipTrust: true}
		if entry, err := h.SignIns.Start(h.Context(), full, b.from); err != nil || entry.Attempt == "" {
			h.Fatalf("a sign-in that needs both steps: %+v, %v", entry, err)
		}
		h.inGroups("finance")
		b.wantAsked("in the strict group", "", true)
		h.inGroups()
		copied := b.copy()
		h.advance(2 * time.Minute)
		b.enterPassword()
		h.advance(2 * time.Minute)
		b.enterPassword()
		h.advance(2 * time.Minute)
		copied.wantAsked("a copied cookie", "", true)
		b.wantAsked("the browser that it was copied from", "", true)
		d := directory.Directory{Store: h.Store, Now: h.clock, Devices: h.Devices, Challenges: h.Challenges}
		same, err := d.Preview(h.Context(), strict())
		if err != nil || same.WouldAsk != same.Asked || same.Inexact != 0 || same.Changed != 0 || same.Decisions < 14 || same.Accounts != 1 ||
			len(same.People) != 0 {
			h.Errorf("the same policy: %+v, %v", same, err)
		}
		// 24 and 48 hours after the code there is one more question each, and none in the app and in the group that are strict.
		day, err := d.Preview(h.Context(), policy.Policy{All: policy.Rule{Trust: 23 * time.Hour}})
		if err != nil || day.Inexact != 0 || day.WouldAsk != same.Asked+2-2 {
			h.Errorf("23 hours for all: %+v, %v", day, err)
		}
		month, err := d.Preview(h.Context(), policy.Policy{})
		if err != nil || month.Changed != 2 || month.WouldAsk != same.Asked-2 || len(month.People) != 1 {
			h.Errorf("30 days for all: %+v, %v", month, err)
		}
		off, err := d.Preview(h.Context(), policy.Policy{All: policy.Rule{Trust: policy.Off, Methods: []string{"totp"}}})
		if err != nil || off.WouldAsk != off.Decisions || off.SetUp != 1 || off.NoWayIn != 0 || len(off.People) != 1 ||
			!off.People[0].SetUp || off.People[0].Email != annaEmail {
			h.Errorf("without trust: %+v, %v", off, err)
		}
		h.inGroups("finance")
		none, err := d.Preview(h.Context(), policy.Policy{
			Groups: map[string]policy.Rule{"finance": {Methods: []string{"totp"}}},
			Apps:   map[string]policy.Rule{"wiki": {Methods: []string{"email"}}},
		})
		if err != nil || none.NoWayIn != 1 || !none.People[0].NoWayIn {
			h.Errorf("no method is left: %+v, %v", none, err)
		}
		if _, err := d.Preview(h.Context(), policy.Policy{All: policy.Rule{Trust: time.Minute}}); err == nil {
			h.Error("a policy that is not valid is tried")
		}
	})
}

// A decision under which no method was allowed is kept as such, and is the same when it is decided again.
func TestReplayWithoutAnAllowedMethod(t *testing.T) {
	withAccount(t, func(h *fixture) {
		h.under(policy.Policy{Groups: map[string]policy.Rule{
			"a": {Methods: []string{"email"}}, "b": {Methods: []string{"totp"}},
		}})
		b := h.newBrowser().signIn(true)
		b.wantAsked("in no group", "", false)
		h.inGroups("a", "b")
		b.wantAsked("in two groups that allow no method together", "", true)
		d := directory.Directory{Store: h.Store, Now: h.clock, Devices: h.Devices, Challenges: h.Challenges}
		p, err := d.Preview(h.Context(), policy.Policy{})
		if err != nil || p.Inexact != 0 || p.Changed != 1 || p.Decisions != 3 {
			h.Errorf("%+v, %v", p, err)
		}
	})
}

// For every set of factors and every policy for methods: what must be set up is what is missing, no more. A set of
// recovery codes, which is used up here, is no way in, and codes by email are no other method.
func TestSetUpForEveryFactorSet(t *testing.T) {
	withAccount(t, func(h *fixture) {
		methods := h.Challenges.Methods
		day := time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)
		for set := range 1 << len(methods) {
			var factors []challenge.Enrolled
			for i, m := range methods {
				if set&(1<<i) != 0 {
					factors = append(factors, challenge.Enrolled{Factor: factor.Factor{Method: m.Info().Method}, Method: m})
				}
			}
			for allowed := range 1 << len(methods) {
				limits := policy.Limits{Methods: policy.Methods{Names: []string{}}, Require: policy.Date{From: day}}
				ways, others, possible := 0, 0, 0
				for i, m := range methods {
					about := m.Info()
					if allowed&(1<<i) == 0 {
						continue
					}
					limits.Methods.Names = append(limits.Methods.Names, about.Method)
					if set&(1<<i) != 0 && !about.Backup {
						ways++
					}
					if set&(1<<i) != 0 && !about.Backup && !about.Implicit {
						others++
					}
					if about.Path != "" && !about.Backup && !about.Implicit {
						possible++
					}
				}
				missing := h.Challenges.SetUpFor(factors, limits)
				at := fmt.Sprintf("factors %b, allowed %b", set, allowed)
				switch {
				case ways == 0 && (missing == nil || !missing.Due || !missing.From.IsZero() || len(missing.Methods) != possible):
					h.Errorf("%s: no way in: %+v", at, missing)
				case ways > 0 && others == 0 && possible > 0 && (missing == nil || missing.Due || !missing.From.Equal(day)):
					h.Errorf("%s: email only: %+v", at, missing)
				case ways > 0 && (others > 0 || possible == 0) && missing != nil:
					h.Errorf("%s: nothing is missing: %+v", at, missing)
				}
			}
		}
	})
}
