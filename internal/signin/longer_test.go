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
	"twostep.example/twostep/internal/signin"
	"twostep.example/twostep/internal/store"
)

// away is a stranger's network of its own for each n.
func away(n int) origin.Origin {
	return origin.Origin{Address: netip.AddrFrom4([4]byte{198, 51, byte(100 + n/250), byte(1 + n%250)}), Language: "en"}
}

// stranger guesses at Anna's account by a method until there is nothing left, each sign-in
// from another network, and returns how many guesses were compared.
func (h *fixture) stranger(method string) (compared int) {
	h.Helper()
	for n := range 40 {
		from := away(n)
		entry, err := h.SignIns.Start(h.Context(), signin.Credentials{Email: annaEmail, Password: annaWord}, from)
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
			h.turn(15 * time.Second)
			_, err := h.Verify(h.Context(), entry.Attempt, url.Values{"code": {"000000"}}, from)
			switch {
			case errors.Is(err, factor.ErrIncorrect):
				compared++
			case errors.Is(err, challenge.ErrLongCodeNeeded), errors.Is(err, factor.ErrMalformed): // it is hard already
				return compared
			case err != nil && !errors.Is(err, ratelimit.ErrLimited) && !errors.Is(err, challenge.ErrNoAttempt):
				h.Fatalf("guess %d: %v", compared, err)
			}
		}
		h.turn(3 * time.Hour)
	}
	h.Fatal("there is no end to it")
	return 0
}

// anna is the name of Anna's ledger.
func (h *fixture) anna() string {
	h.Helper()
	a, err := h.Store.FindAccountByEmail(h.Context(), annaEmail)
	if err != nil {
		h.Fatal(err)
	}
	return a.ID
}

// debited writes down what strangers have done just now.
func (h *fixture) debited(ledger, kind string, cost odds.Chance) {
	h.Helper()
	d := store.BudgetEntry{ID: rand.Text(), Budget: ledger, Kind: kind, ChallengeID: "of a stranger", Network: "elsewhere", CreatedAt: h.clock(), Cost: int64(cost)}
	err := h.Store.Tx(h.Context(), func(tx *store.DB) error {
		if _, err := tx.LockGuessBudget(h.Context(), ledger); err != nil {
			return err
		}
		return tx.CreateBudgetEntry(h.Context(), d)
	})
	if err != nil {
		h.Fatal(err)
	}
}

// told counts the mails that have arrived with this in their subject.
func (h *fixture) told(what string) (n int) {
	h.Helper()
	for _, m := range h.arrived() {
		if strings.Contains(m.Subject, what) {
			n++
		}
	}
	return n
}

const (
	guessing = "is entering wrong codes"
	usedUp   = "is guessing codes"
)

var longCode = regexp.MustCompile(`\b[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}\b`)

// Twenty guesses by mail in a year, from however many networks; then nobody is refused: the
// code is longer, and the owner was told, once.
func TestUsedUpByMail(t *testing.T) {
	withAnna(t, func(h *fixture) {
		if got := h.stranger("email"); got != 20 {
			h.Errorf("%d guesses were compared, want 20", got)
		}
		var told, longer int
		for _, m := range h.arrived() {
			if strings.Contains(m.Subject, "choose a new password") {
				told++
				if !strings.Contains(m.Text, "https://signin.example.com/forgot") {
					h.Errorf("the mail leads nowhere:\n%s", m.Text)
				}
			}
			if strings.Contains(m.Subject, "is entering wrong codes") {
				longer++
			}
		}
		if told != 1 || longer == 0 {
			h.Errorf("told %d times that it is used up, want 1, and %d times that somebody guesses", told, longer)
		}
		h.turn(24 * time.Hour)
		token := h.begin()
		mail := h.arrived()[len(h.arrived())-1]
		code := longCode.FindString(mail.Text)
		if code == "" || !strings.Contains(mail.Text, "https://signin.example.com/signin/verify#"+strings.ReplaceAll(code, "-", "")) {
			h.Fatalf("no longer code, or no link, in\n%s", mail.Text)
		}
		if p, err := h.Pending(h.Context(), token, home); err != nil || !p.Challenge.LongCode {
			h.Errorf("the page does not know of the longer code: %v", err)
		}
		_, err := h.verify(token, "123456")
		h.refused("six digits", err, factor.ErrMalformed)
		_, err = h.verify(token, "0000000000000")
		h.refused("a wrong long one", err, factor.ErrIncorrect)
		if _, err := h.verify(token, strings.ToLower(code)); err != nil {
			h.Errorf("the longer code: %v", err)
		}
	})
}

// Ten guesses at an app; then two codes in a row, and neither alone nor out of order.
func TestUsedUpByApp(t *testing.T) {
	withAnna(t, func(h *fixture) {
		app, _ := h.app(h.in())
		if got := h.stranger("totp"); got != 10 {
			h.Errorf("%d guesses were compared, want 10", got)
		}
		h.turn(24 * time.Hour)
		token := h.choose("totp")
		first := app.code(h.clock())
		h.turn(30 * time.Second)
		second := app.code(h.clock())
		_, err := h.verify(token, second)
		h.refused("one code", err, factor.ErrMalformed)
		_, err = h.verify(token, second+first)
		h.refused("two codes in the wrong order", err, factor.ErrIncorrect)
		if _, err := h.verify(token, first+" "+second); err != nil {
			h.Errorf("two codes in a row: %v", err)
		}
		again := h.choose("totp")
		_, err = h.verify(again, first+second)
		h.refused("the same pair again", err, factor.ErrIncorrect)
	})
}

