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

// Printed codes of somebody else, without a password, of an old set, in
// another place; none of that uses one up.
func TestRecoveryCodesBelongToAccountAndSet(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		h.addBen()
		annas := h.anna()
		old := h.addPaper(annas)
		set := h.addPaper(annas)
		bens := h.addPaper(h.enter(h.Browser(), benEmail, benPassword))
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
			h.chosen(b, benEmail, benPassword, "recovery")
			h.want(b.Post("/signin/verify", "code", code), http.StatusUnprocessableEntity)
		}
		b := h.Browser()
		h.chosen(b, live.AnnaEmail, live.AnnaPassword, "recovery")
		for _, code := range []string{old[0], bens[0]} {
			h.want(b.Post("/signin/verify", "code", code), http.StatusUnprocessableEntity)
		}
		for at, fields := range map[string][]string{
			"/signin/verify": {"code", set[0]}, "/signin/method": {"method", "recovery"}, "/reset": {"token", set[0], "password", "brand new horse"}, "/join": {"token", set[0], "name", "x", "password", "brand new horse"},
		} {
			if a := h.Browser().Post(at, fields...); a.StatusCode != http.StatusUnprocessableEntity && !(a.StatusCode == http.StatusSeeOther && a.Header.Get("Location") == "/signin") {
				h.T.Errorf("%s with a printed code alone: %d to %q", at, a.StatusCode, a.Header.Get("Location"))
			}
		}
		h.want(h.Browser().Post("/signin", "email", live.AnnaEmail, "password", set[0]), http.StatusUnprocessableEntity)
		mailed := h.Browser()
		h.chosen(mailed, live.AnnaEmail, live.AnnaPassword, "email")
		h.want(mailed.Post("/signin/verify", "code", set[0]), http.StatusUnprocessableEntity)
		h.want(annas.Post("/settings/confirm", "password", set[0]), http.StatusUnprocessableEntity)
		if got := h.rows("SELECT id, body, version FROM factors WHERE method = 'recovery' ORDER BY id"); len(got) != len(bodies) || got[0][1] != bodies[0][1] || got[1][1] != bodies[1][1] {
			h.T.Error("a refused code was used up")
		}
		n := h.Mail.Len()
		h.want(b.Post("/signin/verify", "code", strings.ToLower(set[0])), http.StatusSeeOther)
		h.settle()
		told := false
		for ; n < h.Mail.Len(); n++ {
			told = told || strings.Contains(h.Mail.Next(n), "recovery code")
		}
		if !told {
			h.T.Error("the owner is not told that a printed code was used")
		}
		for _, spelt := range []string{set[0], strings.ReplaceAll(set[0], "-", ""), " " + strings.ReplaceAll(set[0], "-", " ")} {
			c := h.Browser()
			h.chosen(c, live.AnnaEmail, live.AnnaPassword, "recovery")
			h.want(c.Post("/signin/verify", "code", spelt), http.StatusUnprocessableEntity)
		}
	}, every(&phone{}))
}

// One printed code at the same moment in many browsers.
func TestRecoveryCodeAtOnceWorksOnce(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		codes := h.addPaper(h.anna())
		for _, code := range codes[:2] {
			before := h.count("sessions")
			var doors []*live.Browser
			for range 6 {
				b := h.Browser()
				h.chosen(b, live.AnnaEmail, live.AnnaPassword, "recovery")
				doors = append(doors, b)
			}
			var won atomic.Int64
			together(len(doors), func(i int) {
				if doors[i].Post("/signin/verify", "code", code).StatusCode == http.StatusSeeOther {
					won.Add(1)
				}
			})
			if n := h.count("sessions") - before; n != 1 || won.Load() != 1 {
				h.T.Errorf("%d sessions, %d answers that lead in", n, won.Load())
			}
		}
	}, every(&phone{}))
}

