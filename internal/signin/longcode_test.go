package signin_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/odds"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/store"
)

// otherNetwork returns an origin in a network of its own for each n.
func otherNetwork(n int) origin.Origin {
	return origin.Origin{Address: netip.AddrFrom4([4]byte{198, byte(51 + n/250), byte(1 + n%250), 7}), Language: "en"}
}

// guessUntilExhausted guesses codes of a method in sign-ins from different networks until a long code is
// needed, and returns how many guesses were compared.
func (h *fixture) guessUntilExhausted(method string) (compared int) {
	h.Helper()
	for n := range 40 {
		from := otherNetwork(n)
		entry, err := h.start(annaEmail, annaPassword, from)
		if err != nil {
			h.Fatal(err)
		}
		p, err := h.Pending(h.Context(), entry.Attempt, from)
		if err == nil && p.Challenge == nil {
			err = h.Choose(h.Context(), entry.Attempt, method, from)
		}
		if err != nil && !errors.Is(err, ratelimit.ErrLimited) {
			h.Fatal(err)
		}
		for range challenge.MaxGuesses {
			h.advance(15 * time.Second)
			_, err := h.Verify(h.Context(), entry.Attempt, url.Values{"code": {"000000"}}, from)
			switch {
			case errors.Is(err, factor.ErrIncorrect):
				compared++
			case errors.Is(err, challenge.ErrLongCodeNeeded), errors.Is(err, factor.ErrMalformed): // a long code is needed
				return compared
			case err != nil && !errors.Is(err, ratelimit.ErrLimited) && !errors.Is(err, challenge.ErrNoAttempt):
				h.Fatalf("guess %d: %v", compared, err)
			}
		}
		h.advance(3 * time.Hour)
	}
	h.Fatal("the budget is never exhausted")
	return 0
}

// annaBudget returns the name of Anna's guess budget.
func (h *fixture) annaBudget() string {
	h.Helper()
	a, err := h.Store.FindAccountByEmail(h.Context(), annaEmail)
	if err != nil {
		h.Fatal(err)
	}
	return a.ID
}

// addEntry adds an entry of an unknown device to a budget.
func (h *fixture) addEntry(budget, kind string, cost odds.Chance) {
	h.Helper()
	d := store.BudgetEntry{ID: rand.Text(), Budget: budget, Kind: kind, ChallengeID: "of an unknown device", Network: "elsewhere", CreatedAt: h.clock(), Cost: int64(cost)}
	err := h.Store.Tx(h.Context(), func(tx *store.DB) error {
		if _, err := tx.LockGuessBudget(h.Context(), budget); err != nil {
			return err
		}
		return tx.CreateBudgetEntry(h.Context(), d)
	})
	if err != nil {
		h.Fatal(err)
	}
}

// countMails counts the emails with this text in their subject.
func (h *fixture) countMails(what string) (n int) {
	h.Helper()
	for _, m := range h.mails() {
		if strings.Contains(m.Subject, what) {
			n++
		}
	}
	return n
}

const (
	guessingSubject  = "is entering wrong codes"
	exhaustedSubject = "is guessing codes"
)

var longCode = regexp.MustCompile(`\b[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}\b`)

// Twenty guesses at emailed codes are compared per year, from any number of networks. After that the code
// is longer, nobody is locked out, and the owner is notified once.
func TestEmailBudgetExhausted(t *testing.T) {
	withAccount(t, func(h *fixture) {
		if got := h.guessUntilExhausted("email"); got != 20 {
			h.Errorf("%d guesses were compared, want 20", got)
		}
		var exhausted, guessed int
		for _, m := range h.mails() {
			if strings.Contains(m.Subject, "choose a new password") {
				exhausted++
				if !strings.Contains(m.Text, "https://signin.example.com/forgot") {
					h.Errorf("the email has no link to reset the password:\n%s", m.Text)
				}
			}
			if strings.Contains(m.Subject, "is entering wrong codes") {
				guessed++
			}
		}
		if exhausted != 1 || guessed == 0 {
			h.Errorf("%d notices that the budget is exhausted, want 1, and %d of guessing", exhausted, guessed)
		}
		h.advance(24 * time.Hour)
		token := h.enterPassword()
		mail := h.mails()[len(h.mails())-1]
		code := longCode.FindString(mail.Text)
		if code == "" || !strings.Contains(mail.Text, "https://signin.example.com/signin/verify#"+strings.ReplaceAll(code, "-", "")) {
			h.Fatalf("no long code, or no link, in\n%s", mail.Text)
		}
		if p, err := h.Pending(h.Context(), token, home); err != nil || !p.Challenge.LongCode {
			h.Errorf("the state does not say that a long code is needed: %v", err)
		}
		_, err := h.verify(token, "123456")
		h.wantErr("six digits", err, factor.ErrMalformed)
		_, err = h.verify(token, "0000000000000")
		h.wantErr("a wrong long code", err, factor.ErrIncorrect)
		if _, err := h.verify(token, strings.ToLower(code)); err != nil {
			h.Errorf("the long code: %v", err)
		}
	})
}