// A browser that the account knows notices nothing of it, and nobody else can spend what it
// may guess.
func TestKnownBrowserNoticesNothing(t *testing.T) {
	withAnna(t, func(h *fixture) {
		l := h.laptop().in(false)
		h.stranger("email")
		h.turn(24 * time.Hour)
		entry, err := h.SignIns.Start(h.Context(), signin.Credentials{Email: annaEmail, Password: annaWord}, l.from)
		if err != nil {
			h.Fatal(err)
		}
		code := h.code()
		if len(code) != 6 {
			h.Fatalf("the known browser is sent %q", code)
		}
		if _, err := h.Verify(h.Context(), entry.Attempt, url.Values{"code": {code}}, l.from); err != nil {
			h.Errorf("the known browser: %v", err)
		}
	})
}

// What a sign-in cost is given back when that very sign-in is passed, and nothing else is.
func TestOnlyItsOwnIsGivenBack(t *testing.T) {
	withAnna(t, func(h *fixture) {
		for range 30 { // an owner who mistypes each time, in browsers that are always new
			token := h.begin()
			code := h.code()
			for range 3 {
				h.turn(15 * time.Second)
				_, err := h.verify(token, wrong(code))
				h.refused("a typo", err, factor.ErrIncorrect)
			}
			h.turn(15 * time.Second)
			if _, err := h.verify(token, code); err != nil {
				h.Fatal(err)
			}
			h.turn(time.Hour)
		}
		if got := h.stranger("email"); got != 20 {
			h.Errorf("%d guesses were compared after 90 typos that were made good, want 20", got)
		}
	})
}

// A new password, once both steps are proven, begins a new ledger: four times in a year.
func TestRenewal(t *testing.T) {
	withAnna(t, func(h *fixture) {
		word := annaWord
		for n := range odds.MaxRenewalsPerYear + 2 {
			got, want := h.stranger("email"), 20
			if n > odds.MaxRenewalsPerYear {
				want = 0
			}
			if got != want {
				h.Errorf("%d guesses after %d new passwords, want %d", got, n, want)
			}
			h.turn(24 * time.Hour)
			token := h.begin()
			text := h.arrived()[len(h.arrived())-1].Text
			entry, err := h.verify(token, longCode.FindString(text))
			if err != nil {
				h.Fatal(err)
			}
			next := fmt.Sprintf("another horse battery %d", n)
			sessionToken, err := h.SignIns.ChangePassword(h.Context(), h.who(entry), word, next, home)
			if err != nil {
				h.Fatal(err)
			}
			if _, err := h.SignIns.ChangePassword(h.Context(), h.who(sessionToken), next, annaWord, home); err != nil {
				h.Fatal(err) // everybody knows it again
			}
		}
	})
}

// A year later what was spent counts no more, to the millisecond.
func TestYearRolls(t *testing.T) {
	withAnna(t, func(h *fixture) {
		if got := h.stranger("email"); got != 20 {
			h.Fatalf("%d guesses", got)
		}
		h.turn(odds.Year)
		if got := h.stranger("email"); got != 20 {
			h.Errorf("%d guesses a year later, want 20", got)
		}
	})
}

