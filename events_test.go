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
	"sync/atomic"
	"testing"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/recovery"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/device"
	"twostep.example/twostep/internal/enroll"
	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/odds"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/signin"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/internal/trust"
)

// services are the folders whose types decide and write, each with its type.
var services = map[string][]string{
	"internal/account": {"Accounts"}, "internal/device": {"Devices"}, "internal/odds": {"Budgets"}, "internal/grant": {"Grants"}, "internal/client": {"Clients"},
	"internal/signin": {"SignIns"}, "internal/session": {"Sessions"}, "internal/enroll": {"Enrollments"},
	"internal/challenge": {"Challenges", "Attempt"}, "internal/directory": {"Directory"},
	"internal/webhook":  {"Deliverer"},
	"internal/deskcode": {"DeskCodes"},
}

// withoutEvent are the methods of services that write and record no event of their own, and why.
var withoutEvent = map[string]string{
	"Clients.Get":                  "reads: the test goes by names, and Sessions.Get writes",
	"Clients.RecordRejection":      "counts, for the operator",
	"Clients.RecordUses":           "notes when apps were used last",
	"Grants.ListAuthorizedClients": "reads, by Clients.Get", "Directory.Describe": "likewise",
	"Grants.ResolveReturnTarget": "reads, by Clients.Get",
	"Accounts.Audit":             "it is what records", "Accounts.Event": "it records what it is given", "Accounts.Failure": "likewise",
	"Accounts.Refused": "likewise", "Accounts.NotifyOwner": "likewise, and puts a message",
	"Accounts.SendNotification": "puts a message about a change whose event is recorded",
	"Accounts.EndTrust":         "part of the change that ends trust",
	"Devices.Replay":            "writes nothing: it has the name of a method of webhooks",
	"Directory.Preview":         "writes nothing: it calls Devices.Replay",
	"Enrollments.UndoSince":     "part of DeskCodes.Cancel",
	"Accounts.PermitSite":       "part of the change of an app that an operator makes",
	"Accounts.Permit":           "part of the change that an operator makes",
	"Accounts.ChangeBy":         "records the event of the change", "Accounts.SendLinkBy": "records the event that it is given",

	"Sessions.Replace": "part of a change of password or factors", "Sessions.EndOthers": "likewise", "Sessions.CompleteSetup": "likewise",
	"Attempt.VerifyDeskCode": "part of DeskCodes.Use", "Enrollments.NotifyEverywhere": "records the event that it is given",
	"Budgets.ChargeDeskGuess": "counts; DeskCodes.Use records a wrong code", "Budgets.ReserveDeskCode": "locks",
	"Sessions.GetForSetup":    "as Sessions.Get",
	"Sessions.Reauthenticate": "part of Attempt.Verify", "Sessions.Get": "notes when a session was used last", "Sessions.GetByID": "likewise", "Sessions.RecordUses": "likewise", "Sessions.FindBy": "likewise",

	"Challenges.Cancel": "ends an attempt in which nothing was proven", "Challenges.SpendText": "counts",
	"Challenges.BeginPending": "asks for the proof of a factor, whose own event follows",
	"Attempt.Choose":          "asks by another method; a refusal is recorded as that of Resend is",
	"Attempt.Save":            "notes whether the person has ticked the box", "Attempt.Prove": "part of Verify and Confirm", "Attempt.Consume": "likewise",

	"Enrollments.StartEmailChange": "asks for the proof of an address, whose own event follows",
	"Enrollments.Start":            "asks for the proof of a factor, whose own event follows", "Enrollments.Resend": "likewise",
	"Enrollments.Cancel": "forgets a factor that was never proven",

	"Devices.RegisterDevice": "part of a new session", "Devices.UseTrust": "part of a new session",

	"Deliverer.Run": "sends events that are recorded", "Deliverer.Deliver": "likewise; what it gives up is an event",

	"Budgets.SpendMail": "counts; whoever calls it records a refusal", "Budgets.Lock": "locks", "Budgets.Refund": "gives back what was counted", "Budgets.Renew": "likewise",

	"Grants.ConsumePushedRequest": "takes a request of an app, which nobody has allowed yet", "Grants.MarkActionStarted": "likewise", "Grants.SelectAccount": "likewise",
	"Clients.SaveDocument":           "keeps what an app that nobody registered says of itself",
	"Clients.CheckRegistrationToken": "reads, and is named like what writes",
	"Grants.FindClient":              "keeps what an app that nobody registered says of itself; a refusal is recorded as that of SaveAuthRequest is",
	"Grants.BindAuthRequest":         "likewise",
	"Grants.PollDevice":              "gives a device the tokens of a grant whose event is recorded",
	"Grants.ConsumeAuthRequest":      "likewise", "Grants.IssueHostToken": "a token of a grant whose event is recorded", "Grants.IssueClientCredentialsToken": "a token of an app for itself, as often as it likes",
	"Grants.ClaimLogoutTokens": "tells apps of sessions whose end is recorded", "Grants.MarkLogoutDelivered": "likewise",
	"Grants.VerifyClientAssertion": "uses up the name of an assertion", "Grants.Subject": "keeps a salt, once", "Grants.LoadAuthProgress": "likewise",
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
	now      atomic.Pointer[time.Time] // the background work reads it too
	mail     chan string
	a        store.Account // Anna
}

const annaEmail, annaWord = "anna@example.com", "correct horse battery"

