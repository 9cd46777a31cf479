package twostep

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/device"
	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/ledger"
	"twostep.example/twostep/internal/limit"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/signin"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/internal/trust"
)

// services are the folders whose types decide and write, each with its type. internal/signin is to
// come: add it here, and its methods to the acts or to the exceptions.
var services = map[string]string{
	"internal/account": "Registry", "internal/device": "Devices", "internal/ledger": "Ledgers", "internal/grant": "Grants",
}

// withoutEvent are the methods of services that write and record no event of their own, and why.
var withoutEvent = map[string]string{
	"Registry.Audit": "it is what records", "Registry.Event": "it records what it is given", "Registry.Failure": "likewise",
	"Registry.Refused": "likewise", "Registry.Tell": "likewise, and puts a message",
	"Registry.Mail":     "puts a message about a change whose event is recorded",
	"Registry.UndoLink": "part of the change that the link undoes",
	"Registry.EndTrust": "part of the change that ends trust",
	"Registry.Spend":    "counts; whoever calls it records a refusal",

	"Devices.Meet": "part of a new session", "Devices.Use": "part of a new session",

	"Ledgers.Send": "counts; whoever calls it records a refusal", "Ledgers.Succeed": "gives back what was counted", "Ledgers.Renew": "likewise",

	"Grants.Pushed": "takes a request of an app, which nobody has allowed yet", "Grants.Act": "likewise", "Grants.Choose": "likewise",
	"Grants.Answered": "likewise", "Grants.Enter": "a token of a grant whose event is recorded", "Grants.Own": "a token of an app for itself, as often as it likes",
	"Grants.Farewells": "tells apps of sessions whose end is recorded", "Grants.Told": "likewise",
	"Grants.Asserted": "uses up the name of an assertion", "Grants.Subject": "keeps a salt, once", "Grants.Standing": "likewise",
}

// act is something that a service does, with the events that must be recorded for it.
type act struct {
	method string
	// prepare does what has to be there before, and returns the act.
	prepare func(w *walk) func() error
	kinds   []audit.Kind
	by      string // the type of actor
	fails   error  // what the act returns; nil: it is done
}

// walk is a server whose acts are looked at.
type walk struct {
	*testing.T
	*Server
	database string
	now      time.Time
	mail     chan string
	a        store.Account // Anna
}

const annaEmail, annaWord = "anna@example.com", "correct horse battery"

func newWalk(t *testing.T) *walk {
	t.Helper()
	w := &walk{T: t, database: filepath.Join(t.TempDir(), "twostep.db"), now: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC), mail: make(chan string, 1000)}
	o := options(t)
	o.Database, o.SignUp, o.Operator, o.Log = w.database, "open", "root", slog.New(slog.DiscardHandler)
	o.Now = func() time.Time { return w.now }
	o.Send[delivery.Email] = func(_ context.Context, m delivery.Message) error { w.mail <- m.Text; return nil }
	var err error
	if w.Server, err = New(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	w.engine.Passwords, w.engine.Known = seal.NewPasswords(seal.Cost{MemoryKiB: 64, Time: 1}, 4, 64), nil
	w.must(w.AddAccount(t.Context(), NewAccount{Email: annaEmail, Name: "Anna", Password: annaWord}))
	w.a, err = w.engine.Find(t.Context(), annaEmail)
	w.must(err)
	return w
}

func (w *walk) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// here is a network.
var here = account.From{Address: netip.MustParseAddr("203.0.113.9"), UserAgent: "Firefox", Language: "en"}

func (w *walk) tx(f func(tx *store.DB) error) error { return w.store.Tx(w.Context(), f) }

// mailed is the first group of a pattern in the next mail that has it.
func (w *walk) mailed(pattern string) string {
	w.Helper()
	for {
		select {
		case text := <-w.mail:
			if m := regexp.MustCompile(pattern).FindStringSubmatch(text); m != nil {
				return m[1]
			}
		case <-time.After(20 * time.Second):
			w.Fatal("no such mail: " + pattern)
		}
	}
}

