package signin_test

import (
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/enroll"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/spoken"
	"twostep.example/twostep/internal/store/storetest"
)

// undo undoes a change in a browser that is not signed in.
func (h *fixture) undo(token, password string) error {
	_, err := h.Enrollments.Undo(h.Context(), enroll.UndoRequest{Token: token, Password: password}, home)
	return err
}

// tick makes the clock of the enrollments advance with each look at it, as a real one does.
func (h *fixture) tick() {
	h.Enrollments.Now = func() time.Time {
		h.advance(time.Millisecond)
		return h.clock()
	}
}

// frozenUntil is the end of the freeze of the account of a session.
func (h *fixture) frozenUntil(sessionToken string) time.Time {
	h.Helper()
	choice, err := h.Enrollments.GetEmailSecondStep(h.Context(), h.getSession(sessionToken))
	if err != nil {
		h.Fatal(err)
	}
	return choice.FrozenUntil
}

// enterByApp signs in with the authenticator app.
func (h *fixture) enterByApp(app authenticator) (sessionToken string) {
	h.Helper()
	h.advance(time.Minute)
	sessionToken, err := h.verify(h.chooseMethod("totp"), app.code(h.clock()))
	if err != nil {
		h.Fatal(err)
	}
	return sessionToken
}

// wantUndoFrozen requests an undo and wants the account to be frozen for FreezeTime.
func (h *fixture) wantUndoFrozen(token, password string) {
	h.Helper()
	until, err := h.Enrollments.Undo(h.Context(), enroll.UndoRequest{Token: token, Password: password}, home)
	if err != nil || !until.Equal(h.clock().Add(enroll.FreezeTime)) {
		h.Fatalf("frozen until %v (%v), want in %v", until, err, enroll.FreezeTime)
	}
}

// resetTo resets Anna's password by email.
func (h *fixture) resetTo(password string) {
	h.Helper()
	h.advance(time.Second)
	if err := h.Accounts.RequestPasswordReset(h.Context(), annaEmail, "", home); err != nil {
		h.Fatal(err)
	}
	h.wantErr("reset", h.Accounts.ResetPassword(h.Context(), h.linkToken(), password, home), nil)
	h.advance(time.Second)
}

// linkTokenTo returns the token of the newest link that was sent to an address.
func (h *fixture) linkTokenTo(to string) (token string) {
	h.Helper()
	for _, m := range h.mails() {
		if _, rest, ok := strings.Cut(m.Text, "/undo#"); ok && m.To == to {
			token = strings.Fields(rest)[0]
		}
	}
	return token
}

// notices counts the messages since the n-th, by their destination.
func (h *fixture) notices(n int) map[string]int {
	count := map[string]int{}
	for _, m := range h.mails()[n:] {
		count[m.To]++
	}
	return count
}

// Access to the mailbox alone removes no factor, used or not: an undo needs the password of before the change.
func TestUndoNeedsTheFormerPassword(t *testing.T) {
	withAccount(t, func(h *fixture) {
		_, sessionToken := h.enrollApp(h.signIn())
		token := h.linkToken()
		h.wantErr("no password", h.undo(token, ""), account.ErrCredentials)
		h.resetTo("brand new horse")
		h.wantErr("the password that the mailbox has set", h.undo(token, "brand new horse"), account.ErrCredentials)
		_, err := h.Sessions.Get(h.Context(), sessionToken)
		h.wantErr("a session after a reset", err, session.ErrNoSession)
		if n := storetest.CountRows(t, h.url, "factors"); n != 1 {
			h.Errorf("%d factors left, want the app", n)
		}
		h.wantUndoFrozen(token, annaPassword)
	})
}