func newWalk(t *testing.T) *walk {
	t.Helper()
	w := &walk{T: t, database: filepath.Join(t.TempDir(), "twostep.db"), mail: make(chan string, 1000)}
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	w.now.Store(&now)
	o := options(t)
	o.Database, o.SignUp, o.Operator, o.Logger = w.database, "open", "root", slog.New(slog.DiscardHandler)
	o.Now = func() time.Time { return *w.now.Load() }
	o.Methods = append(o.Methods, recovery.New())
	o.Webhooks = []Webhook{{ // nobody listens there
		Name: "crm", URL: "http://127.0.0.1:1/", AllowPrivate: true, Events: []string{"webhook.*"},
		Secrets: []string{"whsec_" + strings.Repeat("A", 32)},
	}}
	o.Senders[delivery.Email] = func(_ context.Context, m delivery.Message) error { w.mail <- m.Text; return nil }
	var err error
	if w.Server, err = New(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	w.services.Accounts.Passwords = seal.NewPasswordHasher(seal.HashCost{MemoryKiB: 64, Passes: 1}, 4, 0)
	w.must(w.CreateAccount(t.Context(), AccountParams{Email: annaEmail, Name: "Anna", Password: annaWord}))
	w.a, err = w.services.Accounts.Find(t.Context(), annaEmail)
	w.must(err)
	return w
}

// advance turns the clock forward.
func (w *walk) advance(d time.Duration) {
	now := w.now.Load().Add(d)
	w.now.Store(&now)
}

func (w *walk) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// here is a network.
var here = origin.Origin{Address: netip.MustParseAddr("203.0.113.9"), UserAgent: "Firefox", Language: "en"}

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
func (w *walk) in() session.Session {
	w.Helper()
	cookies, err := w.services.SignIns.Start(w.Context(), signin.Credentials{Email: annaEmail, Password: annaWord}, here)
	w.must(err)
	who, err := w.services.Sessions.Get(w.Context(), w.verify(cookies).Session)
	w.must(err)
	return who
}

// verify enters the code that was mailed.
func (w *walk) verify(waiting session.Cookies) session.Cookies {
	w.Helper()
	a, err := w.services.Challenges.Load(w.Context(), waiting.Attempt, here)
	w.must(err)
	cookies, err := a.Verify(w.Context(), url.Values{"code": {w.code()}})
	w.must(err)
	return cookies
}

// browser is one that Anna's account knows, and its cookie.
func (w *walk) browser() (id, cookie string) {
	w.Helper()
	w.must(w.tx(func(tx *store.DB) (err error) {
		id, cookie, err = w.services.Devices.RegisterDevice(w.Context(), tx, w.a.Ref(), device.RequestDevice{})
		return err
	}))
	return id, cookie
}

// trusted is a browser that Anna trusts.
func (w *walk) trusted() (id string) {
	w.Helper()
	id, _ = w.browser()
	w.must(w.tx(func(tx *store.DB) error {
		in := device.VerifiedSignIn{Account: w.a, Device: id, NewDevice: true, Network: trust.NetworkOf(here.Address)}
		return w.services.Devices.AddTrustedNetwork(w.Context(), tx, in, here)
	}))
	return id
}

// wiki adds an app.
func (w *walk) wiki() App {
	w.Helper()
	_, hash := NewAppSecret()
	a := App{ID: "wiki", RedirectURIs: []string{"https://wiki.example.com/cb"}, SecretHashes: []string{hash}, PKCE: "off"}
	w.must(w.CreateApp(w.Context(), a))
	return a
}

func (w *walk) issue(a App, who session.Session, scope ...string) (code string) {
	w.Helper()
	_, code, err := w.grants.Authorize(w.Context(), grant.AuthRequest{ClientID: a.ID, RedirectURI: a.RedirectURIs[0], Scope: scope}, who, here)
	w.must(err)
	return code
}

// undoLink adds recovery codes and returns the token of the link that undoes it.
func (w *walk) undoLink() string {
	w.Helper()
	w.recovery(w.in())
	return w.mailed(`/undo#(\S+)`)
}

// changedUndoLink is undoLink; the password was reset afterwards.
func (w *walk) changedUndoLink() string {
	w.Helper()
	token := w.undoLink()
	w.must(w.services.Accounts.RequestPasswordReset(w.Context(), annaEmail, "", here))
	w.must(w.services.Accounts.ResetPassword(w.Context(), w.mailed(`/reset#(\S+)`), "another horse battery", here))
	return token
}

// charge charges a guess of an unknown device.
func (w *walk) charge(g odds.Guess) error { return w.chargeFrom(g, here) }

func (w *walk) chargeFrom(g odds.Guess, from origin.Origin) error {
	return w.tx(func(tx *store.DB) error { return w.services.Budgets.Charge(w.Context(), tx, g, from) })
}

var acts = slices.Concat(deskActs, []act{
	{"Accounts.Create", func(w *walk) func() error {
		return func() error {
			return w.CreateAccount(w.Context(), AccountParams{Email: "ben@example.com", Name: "Ben", Password: annaWord})
		}
	}, []audit.Kind{audit.AccountCreated}, audit.TypeOperator, nil},
	{"Accounts.Invite", func(w *walk) func() error {
		return func() error { _, err := w.Invite(w.Context(), "ben@example.com", "Ben", false); return err }
	}, []audit.Kind{audit.AccountInvited}, audit.TypeOperator, nil},
	{"Accounts.Join", func(w *walk) func() error {
		link, err := w.Invite(w.Context(), "ben@example.com", "Ben", false)
		w.must(err)
		_, token, _ := strings.Cut(link, "#")
		return func() error { return w.services.Accounts.Join(w.Context(), token, "Ben", annaWord, here) }
	}, []audit.Kind{audit.AccountCreated}, audit.TypePerson, nil},
	{"Accounts.SignUp", func(w *walk) func() error {
		return func() error { return w.services.Accounts.SignUp(w.Context(), "ben@example.com", "Ben", "", here) }
	}, []audit.Kind{audit.SignUpRequested}, audit.TypeAnonymous, nil},
	{"Accounts.SignUp", func(w *walk) func() error {
		return func() error { return w.services.Accounts.SignUp(w.Context(), annaEmail, "Ben", "", here) }
	}, []audit.Kind{audit.SignUpRequested}, audit.TypeAnonymous, nil},
	{"Accounts.RequestPasswordReset", func(w *walk) func() error {
		return func() error { return w.services.Accounts.RequestPasswordReset(w.Context(), annaEmail, "", here) }
	}, []audit.Kind{audit.PasswordResetRequested}, audit.TypeAnonymous, nil},
	{"Accounts.RequestPasswordReset", func(w *walk) func() error {
		return func() error {
			return w.services.Accounts.RequestPasswordReset(w.Context(), "nobody@example.com", "", here)
		}
	}, []audit.Kind{audit.PasswordResetRequested}, audit.TypeAnonymous, nil},
	{"Accounts.RequestPasswordReset", func(w *walk) func() error { // one too many of this network
		for n := range ratelimit.LinksPerNetworkHour {
			w.must(w.services.Accounts.RequestPasswordReset(w.Context(), fmt.Sprintf("nobody%d@example.com", n), "", here))
		}
		return func() error { return w.services.Accounts.RequestPasswordReset(w.Context(), annaEmail, "", here) }
	}, []audit.Kind{audit.LimitReached}, audit.TypeAnonymous, ratelimit.ErrLimited},
	{"Accounts.ResetPassword", func(w *walk) func() error {
		w.must(w.services.Accounts.RequestPasswordReset(w.Context(), annaEmail, "", here))
		reset := w.mailed(`/reset#(\S+)`)
		return func() error {
			return w.services.Accounts.ResetPassword(w.Context(), reset, "another horse battery", here)
		}
	}, []audit.Kind{audit.PasswordReset}, audit.TypePerson, nil},
	{"Accounts.Disable", func(w *walk) func() error {
		return func() error { return w.Disable(w.Context(), By{}, annaEmail) }
	}, []audit.Kind{audit.AccountDisabled}, audit.TypeOperator, nil},
	{"Accounts.Enable", func(w *walk) func() error {
		w.must(w.Disable(w.Context(), By{}, annaEmail))
		return func() error { return w.Enable(w.Context(), By{}, annaEmail) }
	}, []audit.Kind{audit.AccountEnabled}, audit.TypeOperator, nil},
	{"Devices.ForgetAllBy", func(w *walk) func() error {
		return func() error { return w.RevokeTrust(w.Context(), By{}, annaEmail) }
	}, []audit.Kind{audit.DevicesForgotten}, audit.TypeOperator, nil},
	{"Accounts.SetGroups", func(w *walk) func() error {
		return func() error { return w.SetGroups(w.Context(), By{}, annaEmail, []string{"staff"}) }
	}, []audit.Kind{audit.GroupsChanged}, audit.TypeOperator, nil},
	{"Accounts.ChangeRole", func(w *walk) func() error {
		return func() error { return w.SetRole(w.Context(), By{}, annaEmail, RoleHelpdesk) }
	}, []audit.Kind{audit.RoleChanged}, audit.TypeOperator, nil},
	{"Accounts.ChangeNames", func(w *walk) func() error {
		return func() error {
			return w.services.Accounts.ChangeNames(w.Context(), w.a.Ref(), store.Names{Name: "Anne"}, here)
		}
	}, []audit.Kind{audit.NameChanged}, audit.TypePerson, nil},
	{"Accounts.Rename", func(w *walk) func() error {
		return func() error { return w.RenameAccount(w.Context(), By{}, annaEmail, AccountNames{Name: "Anne"}) }
	}, []audit.Kind{audit.NameChanged}, audit.TypeOperator, nil},
	{"Accounts.Delete", func(w *walk) func() error {
		return func() error { return w.DeleteAccount(w.Context(), By{}, annaEmail) }
	}, []audit.Kind{audit.AccountDeleted}, audit.TypeOperator, nil},
	{"Accounts.SendPasswordReset", func(w *walk) func() error {
		return func() error { return w.SendPasswordReset(w.Context(), By{}, annaEmail) }
	}, []audit.Kind{audit.PasswordResetRequested}, audit.TypeOperator, nil},
	{"Accounts.SendInvitations", func(w *walk) func() error {
		people := []AccountParams{{Email: "ben@example.com"}, {Email: "cleo@example.com", Name: "Cleo"}}
		return func() error { return w.SendInvitations(w.Context(), By{}, people) }
	}, []audit.Kind{audit.AccountInvited, audit.AccountInvited}, audit.TypeOperator, nil},
	{"Accounts.ResendInvitation", func(w *walk) func() error {
		_, err := w.Invite(w.Context(), "ben@example.com", "Ben", false)
		w.must(err)
		return func() error { return w.ResendInvitation(w.Context(), By{}, "ben@example.com") }
	}, []audit.Kind{audit.AccountInvited}, audit.TypeOperator, nil},
	{"Accounts.RevokeInvitation", func(w *walk) func() error {
		_, err := w.Invite(w.Context(), "ben@example.com", "Ben", false)
		w.must(err)
		return func() error { return w.RevokeInvitation(w.Context(), By{}, "ben@example.com") }
	}, []audit.Kind{audit.InvitationRevoked}, audit.TypeOperator, nil},
	{"Sessions.EndBy", func(w *walk) func() error {
		who := w.in()
		return func() error { return w.EndSession(w.Context(), By{}, annaEmail, who.ID) }
	}, []audit.Kind{audit.SessionEnded}, audit.TypeOperator, nil},
	{"Sessions.EndAllBy", func(w *walk) func() error {
		w.in()
		return func() error { return w.EndSessions(w.Context(), By{}, annaEmail) }
	}, []audit.Kind{audit.SessionsEnded}, audit.TypeOperator, nil},
	{"Devices.ForgetBy", func(w *walk) func() error {
		id := w.trusted()
		return func() error { return w.ForgetDevice(w.Context(), By{}, annaEmail, id) }
	}, []audit.Kind{audit.DeviceForgotten}, audit.TypeOperator, nil},
	{"Enrollments.RemoveBy", func(w *walk) func() error {
		w.recovery(w.in())
		all, err := w.services.Challenges.Factors(w.Context(), w.a)
		w.must(err)
		i := slices.IndexFunc(all, func(f challenge.Enrolled) bool { return f.Factor.Method == "recovery" })
		return func() error { return w.RemoveMethod(w.Context(), By{}, annaEmail, all[i].ID) }
	}, []audit.Kind{audit.FactorRemoved}, audit.TypeOperator, nil},
	{"Enrollments.ResetBy", func(w *walk) func() error {
		w.recovery(w.in())
		return func() error { return w.ResetMethods(w.Context(), By{}, annaEmail) }
	}, []audit.Kind{audit.FactorRemoved}, audit.TypeOperator, nil},
	{"Enrollments.ProposeEmail", func(w *walk) func() error {
		return func() error { return w.ProposeEmail(w.Context(), By{}, annaEmail, "anna@example.net") }
	}, []audit.Kind{audit.EmailChangeProposed}, audit.TypeOperator, nil},
	{"Enrollments.ConfirmProposedEmail", func(w *walk) func() error {
		w.must(w.ProposeEmail(w.Context(), By{}, annaEmail, "anna@example.net"))
		token := w.mailed(`/address#(\S+)`)
		return func() error { return w.services.Enrollments.ConfirmProposedEmail(w.Context(), token, here) }
	}, []audit.Kind{audit.EmailChanged}, audit.TypePerson, nil},
	{"Enrollments.EndFreeze", func(w *walk) func() error {
		token := w.changedUndoLink()
		_, err := w.services.Enrollments.Undo(w.Context(), enroll.UndoRequest{Token: token, Password: annaWord}, here)
		w.must(err)
		return func() error { return w.EndFreeze(w.Context(), By{}, annaEmail) }
	}, []audit.Kind{audit.UndoRejected}, audit.TypeOperator, nil},
	{"Directory.Export", func(w *walk) func() error {
		return func() error { _, err := w.ExportAccount(w.Context(), By{}, annaEmail); return err }
	}, []audit.Kind{audit.AccountExported}, audit.TypeOperator, nil},
	{"Directory.RecordExport", func(w *walk) func() error {
		by := w.by(By{})
		return func() error {
			return w.directory.RecordExport(w.Context(), by, audit.PeopleExported, 3, []string{"group"})
		}
	}, []audit.Kind{audit.PeopleExported}, audit.TypeOperator, nil},
	{"Directory.RecordExport", func(w *walk) func() error {
		by := w.by(By{})
		return func() error { return w.directory.RecordExport(w.Context(), by, audit.EventsExported, 3, nil) }
	}, []audit.Kind{audit.EventsExported}, audit.TypeOperator, nil},
	{"SignIns.InvalidateAll", func(w *walk) func() error {
		return func() error { return w.InvalidateAfterRestore(w.Context()) }
	}, []audit.Kind{audit.BackupRestored}, audit.TypeOperator, nil},
	{"Accounts.VerifyPassword", func(w *walk) func() error { return w.password(annaEmail) }, []audit.Kind{audit.PasswordRejected}, audit.TypeAnonymous, account.ErrCredentials},
	{"Accounts.VerifyPassword", func(w *walk) func() error { return w.password("nobody@example.com") }, []audit.Kind{audit.PasswordRejected}, audit.TypeAnonymous, account.ErrCredentials},
	{"Accounts.VerifyPassword", func(w *walk) func() error {
		w.must(w.Disable(w.Context(), By{}, annaEmail))
		return w.password(annaEmail)
	}, []audit.Kind{audit.PasswordRejected}, audit.TypeAnonymous, account.ErrCredentials},
	{"Accounts.VerifyPassword", func(w *walk) func() error { // one too soon
		try := w.password(annaEmail)
		for range 3 {
			if err := try(); !errors.Is(err, account.ErrCredentials) {
				w.Fatal(err)
			}
		}
		return try
	}, []audit.Kind{audit.LimitReached}, audit.TypeAnonymous, ratelimit.ErrLimited},

	{"SignIns.Start", func(w *walk) func() error {
		return func() error { _, err := w.start(""); return err }
	}, []audit.Kind{audit.PasswordAccepted}, audit.TypePerson, nil},
	{"Accounts.VerifyPassword", func(w *walk) func() error { // one too many of this network, so it is not compared
		for range ratelimit.SignInsPerNetworkHour {
			_, err := w.start("")
			w.must(err)
		}
		return func() error { _, err := w.start(""); return err }
	}, []audit.Kind{audit.LimitReached}, audit.TypeAnonymous, ratelimit.ErrLimited},
	{"Challenges.Resume", func(w *walk) func() error { // the password was typed again
		waiting, err := w.start("")
		w.must(err)
		return func() error { _, err := w.start(waiting.Attempt); return err }
	}, []audit.Kind{audit.PasswordAccepted}, audit.TypePerson, nil},
	{"SignIns.StepUp", func(w *walk) func() error {
		who := w.in()
		return func() error {
			_, err := w.services.SignIns.StepUp(w.Context(), who, signin.StepUpRequest{Password: annaWord}, here)
			return err
		}
	}, []audit.Kind{audit.PasswordAccepted}, audit.TypePerson, nil},
	{"SignIns.StepUp", func(w *walk) func() error {
		who := w.in()
		return func() error {
			_, err := w.services.SignIns.StepUp(w.Context(), who, signin.StepUpRequest{Password: "not hers"}, here)
			return err
		}
	}, []audit.Kind{audit.PasswordRejected}, audit.TypePerson, account.ErrCredentials},
	{"SignIns.ChangePassword", func(w *walk) func() error {
		who := w.in()
		return func() error {
			_, err := w.services.SignIns.ChangePassword(w.Context(), who, annaWord, "another horse battery", here)
			return err
		}
	}, []audit.Kind{audit.PasswordChanged}, audit.TypePerson, nil},
	{"Attempt.Verify", func(w *walk) func() error {
		waiting, err := w.start("")
		w.must(err)
		return w.answer(waiting.Attempt, "", w.code())
	}, []audit.Kind{audit.SessionCreated}, audit.TypePerson, nil},
	{"Attempt.Verify", func(w *walk) func() error {
		waiting, err := w.start("")
		w.must(err)
		return w.answer(waiting.Attempt, "", wrongCode(w.code()))
	}, []audit.Kind{audit.CodeRejected}, audit.TypePerson, factor.ErrIncorrect},
	{"Attempt.Verify", func(w *walk) func() error { // of a step-up
		token, err := w.services.SignIns.StepUp(w.Context(), w.in(), signin.StepUpRequest{Password: annaWord}, here)
		w.must(err)
		return w.answer(token, "", w.code())
	}, []audit.Kind{audit.SessionUpgraded}, audit.TypePerson, nil},
	{"Attempt.Verify", func(w *walk) func() error { // by a recovery code
		codes := w.recovery(w.in())
		waiting, err := w.start("")
		w.must(err)
		return w.answer(waiting.Attempt, "recovery", codes[0])
	}, []audit.Kind{audit.RecoveryCodeUsed, audit.SessionCreated}, audit.TypePerson, nil},
	{"Attempt.Resend", func(w *walk) func() error { // too soon
		waiting, err := w.start("")
		w.must(err)
		return func() error {
			a, err := w.services.Challenges.Load(w.Context(), waiting.Attempt, here)
			w.must(err)
			return a.Resend(w.Context())
		}
	}, []audit.Kind{audit.LimitReached}, audit.TypePerson, ratelimit.ErrLimited},
	{"Sessions.SignOut", func(w *walk) func() error {
		waiting, err := w.start("")
		w.must(err)
		cookies := w.verify(waiting)
		return func() error { return w.services.Sessions.SignOut(w.Context(), cookies.Session, here) }
	}, []audit.Kind{audit.SessionEnded}, audit.TypePerson, nil},
	{"Sessions.End", func(w *walk) func() error {
		who, other := w.in(), w.in()
		return func() error { return w.services.Sessions.End(w.Context(), who, other.ID, here) }
	}, []audit.Kind{audit.SessionEnded}, audit.TypePerson, nil},
	{"Sessions.EndAll", func(w *walk) func() error {
		who := w.in()
		return func() error { return w.services.Sessions.EndAll(w.Context(), who, here) }
	}, []audit.Kind{audit.SessionsEnded}, audit.TypePerson, nil},
	{"Enrollments.Confirm", func(w *walk) func() error {
		who := w.in()
		w.must(w.services.Enrollments.Start(w.Context(), who, "recovery", nil, here))
		return func() error {
			_, err := w.services.Enrollments.Confirm(w.Context(), who, "recovery", nil, here)
			return err
		}
	}, []audit.Kind{audit.FactorAdded}, audit.TypePerson, nil},
	{"Enrollments.Confirm", func(w *walk) func() error {
		w.recovery(w.in())
		who := w.in()
		w.must(w.services.Enrollments.Start(w.Context(), who, "recovery", nil, here))
		return func() error {
			_, err := w.services.Enrollments.Confirm(w.Context(), who, "recovery", nil, here)
			return err
		}
	}, []audit.Kind{audit.FactorReplaced}, audit.TypePerson, nil},
	{"Enrollments.Confirm", func(w *walk) func() error {
		who := w.in()
		w.must(w.services.Enrollments.StartEmailChange(w.Context(), who, "anna@example.net", here))
		form := url.Values{"code": {w.code()}}
		return func() error {
			_, err := w.services.Enrollments.Confirm(w.Context(), who, "email", form, here)
			return err
		}
	}, []audit.Kind{audit.EmailChanged}, audit.TypePerson, nil},
	{"Enrollments.Remove", func(w *walk) func() error {
		w.recovery(w.in())
		who := w.in()
		all, err := w.services.Challenges.Factors(w.Context(), w.a)
		w.must(err)
		i := slices.IndexFunc(all, func(f challenge.Enrolled) bool { return f.Factor.Method == "recovery" })
		return func() error { _, err := w.services.Enrollments.Remove(w.Context(), who, all[i].ID, here); return err }
	}, []audit.Kind{audit.FactorRemoved}, audit.TypePerson, nil},

	{"Enrollments.Undo", func(w *walk) func() error {
		token := w.undoLink()
		return func() error {
			_, err := w.services.Enrollments.Undo(w.Context(), enroll.UndoRequest{Token: token, Password: annaWord}, here)
			return err
		}
	}, []audit.Kind{audit.ChangeUndone}, audit.TypePerson, nil},
	{"Enrollments.Undo", func(w *walk) func() error {
		token := w.undoLink()
		return func() error {
			_, err := w.services.Enrollments.Undo(w.Context(), enroll.UndoRequest{Token: token, Password: "wrong"}, here)
			return err
		}
	}, []audit.Kind{audit.PasswordRejected}, audit.TypeAnonymous, account.ErrCredentials},
	{"Enrollments.Undo", func(w *walk) func() error {
		token := w.changedUndoLink()
		return func() error {
			_, err := w.services.Enrollments.Undo(w.Context(), enroll.UndoRequest{Token: token, Password: annaWord}, here)
			return err
		}
	}, []audit.Kind{audit.AccountFrozen}, audit.TypePerson, nil},
	{"Enrollments.Object", func(w *walk) func() error {
		token := w.changedUndoLink()
		_, err := w.services.Enrollments.Undo(w.Context(), enroll.UndoRequest{Token: token, Password: annaWord}, here)
		w.must(err)
		return func() error {
			return w.services.Enrollments.Object(w.Context(), session.Session{Account: session.Account{ID: w.a.ID}}, here)
		}
	}, []audit.Kind{audit.UndoRejected}, audit.TypePerson, nil},
	{"Enrollments.ApplyDueUndos", func(w *walk) func() error {
		token := w.changedUndoLink()
		_, err := w.services.Enrollments.Undo(w.Context(), enroll.UndoRequest{Token: token, Password: annaWord}, here)
		w.must(err)
		w.advance(enroll.FreezeTime)
		return func() error {
			_, err := w.services.Enrollments.ApplyDueUndos(w.Context())
			return err
		}
	}, []audit.Kind{audit.ChangeUndone}, audit.TypeSystem, nil},
	{"Enrollments.SetEmailSecondStep", func(w *walk) func() error {
		who := w.in()
		return func() error {
			_, err := w.services.Enrollments.SetEmailSecondStep(w.Context(), who, true, here)
			return err
		}
	}, []audit.Kind{audit.EmailSecondStepChanged}, audit.TypePerson, nil},

	{"Devices.RecordDecision", func(w *walk) func() error {
		is := device.DecisionRecord{Decision: trust.Decision{Reason: trust.OtherNetwork, NearestIndex: -1}, Trace: "TRACE", At: *w.now.Load(), Device: "laptop"}
		return func() error {
			return w.tx(func(tx *store.DB) error { return w.services.Devices.RecordDecision(w.Context(), tx, w.a.Ref(), is) })
		}
	}, []audit.Kind{audit.TrustDenied}, audit.TypePerson, nil},
	{"Devices.AddTrustedNetwork", func(w *walk) func() error {
		id, _ := w.browser()
		return func() error {
			return w.tx(func(tx *store.DB) error {
				return w.services.Devices.AddTrustedNetwork(w.Context(), tx, device.VerifiedSignIn{Account: w.a, Device: id, Network: trust.NetworkOf(here.Address)}, here)
			})
		}
	}, []audit.Kind{audit.DeviceTrusted}, audit.TypePerson, nil},
	{"Devices.RevokeCopiedDevice", func(w *walk) func() error {
		_, cookie := w.browser()
		from := here
		from.DeviceToken = cookie
		b, err := w.services.Devices.FindDevice(w.Context(), w.a.Ref(), from)
		w.must(err)
		return func() error { return w.services.Devices.RevokeCopiedDevice(w.Context(), b, from) }
	}, []audit.Kind{audit.DeviceSecretReused}, audit.TypeAnonymous, nil},
	{"Devices.RevokeDevice", func(w *walk) func() error {
		id, _ := w.browser()
		return func() error {
			return w.services.Devices.RevokeDevice(w.Context(), device.SessionDevice{AccountRef: w.a.Ref()}, id, here)
		}
	}, []audit.Kind{audit.DeviceForgotten}, audit.TypePerson, nil},
	{"Devices.RevokeAllDevices", func(w *walk) func() error {
		return func() error {
			return w.services.Devices.RevokeAllDevices(w.Context(), device.SessionDevice{AccountRef: w.a.Ref()}, here)
		}
	}, []audit.Kind{audit.DevicesForgotten}, audit.TypePerson, nil},

	{"Budgets.Charge", func(w *walk) func() error { // the one that is too many for the site
		guess := func(n int) error {
			name := fmt.Sprint("victim ", n)
			from := origin.Origin{Address: netip.AddrFrom4([4]byte{203, 0, byte(n), 5})} // one network alone raises no alarm
			return w.chargeFrom(odds.Guess{Budget: name, Challenge: name, Cost: 10_000}, from)
		}
		for n := range 100 {
			w.must(guess(n))
		}
		return func() error { return guess(100) }
	}, []audit.Kind{audit.SiteAlarmRaised}, audit.TypeSystem, nil},
	{"Budgets.NotifyExhausted", func(w *walk) func() error {
		g := odds.Guess{Budget: odds.AccountBudget(w.a), Challenge: "c", Cost: 20_000, CostIfReissued: 1000}
		w.must(w.charge(g))
		return func() error { return w.services.Budgets.NotifyExhausted(w.Context(), w.a, g, here) }
	}, []audit.Kind{audit.GuessBudgetExhausted}, audit.TypeSystem, nil},
	{"Budgets.NotifyGuessed", func(w *walk) func() error {
		for _, c := range []string{"a", "b"} {
			w.must(w.charge(odds.Guess{Budget: odds.AccountBudget(w.a), Challenge: c, Cost: 1000}))
		}
		g := odds.Guess{Budget: odds.AccountBudget(w.a), Challenge: "b", Cost: 1000, CostIfReissued: 1000}
		return func() error { return w.services.Budgets.NotifyGuessed(w.Context(), w.a, g, here) }
	}, []audit.Kind{audit.GuessingReported}, audit.TypeSystem, nil},
	{"Accounts.SendTest", func(w *walk) func() error {
		return func() error {
			_, err := w.services.Accounts.SendTest(w.Context(), annaEmail, audit.Actor{Type: audit.TypeOperator, ID: w.a.ID}, here)
			return err
		}
	}, []audit.Kind{audit.DeliveryTested}, audit.TypeOperator, nil},
	{"Accounts.SendTestText", func(w *walk) func() error {
		return func() error {
			pay := func(tx *store.DB) error { return w.services.Challenges.SpendText(w.Context(), tx, w.a.ID) }
			by := audit.Actor{Type: audit.TypeOperator, ID: w.a.ID}
			_, err := w.services.Accounts.SendTestText(w.Context(), "+49 151 1234567", by, here, pay)
			return err
		}
	}, []audit.Kind{audit.DeliveryTested}, audit.TypeOperator, nil},
	{"Deliverer.Test", func(w *walk) func() error { // the receiver cannot be reached
		return func() error { return w.TestWebhook(w.Context(), "crm") }
	}, []audit.Kind{audit.WebhookTested}, audit.TypeOperator, ErrWebhookFailed},
	{"Deliverer.Replay", func(w *walk) func() error {
		return func() error { _, err := w.ReplayWebhook(w.Context(), "crm", *w.now.Load()); return err }
	}, []audit.Kind{audit.WebhookReplayed}, audit.TypeOperator, nil},
	{"Grants.RotateSigningKeys", func(w *walk) func() error {
		return func() error {
			_, err := w.grants.RotateSigningKeys(w.Context(), audit.Actor{Type: audit.TypeOperator, ID: w.a.ID}, here)
			return err
		}
	}, []audit.Kind{audit.SigningKeyCreated, audit.SigningKeyCreated}, audit.TypeOperator, nil},
	{"Budgets.ResetSiteAlarm", func(w *walk) func() error {
		return func() error { return w.ResetSiteGuesses(w.Context()) }
	}, []audit.Kind{audit.SiteAlarmCleared}, audit.TypeOperator, nil},

	{"Clients.Create", func(w *walk) func() error {
		return func() error { return w.CreateApp(w.Context(), App{ID: "news", Hosts: []string{"news.example.com"}}) }
	}, []audit.Kind{audit.ClientCreated}, audit.TypeOperator, nil},
	{"Clients.CreateRegistrationToken", func(w *walk) func() error {
		return func() error { _, err := w.CreateRegistrationToken(w.Context(), 1, time.Hour); return err }
	}, []audit.Kind{audit.RegistrationTokenCreated}, audit.TypeOperator, nil},
	{"Clients.EndRegistrationTokens", func(w *walk) func() error {
		return func() error { _, err := w.EndRegistrationTokens(w.Context()); return err }
	}, []audit.Kind{audit.RegistrationTokensEnded}, audit.TypeOperator, nil},
	{"Clients.Register", func(w *walk) func() error {
		token, err := w.CreateRegistrationToken(w.Context(), 1, time.Hour)
		w.must(err)
		a := App{ID: "news", RedirectURIs: []string{"https://news.example.com/cb"}}
		return func() error { return w.clients.Register(w.Context(), token, a, here) }
	}, []audit.Kind{audit.ClientCreated}, audit.TypeClient, nil},
	{"Clients.Update", func(w *walk) func() error {
		a := w.wiki()
		a.Name = "Wiki"
		return func() error { return w.UpdateApp(w.Context(), a) }
	}, []audit.Kind{audit.ClientUpdated}, audit.TypeOperator, nil},
	{"Clients.RotateSecret", func(w *walk) func() error {
		w.wiki()
		return func() error { _, err := w.RotateAppSecret(w.Context(), "wiki", true); return err }
	}, []audit.Kind{audit.ClientSecretRotated}, audit.TypeOperator, nil},
	{"Clients.EndOldSecrets", func(w *walk) func() error {
		w.wiki()
		_, err := w.RotateAppSecret(w.Context(), "wiki", true)
		w.must(err)
		return func() error { return w.EndOldAppSecrets(w.Context(), "wiki") }
	}, []audit.Kind{audit.ClientUpdated}, audit.TypeOperator, nil},
	{"Clients.Delete", func(w *walk) func() error {
		w.wiki()
		return func() error { return w.DeleteApp(w.Context(), "wiki") }
	}, []audit.Kind{audit.ClientDeleted}, audit.TypeOperator, nil},
	{"Grants.Authorize", func(w *walk) func() error {
		a, who := w.wiki(), w.in()
		return func() error {
			_, _, err := w.grants.Authorize(w.Context(), grant.AuthRequest{ClientID: a.ID, RedirectURI: a.RedirectURIs[0]}, who, here)
			return err
		}
	}, []audit.Kind{audit.GrantCreated}, audit.TypePerson, nil},
	{"Grants.ConsumeCode", func(w *walk) func() error { // a second time
		a := w.wiki()
		r := grant.CodeExchange{From: here, Client: a, Code: w.issue(a, w.in()), RedirectURI: a.RedirectURIs[0]}
		_, err := w.grants.ConsumeCode(w.Context(), r)
		w.must(err)
		return func() error { _, err := w.grants.ConsumeCode(w.Context(), r); return err }
	}, []audit.Kind{audit.CodeReused}, audit.TypeClient, grant.ErrInvalid},
	{"Grants.ExchangeCode", func(w *walk) func() error { // a second time
		a := w.wiki()
		r := grant.CodeExchange{From: here, Client: a, Code: w.issue(a, w.in()), RedirectURI: a.RedirectURIs[0]}
		_, _, err := w.grants.ExchangeCode(w.Context(), r)
		w.must(err)
		return func() error { _, _, err := w.grants.ExchangeCode(w.Context(), r); return err }
	}, []audit.Kind{audit.CodeReused}, audit.TypeClient, grant.ErrInvalid},
	{"Grants.RefreshTokens", func(w *walk) func() error { // a second time, beyond the grace
		a := w.wiki()
		refresh := w.refresh(a)
		_, _, err := w.grants.RefreshTokens(w.Context(), a, refresh, here)
		w.must(err)
		w.advance(time.Minute)
		return func() error { _, _, err := w.grants.RefreshTokens(w.Context(), a, refresh, here); return err }
	}, []audit.Kind{audit.TokenReused}, audit.TypeClient, grant.ErrInvalid},
	{"Grants.RevokeToken", func(w *walk) func() error {
		a := w.wiki()
		refresh := w.refresh(a)
		return func() error { return w.grants.RevokeToken(w.Context(), a, refresh, here) }
	}, []audit.Kind{audit.GrantEnded}, audit.TypeClient, nil},
	{"Grants.RevokeClientAccess", func(w *walk) func() error {
		a, who := w.wiki(), w.in()
		return func() error { return w.grants.RevokeClientAccess(w.Context(), who, a.ID, here) }
	}, []audit.Kind{audit.ConsentWithdrawn}, audit.TypePerson, nil},
	{"Grants.SaveConsent", func(w *walk) func() error {
		who, request := w.in(), grant.AuthRequest{ClientID: w.wiki().ID, Scope: []string{"email"}}
		token, err := w.grants.SaveAuthRequest(w.Context(), request, here)
		if err != nil {
			w.Fatal(err)
		}
		return func() error { return w.grants.SaveConsent(w.Context(), token, who, request, here) }
	}, []audit.Kind{audit.ConsentGiven}, audit.TypePerson, nil},
	{"Grants.Decline", func(w *walk) func() error {
		a, who := w.wiki(), w.in()
		return func() error { return w.grants.Decline(w.Context(), who, a.ID, here) }
	}, []audit.Kind{audit.ConsentDenied}, audit.TypePerson, nil},
	{"Grants.Deny", func(w *walk) func() error {
		a, who := w.wiki(), w.in()
		return func() error { return w.grants.Deny(w.Context(), who, a.ID, "access_denied", here) }
	}, []audit.Kind{audit.AccessDenied}, audit.TypePerson, nil},
	{"Grants.SignJWT", func(w *walk) func() error {
		return func() error { _, err := w.grants.SignJWT(w.Context(), "ES256", grant.IDTokenType, nil); return err }
	}, []audit.Kind{audit.SigningKeyCreated}, audit.TypeSystem, nil},
	{"Grants.PublicJWKS", func(w *walk) func() error { // one for each algorithm
		return func() error { _, err := w.grants.PublicJWKS(w.Context()); return err }
	}, []audit.Kind{audit.SigningKeyCreated, audit.SigningKeyCreated}, audit.TypeSystem, nil},
	{"Grants.StartDeviceAuthorization", func(w *walk) func() error { // one more than a network may keep
		_, err := w.grants.StartDeviceAuthorization(w.Context(), App{ID: "tv"}, nil, here)
		w.must(err)
		storetest.Exec(w.T, w.database, "UPDATE rate_limit_counters SET used = 1000000 WHERE kind = 'device_authorizations_network'")
		return func() error {
			_, err := w.grants.StartDeviceAuthorization(w.Context(), App{ID: "tv"}, nil, here)
			return err
		}
	}, []audit.Kind{audit.LimitReached}, audit.TypeAnonymous, ratelimit.ErrLimited},
	{"Grants.EnterUserCode", func(w *walk) func() error {
		who := w.in()
		return func() error {
			_, err := w.grants.EnterUserCode(w.Context(), who, "BCDF-GHJK", here)
			return err
		}
	}, []audit.Kind{audit.UserCodeRejected}, audit.TypePerson, grant.ErrInvalid},
	{"Grants.AllowDevice", func(w *walk) func() error {
		r, who := w.deviceRequest()
		return func() error { return w.grants.AllowDevice(w.Context(), r, who, here) }
	}, []audit.Kind{audit.GrantCreated}, audit.TypePerson, nil},
	{"Grants.DenyDevice", func(w *walk) func() error {
		r, who := w.deviceRequest()
		return func() error { return w.grants.DenyDevice(w.Context(), r, who, here) }
	}, []audit.Kind{audit.ConsentDenied}, audit.TypePerson, nil},
	{"Grants.SaveAuthRequest", func(w *walk) func() error { return w.requests((*walk).wait) }, []audit.Kind{audit.LimitReached}, audit.TypeAnonymous, ratelimit.ErrLimited},
	{"Grants.PushAuthRequest", func(w *walk) func() error { return w.requests((*walk).push) }, []audit.Kind{audit.LimitReached}, audit.TypeAnonymous, ratelimit.ErrLimited},
})

// start enters the right password; attempt is the token of the attempt that the browser is in.
func (w *walk) start(attempt string) (session.Cookies, error) {
	return w.services.SignIns.Start(w.Context(), signin.Credentials{Email: annaEmail, Password: annaWord, AttemptToken: attempt}, here)
}

// code is the next code that is mailed.
func (w *walk) code() string {
	w.Helper()
	return w.mailed(`(?m)^(\d{6})\r?$`)
}

// wrongCode is another code than this one.
func wrongCode(code string) string {
	if code[0] == '9' {
		return "0" + code[1:]
	}
	return string(code[0]+1) + code[1:]
}

// answer is the act of entering a code, by a method ("": the one that was asked for).
func (w *walk) answer(token, method, code string) func() error {
	return func() error {
		a, err := w.services.Challenges.Load(w.Context(), token, here)
		w.must(err)
		if method != "" {
			w.must(a.Choose(w.Context(), method))
		}
		_, err = a.Verify(w.Context(), url.Values{"code": {code}})
		return err
	}
}

// recovery gives Anna recovery codes.
func (w *walk) recovery(who session.Session) (codes []string) {
	w.Helper()
	w.must(w.services.Enrollments.Start(w.Context(), who, "recovery", nil, here))
	p, err := w.services.Enrollments.Pending(w.Context(), who, "recovery", here)
	w.must(err)
	_, err = w.services.Enrollments.Confirm(w.Context(), who, "recovery", nil, here)
	w.must(err)
	return p.Show.Codes
}

// password is the act of trying a wrong password.
func (w *walk) password(email string) func() error {
	return func() error {
		_, err := w.services.Accounts.VerifyPassword(w.Context(), email, "not the password", ratelimit.PasswordSource{Networks: here.Networks()}, here)
		return err
	}
}

// refresh is a refresh token of Anna for an app.
func (w *walk) refresh(a App) string {
	w.Helper()
	_, t, err := w.grants.ExchangeCode(w.Context(), grant.CodeExchange{From: here, Client: a, Code: w.issue(a, w.in(), "openid", "offline_access"), RedirectURI: a.RedirectURIs[0]})
	w.must(err)
	return t.RefreshToken
}

// deviceRequest is the request of a device whose code Anna has entered.
func (w *walk) deviceRequest() (grant.AuthRequest, session.Session) {
	w.Helper()
	a, who := w.wiki(), w.in()
	codes, err := w.grants.StartDeviceAuthorization(w.Context(), a, nil, here)
	w.must(err)
	token, err := w.grants.EnterUserCode(w.Context(), who, codes.UserCode, here)
	w.must(err)
	r, err := w.grants.GetAuthRequest(w.Context(), token, nil)
	w.must(err)
	return r, who
}

func (w *walk) wait() error {
	_, err := w.grants.SaveAuthRequest(w.Context(), grant.AuthRequest{ClientID: "phone"}, here)
	return err
}

func (w *walk) push() error {
	_, err := w.grants.PushAuthRequest(w.Context(), App{ID: "phone"}, grant.AuthRequest{ClientID: "phone"}, here)
	return err
}

// requests is an act beyond what one network may keep in an hour. Nobody waits for the 3,000 before.
func (w *walk) requests(one func(*walk) error) func() error {
	w.Helper()
	w.must(one(w))
	storetest.Exec(w.T, w.database, "UPDATE rate_limit_counters SET used = 1000000 WHERE kind = 'authorization_requests_network'")
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

// elsewhere are the kinds that no act above records, and the tests that look for them.
var elsewhere = map[audit.Kind]string{audit.EventsOmitted: "TestFlood of internal/audit", audit.WebhookFailed: "TestGone of internal/webhook", audit.ClientRejected: "TestDeniedAppIsRecorded"}

// Every kind that the document promises is recorded by an act, or looked for by another test.
func TestEveryKindIsRecorded(t *testing.T) {
	for _, d := range audit.Describe() {
		recorded := slices.ContainsFunc(acts, func(a act) bool { return slices.Contains(a.kinds, d.Kind) })
		if recorded == (elsewhere[d.Kind] != "") {
			t.Errorf("%s: recorded by an act: %v, elsewhere: %q", d.Kind, recorded, elsewhere[d.Kind])
		}
	}
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
			slices.Sort(kinds)
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
	if len(writes) < 50 || writes["FindSession"] || !writes["CreateSession"] {
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
				service := (x == "" || own != "" && (x == own || strings.HasPrefix(x, own+"."))) && !strings.HasSuffix(strings.ToLower(x), "mu")
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
		if !f.Name.IsExported() || !slices.Contains(slices.Concat(slices.Collect(maps.Values(services))...), receiver(f)) {
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
	a.RequiredGroups, a.Hosts = []string{"staff"}, []string{"wiki.example.com"}
	w.must(w.UpdateApp(t.Context(), a))
	start, err := w.services.SignIns.Start(t.Context(), signin.Credentials{Email: annaEmail, Password: annaWord}, here)
	w.must(err)
	cookies := w.verify(start)
	request := func(method, target, body string) *http.Request {
		r := httptest.NewRequest(method, "https://signin.example.com"+target, strings.NewReader(body))
		r.AddCookie(&http.Cookie{Name: "__Host-session", Value: cookies.Session})
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.RemoteAddr = "203.0.113.9:1"
		return r
	}
	query := url.Values{"client_id": {"wiki"}, "redirect_uri": a.RedirectURIs, "response_type": {"code"}, "scope": {"openid"}}.Encode()
	wrong := request("POST", "/oauth2/token", "grant_type=authorization_code")
	wrong.SetBasicAuth("wiki", "no secret of it")
	for _, row := range []struct {
		r    *http.Request
		kind audit.Kind
		want string
	}{
		{request("GET", "/oauth2/authorize?"+query, ""), audit.AccessDenied, "access_denied"},
		{wrong, audit.ClientRejected, "wrong client secret"},
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
