package attack

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/test/e2e/live"
)

var seconds = regexp.MustCompile(`(in \d+[\s\x{a0}\x{202f}]s|data-seconds="\d+"|\d\d:\d\d:\d\d)`)

// withoutTimes returns a page without the times and countdowns on it.
func withoutTimes(body string) string { return seconds.ReplaceAllString(body, "…") }

// visible returns all that an attacker sees of an answer, without what was typed.
func visible(a live.Answer, typed string) string {
	headers := maps.Clone(a.Header)
	delete(headers, "Date")
	for i, c := range headers["Set-Cookie"] {
		name, rest, _ := strings.Cut(c, "=")
		_, attributes, _ := strings.Cut(rest, ";")
		headers["Set-Cookie"] = slices.Clone(headers["Set-Cookie"])
		headers["Set-Cookie"][i] = name + attributes
	}
	delete(headers, "Content-Length") // of what was typed
	return fmt.Sprint(a.StatusCode, headers) + withoutTimes(strings.ReplaceAll(a.Body, typed, "TYPED"))
}

// failingSignIns returns addresses and passwords that must all be refused in the same way.
func (h *server) failingSignIns() map[string][2]string {
	h.addBen()
	for email, sql := range map[string]string{"gone@example.com": "UPDATE accounts SET disabled_at = 1 WHERE email = 'gone@example.com'",
		"none@example.com": "UPDATE accounts SET password_hash = %s WHERE email = 'none@example.com'"} {
		if err := h.CreateAccount(h.T.Context(), twostep.AccountParams{Email: email, Name: "X", Password: live.AnnaPassword}); err != nil {
			h.T.Fatal(err)
		}
		empty := "x''"
		if strings.HasPrefix(h.Database, "postgres") {
			empty = `'\x'`
		}
		h.exec(strings.ReplaceAll(sql, "%s", empty))
	}
	return map[string][2]string{
		"wrong password":            {live.AnnaEmail, "wrong horse battery"},
		"unknown":                   {"nobody@example.com", live.AnnaPassword},
		"disabled, right password":  {"gone@example.com", live.AnnaPassword},
		"disabled, wrong password":  {"gone@example.com", "wrong horse battery"},
		"no password":               {"none@example.com", live.AnnaPassword},
		"not an address":            {"nobody", live.AnnaPassword},
		"look-alike":                {"ann\u0430@example.com", live.AnnaPassword},
		"unknown, odd password":     {"nobody@example.org", "\u202e" + strings.Repeat("x", 2000)},
		"known, odd password":       {live.AnnaEmail, "\u202e" + strings.Repeat("x", 2000)},
		"somebody else's password":  {live.AnnaEmail, benPassword},
		"right but for a blank":     {live.AnnaEmail, live.AnnaPassword + " "},
		"right but for upper case":  {live.AnnaEmail, strings.ToUpper(live.AnnaPassword)},
		"right and right once more": {live.AnnaEmail, live.AnnaPassword + live.AnnaPassword},
	}
}

// hashCount counts the password hashes that f computes.
func (h *server) hashCount(f func()) int64 {
	before := h.PasswordHashes()
	f()
	return h.PasswordHashes() - before
}

// The answer to a sign-in tells who has an account, by its text, a header, a cookie, a row or the work
// that was done.
func TestSignInDoesNotRevealAccounts(t *testing.T) {
	live.FullCost(t)
	eachDatabase(t, func(h *server) {
		cases := h.failingSignIns()
		before := h.contents()
		want, work := "", int64(-1)
		for _, name := range slices.Sorted(maps.Keys(cases)) {
			b := h.Browser()
			var a live.Answer
			did := h.hashCount(func() { a = b.Post("/signin", "email", cases[name][0], "password", cases[name][1]) })
			got := visible(a, cases[name][0])
			if want == "" {
				want, work = got, did
			}
			if got != want {
				h.T.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
			}
			if did != 1 || work != 1 {
				h.T.Errorf("%s: %d hashes, want 1", name, did)
			}
		}
		if !strings.HasPrefix(want, "422") || strings.Contains(want, "Set-Cookie") {
			h.T.Errorf("got %s", want)
		}
		if h.contents() != before {
			h.T.Error("a wrong password left a row behind")
		}
		for _, password := range []string{"null", "\x00", "undefined", "!", "*", "x''", " "} {
			b := h.Browser()
			b.Post("/signin", "email", "none@example.com", "password", password)
			h.wantNoSession("no password", b)
		}
	})
}

// rowCounts returns the number of rows of every table.
func (h *server) rowCounts() map[string]int {
	counts := map[string]int{}
	for _, table := range h.tables() {
		counts[table] = h.count(table)
	}
	return counts
}