// in signs Anna in.
func (w *walk) in() signin.Session {
	w.Helper()
	entry, err := w.engine.Begin(w.Context(), signin.Credentials{Email: annaEmail, Password: annaWord}, here)
	w.must(err)
	entry, err = w.engine.Verify(w.Context(), entry.SignIn, url.Values{"code": {w.mailed(`(?m)^(\d{6})\r?$`)}}, here)
	w.must(err)
	who, err := w.engine.Session(w.Context(), entry.Session)
	w.must(err)
	return who
}

// browser is one that Anna's account knows, and its cookie.
func (w *walk) browser() (id, cookie string) {
	w.Helper()
	w.must(w.tx(func(tx *store.DB) (err error) {
		id, cookie, err = w.engine.Devices.Meet(w.Context(), tx, w.a, device.Browser{})
		return err
	}))
	return id, cookie
}

// wiki adds an app.
func (w *walk) wiki() App {
	w.Helper()
	_, hash := NewSecret()
	a := App{ID: "wiki", Redirects: []string{"https://wiki.example.com/cb"}, Secrets: []string{hash}, NoPKCE: true}
	w.must(w.AddApp(w.Context(), a))
	return a
}

func (w *walk) issue(a App, who signin.Session, scope ...string) (code string) {
	w.Helper()
	code, err := w.grants.Issue(w.Context(), grant.Request{App: a.ID, Redirect: a.Redirects[0], Scope: scope}, who, here)
	w.must(err)
	return code
}

// debit counts a guess of a stranger.
func (w *walk) debit(g ledger.Guess) error {
	return w.tx(func(tx *store.DB) error { return w.engine.Ledgers.Debit(w.Context(), tx, g, here) })
}