// Ten guesses at app codes are compared. After that two consecutive codes are needed, in order.
func TestAppBudgetExhausted(t *testing.T) {
	withAccount(t, func(h *fixture) {
		app, _ := h.enrollApp(h.signIn())
		if got := h.guessUntilExhausted("totp"); got != 10 {
			h.Errorf("%d guesses were compared, want 10", got)
		}
		h.advance(24 * time.Hour)
		token := h.chooseMethod("totp")
		first := app.code(h.clock())
		h.advance(30 * time.Second)
		second := app.code(h.clock())
		_, err := h.verify(token, second)
		h.wantErr("one code", err, factor.ErrMalformed)
		_, err = h.verify(token, second+first)
		h.wantErr("two codes in the wrong order", err, factor.ErrIncorrect)
		if _, err := h.verify(token, first+" "+second); err != nil {
			h.Errorf("two codes in a row: %v", err)
		}
		again := h.chooseMethod("totp")
		_, err = h.verify(again, first+second)
		h.wantErr("the same pair again", err, factor.ErrIncorrect)
	})
}

// A known device keeps using short codes, and unknown devices cannot use up its guesses.
func TestKnownDeviceIsNotAffected(t *testing.T) {
	withAccount(t, func(h *fixture) {
		b := h.newBrowser().signIn(false)
		h.guessUntilExhausted("email")
		h.advance(24 * time.Hour)
		entry, err := h.start(annaEmail, annaPassword, b.from)
		if err != nil {
			h.Fatal(err)
		}
		code := h.code()
		if len(code) != 6 {
			h.Fatalf("the known device got %q", code)
		}
		if _, err := h.Verify(h.Context(), entry.Attempt, url.Values{"code": {code}}, b.from); err != nil {
			h.Errorf("the known device: %v", err)
		}
	})
}

// Passing a sign-in refunds the guesses of that sign-in and no others.
func TestOnlyOwnGuessesAreRefunded(t *testing.T) {
	withAccount(t, func(h *fixture) {
		for range 30 { // an owner who mistypes, each time in a new browser
			token := h.enterPassword()
			code := h.code()
			for range 3 {
				h.advance(15 * time.Second)
				_, err := h.verify(token, wrong(code))
				h.wantErr("a typo", err, factor.ErrIncorrect)
			}
			h.advance(15 * time.Second)
			if _, err := h.verify(token, code); err != nil {
				h.Fatal(err)
			}
			h.advance(time.Hour)
		}
		if got := h.guessUntilExhausted("email"); got != 20 {
			h.Errorf("%d guesses were compared after 90 refunded typos, want 20", got)
		}
	})
}

// A password change after both steps renews the budget, four times in a year.
func TestPasswordChangeRenewsBudget(t *testing.T) {
	withAccount(t, func(h *fixture) {
		password := annaPassword
		for n := range odds.MaxRenewalsPerYear + 2 {
			got, want := h.guessUntilExhausted("email"), 20
			if n > odds.MaxRenewalsPerYear {
				want = 0
			}
			if got != want {
				h.Errorf("%d guesses after %d new passwords, want %d", got, n, want)
			}
			h.advance(24 * time.Hour)
			token := h.enterPassword()
			text := h.mails()[len(h.mails())-1].Text
			entry, err := h.verify(token, longCode.FindString(text))
			if err != nil {
				h.Fatal(err)
			}
			next := fmt.Sprintf("another horse battery %d", n)
			sessionToken, err := h.SignIns.ChangePassword(h.Context(), h.getSession(entry), password, next, home)
			if err != nil {
				h.Fatal(err)
			}
			if _, err := h.SignIns.ChangePassword(h.Context(), h.getSession(sessionToken), next, annaPassword, home); err != nil {
				h.Fatal(err) // the attacker has the password again
			}
		}
	})
}