// A factor that was used is removed 72 hours after the undo was requested, not before, and by the clock only.
func TestUndoOfAUsedFactorFreezes(t *testing.T) {
	withAccount(t, func(h *fixture) {
		app, _ := h.enrollApp(h.signIn())
		token := h.linkToken()
		sessionToken := h.enterByApp(app)
		h.wantUndoFrozen(token, annaPassword)
		until := h.frozenUntil(sessionToken)
		h.advance(time.Hour)
		if again, err := h.Enrollments.Undo(h.Context(), enroll.UndoRequest{Token: token, Password: annaPassword}, home); err != nil || !again.Equal(until) {
			h.Errorf("requested again: %v, %v, want %v", again, err, until)
		}
		apply := func() {
			h.Helper()
			if _, err := h.Enrollments.ApplyDueUndos(h.Context()); err != nil {
				h.Fatal(err)
			}
		}
		h.advance(enroll.FreezeTime - time.Hour - time.Millisecond)
		apply()
		if n := storetest.CountRows(t, h.url, "factors"); n != 1 {
			h.Errorf("%d factors before the end of the freeze, want the app", n)
		}
		h.wantErr("the former password", func() error { _, err := h.start(annaEmail, annaPassword, home); return err }(), nil)
		h.advance(time.Millisecond)
		n := len(h.mails())
		apply()
		apply()
		if got := h.notices(n); got[annaEmail] != 1 || len(got) != 1 {
			h.Errorf("notices %v, want one", got)
		}
		if n := storetest.CountRows(t, h.url, "factors"); n != 0 {
			h.Errorf("%d factors after the freeze", n)
		}
		_, err := h.start(annaEmail, annaPassword, home)
		h.wantErr("the password afterwards", err, account.ErrCredentials)
		h.resetTo("brand new horse")
		h.advance(time.Second)
		h.wantErr("signing in afterwards", func() error { _, err := h.start(annaEmail, "brand new horse", home); return err }(), nil)
	})
}

// While an account is frozen no code by email opens a session, whatever was begun before, and nothing that proves the
// person changes. The disputed app works, and one click of a session ends the freeze and the link.
func TestFrozenAccount(t *testing.T) {
	withAccount(t, func(h *fixture) {
		trusted := h.newBrowser().signIn(true)
		h.advance(time.Second)
		app, sessionToken := h.enrollApp(trusted.session)
		token := h.linkToken()
		h.enterByApp(app)
		h.advance(time.Minute)
		begun := h.chooseMethod("email")
		code := h.code()
		if err := h.Accounts.RequestPasswordReset(h.Context(), annaEmail, "", home); err != nil {
			h.Fatal(err)
		}
		reset := h.linkToken()
		h.wantUndoFrozen(token, annaPassword)

		h.advance(time.Second)
		_, err := h.verify(begun, code)
		h.wantErr("a code that was sent before", err, challenge.ErrUnknownMethod)
		h.wantErr("choosing email", h.Choose(h.Context(), h.enterPassword(), "email", home), challenge.ErrUnknownMethod)
		h.wantErr("a reset link from before", h.Accounts.ResetPassword(h.Context(), reset, "a third horse battery", home), account.ErrFrozen)
		if trusted.enterPassword().Session != "" {
			h.Error("a trusted device opens a session")
		}
		h.wantErr("a new number", h.startEnrollment(sessionToken, "spoken", map[string][]string{"number": {"+491711234567"}}), account.ErrFrozen)
		h.wantErr("a new address", h.startEmailChange(sessionToken, "thief@example.com"), account.ErrFrozen)
		who := h.getSession(sessionToken)
		_, err = h.Enrollments.Remove(h.Context(), who, "any", home)
		h.wantErr("removing a factor", err, account.ErrFrozen)
		_, err = h.SignIns.ChangePassword(h.Context(), who, annaPassword, "a third horse battery", home)
		h.wantErr("a new password", err, account.ErrFrozen)
		_, err = h.Enrollments.SetEmailSecondStep(h.Context(), who, true, home)
		h.wantErr("the choice about email", err, account.ErrFrozen)

		inFreeze := h.enterByApp(app)
		if h.frozenUntil(inFreeze).IsZero() {
			h.Error("the freeze has ended by itself")
		}
		n := len(h.mails())
		for range 2 {
			if err := h.Enrollments.Object(h.Context(), h.getSession(sessionToken), home); err != nil {
				h.Fatal(err)
			}
		}
		if got := h.notices(n); got[annaEmail] != 1 || len(got) != 1 {
			h.Errorf("notices %v, want one", got)
		}
		h.wantErr("the link afterwards", h.undo(token, annaPassword), account.ErrLink)
		h.advance(enroll.FreezeTime)
		if _, err := h.Enrollments.ApplyDueUndos(h.Context()); err != nil {
			h.Fatal(err)
		}
		if n := storetest.CountRows(t, h.url, "factors"); n != 1 {
			h.Errorf("%d factors after the objection, want the app", n)
		}
		h.wantErr("choosing email", h.Choose(h.Context(), h.enterPassword(), "email", home), nil)
	})
}

