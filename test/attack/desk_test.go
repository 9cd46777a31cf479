package attack

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/test/e2e/live"
)

var cancelLink = regexp.MustCompile(`/desk#([A-Z2-7]{26})`)

// deskCode requests a desk code for Anna, and returns it with the token of the link that cancels it.
func (h *server) deskCode() (code, cancel string) {
	h.T.Helper()
	h.WaitForOutbox()
	n := h.Mail.Len()
	given, err := h.RequestDeskCode(h.T.Context(), twostep.By{}, live.AnnaEmail)
	h.must(err)
	h.WaitForOutbox()
	for ; n < h.Mail.Len(); n++ {
		mail := strings.ReplaceAll(strings.ReplaceAll(h.Mail.Next(n), "=\r\n", ""), "=3D", "=")
		if found := cancelLink.FindStringSubmatch(mail); found != nil {
			cancel = found[1]
		}
	}
	if given.Code == "" || cancel == "" {
		h.T.Fatalf("the code %q and the link %q", given.Code, cancel)
	}
	return given.Code, cancel
}

// atDesk returns a new browser in which Anna has entered her password.
func (h *server) atDesk() *live.Browser {
	h.T.Helper()
	b := h.Browser()
	h.passwordStep(b, live.AnnaEmail, live.AnnaPassword)
	h.wantStatus(b.Get("/signin/desk"), http.StatusOK)
	return b
}

func (h *server) wantDeskRefused(what string, b *live.Browser, code string) {
	h.T.Helper()
	before := h.count("sessions")
	a := b.Post("/signin/desk", "code", code)
	if a.StatusCode == http.StatusSeeOther && !at(a, "/signin") || a.StatusCode == http.StatusOK || h.count("sessions") != before {
		h.T.Errorf("%s: %d to %q", what, a.StatusCode, a.Header.Get("Location"))
	}
}

// Desk codes are guessed at the same moment, over the limit of one code. Each guess is counted before it is compared,
// and the right code is refused after the last of them.
func TestDeskCodeGuessesAreCounted(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		code, _ := h.deskCode()
		b := h.atDesk()
		h.wantStatus(b.Post("/signin/desk", "code", "K7M2Q"), http.StatusUnprocessableEntity) // no guess
		atOnce(24, func(int) {
			if a := b.Post("/signin/desk", "code", "00000-00000"); a.StatusCode == http.StatusSeeOther {
				h.T.Errorf("a wrong code: %d to %q", a.StatusCode, a.Header.Get("Location"))
			}
		})
		if n := h.value("SELECT guesses FROM desk_codes"); n != "5" {
			h.T.Errorf("%s guesses were counted, want 5", n)
		}
		if n := h.value("SELECT COUNT(*) FROM guess_budget_entries WHERE kind = 'desk'"); n != "5" {
			h.T.Errorf("%s guesses were charged, want 5", n)
		}
		h.wantDeskRefused("after five wrong ones", b, code)
		for _, stored := range h.column("SELECT mac FROM desk_codes") {
			if strings.Contains(stored, strings.ReplaceAll(code, "-", "")) {
				h.T.Error("the code is stored in clear")
			}
		}
	})
}

// A budget that guesses at other codes have used up leaves the guesses at desk codes, and the other way round.
func TestDeskCodesHaveTheirPartOfTheBudget(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		h.guessUntilRefused("email", live.AnnaEmail)
		h.Turn(25 * time.Hour) // as many emails were sent as one day may have
		code, _ := h.deskCode()
		h.wantRedirect(h.unknownDeviceAt("email", live.AnnaEmail).Post("/signin/desk", "code", code), "/settings/setup")
		h.exec("DELETE FROM guess_budget_entries WHERE kind <> 'desk'")
		id := h.value("SELECT id FROM accounts WHERE email = 'anna@example.com'")
		now := h.value("SELECT MAX(asked_at) FROM desk_codes")
		for n := range 100 {
			h.exec(fmt.Sprintf("INSERT INTO guess_budget_entries (id, budget, kind, challenge_id, device_id, known_network, "+
				"network, large_network, site_group, created_at, cost) VALUES ('desk %d', '%s', 'desk', '', '', FALSE, '', '', '', %s, 0)",
				n, id, now))
		}
		if _, err := h.RequestDeskCode(h.T.Context(), twostep.By{}, live.AnnaEmail); err == nil {
			h.T.Error("a code is given whose guesses nothing is left for")
		}
		b := h.unknownDeviceAt("email", live.AnnaEmail)
		if n, _ := h.guessIn(b); n == 0 {
			h.T.Error("guesses at desk codes have used up those at codes by email")
		}
	})
}

