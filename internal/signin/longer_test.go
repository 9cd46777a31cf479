package signin_test

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"twostep/factor"
	"twostep/internal/account"
	"twostep/internal/limit"
	"twostep/internal/signin"
)

// away is a stranger's network of its own for each n.
func away(n int) account.From {
	return account.From{Address: netip.AddrFrom4([4]byte{198, 51, byte(100 + n/250), byte(1 + n%250)}), Language: "en"}
}

// stranger guesses at Anna's account by a method until there is nothing left, each sign-in
// from another network, and returns how many guesses were compared.
func (h *house) stranger(method string) (compared int) {
	h.Helper()
	for n := range 40 {
		from := away(n)
		entry, err := h.Begin(h.Context(), signin.Credentials{Email: annaEmail, Password: annaWord}, from)
		if err != nil {
			h.Fatal(err)
		}
		p, err := h.Pending(h.Context(), entry.SignIn, from)
		if err == nil && p.Challenge == nil {
			err = h.Choose(h.Context(), entry.SignIn, method, from)
		}
		if err != nil && !errors.Is(err, account.ErrWait) {
			h.Fatal(err)
		}
		for range limit.Tries {
			h.turn(15 * time.Second)
			_, err := h.Verify(h.Context(), entry.SignIn, url.Values{"code": {"000000"}}, from)
			switch {
			case errors.Is(err, factor.ErrIncorrect):
				compared++
			case errors.Is(err, signin.ErrLonger), errors.Is(err, factor.ErrMalformed): // it is hard already
				return compared
			case err != nil && !errors.Is(err, account.ErrWait) && !errors.Is(err, signin.ErrNoSignIn):
				h.Fatalf("guess %d: %v", compared, err)
			}
		}
		h.turn(3 * time.Hour)
	}
	h.Fatal("there is no end to it")
	return 0
}

var longCode = regexp.MustCompile(`\b[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}\b`)

// Twenty guesses by mail in a year, from however many networks; then nobody is refused: the
// code is longer, and the owner was told, once.
func TestUsedUpByMail(t *testing.T) {
	withAnna(t, func(h *house) {
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
		if p, err := h.Pending(h.Context(), token, home); err != nil || !p.Challenge.Hard {
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
	withAnna(t, func(h *house) {
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
	withAnna(t, func(h *house) {
		l := h.laptop().in(false)
		h.stranger("email")
		h.turn(24 * time.Hour)
		entry, err := h.Begin(h.Context(), signin.Credentials{Email: annaEmail, Password: annaWord}, l.from)
		if err != nil {
			h.Fatal(err)
		}
		code := h.code()
		if len(code) != 6 {
			h.Fatalf("the known browser is sent %q", code)
		}
		if _, err := h.Verify(h.Context(), entry.SignIn, url.Values{"code": {code}}, l.from); err != nil {
			h.Errorf("the known browser: %v", err)
		}
	})
}

// What a sign-in cost is given back when that very sign-in is passed, and nothing else is.
func TestOnlyItsOwnIsGivenBack(t *testing.T) {
	withAnna(t, func(h *house) {
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
	withAnna(t, func(h *house) {
		word := annaWord
		for n := range limit.Renewals + 2 {
			got, want := h.stranger("email"), 20
			if n > limit.Renewals {
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
			session, err := h.ChangePassword(h.Context(), h.who(entry), word, next, home)
			if err != nil {
				h.Fatal(err)
			}
			if _, err := h.ChangePassword(h.Context(), h.who(session), next, annaWord, home); err != nil {
				h.Fatal(err) // everybody knows it again
			}
		}
	})
}

// A year later what was spent counts no more, to the millisecond.
func TestYearRolls(t *testing.T) {
	withAnna(t, func(h *house) {
		if got := h.stranger("email"); got != 20 {
			h.Fatalf("%d guesses", got)
		}
		h.turn(limit.Year)
		if got := h.stranger("email"); got != 20 {
			h.Errorf("%d guesses a year later, want 20", got)
		}
	})
}

// Guesses that arrive together, at two servers, are never more than the ledger allows.
func TestUsedUpAtOnce(t *testing.T) {
	withAnna(t, func(h *house) {
		var compared atomic.Int64
		type visit struct {
			token string
			from  account.From
		}
		visits := make(chan visit, 100)
		for n := range 100 { // each may compare five, and two at once
			from := away(n)
			entry, err := h.Begin(h.Context(), signin.Credentials{Email: annaEmail, Password: annaWord}, from)
			if err != nil {
				h.Fatal(err)
			}
			if err := h.Choose(h.Context(), entry.SignIn, "email", from); err != nil && !errors.Is(err, account.ErrWait) {
				h.Fatal(err)
			}
			visits <- visit{entry.SignIn, from}
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
