package twostep

import (
	"net/url"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/deskcode"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/signin"
)

// operatorNamed is an operator without an account, as commands have one.
func operatorNamed(name string) account.By {
	return account.By{Actor: audit.Actor{Type: audit.TypeOperator, ID: name}, From: here}
}

// deskCode requests a code for Anna and returns it, after the approval of a second operator if second is set.
func (w *walk) deskCode(second bool) (code string) {
	w.Helper()
	codes := w.services.DeskCodes
	codes.SecondOperator = second
	shown, err := codes.Ask(w.Context(), operatorNamed("root"), annaEmail)
	w.must(err)
	if second {
		w.must(codes.Approve(w.Context(), operatorNamed("ben"), annaEmail))
		shown, err = codes.Reveal(w.Context(), operatorNamed("root"), annaEmail)
		w.must(err)
	}
	return shown.Code
}

// useDeskCode enters a code after the password.
func (w *walk) useDeskCode(code string) (session.Cookies, error) {
	w.Helper()
	cookies, err := w.services.SignIns.Start(w.Context(), signin.Credentials{Email: annaEmail, Password: annaWord}, here)
	w.must(err)
	return w.enterDeskCode(cookies, code)
}

func (w *walk) enterDeskCode(waiting session.Cookies, code string) (session.Cookies, error) {
	w.Helper()
	a, err := w.services.Challenges.Load(w.Context(), waiting.Attempt, here)
	w.must(err)
	return w.services.DeskCodes.Use(w.Context(), a, url.Values{"code": {code}}, here)
}

// deskActs are those of desk codes, see acts.
var deskActs = []act{
	{"DeskCodes.Ask", func(w *walk) func() error {
		return func() error {
			_, err := w.services.DeskCodes.Ask(w.Context(), operatorNamed("root"), annaEmail)
			return err
		}
	}, []audit.Kind{audit.DeskCodeRequested, audit.DeskCodeShown}, audit.TypeOperator, nil},
	{"DeskCodes.Ask", func(w *walk) func() error { // the second one replaces the first
		w.deskCode(false)
		return func() error {
			_, err := w.services.DeskCodes.Ask(w.Context(), operatorNamed("root"), annaEmail)
			return err
		}
	}, []audit.Kind{audit.DeskCodeCancelled, audit.DeskCodeRequested, audit.DeskCodeShown}, audit.TypeOperator, nil},
	{"DeskCodes.Approve", func(w *walk) func() error {
		w.services.DeskCodes.SecondOperator = true
		_, err := w.services.DeskCodes.Ask(w.Context(), operatorNamed("root"), annaEmail)
		w.must(err)
		return func() error { return w.services.DeskCodes.Approve(w.Context(), operatorNamed("ben"), annaEmail) }
	}, []audit.Kind{audit.DeskCodeApproved}, audit.TypeOperator, nil},
	{"DeskCodes.Approve", func(w *walk) func() error { // one's own
		w.services.DeskCodes.SecondOperator = true
		_, err := w.services.DeskCodes.Ask(w.Context(), operatorNamed("root"), annaEmail)
		w.must(err)
		return func() error { return w.services.DeskCodes.Approve(w.Context(), operatorNamed("root"), annaEmail) }
	}, []audit.Kind{audit.DeskCodeApproved}, audit.TypeOperator, deskcode.ErrSameOperator},
	{"DeskCodes.Refuse", func(w *walk) func() error {
		w.services.DeskCodes.SecondOperator = true
		_, err := w.services.DeskCodes.Ask(w.Context(), operatorNamed("root"), annaEmail)
		w.must(err)
		return func() error { return w.services.DeskCodes.Refuse(w.Context(), operatorNamed("ben"), annaEmail) }
	}, []audit.Kind{audit.DeskCodeRefused}, audit.TypeOperator, nil},
	{"DeskCodes.Reveal", func(w *walk) func() error {
		w.services.DeskCodes.SecondOperator = true
		_, err := w.services.DeskCodes.Ask(w.Context(), operatorNamed("root"), annaEmail)
		w.must(err)
		w.must(w.services.DeskCodes.Approve(w.Context(), operatorNamed("ben"), annaEmail))
		return func() error {
			_, err := w.services.DeskCodes.Reveal(w.Context(), operatorNamed("root"), annaEmail)
			return err
		}
	}, []audit.Kind{audit.DeskCodeShown}, audit.TypeOperator, nil},
	{"DeskCodes.Withdraw", func(w *walk) func() error {
		w.deskCode(false)
		return func() error { return w.services.DeskCodes.Withdraw(w.Context(), operatorNamed("root"), annaEmail) }
	}, []audit.Kind{audit.DeskCodeCancelled}, audit.TypeOperator, nil},
	{"DeskCodes.Use", func(w *walk) func() error {
		code := w.deskCode(false)
		cookies, err := w.services.SignIns.Start(w.Context(), signin.Credentials{Email: annaEmail, Password: annaWord}, here)
		w.must(err)
		return func() error {
			_, err := w.enterDeskCode(cookies, code)
			return err
		}
	}, []audit.Kind{audit.DeskCodeUsed, audit.SessionCreated}, audit.TypePerson, nil},
	{"DeskCodes.Use", func(w *walk) func() error { // a wrong one
		w.deskCode(false)
		cookies, err := w.services.SignIns.Start(w.Context(), signin.Credentials{Email: annaEmail, Password: annaWord}, here)
		w.must(err)
		return func() error {
			_, err := w.enterDeskCode(cookies, "00000-00000")
			return err
		}
	}, []audit.Kind{audit.DeskCodeRejected}, audit.TypePerson, factor.ErrIncorrect},
	{"DeskCodes.Cancel", func(w *walk) func() error {
		w.deskCode(false)
		token := w.mailed(`/desk#(\S+)`)
		return func() error { _, err := w.services.DeskCodes.Cancel(w.Context(), token, here); return err }
	}, []audit.Kind{audit.DeskCodeCancelled}, audit.TypePerson, nil},
	{"DeskCodes.EndExpired", func(w *walk) func() error {
		w.deskCode(false)
		w.advance(deskcode.TTL + 1e6)
		return func() error { _, err := w.services.DeskCodes.EndExpired(w.Context()); return err }
	}, []audit.Kind{audit.DeskCodeExpired}, audit.TypeSystem, nil},
	{"Enrollments.KeepOnlyEmail", func(w *walk) func() error {
		w.undoLink() // adds recovery codes
		cookies, err := w.useDeskCode(w.deskCode(false))
		w.must(err)
		who, err := w.services.Sessions.GetForSetup(w.Context(), cookies.Session)
		w.must(err)
		return func() error { return w.services.Enrollments.KeepOnlyEmail(w.Context(), who, here) }
	}, []audit.Kind{audit.FactorRemoved}, audit.TypePerson, nil},
}