var acts = []act{
	{"Registry.AddAccount", func(w *walk) func() error {
		return func() error {
			return w.AddAccount(w.Context(), NewAccount{Email: "ben@example.com", Name: "Ben", Password: annaWord})
		}
	}, []audit.Kind{audit.AccountCreated}, audit.TypeOperator, nil},
	{"Registry.Invite", func(w *walk) func() error {
		return func() error { _, err := w.Invite(w.Context(), "ben@example.com", "Ben", false); return err }
	}, []audit.Kind{audit.AccountInvited}, audit.TypeOperator, nil},
	{"Registry.Join", func(w *walk) func() error {
		link, err := w.Invite(w.Context(), "ben@example.com", "Ben", false)
		w.must(err)
		_, token, _ := strings.Cut(link, "#")
		return func() error { return w.engine.Join(w.Context(), token, "Ben", annaWord, here) }
	}, []audit.Kind{audit.AccountCreated}, audit.TypePerson, nil},
	{"Registry.SignUp", func(w *walk) func() error {
		return func() error { return w.engine.SignUp(w.Context(), "ben@example.com", "Ben", here) }
	}, []audit.Kind{audit.SignUpRequested}, audit.TypeAnonymous, nil},
	{"Registry.SignUp", func(w *walk) func() error {
		return func() error { return w.engine.SignUp(w.Context(), annaEmail, "Ben", here) }
	}, []audit.Kind{audit.SignUpRequested}, audit.TypeAnonymous, nil},
	{"Registry.Forgot", func(w *walk) func() error {
		return func() error { return w.engine.Forgot(w.Context(), annaEmail, here) }
	}, []audit.Kind{audit.PasswordResetRequested}, audit.TypeAnonymous, nil},
	{"Registry.Forgot", func(w *walk) func() error {
		return func() error { return w.engine.Forgot(w.Context(), "nobody@example.com", here) }
	}, []audit.Kind{audit.PasswordResetRequested}, audit.TypeAnonymous, nil},
	{"Registry.Forgot", func(w *walk) func() error { // one too many of this network
		for n := range limit.LinksPerNetwork {
			w.must(w.engine.Forgot(w.Context(), fmt.Sprintf("nobody%d@example.com", n), here))
		}
		return func() error { return w.engine.Forgot(w.Context(), annaEmail, here) }
	}, []audit.Kind{audit.LimitReached}, audit.TypeAnonymous, account.ErrWait},
	{"Registry.Reset", func(w *walk) func() error {
		w.must(w.engine.Forgot(w.Context(), annaEmail, here))
		reset := w.mailed(`/reset#(\S+)`)
		return func() error { return w.engine.Reset(w.Context(), reset, "another horse battery", here) }
	}, []audit.Kind{audit.PasswordReset}, audit.TypePerson, nil},
	{"Registry.Undo", func(w *walk) func() error {
		var undo string
		w.must(w.tx(func(tx *store.DB) (err error) { undo, err = w.engine.UndoLink(w.Context(), tx, w.a, ""); return err }))
		return func() error { return w.engine.Undo(w.Context(), undo, here) }
	}, []audit.Kind{audit.ChangeUndone}, audit.TypePerson, nil},
	{"Registry.Disable", func(w *walk) func() error {
		return func() error { return w.Disable(w.Context(), annaEmail, true) }
	}, []audit.Kind{audit.AccountDisabled}, audit.TypeOperator, nil},
	{"Registry.Disable", func(w *walk) func() error {
		w.must(w.Disable(w.Context(), annaEmail, true))
		return func() error { return w.Disable(w.Context(), annaEmail, false) }
	}, []audit.Kind{audit.AccountEnabled}, audit.TypeOperator, nil},
	{"Registry.Distrust", func(w *walk) func() error {
		return func() error { return w.Distrust(w.Context(), annaEmail) }
	}, []audit.Kind{audit.DevicesForgotten}, audit.TypeOperator, nil},
	{"Registry.SetGroups", func(w *walk) func() error {
		return func() error { return w.SetGroups(w.Context(), annaEmail, []string{"staff"}) }
	}, []audit.Kind{audit.GroupsChanged}, audit.TypeOperator, nil},
	{"Registry.Restored", func(w *walk) func() error {
		return func() error { return w.Restored(w.Context()) }
	}, []audit.Kind{audit.BackupRestored}, audit.TypeOperator, nil},
	{"Registry.CheckPassword", func(w *walk) func() error { return w.password(annaEmail) }, []audit.Kind{audit.PasswordRejected}, audit.TypeAnonymous, account.ErrCredentials},
	{"Registry.CheckPassword", func(w *walk) func() error { return w.password("nobody@example.com") }, []audit.Kind{audit.PasswordRejected}, audit.TypeAnonymous, account.ErrCredentials},
	{"Registry.CheckPassword", func(w *walk) func() error {
		w.must(w.Disable(w.Context(), annaEmail, true))
		return w.password(annaEmail)
	}, []audit.Kind{audit.PasswordRejected}, audit.TypeAnonymous, account.ErrCredentials},
	{"Registry.CheckPassword", func(w *walk) func() error { // one too soon
		try := w.password(annaEmail)
		for err := error(nil); !errors.Is(err, account.ErrWait); {
			err = try()
		}
		return try
	}, []audit.Kind{audit.LimitReached}, audit.TypeAnonymous, account.ErrWait},

	{"Devices.Remember", func(w *walk) func() error {
		is := device.Decision{Decision: trust.Decision{Reason: trust.OtherNetwork, Nearest: -1}, Trace: "TRACE", At: w.now, Device: "laptop"}
		return func() error {
			return w.tx(func(tx *store.DB) error { return w.engine.Devices.Remember(w.Context(), tx, w.a, is) })
		}
	}, []audit.Kind{audit.TrustDenied}, audit.TypePerson, nil},
	{"Devices.AddPlace", func(w *walk) func() error {
		id, _ := w.browser()
		return func() error {
			return w.tx(func(tx *store.DB) error {
				return w.engine.Devices.AddPlace(w.Context(), tx, device.Verified{Account: w.a, Device: id, Place: trust.At(here.Address)}, here)
			})
		}
	}, []audit.Kind{audit.DeviceTrusted}, audit.TypePerson, nil},
	{"Devices.Betrayed", func(w *walk) func() error {
		_, cookie := w.browser()
		from := here
		from.Device = cookie
		b, err := w.engine.Devices.Recognise(w.Context(), w.a, from)
		w.must(err)
		return func() error { return w.engine.Devices.Betrayed(w.Context(), b, from) }
	}, []audit.Kind{audit.DeviceSecretReused}, audit.TypeAnonymous, nil},
	{"Devices.ForgetDevice", func(w *walk) func() error {
		id, _ := w.browser()
		return func() error {
			return w.engine.Devices.ForgetDevice(w.Context(), device.Owner{Account: w.a.ID, Epoch: w.a.Epoch}, id, here)
		}
	}, []audit.Kind{audit.DeviceForgotten}, audit.TypePerson, nil},
	{"Devices.ForgetDevices", func(w *walk) func() error {
		return func() error {
			return w.engine.Devices.ForgetDevices(w.Context(), device.Owner{Account: w.a.ID, Epoch: w.a.Epoch}, here)
		}
	}, []audit.Kind{audit.DevicesForgotten}, audit.TypePerson, nil},

	{"Ledgers.Debit", func(w *walk) func() error { // the one that is too many for the site
		guess := func(n int) error {
			name := fmt.Sprint("victim ", n)
			return w.debit(ledger.Guess{Ledger: name, Challenge: name, Cost: 10_000})
		}
		for n := range 100 {
			w.must(guess(n))
		}
		return func() error { return guess(100) }
	}, []audit.Kind{audit.SiteAlarmRaised}, audit.TypeSystem, nil},
	{"Ledgers.UsedUp", func(w *walk) func() error {
		g := ledger.Guess{Ledger: ledger.Of(w.a), Challenge: "c", Cost: 20_000, Next: 1000}
		w.must(w.debit(g))
		return func() error { return w.engine.Ledgers.UsedUp(w.Context(), w.a, g, here) }
	}, []audit.Kind{audit.GuessBudgetExhausted}, audit.TypeSystem, nil},
	{"Ledgers.Guessed", func(w *walk) func() error {
		for _, c := range []string{"a", "b"} {
			w.must(w.debit(ledger.Guess{Ledger: ledger.Of(w.a), Challenge: c, Cost: 1000}))
		}
		g := ledger.Guess{Ledger: ledger.Of(w.a), Challenge: "b", Cost: 1000, Next: 1000}
		return func() error { return w.engine.Ledgers.Guessed(w.Context(), w.a, g, here) }
	}, []audit.Kind{audit.GuessingReported}, audit.TypeSystem, nil},
	{"Ledgers.ForgetSite", func(w *walk) func() error {
		return func() error { return w.ForgetGuesses(w.Context()) }
	}, []audit.Kind{audit.SiteAlarmCleared}, audit.TypeOperator, nil},

	{"Grants.AddApp", func(w *walk) func() error {
		return func() error { return w.AddApp(w.Context(), App{ID: "news", Hosts: []string{"news.example.com"}}) }
	}, []audit.Kind{audit.ClientCreated}, audit.TypeOperator, nil},
	{"Grants.ChangeApp", func(w *walk) func() error {
		a := w.wiki()
		a.Name = "Wiki"
		return func() error { return w.ChangeApp(w.Context(), a) }
	}, []audit.Kind{audit.ClientUpdated}, audit.TypeOperator, nil},
	{"Grants.RotateApp", func(w *walk) func() error {
		w.wiki()
		return func() error { _, err := w.RotateApp(w.Context(), "wiki", true); return err }
	}, []audit.Kind{audit.ClientSecretRotated}, audit.TypeOperator, nil},
	{"Grants.RemoveApp", func(w *walk) func() error {
		w.wiki()
		return func() error { return w.RemoveApp(w.Context(), "wiki") }
	}, []audit.Kind{audit.ClientDeleted}, audit.TypeOperator, nil},
	{"Grants.Issue", func(w *walk) func() error {
		a, who := w.wiki(), w.in()
		return func() error {
			_, err := w.grants.Issue(w.Context(), grant.Request{App: a.ID, Redirect: a.Redirects[0]}, who, here)
			return err
		}
	}, []audit.Kind{audit.GrantCreated}, audit.TypePerson, nil},
	{"Grants.Redeem", func(w *walk) func() error { // a second time
		a := w.wiki()
		r := grant.Redemption{From: here, App: a, Code: w.issue(a, w.in()), Redirect: a.Redirects[0]}
		_, err := w.grants.Redeem(w.Context(), r)
		w.must(err)
		return func() error { _, err := w.grants.Redeem(w.Context(), r); return err }
	}, []audit.Kind{audit.CodeReused}, audit.TypeClient, grant.ErrInvalid},
	{"Grants.Exchange", func(w *walk) func() error { // a second time
		a := w.wiki()
		r := grant.Redemption{From: here, App: a, Code: w.issue(a, w.in()), Redirect: a.Redirects[0]}
		_, _, err := w.grants.Exchange(w.Context(), r)
		w.must(err)
		return func() error { _, _, err := w.grants.Exchange(w.Context(), r); return err }
	}, []audit.Kind{audit.CodeReused}, audit.TypeClient, grant.ErrInvalid},
	{"Grants.Refresh", func(w *walk) func() error { // a second time, beyond the grace
		a := w.wiki()
		refresh := w.refresh(a)
		_, _, err := w.grants.Refresh(w.Context(), a, refresh, here)
		w.must(err)
		w.now = w.now.Add(time.Minute)
		return func() error { _, _, err := w.grants.Refresh(w.Context(), a, refresh, here); return err }
	}, []audit.Kind{audit.TokenReused}, audit.TypeClient, grant.ErrInvalid},
	{"Grants.Revoke", func(w *walk) func() error {
		a := w.wiki()
		refresh := w.refresh(a)
		return func() error { return w.grants.Revoke(w.Context(), a, refresh, here) }
	}, []audit.Kind{audit.GrantEnded}, audit.TypeClient, nil},
	{"Grants.Withdraw", func(w *walk) func() error {
		a, who := w.wiki(), w.in()
		return func() error { return w.grants.Withdraw(w.Context(), who, a.ID, here) }
	}, []audit.Kind{audit.ConsentWithdrawn}, audit.TypePerson, nil},
	{"Grants.Consent", func(w *walk) func() error {
		a, who := w.wiki(), w.in()
		return func() error {
			return w.grants.Consent(w.Context(), who, grant.Request{App: a.ID, Scope: []string{"email"}}, here)
		}
	}, []audit.Kind{audit.ConsentGiven}, audit.TypePerson, nil},
	{"Grants.Decline", func(w *walk) func() error {
		a, who := w.wiki(), w.in()
		return func() error { return w.grants.Decline(w.Context(), who, a.ID, here) }
	}, []audit.Kind{audit.ConsentDenied}, audit.TypePerson, nil},
	{"Grants.Deny", func(w *walk) func() error {
		a, who := w.wiki(), w.in()
		return func() error { return w.grants.Deny(w.Context(), who, a.ID, "access_denied", here) }
	}, []audit.Kind{audit.AccessDenied}, audit.TypePerson, nil},
	{"Grants.Sign", func(w *walk) func() error {
		return func() error { _, err := w.grants.Sign(w.Context(), "ES256", grant.IDToken, nil); return err }
	}, []audit.Kind{audit.SigningKeyCreated}, audit.TypeSystem, nil},
	{"Grants.Published", func(w *walk) func() error { // one for each algorithm
		return func() error { _, err := w.grants.Published(w.Context()); return err }
	}, []audit.Kind{audit.SigningKeyCreated, audit.SigningKeyCreated}, audit.TypeSystem, nil},
	{"Grants.Wait", func(w *walk) func() error { return w.requests((*walk).wait) }, []audit.Kind{audit.LimitReached}, audit.TypeAnonymous, account.ErrWait},
	{"Grants.Push", func(w *walk) func() error { return w.requests((*walk).push) }, []audit.Kind{audit.LimitReached}, audit.TypeAnonymous, account.ErrWait},
}