// Asking for a new password or signing up tells who has an account, by the answer, the rows that are
// written or the work that was done.
func TestResetAndSignUpDoNotRevealAccounts(t *testing.T) {
	live.FullCost(t)
	eachDatabase(t, func(h *server) {
		h.failingSignIns()
		for _, form := range []struct {
			path string
			more []string
		}{{"/forgot", nil}, {"/signup", []string{"name", "Somebody"}}} {
			want := ""
			for _, email := range []string{live.AnnaEmail, "nobody@example.com", "gone@example.com", "none@example.com"} {
				counts := h.rowCounts()
				var a live.Answer
				work := h.hashCount(func() { a = h.Browser().Post(form.path, append([]string{"email", email}, form.more...)...) })
				grown := ""
				for table, n := range h.rowCounts() {
					// Rows of the network, the site and the browser are there from the first on.
					shared := []string{"rate_limit_counters", "audit_counters", "audit_browsers"}
					if n != counts[table] && !slices.Contains(shared, table) {
						grown += fmt.Sprint(" ", len(table), "+", n-counts[table])
					}
				}
				parts := strings.Fields(grown)
				slices.Sort(parts)
				got := visible(a, email) + fmt.Sprint(parts, work)
				if want == "" {
					want = got
				}
				if got != want || !strings.HasPrefix(got, "303") {
					h.T.Errorf("%s %s: got\n%s\nwant\n%s", form.path, email, got, want)
				}
			}
		}
	})
}

// The page of the second step shows the whole address, or a page before it shows some of it.
func TestAddressIsMasked(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	b := h.Browser()
	before := b.Get("/signin").Body + b.Post("/signin", "email", "x@example.net", "password", "wrong horse").Body
	b.Password()
	after := b.Get("/signin/verify")
	if strings.Contains(before, "•••") || strings.Contains(after.Body, live.AnnaEmail) || strings.Contains(after.Body, "anna@") {
		t.Error("the address is shown to somebody who is not in")
	}
	if !strings.Contains(after.Body, "a•••@example.com") {
		t.Error("the masked address is not shown after the password")
	}
}

// The browser waits while the mail is sent, so that a known address takes longer, or for ever if the
// mail server hangs.
func TestAnswersDoNotWaitForTheMailServer(t *testing.T) {
	t.Parallel()
	hanging := make(chan struct{})
	begun := make(chan struct{}, 8)
	h := start(t, "", func(o *twostep.Options) {
		o.Senders = map[delivery.Channel]delivery.SendFunc{delivery.Email: func(ctx context.Context, _ delivery.Message) error {
			begun <- struct{}{}
			select {
			case <-hanging:
			case <-ctx.Done():
			}
			return nil
		}}
	})
	defer close(hanging)
	h.wantStatus(h.Browser().Post("/signin", "email", live.AnnaEmail, "password", live.AnnaPassword), http.StatusSeeOther)
	<-begun
	for _, email := range []string{live.AnnaEmail, "nobody@example.com"} {
		h.wantStatus(h.Browser().Post("/forgot", "email", email), http.StatusSeeOther)
	}
	h.wantStatus(h.Browser().Post("/signup", "email", "eva@example.net", "name", "Eva"), http.StatusSeeOther)
}

// The text about a used, expired, superseded or foreign code tells a guesser that the guess was close.
// All get the same page and cost an attempt.
func TestRejectedCodesLookAlike(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		b := h.Browser()
		old := b.Password()
		for range 3 {
			h.WaitForOutbox()
			h.Turn(2*time.Minute + time.Second)
			n := h.Mail.Len()
			h.wantStatus(b.Post("/signin/code"), http.StatusSeeOther)
			h.Mail.Next(n)
		}
		other := h.Browser().Password()
		h.WaitForOutbox()
		h.exec("UPDATE one_time_codes SET used_at = 1")
		token := h.cookie(b, "signin")
		want := ""
		for what, code := range map[string]string{"superseded": old, "wrong": live.Wrong(old), "of another": other} {
			got := visible(h.withCookies("signin", token).Post("/signin/verify", "code", code), code)
			if want == "" {
				want = got
			}
			if got != want || !strings.Contains(got, "does not match our records") {
				h.T.Errorf("%s: got\n%s\nwant\n%s", what, got, want)
			}
		}
		h.Turn(challenge.TTL)
		if got := h.withCookies("signin", token).Post("/signin/verify", "code", old); !strings.Contains(got.Body, "does not match our records") {
			h.T.Errorf("after the end: %d %.300s", got.StatusCode, got.Body)
		}
	})
}