// The mailbox sets a new password and does not prove step two as well, if there is another way;
// after a day, or where it is the only way, it does.
func TestResetMailboxIsNoSecondStep(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		h.addApp(h.anna())
		thief := h.Browser()
		h.want(thief.Post("/reset", "token", h.forgot(), "password", "brand new horse"), http.StatusSeeOther)
		h.settle()
		mails := h.Mail.Len()
		h.want(thief.Post("/signin", "email", live.AnnaEmail, "password", "brand new horse"), http.StatusSeeOther)
		h.want(thief.Post("/signin/method", "method", "email"), http.StatusUnprocessableEntity)
		for _, at := range []string{"/signin/code", "/signin/method"} {
			thief.Post(at)
		}
		if h.settle(); h.Mail.Len() != mails {
			h.T.Error("the mailbox that set the password gets a code as well")
		}
		if a := thief.Get("/signin/verify"); strings.Contains(a.Body, "a•••@") {
			h.T.Error("the mailbox is offered")
		}
		if _, in := isIn(thief); in {
			h.T.Error("the mailbox alone leads in")
		}
		h.Turn(23*time.Hour + 50*time.Minute)
		late := h.Browser()
		h.want(late.Post("/signin", "email", live.AnnaEmail, "password", "brand new horse"), http.StatusSeeOther)
		h.want(late.Post("/signin/method", "method", "email"), http.StatusUnprocessableEntity)
		h.Turn(11 * time.Minute)
		h.enter(h.Browser(), live.AnnaEmail, "brand new horse")
	}, every(&phone{}))
}

// Every code and token at every door that is not its own.
func TestProofsWorkForTheirPurposeOnly(t *testing.T) {
	t.Parallel()
	var p phone
	each(t, func(h *house) {
		b := h.anna()
		app := h.addApp(b)
		h.addNumber(b, &p, annaNumber)
		drafted := h.draftApp(b)
		address := h.mailed(func() { h.leads(b.Post("/settings/email", "email", "anna@example.net"), "/settings/email") })
		h.leads(b.Post("/settings/2step/sms", "country", "DE", "number", "015123456780"), "/settings/2step/sms")
		number := h.texted(&p)
		signIn, signUp, reset := h.Browser(), h.signUp("eva@example.net", "Eva"), h.forgot()
		mailed := h.mailed(func() { h.chosen(signIn, live.AnnaEmail, live.AnnaPassword, "email") })
		texted := h.Browser()
		h.chosen(texted, live.AnnaEmail, live.AnnaPassword, "sms")
		sms := h.texted(&p)
		asked := h.Browser()
		h.chosen(asked, live.AnnaEmail, live.AnnaPassword, "totp")
		proofs := map[string]string{"new address": address, "new number": number, "sign-in by mail": mailed, "sign-in by text": sms, "app": h.code(app, 0), "new app": h.code(drafted, 0), "sign-up": signUp, "reset": reset, "cookie": h.cookie(signIn, "signin")}
		doors := map[string]func(proof string) live.Answer{
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
			"cookie":  func(p string) live.Answer { return h.with("signin", p).Post("/signin/verify", "code", "000000") },
			"session": func(p string) live.Answer { return h.with("session", p).Get("/settings") },
		}
		before := h.held()
		for door, try := range doors {
			for name, proof := range proofs {
				if name == door {
					continue
				}
				h.exec("UPDATE challenges SET tries = 0")
				h.forget()
				a := try(proof)
				if a.StatusCode != http.StatusUnprocessableEntity && !(a.StatusCode == http.StatusSeeOther && strings.HasPrefix(a.Header.Get("Location"), "/signin")) {
					h.T.Errorf("the proof of %s at the door of %s: %d to %q", name, door, a.StatusCode, a.Header.Get("Location"))
				}
				if h.held() != before {
					h.T.Fatalf("the proof of %s at the door of %s changed something", name, door)
				}
			}
		}
		h.want(signIn.Post("/signin/verify", "code", mailed), http.StatusSeeOther) // and each at its own
		h.leads(b.Post("/settings/email/verify", "code", address), "/settings/email/done")
	}, every(&p))
}