// password is the act of trying a wrong password.
func (w *walk) password(email string) func() error {
	return func() error {
		_, err := w.engine.CheckPassword(w.Context(), email, "not the password", account.Guesser{Network: here.Network(), From: here})
		return err
	}
}

// refresh is a refresh token of Anna for an app.
func (w *walk) refresh(a App) string {
	w.Helper()
	_, t, err := w.grants.Exchange(w.Context(), grant.Redemption{From: here, App: a, Code: w.issue(a, w.in(), "openid", "offline_access"), Redirect: a.Redirects[0]})
	w.must(err)
	return t.Refresh
}

func (w *walk) wait() error {
	_, err := w.grants.Wait(w.Context(), grant.Request{App: "phone"}, here)
	return err
}

func (w *walk) push() error {
	_, err := w.grants.Push(w.Context(), App{ID: "phone"}, grant.Request{App: "phone"}, here)
	return err
}

// requests is an act beyond what one network may keep in an hour. Nobody waits for the 3,000 before.
func (w *walk) requests(one func(*walk) error) func() error {
	w.Helper()
	w.must(one(w))
	storetest.Exec(w.T, w.database, "UPDATE rations SET used = 1000000 WHERE name LIKE 'requests of apps%'")
	return func() error { return one(w) }
}

// others are the events that are not in the list.
func (w *walk) others(before []audit.Event) (kinds []audit.Kind, events []audit.Event) {
	w.Helper()
	all, err := w.events.List(w.Context(), audit.Filter{Limit: 10_000})
	w.must(err)
	for _, e := range all {
		if !slices.ContainsFunc(before, func(old audit.Event) bool { return old.ID == e.ID }) {
			kinds, events = append(kinds, e.Kind), append(events, e)
		}
	}
	return kinds, events
}

