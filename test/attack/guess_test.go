package attack

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/test/e2e/live"
)

// A new code is asked for to get new attempts.
func TestNewCodeGivesNoNewAttempts(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		b := h.Browser()
		n := h.Mail.Len()
		code := b.Password()
		for range 4 {
			h.wantStatus(b.Post("/signin/verify", "code", live.Wrong(code)), http.StatusUnprocessableEntity)
		}
		h.WaitForOutbox()
		h.Turn(time.Minute)
		h.wantStatus(b.Post("/signin/code"), http.StatusSeeOther)
		if h.tries() != "4" {
			h.T.Errorf("after a new code %s tries are spent, want 4", h.tries())
		}
		fresh := h.Code(n + 1)
		b.Post("/signin/verify", "code", live.Wrong(fresh))
		h.wantStatus(b.Post("/signin/verify", "code", fresh), http.StatusTooManyRequests)
		h.Turn(3 * time.Minute)
		h.wantStatus(b.Post("/signin/code"), http.StatusTooManyRequests)
		h.wantStatus(b.Post("/signin/verify", "code", fresh), http.StatusTooManyRequests)
		h.wantNoSession("after five tries", b)
	})
}

// The count of attempts is rolled back with a sign-in that fails later on.
func TestAttemptStaysCountedWhenTheSignInFails(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		b := h.Browser()
		code := b.Password()
		for i := range 3 {
			b.Post("/signin/verify", "code", live.Wrong(code))
			if got := h.tries(); got != fmt.Sprint(i+1) {
				h.T.Errorf("after %d guesses: %s", i+1, got)
			}
		}
		h.exec("ALTER TABLE sessions RENAME TO gone")
		h.wantStatus(b.Post("/signin/verify", "code", code), http.StatusInternalServerError)
		h.exec("ALTER TABLE gone RENAME TO sessions")
		if h.tries() != "4" {
			h.T.Errorf("a try whose sign-in failed was given back: %s", h.tries())
		}
		h.wantStatus(b.Post("/signin/verify", "code", code), http.StatusSeeOther)
	})
}

// Blanks, hyphens and digits of another script make one code look like several, or the same guess is
// repeated for free.
func TestSpellingsOfACodeAreOneCode(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		b := h.Browser()
		code := b.Password()
		wrong := live.Wrong(code)
		wide := strings.Map(func(r rune) rune { return r - '0' + '０' }, wrong)
		for i, typed := range []string{wrong, " " + wrong[:3] + "-" + wrong[3:] + "\t", wide, strings.Map(func(r rune) rune { return r - '0' + '٠' }, wrong)} {
			h.wantStatus(b.Post("/signin/verify", "code", typed), http.StatusUnprocessableEntity)
			if h.tries() != fmt.Sprint(i+1) {
				h.T.Errorf("%q: %s tries spent, want %d", typed, h.tries(), i+1)
			}
		}
		h.wantStatus(b.Post("/signin/verify", "code", "߁߂߃߄߅߆"), http.StatusUnprocessableEntity)
		if h.tries() != "4" {
			h.T.Error("digits that we do not read were counted")
		}
		h.wantStatus(b.Post("/signin/verify", "code", code[:3]+" "+code[3:]), http.StatusSeeOther)
		c := h.withCookies("signin", h.cookie(b, "signin"))
		c.Post("/signin/verify", "code", code)
		if n := h.count("sessions"); n != 1 {
			h.T.Errorf("%d sessions from one code", n)
		}
	})
}

// A code works a millisecond longer than 15 minutes, or for as long as the client's clock says.
func TestCodeExpiresAfterFifteenMinutes(t *testing.T) {
	t.Parallel()
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		c := newClock()
		h := start(t, url, c.set)
		for _, row := range []struct {
			after time.Duration
			in    bool
		}{{0, true}, {15*time.Minute - time.Millisecond, true}, {15 * time.Minute, true}, {15*time.Minute + time.Millisecond, false}, {16 * time.Minute, false}} {
			b := h.Browser()
			sent := c.Now()
			code := b.Password()
			c.advance(row.after)
			a := h.post(b, "/signin/verify", "code="+code, "Date: "+sent.UTC().Format(http.TimeFormat), "If-Modified-Since: "+sent.UTC().Format(http.TimeFormat))
			if _, in := signedIn(b); in != row.in {
				t.Errorf("%v after sending: %d, in %v, want %v", row.after, a.StatusCode, in, row.in)
			}
		}
	})
}

