package signin_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/enroll"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/signin"
	"twostep.example/twostep/internal/store/storetest"
)

func (h *fixture) getSession(sessionToken string) session.Session {
	h.Helper()
	who, err := h.Sessions.Get(h.Context(), sessionToken)
	if err != nil {
		h.Fatal(err)
	}
	return who
}

// startEnrollment starts enrolling a factor of a method.
func (h *fixture) startEnrollment(sessionToken, method string, form url.Values) error {
	h.Helper()
	return h.Enrollments.Start(h.Context(), h.getSession(sessionToken), method, form, home)
}

// startEmailChange starts changing the email address.
func (h *fixture) startEmailChange(sessionToken, email string) error {
	h.Helper()
	return h.Enrollments.StartEmailChange(h.Context(), h.getSession(sessionToken), email, home)
}

// startNumber starts enrolling a phone number and returns the code that was sent to it.
func (h *fixture) startNumber(sessionToken, number string) (code string) {
	h.Helper()
	h.mails()
	if err := h.startEnrollment(sessionToken, "spoken", url.Values{"number": {number}}); err != nil {
		h.Fatal(err)
	}
	m := h.lastMail()
	if m.To != number {
		h.Fatalf("the code went to %s", m.To)
	}
	return m.Text
}

func (h *fixture) confirm(sessionToken, method, code string) (string, error) {
	h.Helper()
	return h.Enrollments.Confirm(h.Context(), h.getSession(sessionToken), method, url.Values{"code": {code}}, home)
}

// enrollNumber enrolls a phone number and returns the new session token.
func (h *fixture) enrollNumber(sessionToken, number string) string {
	h.Helper()
	sessionToken, err := h.confirm(sessionToken, "spoken", h.startNumber(sessionToken, number))
	if err != nil {
		h.Fatal(err)
	}
	return sessionToken
}

// numbers returns the enrolled phone numbers, separated by spaces.
func (h *fixture) numbers(sessionToken string) string {
	h.Helper()
	all, err := h.Enrollments.List(h.Context(), h.getSession(sessionToken))
	if err != nil {
		h.Fatal(err)
	}
	var list []string
	for _, o := range all {
		for _, f := range o.Factors {
			if o.Method == "spoken" {
				list = append(list, f.Destination)
			}
		}
	}
	return strings.Join(list, " ")
}

// A factor is enrolled when it is confirmed. Then every other session ends, this one continues, and the
// owner is notified.
func TestEnroll(t *testing.T) {
	withAccount(t, func(h *fixture) {
		other, mine := h.signIn(), h.signIn()
		pending := h.enterPassword()
		code := h.startNumber(mine, "+491711234567")
		if got := h.numbers(mine); got != "" {
			h.Errorf("enrolled before it was confirmed: %q", got)
		}
		_, err := h.confirm(mine, "spoken", wrong(code))
		h.wantErr("a wrong code", err, factor.ErrIncorrect)
		fresh, err := h.confirm(mine, "spoken", code)
		if err != nil {
			h.Fatal(err)
		}
		for name, old := range map[string]string{"the old token": mine, "another browser": other} {
			_, err := h.Sessions.Get(h.Context(), old)
			h.wantErr(name, err, session.ErrNoSession)
		}
		_, err = h.Pending(h.Context(), pending, home)
		h.wantErr("an attempt that was running", err, challenge.ErrNoAttempt)
		if got := h.numbers(fresh); got != "+491711234567" {
			h.Errorf("enrolled: %q", got)
		}
		if m := h.lastMail(); m.To != annaEmail || !strings.Contains(m.Subject, "Phone call") {
			h.Errorf("the owner got no notice: %s: %s", m.To, m.Subject)
		}
		_, err = h.confirm(fresh, "spoken", code)
		h.wantErr("the same code again", err, enroll.ErrNoPendingFactor)
		token := h.enterPassword()
		if err := h.Choose(h.Context(), token, "spoken", home); err != nil {
			h.Fatal(err)
		}
		sessionToken, err := h.verify(token, h.lastMail().Text)
		if err != nil || strings.Join(h.getSession(sessionToken).AMR, " ") != "pwd otp tel" {
			h.Errorf("signing in with it: %v", err)
		}
	})
}