// A desk code is used twice, at the same moment or later, or in another browser than the first in which one was
// entered.
func TestDeskCodeWorksOnceInOneBrowser(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		code, _ := h.deskCode()
		b := h.atDesk()
		token := h.cookie(b, "signin")
		var won atomic.Int64
		atOnce(6, func(int) {
			if a := h.withCookies("signin", token).Post("/signin/desk", "code", strings.ToLower(code)); at(a, "/settings/setup") {
				won.Add(1)
			}
		})
		if won.Load() != 1 {
			h.T.Errorf("%d of 6 were let in, want 1", won.Load())
		}
		h.wantDeskRefused("again", h.atDesk(), code)

		code, _ = h.deskCode()
		first, second := h.atDesk(), h.atDesk()
		h.wantDeskRefused("a wrong one", first, "00000-00000")
		h.wantDeskRefused("in another browser", second, code)
		h.wantRedirect(first.Post("/signin/desk", "code", " "+strings.ReplaceAll(code, "-", " ")), "/settings/setup")
	})
}

// A desk code is used after the owner has cancelled it, after 15 minutes, after another one was requested, after the
// account was changed or frozen, without the password, or in a step-up.
func TestDeskCodeEnds(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		code, cancel := h.deskCode()
		h.wantStatus(h.Browser().Get("/desk"), http.StatusOK)
		h.wantRedirect(h.Browser().Post("/desk", "token", cancel), "/desk/done")
		h.wantDeskRefused("cancelled", h.atDesk(), code)
		h.wantStatus(h.Browser().Post("/desk", "token", cancel), http.StatusUnprocessableEntity)

		code, _ = h.deskCode()
		b := h.atDesk()
		h.Turn(15*time.Minute + time.Second)
		h.wantDeskRefused("after 15 minutes", b, code)

		code, _ = h.deskCode()
		newer, _ := h.deskCode()
		b = h.atDesk()
		h.wantDeskRefused("replaced", b, code)
		h.wantDeskRefused("without the password", h.Browser(), newer)
		anna := h.annaSignedIn()
		h.Turn(11 * time.Minute)
		h.wantRedirect(anna.Post("/settings/confirm", "password", live.AnnaPassword), "/signin/verify")
		newer, _ = h.deskCode()
		h.wantDeskRefused("in a step-up", anna, newer)

		b = h.atDesk()
		h.exec("UPDATE accounts SET frozen_until = 99999999999999")
		h.wantStatus(b.Post("/signin/desk", "code", newer), http.StatusForbidden)
		if _, err := h.RequestDeskCode(h.T.Context(), twostep.By{}, live.AnnaEmail); !errors.Is(err, twostep.ErrAccountFrozen) {
			h.T.Errorf("a code for a frozen account: %v", err)
		}
		h.exec("UPDATE accounts SET frozen_until = 0, epoch = epoch + 1")
		h.wantDeskRefused("the account has changed", h.atDesk(), newer)
		h.must(h.Disable(h.T.Context(), twostep.By{Force: true}, live.AnnaEmail))
		if _, err := h.RequestDeskCode(h.T.Context(), twostep.By{}, live.AnnaEmail); !errors.Is(err, twostep.ErrAccountDisabled) {
			h.T.Errorf("a code for a disabled account: %v", err)
		}
	})
}

