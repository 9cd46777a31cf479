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

func (h *fixture) who(sessionToken string) session.Session {
	h.Helper()
	who, err := h.Sessions.Get(h.Context(), sessionToken)
	if err != nil {
		h.Fatal(err)
	}
	return who
}

// draft begins to enroll a number and returns the code that was said to it.
func (h *fixture) draft(sessionToken, number string) (code string) {
	h.Helper()
	h.arrived()
	if err := h.Enrollments.Start(h.Context(), h.who(sessionToken), "spoken", url.Values{"number": {number}}, home); err != nil {
		h.Fatal(err)
	}
	m := h.last()
	if m.To != number {
		h.Fatalf("the code went to %s", m.To)
	}
	return m.Text
}

func (h *fixture) confirm(sessionToken, method, code string) (string, error) {
	h.Helper()
	return h.Enrollments.Confirm(h.Context(), h.who(sessionToken), method, url.Values{"code": {code}}, home)
}

// enroll enrolls a number and returns the session in which the person goes on.
func (h *fixture) enroll(sessionToken, number string) string {
	h.Helper()
	sessionToken, err := h.confirm(sessionToken, "spoken", h.draft(sessionToken, number))
	if err != nil {
		h.Fatal(err)
	}
	return sessionToken
}

// numbers are the enrolled ones.
func (h *fixture) numbers(sessionToken string) string {
	h.Helper()
	all, err := h.Enrollments.List(h.Context(), h.who(sessionToken))
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

// A factor counts once it is proven; every other session ends, this one goes on, and
// the owner is told.
func TestEnroll(t *testing.T) {
	withAnna(t, func(h *fixture) {
		other, mine := h.in(), h.in()
		pending := h.begin()
		code := h.draft(mine, "+491711234567")
		if got := h.numbers(mine); got != "" {
			h.Errorf("enrolled before the proof: %q", got)
		}
		_, err := h.confirm(mine, "spoken", wrong(code))
		h.refused("a wrong code", err, factor.ErrIncorrect)
		fresh, err := h.confirm(mine, "spoken", code)
		if err != nil {
			h.Fatal(err)
		}
		for name, old := range map[string]string{"the old token": mine, "another browser": other} {
			_, err := h.Sessions.Get(h.Context(), old)
			h.refused(name, err, session.ErrNoSession)
		}
		_, err = h.Pending(h.Context(), pending, home)
		h.refused("somebody on the way in", err, challenge.ErrNoAttempt)
		if got := h.numbers(fresh); got != "+491711234567" {
			h.Errorf("enrolled: %q", got)
		}
		if m := h.last(); m.To != annaEmail || !strings.Contains(m.Subject, "Phone call") {
			h.Errorf("the owner is not told: %s: %s", m.To, m.Subject)
		}
		_, err = h.confirm(fresh, "spoken", code)
		h.refused("the same again", err, enroll.ErrNoPendingFactor)
		token := h.begin()
		if err := h.Choose(h.Context(), token, "spoken", home); err != nil {
			h.Fatal(err)
		}
		sessionToken, err := h.verify(token, h.last().Text)
		if err != nil || strings.Join(h.who(sessionToken).AMR, " ") != "pwd otp tel" {
			h.Errorf("signing in with it: %v", err)
		}
	})
}

// The old number works until the new one is proven, and is told when it goes.
func TestReplace(t *testing.T) {
	withAnna(t, func(h *fixture) {
		sessionToken := h.enroll(h.in(), "+491711234567")
		code := h.draft(sessionToken, "+491719999999")
		if got := h.numbers(sessionToken); got != "+491711234567" {
			h.Errorf("before the proof: %q", got)
		}
		h.turn(time.Second)
		sessionToken, err := h.confirm(sessionToken, "spoken", code)
		if err != nil {
			h.Fatal(err)
		}
		if got := h.numbers(sessionToken); got != "+491719999999" {
			h.Errorf("after the proof: %q", got)
		}
		told := false
		for _, m := range h.arrived() {
			told = told || m.To == "+491711234567" && m.Text == "goodbye"
		}
		if !told {
			h.Error("the old number is not told")
		}
	})
}

// Two drafts of one number end with one number, whoever is faster.
func TestOneNumber(t *testing.T) {
	withAnna(t, func(h *fixture) {
		first, second := h.in(), h.in()
		codes := map[string]string{first: h.draft(first, "+491711111111"), second: h.draft(second, "+491722222222")}
		var won atomic.Int64
		var last atomic.Value
		sessions := make(chan string, 2)
		sessions <- first
		sessions <- second
		atOnce(2, func() {
			s := <-sessions
			who, err := h.Sessions.Get(h.Context(), s)
			if err != nil {
				return // the other one has ended it already
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

// What is refused keeps nothing, and what is drawn up waits no longer than it says.
func TestDraftEnds(t *testing.T) {
	withAnna(t, func(h *fixture) {
		token := h.in()
		var no *factor.UserError
		err := h.Enrollments.Start(h.Context(), h.who(token), "spoken", url.Values{"number": {"nonsense"}}, home)
		if !errors.As(err, &no) || no.Field != "number" {
			h.Errorf("nonsense: %v", err)
		}
		for _, method := range []string{"", "email", "EMAIL", "none", "spoken\x00"} {
			h.refused(method, h.Enrollments.Start(h.Context(), h.who(token), method, url.Values{}, home), challenge.ErrUnknownMethod)
			_, err := h.Enrollments.Pending(h.Context(), h.who(token), method, home)
			h.refused("draft of "+method, err, enroll.ErrNoPendingFactor)
		}
		code := h.draft(token, "+491711234567")
		d, err := h.Enrollments.Pending(h.Context(), h.who(token), "spoken", home)
		if err != nil || d.Destination != "+491711234567" || d.Challenge == nil {
			h.Errorf("draft %+v, %v", d, err)
		}
		other := h.in()
		_, err = h.confirm(other, "spoken", code)
		h.refused("from another token", err, enroll.ErrNoPendingFactor)
		h.turn(10*time.Minute + time.Second)
		_, err = h.confirm(token, "spoken", code)
		h.refused("when the proof of its person is old", err, session.ErrStepUpRequired)
		_, err = h.Enrollments.Pending(h.Context(), h.who(token), "spoken", home)
		h.refused("looking at it then", err, session.ErrStepUpRequired)
		token = h.in()
		h.draft(token, "+491711234567")
		if err := h.Enrollments.Cancel(h.Context(), h.who(token), "spoken"); err != nil {
			h.Fatal(err)
		}
		_, err = h.Enrollments.Pending(h.Context(), h.who(token), "spoken", home)
		h.refused("dropped", err, enroll.ErrNoPendingFactor)
	})
}

// Everything that changes what proves the person needs a full proof of the last ten
// minutes; a step-up gives one, to this session alone, under a new token.
func TestStepUp(t *testing.T) {
	withAnna(t, func(h *fixture) {
		sessionToken := h.enroll(h.in(), "+491711234567")
		h.turn(10*time.Minute + time.Millisecond)
		who := h.who(sessionToken)
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
			h.refused(name, err, session.ErrStepUpRequired)
		}
		_, err = h.SignIns.StepUp(h.Context(), who, signin.StepUpRequest{Password: "wrong horse battery"}, home)
		h.refused("wrong password", err, account.ErrCredentials)
		token, err := h.SignIns.StepUp(h.Context(), who, signin.StepUpRequest{Password: annaWord, ReturnTo: "/settings/2step/app"}, home)
		if err != nil {
			h.Fatal(err)
		}
		p, err := h.Pending(h.Context(), token, home)
		if err != nil || !p.StepUp || p.ReturnTo != "/settings/2step/app" {
			h.Errorf("pending %+v, %v", p, err)
		}
		if err := h.Choose(h.Context(), token, "spoken", home); err != nil {
			h.Fatal(err)
		}
		before := storetest.CountRows(t, h.url, "sessions")
		proven, err := h.verify(token, h.last().Text)
		if err != nil {
			h.Fatal(err)
		}
		_, err = h.Sessions.Get(h.Context(), sessionToken)
		h.refused("the old token", err, session.ErrNoSession)
		if now := h.who(proven); now.ID != who.ID || !now.RecentlyAuthenticated(h.clock()) || storetest.CountRows(t, h.url, "sessions") != before {
			h.Errorf("session %+v, want the same one, proven now", now)
		}
		if _, err := h.Enrollments.Remove(h.Context(), h.who(proven), id, home); err != nil {
			h.Error(err)
		}
	})
}

// A step-up belongs to its session: once that is over, it opens nothing.
func TestStepUpOfNobody(t *testing.T) {
	withAnna(t, func(h *fixture) {
		sessionToken := h.in()
		token, err := h.SignIns.StepUp(h.Context(), h.who(sessionToken), signin.StepUpRequest{Password: annaWord}, home)
		if err != nil {
			h.Fatal(err)
		}
		code := h.code()
		if err := h.Sessions.SignOut(h.Context(), sessionToken, home); err != nil {
			h.Fatal(err)
		}
		_, err = h.verify(token, code)
		h.refused("after signing out", err, session.ErrNoSession)
	})
}

// The draft of a factor is no sign-in, and a sign-in is no draft.
func TestPurposes(t *testing.T) {
	withAnna(t, func(h *fixture) {
		sessionToken := h.in()
		code := h.draft(sessionToken, "+491711234567")
		token := h.begin()
		_, err := h.verify(token, code)
		h.refused("the code of a draft for a sign-in", err, factor.ErrIncorrect)
		_, err = h.confirm(sessionToken, "spoken", h.code())
		h.refused("the code of a sign-in for a draft", err, factor.ErrIncorrect)
		_, err = h.confirm(sessionToken, "email", h.code())
		h.refused("the code of a sign-in for an address", err, enroll.ErrNoPendingFactor)
	})
}

// A new address is proven before it counts; the old one is told; an address that has
// an account gets no mail and looks the same.
func TestChangeEmail(t *testing.T) {
	withAnna(t, func(h *fixture) {
		h.add("bob@example.com", "another horse battery")
		sessionToken := h.in()
		h.refused("nonsense", h.Enrollments.StartEmailChange(h.Context(), h.who(sessionToken), "nonsense", home), account.ErrEmail)
		n := len(h.arrived())
		if err := h.Enrollments.StartEmailChange(h.Context(), h.who(sessionToken), "bob@example.com", home); err != nil {
			h.Errorf("an address with an account: %v", err)
		}
		h.turn(time.Minute)
		if err := h.Enrollments.Resend(h.Context(), h.who(sessionToken), "email", home); err != nil {
			h.Errorf("a new code for it: %v", err)
		}
		d, err := h.Enrollments.Pending(h.Context(), h.who(sessionToken), "email", home)
		if err != nil || d.Challenge.Delivery.State != "sent" {
			h.Errorf("it looks unlike others: %+v, %v", d.Challenge, err)
		}
		if len(h.arrived()) != n {
			h.Error("a mail to somebody who has an account")
		}
		if err := h.Enrollments.StartEmailChange(h.Context(), h.who(sessionToken), "New@example.com", home); err != nil {
			h.Fatal(err)
		}
		if m := h.last(); m.To != "new@example.com" {
			h.Fatalf("the code went to %s", m.To)
		}
		h.turn(time.Second)
		sessionToken, err = h.confirm(sessionToken, "email", h.code())
		if err != nil {
			h.Fatal(err)
		}
		if got := h.who(sessionToken).Account.Email; got != "new@example.com" {
			h.Errorf("the address is %s", got)
		}
		told := map[string]string{}
		for _, m := range h.arrived()[n+1:] {
			told[m.To] = m.Text
		}
		if len(told) != 2 || strings.Contains(told[annaEmail], "new@example.com") {
			h.Errorf("told %v, want both, and the old one without the new address", told)
		}
		_, err = h.SignIns.Start(h.Context(), signin.Credentials{Email: annaEmail, Password: annaWord}, home)
		h.refused("the old address", err, account.ErrCredentials)
	})
}

// Text messages have rations for a number, its block, the account and the network, and
// a cap of money; each says when it opens again.
func TestRations(t *testing.T) {
	withAnna(t, func(h *fixture) {
		sessionToken := h.in()
		try := func(i int) error {
			number := fmt.Sprintf("+49171%07d", i)
			return h.Enrollments.Start(h.Context(), h.who(sessionToken), "spoken", url.Values{"number": {number}}, home)
		}
		var wait *ratelimit.LimitedError
		sent := 0
		for ; sent < 100 && wait == nil; sent++ {
			if err := try(7000000 + sent); err != nil && !errors.As(err, &wait) {
				h.Fatal(err)
			}
		}
		if sent-1 != 10 || wait == nil || !wait.RetryAt.Equal(h.clock().Truncate(time.Hour).Add(time.Hour)) {
			h.Errorf("%d texts to one block, then %v", sent-1, wait)
		}
		if err := try(8000000 + 10*1000); err != nil {
			h.Errorf("another block: %v", err)
		}
		h.Challenges.Texts = challenge.TextBudget{PricePerMessage: 60, PerDay: 100}
		if err := try(9000000); err != nil {
			h.Errorf("within the cap: %v", err)
		}
		if err := try(9100000); !errors.As(err, &wait) {
			h.Errorf("beyond the cap: %v", err)
		}
	})
}

// A session that was ended stays ended, whatever a request that began before does.
func TestEndedStaysEnded(t *testing.T) {
	withAnna(t, func(h *fixture) {
		thief, owner := h.in(), h.in()
		before := h.who(thief)
		if err := h.Sessions.End(h.Context(), h.who(owner), before.ID, home); err != nil {
			h.Fatal(err)
		}
		_, err := h.SignIns.ChangePassword(h.Context(), before, annaWord, "another horse battery", home)
		h.refused("a new password", err, session.ErrNoSession)
		_, err = h.Enrollments.Remove(h.Context(), before, "none", home)
		h.refused("removing what is not there", err, challenge.ErrUnknownMethod)
		if _, err := h.Sessions.Get(h.Context(), owner); err != nil {
			h.Errorf("the owner: %v", err)
		}
		_, err = h.SignIns.Start(h.Context(), signin.Credentials{Email: annaEmail, Password: annaWord}, home)
		if err != nil {
			h.Errorf("the password as it was: %v", err)
		}
	})
}

// A new address cannot be flooded or found by guessing, known or not.
func TestNewAddressRation(t *testing.T) {
	withAnna(t, func(h *fixture) {
		h.add("bob@example.com", "another horse battery")
		for _, to := range []string{"new@example.com", "bob@example.com"} {
			h.turn(24 * time.Hour)
			sessionToken := h.in()
			var wait *ratelimit.LimitedError
			n := 0
			for ; n < 50 && wait == nil; n++ {
				if err := h.Enrollments.StartEmailChange(h.Context(), h.who(sessionToken), to, home); err != nil && !errors.As(err, &wait) {
					h.Fatal(err)
				}
			}
			if n-1 != 10 {
				h.Errorf("%s: %d mails, want 10", to, n-1)
			}
		}
	})
}

// The link in the notice of a change takes it back, once, and makes void what the one
// who made it knows.
func TestUndo(t *testing.T) {
	withAnna(t, func(h *fixture) {
		sessionToken := h.in()
		if err := h.Enrollments.StartEmailChange(h.Context(), h.who(sessionToken), "thief@example.com", home); err != nil {
			h.Fatal(err)
		}
		sessionToken, err := h.confirm(sessionToken, "email", h.code())
		if err != nil {
			h.Fatal(err)
		}
		token := ""
		for _, m := range h.arrived() {
			if _, rest, ok := strings.Cut(m.Text, "/undo#"); ok && m.To == annaEmail {
				token = strings.Fields(rest)[0]
			}
		}
		h.refused("a reset by it", h.Accounts.ResetPassword(h.Context(), token, "a third horse battery", home), account.ErrLink)
		h.turn(6 * 24 * time.Hour)
		if err := h.Accounts.UndoChange(h.Context(), token, home); err != nil {
			h.Fatal(err)
		}
		h.refused("again", h.Accounts.UndoChange(h.Context(), token, home), account.ErrLink)
		_, err = h.Sessions.Get(h.Context(), sessionToken)
		h.refused("the thief's session", err, session.ErrNoSession)
		_, err = h.SignIns.Start(h.Context(), signin.Credentials{Email: annaEmail, Password: annaWord}, home)
		h.refused("the password that the thief knows", err, account.ErrCredentials)
		if err := h.Accounts.RequestPasswordReset(h.Context(), annaEmail, home); err != nil {
			h.Fatal(err)
		}
		if err := h.Accounts.ResetPassword(h.Context(), h.linkToken(), "another horse battery", home); err != nil {
			h.Errorf("a new password at the old address: %v", err)
		}
	})
}

// The same for a factor that somebody else added.
func TestUndoFactor(t *testing.T) {
	withAnna(t, func(h *fixture) {
		h.enroll(h.in(), "+491711234567")
		_, rest, _ := strings.Cut(h.last().Text, "/undo#")
		h.turn(time.Second)
		if err := h.Accounts.UndoChange(h.Context(), strings.Fields(rest)[0], home); err != nil {
			h.Fatal(err)
		}
		if n := storetest.CountRows(t, h.url, "factors"); n != 0 {
			h.Errorf("%d factors left", n)
		}
	})
}