// The old number works until the new one is confirmed, and is notified when it is replaced.
func TestReplaceNumber(t *testing.T) {
	withAccount(t, func(h *fixture) {
		sessionToken := h.enrollNumber(h.signIn(), "+491711234567")
		code := h.startNumber(sessionToken, "+491719999999")
		if got := h.numbers(sessionToken); got != "+491711234567" {
			h.Errorf("before the confirmation: %q", got)
		}
		h.advance(time.Second)
		sessionToken, err := h.confirm(sessionToken, "spoken", code)
		if err != nil {
			h.Fatal(err)
		}
		if got := h.numbers(sessionToken); got != "+491719999999" {
			h.Errorf("after the confirmation: %q", got)
		}
		notified := false
		for _, m := range h.mails() {
			notified = notified || m.To == "+491711234567" && m.Text == "replaced"
		}
		if !notified {
			h.Error("the old number got no notice")
		}
	})
}

// Two numbers that are enrolled at the same time leave one number.
func TestNumbersEnrolledInParallel(t *testing.T) {
	withAccount(t, func(h *fixture) {
		first, second := h.signIn(), h.signIn()
		codes := map[string]string{first: h.startNumber(first, "+491711111111"), second: h.startNumber(second, "+491722222222")}
		var won atomic.Int64
		var last atomic.Value
		sessions := make(chan string, 2)
		sessions <- first
		sessions <- second
		atOnce(2, func() {
			s := <-sessions
			who, err := h.Sessions.Get(h.Context(), s)
			if err != nil {
				return // the other confirmation has ended this session
			}
			fresh, err := h.Enrollments.Confirm(h.Context(), who, "spoken", url.Values{"code": {codes[s]}}, home)
			if err == nil {
				won.Add(1)
				last.Store(fresh)
			}
		})
		if won.Load() != 1 {
			h.Fatalf("%d confirmed, want 1", won.Load())
		}
		if got := h.numbers(last.Load().(string)); strings.Contains(got, " ") || got == "" {
			h.Errorf("numbers %q, want one", got)
		}
	})
}

// Invalid input starts no enrollment. A pending factor belongs to one session, needs recent
// authentication, and ends when it is canceled.
func TestPendingFactorEnds(t *testing.T) {
	withAccount(t, func(h *fixture) {
		token := h.signIn()
		var no *factor.UserError
		err := h.startEnrollment(token, "spoken", url.Values{"number": {"nonsense"}})
		if !errors.As(err, &no) || no.Field != "number" {
			h.Errorf("invalid: %v", err)
		}
		for _, method := range []string{"", "email", "EMAIL", "none", "spoken\x00"} {
			h.wantErr(method, h.startEnrollment(token, method, url.Values{}), challenge.ErrUnknownMethod)
			_, err := h.Enrollments.Pending(h.Context(), h.getSession(token), method, home)
			h.wantErr("pending "+method, err, enroll.ErrNoPendingFactor)
		}
		code := h.startNumber(token, "+491711234567")
		d, err := h.Enrollments.Pending(h.Context(), h.getSession(token), "spoken", home)
		if err != nil || d.Destination != "+491711234567" || d.Challenge == nil {
			h.Errorf("pending %+v, %v", d, err)
		}
		other := h.signIn()
		_, err = h.confirm(other, "spoken", code)
		h.wantErr("from another session", err, enroll.ErrNoPendingFactor)
		h.advance(10*time.Minute + time.Second)
		_, err = h.confirm(token, "spoken", code)
		h.wantErr("without recent authentication", err, session.ErrStepUpRequired)
		_, err = h.Enrollments.Pending(h.Context(), h.getSession(token), "spoken", home)
		h.wantErr("Pending without recent authentication", err, session.ErrStepUpRequired)
		token = h.signIn()
		h.startNumber(token, "+491711234567")
		if err := h.Enrollments.Cancel(h.Context(), h.getSession(token), "spoken"); err != nil {
			h.Fatal(err)
		}
		_, err = h.Enrollments.Pending(h.Context(), h.getSession(token), "spoken", home)
		h.wantErr("after Cancel", err, enroll.ErrNoPendingFactor)
	})
}