// Every act of the services records its events, with who did it; and where they cannot be recorded,
// nothing is done: it can be done afterwards as if it had never been tried.
func TestEveryActHasItsEvents(t *testing.T) {
	for i, a := range acts {
		t.Run(fmt.Sprint(a.method, " ", i), func(t *testing.T) {
			t.Parallel()
			w := newWalk(t)
			do := a.prepare(w)
			_, before := w.others(nil)
			storetest.Exec(t, w.database, "ALTER TABLE audit_events RENAME TO elsewhere")
			if err := do(); err == nil || a.fails != nil && errors.Is(err, a.fails) {
				t.Errorf("its events cannot be recorded, and it says %v", err)
			}
			storetest.Exec(t, w.database, "ALTER TABLE elsewhere RENAME TO audit_events")
			if err := do(); !errors.Is(err, a.fails) || a.fails == nil && err != nil {
				t.Fatalf("it says %v, want %v", err, a.fails)
			}
			kinds, events := w.others(before)
			if !slices.Equal(kinds, a.kinds) {
				t.Fatalf("it records %v, want %v", kinds, a.kinds)
			}
			for _, e := range events {
				if e.Actor.Type != a.by || (e.Result == audit.Failure) != failure(a, e) {
					t.Errorf("%s: actor %s, %s", e.Kind, e.Actor, e.Result)
				}
			}
		})
	}
}