// Guesses that arrive together, at two servers, are never more than the ledger allows.
func TestUsedUpAtOnce(t *testing.T) {
	withAnna(t, func(h *fixture) {
		var compared atomic.Int64
		type visit struct {
			token string
			from  origin.Origin
		}
		visits := make(chan visit, 100)
		for n := range 100 { // each may compare five, and two at once
			from := away(n)
			entry, err := h.SignIns.Start(h.Context(), signin.Credentials{Email: annaEmail, Password: annaWord}, from)
			if err != nil {
				h.Fatal(err)
			}
			if err := h.Choose(h.Context(), entry.Attempt, "email", from); err != nil && !errors.Is(err, ratelimit.ErrLimited) {
				h.Fatal(err)
			}
			visits <- visit{entry.Attempt, from}
		}
		atOnce(100, func() {
			v := <-visits
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

// Three codes that are good at a time make one guess dearer than what is left. The right one is
// then refused, but only once: the next is longer, stays so, and is compared; and nobody is told
// that the guesses are used up, which they are not.
func TestResentIsLonger(t *testing.T) {
	withAnna(t, func(h *fixture) {
		h.debited(h.anna(), store.EntryGuess, 18_000)
		token := h.begin()
		resend := func() {
			h.turn(2 * time.Minute)
			if err := h.Resend(h.Context(), token, home); err != nil {
				h.Fatal(err)
			}
		}
		resend()
		resend()
		_, err := h.verify(token, h.code())
		h.refused("the right one of three codes", err, challenge.ErrLongCodeNeeded)
		if p, err := h.Pending(h.Context(), token, home); err != nil || !p.Challenge.LongCode {
			h.Fatalf("the next one is no longer: %v", err)
		}
		long := longCode.FindString(h.last().Text)
		resend()
		if again := longCode.FindString(h.last().Text); again == "" || again == long {
			h.Errorf("another one after %s: %q", long, again)
		}
		if _, err := h.verify(token, long); err != nil {
			h.Errorf("the longer code: %v", err)
		}
		if n := h.told(usedUp); n != 0 {
			h.Errorf("told %d times that it is used up", n)
		}
	})
}

// The same where a new number is to be proven.
func TestResentDraftIsLonger(t *testing.T) {
	withAnna(t, func(h *fixture) {
		const number = "+491711234567"
		sessionToken := h.in()
		h.draft(sessionToken, number)
		h.debited(h.Budgets.DestinationBudget(number), store.EntryGuess, 18_000)
		for range 2 {
			h.turn(2 * time.Minute)
			if err := h.Enrollments.Resend(h.Context(), h.who(sessionToken), "spoken", home); err != nil {
				h.Fatal(err)
			}
		}
		_, err := h.confirm(sessionToken, "spoken", h.last().Text)
		h.refused("the right one of three codes", err, challenge.ErrLongCodeNeeded)
		if _, err := h.confirm(sessionToken, "spoken", h.last().Text); err != nil {
			h.Errorf("the longer code: %v", err)
		}
	})
}

// guess makes one wrong guess in a new sign-in from a network.
func (h *fixture) guess(from origin.Origin) {
	h.Helper()
	h.turn(time.Second)
	entry, err := h.SignIns.Start(h.Context(), signin.Credentials{Email: annaEmail, Password: annaWord}, from)
	if err != nil {
		h.Fatal(err)
	}
	_, err = h.Verify(h.Context(), entry.Attempt, url.Values{"code": {"000000"}}, from)
	h.refused("a guess", err, factor.ErrIncorrect)
}

// Somebody who comes back only each day and an hour is told of too, with the second sign-in.
func TestPatientThief(t *testing.T) {
	withAnna(t, func(h *fixture) {
		for n := range 2 {
			h.guess(away(n))
			if got := h.told(guessing); got != n {
				h.Errorf("told %d times of %d sign-ins", got, n+1)
			}
			h.turn(25 * time.Hour)
		}
	})
}

// A clock that was ahead when the owner was told does not keep them from being told later.
func TestToldBehindTheClock(t *testing.T) {
	withAnna(t, func(h *fixture) {
		for n, turned := range []time.Duration{100 * 24 * time.Hour, -100 * 24 * time.Hour} {
			h.turn(turned)
			h.guess(away(2 * n))
			h.guess(away(2*n + 1))
			if got := h.told(guessing); got != n+1 {
				h.Errorf("told %d times, want %d", got, n+1)
			}
		}
	})
}

// Nor is the owner told with each guess that comes too late, behind a renewal that is still to come.
func TestToldOnceBehindTheClock(t *testing.T) {
	withAnna(t, func(h *fixture) {
		var tokens []string
		for n := range 3 {
			entry, err := h.SignIns.Start(h.Context(), signin.Credentials{Email: annaEmail, Password: annaWord}, away(n))
			if err != nil {
				h.Fatal(err)
			}
			tokens = append(tokens, entry.Attempt)
		}
		h.debited(h.anna(), store.EntryGuess, odds.AccountBudgetPerYear)
		if err := h.Store.RenewGuessBudget(h.Context(), h.anna(), h.clock().Add(24*time.Hour)); err != nil {
			h.Fatal(err)
		}
		for n, token := range tokens {
			h.turn(time.Second)
			_, err := h.Verify(h.Context(), token, url.Values{"code": {"000000"}}, away(n))
			h.refused("a guess that comes too late", err, challenge.ErrLongCodeNeeded)
		}
		if n := h.told(usedUp); n != 1 {
			h.Errorf("told %d times that it is used up, want 1", n)
		}
	})
}

// What the owner was told of their own mistakes and was given back does not keep them from being
// told when it is true.
func TestToldAgain(t *testing.T) {
	withAnna(t, func(h *fixture) {
		h.debited(h.anna(), store.EntryGuess, 16_000)
		token := h.begin()
		code := h.code()
		for range 4 {
			h.turn(15 * time.Second)
			_, err := h.verify(token, wrong(code))
			h.refused("a typo", err, factor.ErrIncorrect)
		}
		if n := h.told(usedUp); n != 1 {
			h.Errorf("told %d times that it is used up, want 1", n)
		}
		h.turn(15 * time.Second)
		_, err := h.verify(token, code)
		h.refused("the right code", err, challenge.ErrLongCodeNeeded)
		if _, err := h.verify(token, longCode.FindString(h.last().Text)); err != nil {
			h.Fatal(err)
		}
		if got := h.stranger("email"); got != 4 {
			h.Errorf("%d guesses are left after the typos were given back, want 4", got)
		}
		if n := h.told(usedUp); n != 2 {
			h.Errorf("told %d times that it is used up, want 2", n)
		}
	})
}