// Changing factors or the address needs authentication within the last ten minutes. A step-up gives it, to
// this session alone, under a new token.
func TestStepUp(t *testing.T) {
	withAccount(t, func(h *fixture) {
		sessionToken := h.enrollNumber(h.signIn(), "+491711234567")
		h.advance(10*time.Minute + time.Millisecond)
		who := h.getSession(sessionToken)
		all, err := h.Enrollments.List(h.Context(), who)
		if err != nil {
			h.Fatal(err)
		}
		id := all[1].Factors[0].ID
		_, removed := h.Enrollments.Remove(h.Context(), who, id, home)
		for name, err := range map[string]error{
			"enroll": h.Enrollments.Start(h.Context(), who, "spoken", url.Values{"number": {"+491719999999"}}, home),
			"email":  h.Enrollments.StartEmailChange(h.Context(), who, "new@example.com", home),
			"remove": removed,
		} {
			h.wantErr(name, err, session.ErrStepUpRequired)
		}
		_, err = h.SignIns.StepUp(h.Context(), who, signin.StepUpRequest{Password: "wrong horse battery"}, home)
		h.wantErr("wrong password", err, account.ErrCredentials)
		token, err := h.SignIns.StepUp(h.Context(), who, signin.StepUpRequest{Password: annaPassword}, home)
		if err != nil {
			h.Fatal(err)
		}
		p, err := h.Pending(h.Context(), token, home)
		if err != nil || !p.StepUp {
			h.Errorf("pending %+v, %v", p, err)
		}
		if err := h.Choose(h.Context(), token, "spoken", home); err != nil {
			h.Fatal(err)
		}
		before := storetest.CountRows(t, h.url, "sessions")
		proven, err := h.verify(token, h.lastMail().Text)
		if err != nil {
			h.Fatal(err)
		}
		_, err = h.Sessions.Get(h.Context(), sessionToken)
		h.wantErr("the old token", err, session.ErrNoSession)
		if now := h.getSession(proven); now.ID != who.ID || !now.RecentlyAuthenticated(h.clock()) || storetest.CountRows(t, h.url, "sessions") != before {
			h.Errorf("session %+v, want the same one, authenticated now", now)
		}
		if _, err := h.Enrollments.Remove(h.Context(), h.getSession(proven), id, home); err != nil {
			h.Error(err)
		}
	})
}

// A step-up belongs to its session: after a sign-out it opens nothing.
func TestStepUpAfterSignOut(t *testing.T) {
	withAccount(t, func(h *fixture) {
		sessionToken := h.signIn()
		token, err := h.SignIns.StepUp(h.Context(), h.getSession(sessionToken), signin.StepUpRequest{Password: annaPassword}, home)
		if err != nil {
			h.Fatal(err)
		}
		code := h.code()
		if err := h.Sessions.SignOut(h.Context(), sessionToken, home); err != nil {
			h.Fatal(err)
		}
		_, err = h.verify(token, code)
		h.wantErr("after signing out", err, session.ErrNoSession)
	})
}