// After a year, to the millisecond, a guess no longer counts.
func TestBudgetWindowRolls(t *testing.T) {
	withAccount(t, func(h *fixture) {
		if got := h.guessUntilExhausted("email"); got != 20 {
			h.Fatalf("%d guesses", got)
		}
		h.advance(odds.Year)
		if got := h.guessUntilExhausted("email"); got != 20 {
			h.Errorf("%d guesses a year later, want 20", got)
		}
	})
}

// Guesses that arrive at the same time are never more than the budget allows.
func TestParallelGuessesStayInBudget(t *testing.T) {
	withAccount(t, func(h *fixture) {
		var compared atomic.Int64
		type attempt struct {
			token string
			from  origin.Origin
		}
		attempts := make(chan attempt, 100)
		for n := range 100 { // each has five guesses, two of them without a delay
			from := otherNetwork(n)
			entry, err := h.start(annaEmail, annaPassword, from)
			if err != nil {
				h.Fatal(err)
			}
			if err := h.Choose(h.Context(), entry.Attempt, "email", from); err != nil && !errors.Is(err, ratelimit.ErrLimited) {
				h.Fatal(err)
			}
			attempts <- attempt{entry.Attempt, from}
		}
		atOnce(100, func() {
			v := <-attempts
			for range 5 {
				if _, err := h.Verify(h.Context(), v.token, url.Values{"code": {"000000"}}, v.from); errors.Is(err, factor.ErrIncorrect) {
					compared.Add(1)
				}
			}
		})
		if compared.Load() != 20 {
			h.Errorf("%d compared, want 20", compared.Load())
		}
	})
}

// With three live codes one guess costs more than is left. The right code is then refused once: the
// challenge is reissued with a long code, which later resends keep, and the right long code is accepted.
// The owner gets no notice, since the budget is not used up.
func TestResentCodeIsLong(t *testing.T) {
	withAccount(t, func(h *fixture) {
		h.addEntry(h.annaBudget(), store.EntryGuess, 18_000)
		token := h.enterPassword()
		resend := func() {
			h.advance(2 * time.Minute)
			if err := h.Resend(h.Context(), token, home); err != nil {
				h.Fatal(err)
			}
		}
		resend()
		resend()
		_, err := h.verify(token, h.code())
		h.wantErr("the right one of three codes", err, challenge.ErrLongCodeNeeded)
		if p, err := h.Pending(h.Context(), token, home); err != nil || !p.Challenge.LongCode {
			h.Fatalf("no long code is needed: %v", err)
		}
		long := longCode.FindString(h.lastMail().Text)
		resend()
		if again := longCode.FindString(h.lastMail().Text); again == "" || again == long {
			h.Errorf("the code after %s: %q", long, again)
		}
		if _, err := h.verify(token, long); err != nil {
			h.Errorf("the long code: %v", err)
		}
		if n := h.countMails(exhaustedSubject); n != 0 {
			h.Errorf("%d notices that the budget is exhausted", n)
		}
	})
}

// The same for a number that is being confirmed.
func TestResentCodeForNewNumberIsLong(t *testing.T) {
	withAccount(t, func(h *fixture) {
		const number = "+491711234567"
		sessionToken := h.signIn()
		h.startNumber(sessionToken, number)
		h.addEntry(h.Budgets.DestinationBudget(number), store.EntryGuess, 18_000)
		for range 2 {
			h.advance(2 * time.Minute)
			if err := h.Enrollments.Resend(h.Context(), h.getSession(sessionToken), "spoken", home); err != nil {
				h.Fatal(err)
			}
		}
		_, err := h.confirm(sessionToken, "spoken", h.lastMail().Text)
		h.wantErr("the right one of three codes", err, challenge.ErrLongCodeNeeded)
		if _, err := h.confirm(sessionToken, "spoken", h.lastMail().Text); err != nil {
			h.Errorf("the long code: %v", err)
		}
	})
}