// A frozen account whose only other factor is used up opens no session at all.
func TestFrozenAccountWithoutAMethod(t *testing.T) {
	withAccount(t, func(h *fixture) {
		app, _ := h.enrollApp(h.signIn())
		token := h.linkToken()
		h.enterByApp(app)
		h.wantUndoFrozen(token, annaPassword)
		h.Challenges.Methods = []factor.Method{h.Challenges.Methods[0]} // the operator has turned off all others
		_, err := h.start(annaEmail, annaPassword, home)
		h.wantErr("signing in", err, account.ErrFrozen)
	})
}

// A session that was authenticated recently with an older factor undoes at once; one with the disputed factor, with
// email or of another account does not.
func TestUndoWithAnOlderFactor(t *testing.T) {
	withAccount(t, func(h *fixture) {
		h.tick()
		app, sessionToken := h.enrollApp(h.signIn())
		h.advance(time.Second)
		sessionToken = h.enrollNumber(sessionToken, "+491711234567")
		token := h.linkToken()
		h.advance(time.Minute)
		disputed, err := h.verify(h.chooseMethod("spoken"), h.code())
		if err != nil {
			h.Fatal(err)
		}
		h.advance(time.Minute)
		mailed, err := h.verify(h.chooseMethod("email"), h.code())
		if err != nil {
			h.Fatal(err)
		}
		h.addAccount("ben@example.com", annaPassword)
		older := h.enterByApp(app)
		stale := h.getSession(older)
		stale.AuthenticatedAt = h.clock().Add(-session.FreshFor - time.Second)
		foreign := h.getSession(older)
		foreign.Account.ID = "another"
		for what, who := range map[string]session.Session{
			"the disputed factor": h.getSession(disputed), "email": h.getSession(mailed), "a step too long ago": stale,
			"another account": foreign, "the session that added it": h.getSession(sessionToken),
		} {
			_, err := h.Enrollments.Undo(h.Context(), enroll.UndoRequest{Token: token, Session: &who}, home)
			h.wantErr(what, err, account.ErrCredentials)
			h.advance(time.Minute)
		}
		who := h.getSession(h.enterByApp(app))
		until, err := h.Enrollments.Undo(h.Context(), enroll.UndoRequest{Token: token, Session: &who}, home)
		if err != nil || !until.IsZero() {
			h.Fatalf("frozen until %v (%v), want an undo at once", until, err)
		}
		if got := storetest.CountRows(t, h.url, "factors"); got != 1 {
			h.Errorf("%d factors, want the app", got)
		}
	})
}