// Somebody whom a desk code has let in opens anything but the setup of a method, keeps trust, or changes how they sign
// in without both steps. The owner cancels the code after it was used.
func TestDeskCodeOpensOnlyTheSetup(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		trusted := h.Browser()
		code := h.mailedCode(func() { h.passwordStep(trusted, live.AnnaEmail, live.AnnaPassword) })
		h.wantStatus(trusted.Post("/signin/verify", "code", code, "trust", "1"), http.StatusSeeOther)
		if n := h.value("SELECT COUNT(*) FROM trusted_networks WHERE revoked_at = 0"); n != "1" {
			h.T.Fatalf("%s networks are trusted", n)
		}
		h.must(h.SetRole(h.T.Context(), twostep.By{}, live.AnnaEmail, twostep.RoleOperator))
		ben := twostep.By{Account: "ben"}
		_, err := h.RequestDeskCode(h.T.Context(), twostep.By{}, live.AnnaEmail)
		h.must(err)
		h.must(h.ApproveDeskCode(h.T.Context(), ben, live.AnnaEmail))
		given, err := h.RequestDeskCode(h.T.Context(), twostep.By{}, live.AnnaEmail)
		h.must(err)
		b := h.atDesk()
		h.wantRedirect(b.Post("/signin/desk", "code", given.Code), "/settings/setup")
		if n := h.value("SELECT COUNT(*) FROM trusted_networks WHERE revoked_at = 0"); n != "0" {
			h.T.Errorf("%s networks are still trusted", n)
		}
		for _, r := range inventory {
			method, path, _ := strings.Cut(r.pattern, " ")
			if !strings.HasPrefix(path, "/settings") && !strings.HasPrefix(path, "/admin") ||
				strings.HasPrefix(path, "/settings/2step/") || strings.HasPrefix(path, "/settings/setup") {
				continue
			}
			path = strings.NewReplacer("{id}", "nothing", "{item}", "nothing").Replace(path)
			a := b.Do(h.request(method, path, r.form, form, "Origin: "+h.URL, "Sec-Fetch-Site: same-origin"))
			if !at(a, "/settings/setup") {
				h.T.Errorf("%s: %d to %q", r.pattern, a.StatusCode, a.Header.Get("Location"))
			}
		}
		h.wantStatus(b.Get("/settings/setup"), http.StatusOK)
		h.wantStatus(b.Post("/settings/2step/recovery"), http.StatusUnprocessableEntity) // a backup is no method
		h.addApp(b)
		if amr := h.column("SELECT amr FROM sessions WHERE desk_code_id <> ''"); len(amr) != 1 || amr[0] != "pwd" {
			h.T.Errorf("the session says %q", amr)
		}
		if at := h.value("SELECT authenticated_at FROM sessions WHERE desk_code_id <> ''"); at != "0" {
			h.T.Errorf("both steps were taken at %s, as apps with max_age see it", at)
		}
		h.wantStatus(b.Get("/settings"), http.StatusOK)
		h.wantRedirect(b.Get("/admin"), "/settings/confirm")
		h.wantRedirect(b.Get("/settings/password"), "/settings/confirm")
		h.wantRedirect(b.Get("/settings/2step/sms"), "/settings/confirm")
		h.wantRedirect(trusted.Get("/settings"), "/signin") // every other session has ended
	}, allMethods(&phone{}))
}

// The owner cancels a desk code that somebody else has used: nobody is signed in any more, the password is gone, and so is
// what the intruder has set up, with which the owner could not sign in.
func TestCancelledDeskCodeEndsItsSession(t *testing.T) {
	t.Parallel()
	for _, setsUp := range []bool{false, true} {
		cancelUsedDeskCode(t, setsUp)
	}
}

func cancelUsedDeskCode(t *testing.T, setsUp bool) {
	eachDatabase(t, func(h *server) {
		code, cancel := h.deskCode()
		b := h.atDesk()
		h.wantRedirect(b.Post("/signin/desk", "code", code), "/settings/setup")
		if setsUp {
			h.addApp(b)
		}
		h.wantRedirect(h.Browser().Post("/desk", "token", cancel), "/desk/ended")
		h.wantRedirect(b.Get("/settings"), "/signin")
		h.wantStatus(h.Browser().Post("/signin", "email", live.AnnaEmail, "password", live.AnnaPassword), http.StatusUnprocessableEntity)
		if n := h.value("SELECT COUNT(*) FROM factors"); n != "0" {
			h.T.Errorf("%s methods of the intruder are left", n)
		}
		if n := h.value("SELECT COUNT(*) FROM email_links WHERE purpose = 'undo' AND used_at = 0"); n != "0" {
			h.T.Errorf("%s links undo it again", n)
		}
	}, allMethods(&phone{}))
}

