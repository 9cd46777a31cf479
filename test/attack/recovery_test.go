package attack

import (
	"math"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"twostep.example/twostep/test/e2e/live"
)

// Recovery codes are used for another account, without a password, from a replaced set, and in place
// of other proofs. None of that uses one up.
func TestRecoveryCodesBelongToAccountAndSet(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		h.addBen()
		annas := h.annaSignedIn()
		old := h.addRecoveryCodes(annas)
		set := h.addRecoveryCodes(annas)
		bens := h.addRecoveryCodes(h.signIn(h.Browser(), benEmail, benPassword))
		seen := map[string]bool{}
		for _, code := range append(append(append([]string(nil), old...), set...), bens...) {
			if bits := float64(len(strings.ReplaceAll(code, "-", ""))) * math.Log2(32); bits < 64 || seen[code] {
				h.T.Errorf("a code of %.0f bits, or one that comes twice", bits)
			}
			seen[code] = true
		}
		bodies := h.rows("SELECT id, body, version FROM factors WHERE method = 'recovery' ORDER BY id")
		for _, code := range []string{set[0], old[0]} {
			b := h.Browser()
			h.choose(b, benEmail, benPassword, "recovery")
			h.wantStatus(b.Post("/signin/verify", "code", code), http.StatusUnprocessableEntity)
		}
		b := h.Browser()
		h.choose(b, live.AnnaEmail, live.AnnaPassword, "recovery")
		for _, code := range []string{old[0], bens[0]} {
			h.wantStatus(b.Post("/signin/verify", "code", code), http.StatusUnprocessableEntity)
		}
		for at, fields := range map[string][]string{
			"/signin/verify": {"code", set[0]}, "/signin/method": {"method", "recovery"}, "/reset": {"token", set[0], "password", "brand new horse"}, "/join": {"token", set[0], "name", "x", "password", "brand new horse"},
		} {
			if a := h.Browser().Post(at, fields...); a.StatusCode != http.StatusUnprocessableEntity && !(a.StatusCode == http.StatusSeeOther && a.Header.Get("Location") == "/signin") {
				h.T.Errorf("%s with a printed code alone: %d to %q", at, a.StatusCode, a.Header.Get("Location"))
			}
		}
		h.wantStatus(h.Browser().Post("/signin", "email", live.AnnaEmail, "password", set[0]), http.StatusUnprocessableEntity)
		mailed := h.Browser()
		h.choose(mailed, live.AnnaEmail, live.AnnaPassword, "email")
		h.wantStatus(mailed.Post("/signin/verify", "code", set[0]), http.StatusUnprocessableEntity)
		h.wantStatus(annas.Post("/settings/confirm", "password", set[0]), http.StatusUnprocessableEntity)
		if got := h.rows("SELECT id, body, version FROM factors WHERE method = 'recovery' ORDER BY id"); len(got) != len(bodies) || got[0][1] != bodies[0][1] || got[1][1] != bodies[1][1] {
			h.T.Error("a refused code was used up")
		}
		n := h.Mail.Len()
		h.wantStatus(b.Post("/signin/verify", "code", strings.ToLower(set[0])), http.StatusSeeOther)
		h.WaitForOutbox()
		told := false
		for ; n < h.Mail.Len(); n++ {
			told = told || strings.Contains(h.Mail.Next(n), "recovery code")
		}
		if !told {
			h.T.Error("the owner is not told that a printed code was used")
		}
		for _, spelt := range []string{set[0], strings.ReplaceAll(set[0], "-", ""), " " + strings.ReplaceAll(set[0], "-", " ")} {
			c := h.Browser()
			h.choose(c, live.AnnaEmail, live.AnnaPassword, "recovery")
			h.wantStatus(c.Post("/signin/verify", "code", spelt), http.StatusUnprocessableEntity)
		}
	}, allMethods(&phone{}))
}

// One recovery code is sent at the same moment from many browsers.
func TestRecoveryCodeAtOnceWorksOnce(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		codes := h.addRecoveryCodes(h.annaSignedIn())
		for _, code := range codes[:2] {
			before := h.count("sessions")
			var browsers []*live.Browser
			for range 6 {
				b := h.Browser()
				h.choose(b, live.AnnaEmail, live.AnnaPassword, "recovery")
				browsers = append(browsers, b)
			}
			var won atomic.Int64
			atOnce(len(browsers), func(i int) {
				if browsers[i].Post("/signin/verify", "code", code).StatusCode == http.StatusSeeOther {
					won.Add(1)
				}
			})
			if n := h.count("sessions") - before; n != 1 || won.Load() != 1 {
				h.T.Errorf("%d sessions, %d answers that lead in", n, won.Load())
			}
		}
	}, allMethods(&phone{}))
}