// guess makes one wrong guess in a new sign-in from an origin.
func (h *fixture) guess(from origin.Origin) {
	h.Helper()
	h.advance(time.Second)
	entry, err := h.start(annaEmail, annaPassword, from)
	if err != nil {
		h.Fatal(err)
	}
	_, err = h.Verify(h.Context(), entry.Attempt, url.Values{"code": {"000000"}}, from)
	h.wantErr("a guess", err, factor.ErrIncorrect)
}

// Guesses that are more than a day apart are notified too, from the second sign-in on.
func TestSlowGuessingIsNotified(t *testing.T) {
	withAccount(t, func(h *fixture) {
		for n := range 2 {
			h.guess(otherNetwork(n))
			if got := h.countMails(guessingSubject); got != n {
				h.Errorf("%d notices of %d sign-ins", got, n+1)
			}
			h.advance(25 * time.Hour)
		}
	})
}

// A notice that was sent while the clock was ahead does not suppress later notices.
func TestNotifiedAfterClockWasSetBack(t *testing.T) {
	withAccount(t, func(h *fixture) {
		for n, d := range []time.Duration{100 * 24 * time.Hour, -100 * 24 * time.Hour} {
			h.advance(d)
			h.guess(otherNetwork(2 * n))
			h.guess(otherNetwork(2*n + 1))
			if got := h.countMails(guessingSubject); got != n+1 {
				h.Errorf("%d notices, want %d", got, n+1)
			}
		}
	})
}

// A renewal in the future (the clock was set back) does not cause a notice for each guess.
func TestExhaustedNotifiedOnceBeforeRenewal(t *testing.T) {
	withAccount(t, func(h *fixture) {
		var tokens []string
		for n := range 3 {
			entry, err := h.start(annaEmail, annaPassword, otherNetwork(n))
			if err != nil {
				h.Fatal(err)
			}
			tokens = append(tokens, entry.Attempt)
		}
		h.addEntry(h.annaBudget(), store.EntryGuess, odds.AccountBudgetPerYear)
		if err := h.Store.RenewGuessBudget(h.Context(), h.annaBudget(), h.clock().Add(24*time.Hour)); err != nil {
			h.Fatal(err)
		}
		for n, token := range tokens {
			h.advance(time.Second)
			_, err := h.Verify(h.Context(), token, url.Values{"code": {"000000"}}, otherNetwork(n))
			h.wantErr("a guess that comes too late", err, challenge.ErrLongCodeNeeded)
		}
		if n := h.countMails(exhaustedSubject); n != 1 {
			h.Errorf("%d notices that the budget is exhausted, want 1", n)
		}
	})
}

// A notice that was caused by the owner's own mistakes, which were refunded, does not suppress the next
// notice.
func TestExhaustedNotifiedAgainAfterRefund(t *testing.T) {
	withAccount(t, func(h *fixture) {
		h.addEntry(h.annaBudget(), store.EntryGuess, 16_000)
		token := h.enterPassword()
		code := h.code()
		for range 4 {
			h.advance(15 * time.Second)
			_, err := h.verify(token, wrong(code))
			h.wantErr("a typo", err, factor.ErrIncorrect)
		}
		if n := h.countMails(exhaustedSubject); n != 1 {
			h.Errorf("%d notices that the budget is exhausted, want 1", n)
		}
		h.advance(15 * time.Second)
		_, err := h.verify(token, code)
		h.wantErr("the right code", err, challenge.ErrLongCodeNeeded)
		if _, err := h.verify(token, longCode.FindString(h.lastMail().Text)); err != nil {
			h.Fatal(err)
		}
		if got := h.guessUntilExhausted("email"); got != 4 {
			h.Errorf("%d guesses are left after the refund, want 4", got)
		}
		if n := h.countMails(exhaustedSubject); n != 2 {
			h.Errorf("%d notices that the budget is exhausted, want 2", n)
		}
	})
}