// An operator approves what they have requested, helps themselves, or helps somebody with a role from the help desk: on
// the pages and in Go.
func TestDeskCodesNeedAnotherOperator(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		ctx := h.T.Context()
		one, desk := h.withRole(twostep.RoleOperator), h.withRole(twostep.RoleHelpdesk)
		h.must(h.CreateAccount(ctx, twostep.AccountParams{Email: "two@example.com", Name: "Two", Password: benPassword, Role: twostep.RoleOperator}))
		two := h.signIn(h.Browser(), "two@example.com", benPassword)
		id := func(email string) string { return h.value("SELECT id FROM accounts WHERE email = '" + email + "'") }
		oneID, deskID, twoID := id("roleoperator@example.com"), id("rolehelpdesk@example.com"), id("two@example.com")
		h.must(h.SetRole(ctx, twostep.By{}, live.AnnaEmail, twostep.RoleAuditor))
		page := "/admin/people/" + id(live.AnnaEmail) + "/desk-code"

		h.wantStatus(desk.Post(page), http.StatusNotFound)
		h.wantRedirect(one.Post(page), page)
		if n := h.value("SELECT state FROM desk_codes"); n != "waiting" {
			h.T.Errorf("the code is %s without an approval", n)
		}
		h.wantStatus(one.Post(page+"/approve"), http.StatusUnprocessableEntity)
		h.wantStatus(one.Post(page+"/refuse"), http.StatusUnprocessableEntity)
		h.wantStatus(desk.Post(page+"/approve"), http.StatusNotFound)
		want := func(what string, err, want error) {
			h.T.Helper()
			if !errors.Is(err, want) {
				h.T.Errorf("%s: %v, want %v", what, err, want)
			}
		}
		want("self", h.ApproveDeskCode(ctx, twostep.By{Account: oneID}, live.AnnaEmail), twostep.ErrDeskCodeSameOperator)
		want("help desk", h.ApproveDeskCode(ctx, twostep.By{Account: deskID}, live.AnnaEmail), twostep.ErrDeskCodeNotAllowed)
		want("the person", h.ApproveDeskCode(ctx, twostep.By{Account: id(live.AnnaEmail)}, live.AnnaEmail), twostep.ErrDeskCodeOwnAccount)
		_, err := h.RequestDeskCode(ctx, twostep.By{Account: deskID}, live.AnnaEmail)
		want("help desk asks", err, twostep.ErrDeskCodeNotAllowed)
		_, err = h.RequestDeskCode(ctx, twostep.By{Account: twoID}, "two@example.com")
		want("for oneself", err, twostep.ErrDeskCodeOwnAccount)
		if n := h.value("SELECT state FROM desk_codes"); n != "waiting" {
			h.T.Errorf("the code is %s", n)
		}
		h.wantDone(one, one.Post(page+"/show"), page, "Nothing was changed")
		if a := two.Post(page + "/approve"); a.StatusCode != http.StatusSeeOther {
			h.T.Errorf("another operator: %d\n%.300s", a.StatusCode, a.Body)
		}
		h.wantStatus(two.Post(page+"/show"), http.StatusUnprocessableEntity) // only whoever asked sees the code
		shown := h.wantStatus(one.Post(page+"/show"), http.StatusOK)
		code := regexp.MustCompile(`[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z]{5}`).FindString(shown.Body)
		if code == "" {
			h.T.Fatalf("no code\n%s", shown.Body)
		}
		if again := one.Post(page + "/show"); strings.Contains(again.Body, code) {
			h.T.Error("the code is shown twice")
		}
		h.wantRedirect(h.atDesk().Post("/signin/desk", "code", code), "/settings/setup")
	})
}