// Undoing a replaced number brings back the old one, also after it was replaced twice, and tells all of them.
func TestUndoRestoresTheReplacedNumber(t *testing.T) {
	const first, second, third = "+491711234567", "+491711234568", "+491711234569"
	withAccount(t, func(h *fixture) {
		h.tick()
		sessionToken := h.enrollNumber(h.signIn(), first)
		links := map[string]string{}
		for _, number := range []string{second, third} {
			h.advance(time.Minute)
			sessionToken = h.enrollNumber(sessionToken, number)
			links[number] = h.linkTokenTo(annaEmail)
		}
		h.advance(time.Minute)
		n := len(h.mails())
		h.wantErr("undo the first replacement", h.undo(links[second], annaPassword), nil)
		want := map[string]int{annaEmail: 1, first: 1, second: 1, third: 1}
		got := h.notices(n)
		for to, times := range want {
			if got[to] != times {
				h.Errorf("%d notices to %s, want %d of %v", got[to], to, times, got)
			}
		}
		h.advance(time.Minute)
		h.resetTo("brand new horse")
		token, err := h.start(annaEmail, "brand new horse", home)
		if err != nil {
			h.Fatal(err)
		}
		h.advance(time.Minute)
		if m := h.lastMail(); m.To != first || m.Channel != spoken.CallChannel {
			h.Errorf("the code went to %s, want %s", m.To, first)
		}
		sessionToken, err = h.verify(token.Attempt, h.code())
		if err != nil || h.numbers(sessionToken) != first {
			h.Errorf("the number is %s (%v), want %s", h.numbers(sessionToken), err, first)
		}
		h.advance(time.Minute)
		h.wantErr("the second link", h.undo(links[third], annaPassword), account.ErrLink)
		if n := storetest.CountRows(t, h.url, "factors"); n != 1 {
			h.Errorf("%d factors, want the first number only", n)
		}
	})
}

// A factor that somebody has removed comes back.
func TestUndoRestoresTheRemovedFactor(t *testing.T) {
	withAccount(t, func(h *fixture) {
		sessionToken := h.enrollNumber(h.signIn(), "+491711234567")
		h.advance(time.Minute)
		all, err := h.Enrollments.List(h.Context(), h.getSession(sessionToken))
		if err != nil {
			h.Fatal(err)
		}
		for _, o := range all {
			if o.Method == "spoken" {
				if _, err := h.Enrollments.Remove(h.Context(), h.getSession(sessionToken), o.Factors[0].ID, home); err != nil {
					h.Fatal(err)
				}
			}
		}
		h.wantErr("undo", h.undo(h.linkToken(), annaPassword), nil)
		if n := storetest.CountRows(t, h.url, "factors"); n != 1 {
			h.Errorf("%d factors, want the number", n)
		}
	})
}

// An undone change of the address ends the links that went to the new one. The old address gets a link for each factor
// that was added meanwhile.
func TestUndoneAddressEndsLaterLinks(t *testing.T) {
	withAccount(t, func(h *fixture) {
		sessionToken := h.signIn()
		links := map[string]string{} // by the mailbox that got it
		for i, to := range []string{"x@example.com", "y@example.com"} {
			if err := h.startEmailChange(sessionToken, to); err != nil {
				h.Fatal(err)
			}
			var err error
			if sessionToken, err = h.confirm(sessionToken, "email", h.code()); err != nil {
				h.Fatal(err)
			}
			links[[]string{annaEmail, "x@example.com"}[i]] = h.linkTokenTo([]string{annaEmail, "x@example.com"}[i])
			h.advance(time.Minute)
		}
		h.enrollApp(sessionToken)
		links["app"] = h.linkToken()
		h.advance(time.Second)
		n := len(h.mails())
		h.wantErr("undo", h.undo(links[annaEmail], annaPassword), nil)
		h.wantErr("the link at the first new address", h.undo(links["x@example.com"], annaPassword), account.ErrLink)
		h.wantErr("the link at the second new address", h.undo(links["app"], annaPassword), account.ErrLink)
		if got := h.notices(n); got[annaEmail] != 2 || got["x@example.com"] != 1 || got["y@example.com"] != 1 {
			h.Errorf("notices %v, want one to each address, and a new link to %s", got, annaEmail)
		}
		h.wantUndoFrozen(h.linkTokenTo(annaEmail), annaPassword) // the password has changed since: it was canceled
		h.advance(enroll.FreezeTime)
		if _, err := h.Enrollments.ApplyDueUndos(h.Context()); err != nil {
			h.Fatal(err)
		}
		if n := storetest.CountRows(t, h.url, "factors"); n != 0 {
			h.Errorf("%d factors left", n)
		}
	})
}