// failure reports whether an event of an act must be a failure.
func failure(a act, e audit.Event) bool {
	switch e.Kind {
	case audit.TrustDenied, audit.DeviceSecretReused, audit.ConsentDenied, audit.AccessDenied:
		return true
	case audit.PasswordResetRequested:
		return e.Account == ""
	}
	return a.fails != nil
}

// Every exported method of a service that writes is one of the acts above, or stands among the
// exceptions with its reason. It goes by names: a method writes if it calls one of the store that
// does, on tx, db or a field Store, or a method of a service that writes.
func TestEveryWritingMethodIsAnAct(t *testing.T) {
	writes := map[string]bool{} // of store.DB, by name
	for changed := true; changed; {
		changed = false
		for _, f := range functions(t, "internal/store") {
			if receiver(f) == "DB" && !writes[f.Name.Name] && calls(f, func(x, name string, _ bool) bool {
				return x == "db" && (name == "change" || name == "must" || name == "returning" || writes[name])
			}) {
				writes[f.Name.Name], changed = true, true
			}
		}
	}
	if len(writes) < 50 || writes["Session"] || !writes["AddSession"] {
		t.Fatalf("%d methods of the store write", len(writes))
	}
	var all []*ast.FuncDecl
	for _, folder := range slices.Sorted(maps.Keys(services)) {
		all = append(all, functions(t, folder)...)
	}
	writing := map[string]bool{} // functions of services, by name
	for changed := true; changed; {
		changed = false
		for _, f := range all {
			own := recvName(f)
			if !writing[f.Name.Name] && calls(f, func(x, name string, called bool) bool {
				store := x == "tx" || x == "db" || strings.HasSuffix(x, ".Store")
				service := x == "" || own != "" && (x == own || strings.HasPrefix(x, own+"."))
				return store && writes[name] || called && service && !store && writing[name]
			}) {
				writing[f.Name.Name], changed = true, true
			}
		}
	}
	known := map[string]bool{}
	for _, a := range acts {
		known[a.method] = true
	}
	found := map[string]bool{}
	for _, f := range all {
		name := receiver(f) + "." + f.Name.Name
		if !f.Name.IsExported() || !slices.Contains(slices.Collect(maps.Values(services)), receiver(f)) {
			continue
		}
		found[name] = true
		if writing[f.Name.Name] && !known[name] && withoutEvent[name] == "" {
			t.Errorf("%s writes: which events does it record? Add it to the acts, or to the exceptions with the reason", name)
		}
	}
	for name := range maps.Keys(withoutEvent) {
		if !found[name] || known[name] {
			t.Errorf("%s is an exception, and is an act or no method", name)
		}
	}
	for name := range known {
		if !found[name] {
			t.Errorf("%s is an act and no method", name)
		}
	}
}