// After four mails exactly three of all million codes fit, and the oldest is not one of them.
func TestOnlyTheLastThreeCodesFit(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	b := h.Browser()
	codes := map[string]bool{b.Password(): true}
	oldest := ""
	for code := range codes {
		oldest = code
	}
	for range 3 {
		h.WaitForOutbox() // a mail on its way would go twice once its worker seems late
		h.Turn(2*time.Minute + time.Second)
		n := h.Mail.Len()
		h.wantStatus(b.Post("/signin/code"), http.StatusSeeOther)
		codes[h.Code(n)] = true
	}
	if len(codes) != 4 {
		t.Fatalf("%d different codes in 4 mails", len(codes))
	}
	keys, _, err := seal.CreateKeyRing(h.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	good := h.rows("SELECT mac, challenge_id, method FROM one_time_codes WHERE used_at = 0")
	var fit []string
	for i := range 1_000_000 {
		candidate := fmt.Sprintf("%06d", i)
		mac := keys.MAC("code", good[0][1], good[0][2], candidate)
		for _, row := range good {
			if bytes.Equal(mac, []byte(row[0])) {
				fit = append(fit, candidate)
			}
		}
	}
	for _, code := range fit {
		if !codes[code] || code == oldest {
			t.Errorf("%s fits, and was not sent lately", code)
		}
	}
	if len(fit) != 3 {
		t.Errorf("%d of a million codes fit, want 3", len(fit))
	}
	h.wantStatus(b.Post("/signin/verify", "code", oldest), http.StatusUnprocessableEntity)
}

// A page tells a guesser how many attempts are left, or the button for a new code accepts a password.
func TestPagesDoNotTellRemainingAttempts(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	b := h.Browser()
	code := b.Password()
	h.WaitForOutbox()
	first := b.Post("/signin/verify", "code", live.Wrong(code)).Body
	second := b.Post("/signin/verify", "code", live.Wrong(code)).Body
	if withoutTimes(first) != withoutTimes(second) {
		t.Error("the page changes with the tries that are left")
	}
	h.Turn(time.Minute)
	attacker := h.Browser()
	h.wantStatus(attacker.Post("/signin/code", "email", live.AnnaEmail, "password", live.AnnaPassword), http.StatusSeeOther)
	h.wantStatus(b.Post("/signin/code", "password", live.AnnaPassword), http.StatusBadRequest)
	if h.value("SELECT messages_sent FROM challenges") != "1" {
		t.Error("a message was sent to somebody who is not on the way in")
	}
}

// The token of a reset link is short enough to guess.
func TestResetTokenHas130Bits(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	n := h.Mail.Len()
	h.wantStatus(h.Browser().Post("/forgot", "email", live.AnnaEmail), http.StatusSeeOther)
	token := tokenOfLink(t, h.Mail.Next(n))
	if len(token) != 26 || strings.Trim(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
		t.Errorf("%d characters of %q: want 26 of base 32, 130 bits", len(token), token)
	}
}

// Two servers on one database count separately. Forty guesses, half at each, are five attempts; the
// right code at both at once gives one session.
func TestGuessesAtOnceAreCountedAtTwoServers(t *testing.T) {
	t.Parallel()
	url := storetest.NewPostgres(t)
	first := start(t, url)
	second := start(t, url, func(o *twostep.Options) { o.KeyFile = first.KeyFile })
	b := first.Browser()
	n, m := first.Mail.Len(), second.Mail.Len()
	first.wantStatus(b.Post("/signin", "email", live.AnnaEmail, "password", live.AnnaPassword), http.StatusSeeOther)
	code := codeFromEither(t, first, n, second, m)
	token := first.cookie(b, "signin")
	at := func(i int) *live.Browser { return []*server{first, second}[i%2].withCookies("signin", token) }
	var answers [5]status
	atOnce(40, func(i int) { answers[i%5].add(at(i).Post("/signin/verify", "code", live.Wrong(code)).StatusCode) })
	compared := sum(answers[:], http.StatusUnprocessableEntity)
	if compared > 5 || first.tries() != fmt.Sprint(compared) {
		t.Errorf("%d guesses compared, %s counted, want 5 at most", compared, first.tries())
	}
	for ; compared < 5; compared++ { // those for which nobody waited long enough
		first.wantStatus(at(0).Post("/signin/verify", "code", live.Wrong(code)), http.StatusUnprocessableEntity)
	}
	first.wantStatus(at(1).Post("/signin/verify", "code", code), http.StatusTooManyRequests)
	b = first.Browser()
	n, m = first.Mail.Len(), second.Mail.Len()
	first.wantStatus(b.Post("/signin", "email", live.AnnaEmail, "password", live.AnnaPassword), http.StatusSeeOther)
	code, token = codeFromEither(t, first, n, second, m), first.cookie(b, "signin")
	atOnce(8, func(i int) { at(i).Post("/signin/verify", "code", code) })
	if n := first.count("sessions"); n != 1 {
		t.Errorf("%d sessions from one code at two servers", n)
	}
}