// With another method, codes by email are no second step where the site or the person says so: not offered, not
// accepted, not in a step-up, and not instead of a code that was guessed too often.
func TestEmailUntilAnother(t *testing.T) {
	for what, choose := range map[string]func(h *fixture, sessionToken string) string{
		"site": func(h *fixture, sessionToken string) string {
			h.Challenges.Email.UntilAnother = true
			return sessionToken
		},
		"person": func(h *fixture, sessionToken string) string {
			sessionToken, err := h.Enrollments.SetEmailSecondStep(h.Context(), h.getSession(sessionToken), true, home)
			if err != nil {
				h.Fatal(err)
			}
			return sessionToken
		},
	} {
		t.Run(what, func(t *testing.T) {
			withAccount(t, func(h *fixture) {
				sessionToken := choose(h, h.signIn())
				h.wantErr("email alone", h.Choose(h.Context(), h.enterPassword(), "email", home), nil)
				h.enrollApp(sessionToken)
				offered := func() (methods []string) {
					h.advance(time.Minute)
					s, err := h.Pending(h.Context(), h.enterPassword(), home)
					if err != nil {
						h.Fatal(err)
					}
					for _, o := range s.Offers {
						methods = append(methods, o.Method)
					}
					return methods
				}
				if got := offered(); len(got) != 1 || got[0] != "totp" {
					h.Errorf("offered %v, want the app", got)
				}
				h.wantErr("email", h.Choose(h.Context(), h.enterPassword(), "email", home), challenge.ErrUnknownMethod)
				h.guessUntilExhausted("totp")
				h.wantErr("email when the budget is used up", h.Choose(h.Context(), h.enterPassword(), "email", home), challenge.ErrUnknownMethod)
				h.resetTo("brand new horse")
				h.advance(25 * time.Hour)
				token, err := h.start(annaEmail, "brand new horse", home)
				if err != nil {
					h.Fatal(err)
				}
				h.wantErr("email after a reset", h.Choose(h.Context(), token.Attempt, "email", home), challenge.ErrUnknownMethod)
			})
		})
	}
}

// Removing the last other method brings codes by email back, and the notice says so.
func TestEmailReturns(t *testing.T) {
	withAccount(t, func(h *fixture) {
		h.Challenges.Email.UntilAnother = true
		sessionToken := h.enrollNumber(h.signIn(), "+491711234567")
		h.advance(time.Minute)
		_, sessionToken = h.enrollApp(sessionToken)
		remove := func(method string) delivery.Message {
			all, err := h.Enrollments.List(h.Context(), h.getSession(sessionToken))
			if err != nil {
				h.Fatal(err)
			}
			for _, o := range all {
				if o.Method == method {
					if sessionToken, err = h.Enrollments.Remove(h.Context(), h.getSession(sessionToken), o.Factors[0].ID, home); err != nil {
						h.Fatal(err)
					}
				}
			}
			return h.lastMail()
		}
		const back = "Codes by email work again"
		if m := remove("totp"); strings.Contains(m.Text, back) {
			h.Errorf("the number is left: %s", m.Text)
		}
		if m := remove("spoken"); !strings.Contains(m.Text, back) {
			h.Errorf("nothing is left: %s", m.Text)
		}
		h.wantErr("email", h.Choose(h.Context(), h.enterPassword(), "email", home), nil)
	})
}