// A code for a new factor is not accepted in a sign-in, nor the other way round.
func TestCodesAreBoundToPurpose(t *testing.T) {
	withAccount(t, func(h *fixture) {
		sessionToken := h.signIn()
		code := h.startNumber(sessionToken, "+491711234567")
		token := h.enterPassword()
		_, err := h.verify(token, code)
		h.wantErr("the code for a new factor in a sign-in", err, factor.ErrIncorrect)
		_, err = h.confirm(sessionToken, "spoken", h.code())
		h.wantErr("the code of a sign-in for a new factor", err, factor.ErrIncorrect)
		_, err = h.confirm(sessionToken, "email", h.code())
		h.wantErr("the code of a sign-in for a new address", err, enroll.ErrNoPendingFactor)
	})
}

// A new address is set when it is confirmed, and the old one is notified. An address that belongs to
// another account gets no email and the same response.
func TestChangeEmail(t *testing.T) {
	withAccount(t, func(h *fixture) {
		h.addAccount("bob@example.com", "another horse battery")
		sessionToken := h.signIn()
		h.wantErr("invalid", h.startEmailChange(sessionToken, "nonsense"), account.ErrEmail)
		n := len(h.mails())
		if err := h.startEmailChange(sessionToken, "bob@example.com"); err != nil {
			h.Errorf("an address with an account: %v", err)
		}
		h.advance(time.Minute)
		if err := h.Enrollments.Resend(h.Context(), h.getSession(sessionToken), "email", home); err != nil {
			h.Errorf("a new code for it: %v", err)
		}
		d, err := h.Enrollments.Pending(h.Context(), h.getSession(sessionToken), "email", home)
		if err != nil || d.Challenge.Delivery.State != "sent" {
			h.Errorf("the delivery state reveals the account: %+v, %v", d.Challenge, err)
		}
		if len(h.mails()) != n {
			h.Error("an email to an address with an account")
		}
		if err := h.startEmailChange(sessionToken, "New@example.com"); err != nil {
			h.Fatal(err)
		}
		if m := h.lastMail(); m.To != "new@example.com" {
			h.Fatalf("the code went to %s", m.To)
		}
		h.advance(time.Second)
		sessionToken, err = h.confirm(sessionToken, "email", h.code())
		if err != nil {
			h.Fatal(err)
		}
		if got := h.getSession(sessionToken).Account.Email; got != "new@example.com" {
			h.Errorf("the address is %s", got)
		}
		notices := map[string]string{}
		for _, m := range h.mails()[n+1:] {
			notices[m.To] = m.Text
		}
		if len(notices) != 2 || strings.Contains(notices[annaEmail], "new@example.com") {
			h.Errorf("notices %v, want one to each address, and none with the new address to the old one", notices)
		}
		_, err = h.start(annaEmail, annaPassword, home)
		h.wantErr("the old address", err, account.ErrCredentials)
	})
}

// Text messages are limited per block of numbers and by a budget. The error says when the limit ends.
func TestTextLimits(t *testing.T) {
	withAccount(t, func(h *fixture) {
		sessionToken := h.signIn()
		start := func(i int) error {
			number := fmt.Sprintf("+49171%07d", i)
			return h.startEnrollment(sessionToken, "spoken", url.Values{"number": {number}})
		}
		var wait *ratelimit.LimitedError
		sent := 0
		for ; sent < 100 && wait == nil; sent++ {
			if err := start(7000000 + sent); err != nil && !errors.As(err, &wait) {
				h.Fatal(err)
			}
		}
		if sent-1 != 10 || wait == nil || !wait.RetryAt.Equal(h.clock().Truncate(time.Hour).Add(time.Hour)) {
			h.Errorf("%d texts to one block, then %v", sent-1, wait)
		}
		if err := start(8000000 + 10*1000); err != nil {
			h.Errorf("another block: %v", err)
		}
		h.Challenges.Texts = challenge.TextBudget{PricePerMessage: 60, PerDay: 100}
		if err := start(9000000); err != nil {
			h.Errorf("within the text budget: %v", err)
		}
		if err := start(9100000); !errors.As(err, &wait) {
			h.Errorf("beyond the text budget: %v", err)
		}
	})
}