// The mailbox that has just reset the password is no second step as well if the account has another
// method. After a day it is again.
func TestResetMailboxIsNoSecondStep(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		h.addApp(h.annaSignedIn())
		attacker := h.Browser()
		h.wantStatus(attacker.Post("/reset", "token", h.requestReset(), "password", "brand new horse"), http.StatusSeeOther)
		h.WaitForOutbox()
		mails := h.Mail.Len()
		h.wantStatus(attacker.Post("/signin", "email", live.AnnaEmail, "password", "brand new horse"), http.StatusSeeOther)
		h.wantStatus(attacker.Post("/signin/method", "method", "email"), http.StatusUnprocessableEntity)
		for _, at := range []string{"/signin/code", "/signin/method"} {
			attacker.Post(at)
		}
		if h.WaitForOutbox(); h.Mail.Len() != mails {
			h.T.Error("the mailbox that set the password gets a code as well")
		}
		if a := attacker.Get("/signin/verify"); strings.Contains(a.Body, "a•••@") {
			h.T.Error("the mailbox is offered")
		}
		if _, in := signedIn(attacker); in {
			h.T.Error("the mailbox alone leads in")
		}
		h.Turn(23*time.Hour + 50*time.Minute)
		late := h.Browser()
		h.wantStatus(late.Post("/signin", "email", live.AnnaEmail, "password", "brand new horse"), http.StatusSeeOther)
		h.wantStatus(late.Post("/signin/method", "method", "email"), http.StatusUnprocessableEntity)
		h.Turn(11 * time.Minute)
		h.signIn(h.Browser(), live.AnnaEmail, "brand new horse")
	}, allMethods(&phone{}))
}

// Every code and token is sent to every place that takes another.
func TestProofsWorkForTheirPurposeOnly(t *testing.T) {
	t.Parallel()
	var p phone
	eachDatabase(t, func(h *server) {
		b := h.annaSignedIn()
		app := h.addApp(b)
		h.addNumber(b, &p, annaNumber)
		drafted := h.draftApp(b)
		address := h.mailedCode(func() { h.wantRedirect(b.Post("/settings/email", "email", "anna@example.net"), "/settings/email") })
		h.wantRedirect(b.Post("/settings/2step/sms", "country", "DE", "number", "015123456780"), "/settings/2step/sms")
		number := h.textedCode(&p)
		signIn, signUp, reset := h.Browser(), h.signUp("eva@example.net", "Eva"), h.requestReset()
		mailed := h.passwordStep(signIn, live.AnnaEmail, live.AnnaPassword)
		texted := h.Browser()
		h.choose(texted, live.AnnaEmail, live.AnnaPassword, "sms")
		sms := h.textedCode(&p)
		asked := h.Browser()
		h.choose(asked, live.AnnaEmail, live.AnnaPassword, "totp")
		proofs := map[string]string{"new address": address, "new number": number, "sign-in by mail": mailed, "sign-in by text": sms, "app": h.code(app, 0), "new app": h.code(drafted, 0), "sign-up": signUp, "reset": reset, "cookie": h.cookie(signIn, "signin")}
		places := map[string]func(proof string) live.Answer{
			"sign-in by mail": func(p string) live.Answer { return signIn.Post("/signin/verify", "code", p) },
			"sign-in by text": func(p string) live.Answer { return texted.Post("/signin/verify", "code", p) },
			"app":             func(p string) live.Answer { return asked.Post("/signin/verify", "code", p) },
			"new address":     func(p string) live.Answer { return b.Post("/settings/email/verify", "code", p) },
			"new number":      func(p string) live.Answer { return b.Post("/settings/2step/sms/verify", "code", p) },
			"new app":         func(p string) live.Answer { return b.Post("/settings/2step/app/verify", "code", p) },
			"reset": func(p string) live.Answer {
				return h.Browser().Post("/reset", "token", p, "password", "brand new horse")
			},
			"sign-up": func(p string) live.Answer {
				return h.Browser().Post("/join", "token", p, "name", "Eva", "password", "brand new horse")
			},
			"cookie":  func(p string) live.Answer { return h.withCookies("signin", p).Post("/signin/verify", "code", "000000") },
			"session": func(p string) live.Answer { return h.withCookies("session", p).Get("/settings") },
		}
		before := h.factorState()
		for place, try := range places {
			for name, proof := range proofs {
				if name == place {
					continue
				}
				h.exec("UPDATE challenges SET guesses = 0")
				h.resetLimits()
				a := try(proof)
				if a.StatusCode != http.StatusUnprocessableEntity && !(a.StatusCode == http.StatusSeeOther && strings.HasPrefix(a.Header.Get("Location"), "/signin")) {
					h.T.Errorf("the proof of %s in place of %s: %d to %q", name, place, a.StatusCode, a.Header.Get("Location"))
				}
				if h.factorState() != before {
					h.T.Fatalf("the proof of %s in place of %s changed something", name, place)
				}
			}
		}
		h.wantStatus(signIn.Post("/signin/verify", "code", mailed), http.StatusSeeOther) // and each at its own
		h.wantRedirect(b.Post("/settings/email/verify", "code", address), "/settings/email/done")
	}, allMethods(&p))
}