// functions are those of a folder, without its tests.
func functions(t *testing.T, folder string) (list []*ast.FuncDecl) {
	t.Helper()
	files, err := filepath.Glob(folder + "/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(folder, err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range tree.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil {
				list = append(list, f)
			}
		}
	}
	return list
}

// receiver is the type of the receiver of a method; "" of a function.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	return strings.TrimPrefix(text(f.Recv.List[0].Type), "*")
}

func recvName(f *ast.FuncDecl) string {
	if f.Recv == nil || len(f.Recv.List[0].Names) == 0 {
		return ""
	}
	return f.Recv.List[0].Names[0].Name
}

// calls reports whether a function calls something such, or names it to be called: x is what stands
// before the name, "" for a function.
func calls(f *ast.FuncDecl, such func(x, name string, called bool) bool) (found bool) {
	ast.Inspect(f.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			found = found || such(text(n.X), n.Sel.Name, false)
		case *ast.CallExpr:
			switch fun := n.Fun.(type) {
			case *ast.Ident:
				found = found || such("", fun.Name, true)
			case *ast.SelectorExpr:
				found = found || such(text(fun.X), fun.Sel.Name, true)
			}
		}
		return true
	})
	return found
}

// text is an expression of names and dots as it is written.
func text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.StarExpr:
		return "*" + text(e.X)
	case *ast.SelectorExpr:
		return text(e.X) + "." + e.Sel.Name
	}
	return "?"
}

// That an app is not for somebody is recorded, and so is an app that cannot authenticate.
func TestDeniedAppIsRecorded(t *testing.T) {
	w := newWalk(t)
	a := w.wiki()
	a.Groups, a.Hosts = []string{"staff"}, []string{"wiki.example.com"}
	w.must(w.ChangeApp(t.Context(), a))
	entry, err := w.engine.Begin(t.Context(), signin.Credentials{Email: annaEmail, Password: annaWord}, here)
	w.must(err)
	entry, err = w.engine.Verify(t.Context(), entry.SignIn, url.Values{"code": {w.mailed(`(?m)^(\d{6})\r?$`)}}, here)
	w.must(err)
	request := func(method, target, body string) *http.Request {
		r := httptest.NewRequest(method, "https://signin.example.com"+target, strings.NewReader(body))
		r.AddCookie(&http.Cookie{Name: "__Host-session", Value: entry.Session})
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.RemoteAddr = "203.0.113.9:1"
		return r
	}
	query := url.Values{"client_id": {"wiki"}, "redirect_uri": a.Redirects, "response_type": {"code"}, "scope": {"openid"}}.Encode()
	wrong := request("POST", "/oauth2/token", "grant_type=authorization_code")
	wrong.SetBasicAuth("wiki", "no secret of it")
	for _, row := range []struct {
		r    *http.Request
		kind audit.Kind
		want string
	}{
		{request("GET", "/oauth2/authorize?"+query, ""), audit.AccessDenied, "access_denied"},
		{wrong, audit.ClientRejected, "it is another secret"},
	} {
		_, before := w.others(nil)
		answer := httptest.NewRecorder()
		w.ServeHTTP(answer, row.r)
		kinds, events := w.others(before)
		if len(kinds) != 1 || kinds[0] != row.kind {
			t.Fatalf("%s: %d, it records %v, want %s", row.r.URL.Path, answer.Code, kinds, row.kind)
		}
		if e := events[0]; e.Client != "wiki" || e.Result != audit.Failure || !strings.Contains(e.Reason, row.want) || e.Address != "203.0.113.9" {
			t.Errorf("%+v", e)
		}
	}
}