// A request that has loaded a session before it ended can change nothing.
func TestEndedSessionChangesNothing(t *testing.T) {
	withAccount(t, func(h *fixture) {
		attacker, owner := h.signIn(), h.signIn()
		before := h.getSession(attacker)
		if err := h.Sessions.End(h.Context(), h.getSession(owner), before.ID, home); err != nil {
			h.Fatal(err)
		}
		_, err := h.SignIns.ChangePassword(h.Context(), before, annaPassword, "another horse battery", home)
		h.wantErr("a new password", err, session.ErrNoSession)
		_, err = h.Enrollments.Remove(h.Context(), before, "none", home)
		h.wantErr("removing an unknown factor", err, challenge.ErrUnknownMethod)
		if _, err := h.Sessions.Get(h.Context(), owner); err != nil {
			h.Errorf("the owner: %v", err)
		}
		_, err = h.start(annaEmail, annaPassword, home)
		if err != nil {
			h.Errorf("the old password: %v", err)
		}
	})
}

// Emails to a new address are limited, whether it belongs to an account or not.
func TestNewAddressMailLimit(t *testing.T) {
	withAccount(t, func(h *fixture) {
		h.addAccount("bob@example.com", "another horse battery")
		for _, to := range []string{"new@example.com", "bob@example.com"} {
			h.advance(24 * time.Hour)
			sessionToken := h.signIn()
			var wait *ratelimit.LimitedError
			n := 0
			for ; n < 50 && wait == nil; n++ {
				if err := h.startEmailChange(sessionToken, to); err != nil && !errors.As(err, &wait) {
					h.Fatal(err)
				}
			}
			if n-1 != 10 {
				h.Errorf("%s: %d mails, want 10", to, n-1)
			}
		}
	})
}

// The link in the notice of a change undoes it, once, and cancels the password.
func TestUndoEmailChange(t *testing.T) {
	withAccount(t, func(h *fixture) {
		sessionToken := h.signIn()
		if err := h.startEmailChange(sessionToken, "thief@example.com"); err != nil {
			h.Fatal(err)
		}
		sessionToken, err := h.confirm(sessionToken, "email", h.code())
		if err != nil {
			h.Fatal(err)
		}
		token := ""
		for _, m := range h.mails() {
			if _, rest, ok := strings.Cut(m.Text, "/undo#"); ok && m.To == annaEmail {
				token = strings.Fields(rest)[0]
			}
		}
		h.wantErr("a password reset with it", h.Accounts.ResetPassword(h.Context(), token, "a third horse battery", home), account.ErrLink)
		h.advance(6 * 24 * time.Hour)
		h.wantErr("undo without the password", h.undo(token, "a third horse battery"), account.ErrCredentials)
		h.wantErr("undo", h.undo(token, annaPassword), nil)
		h.wantErr("again", h.undo(token, annaPassword), account.ErrLink)
		h.advance(time.Second)
		_, err = h.Sessions.Get(h.Context(), sessionToken)
		h.wantErr("the attacker's session", err, session.ErrNoSession)
		_, err = h.start(annaEmail, annaPassword, home)
		h.wantErr("the password that the attacker knows", err, account.ErrCredentials)
		if err := h.Accounts.RequestPasswordReset(h.Context(), annaEmail, "", home); err != nil {
			h.Fatal(err)
		}
		if err := h.Accounts.ResetPassword(h.Context(), h.linkToken(), "another horse battery", home); err != nil {
			h.Errorf("a new password at the old address: %v", err)
		}
	})
}

// The same for a factor that somebody else added.
func TestUndoFactor(t *testing.T) {
	withAccount(t, func(h *fixture) {
		h.enrollNumber(h.signIn(), "+491711234567")
		h.advance(time.Second)
		h.wantErr("undo", h.undo(h.linkToken(), annaPassword), nil)
		if n := storetest.CountRows(t, h.url, "factors"); n != 0 {
			h.Errorf("%d factors left", n)
		}
	})
}
