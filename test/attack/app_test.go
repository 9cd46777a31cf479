package attack

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/test/e2e/live"
)

// withApp is a server whose clock stands in the middle of a step, on which Anna has an app.
func withApp(t *testing.T, f func(h *house, c *clock, secret string)) {
	storetest.Each(t, func(t *testing.T, url string) {
		c := stopped()
		c.now = c.now.Truncate(30 * time.Second).Add(15 * time.Second)
		h := start(t, url, every(&phone{}), c.set)
		b := h.anna()
		secret := h.draftApp(b)
		h.leads(b.Post("/settings/2step/app/verify", "code", codeAt(secret, c.Now(), 0)), "/settings/2step/app/done")
		h.leads(b.Post("/settings/sessions/end"), "/signin")
		h.exec("DELETE FROM sessions")
		c.turn(10 * time.Minute)
		f(h, c, secret)
	})
}

// asked is a new browser in which Anna is asked for a code of her app.
func (h *house) asked() *live.Browser {
	h.T.Helper()
	b := h.Browser()
	h.chosen(b, live.AnnaEmail, live.AnnaPassword, "totp")
	return b
}

// Codes of steps around now. Two are good, those that are still to come never, and who
// guesses one is not told that it will be.
func TestOnlyCurrentAndPreviousAppCodesAreAccepted(t *testing.T) {
	t.Parallel()
	withApp(t, func(h *house, c *clock, secret string) {
		wrong := ""
		for steps := int64(-25); steps <= 25; steps++ {
			if steps == 0 || steps == -1 {
				continue
			}
			h.forget()
			b := h.asked()
			a := h.want(b.Post("/signin/verify", "code", codeAt(secret, c.Now(), steps)), http.StatusUnprocessableEntity)
			if steps > 0 {
				if wrong == "" {
					h.forget()
					wrong = h.asked().Post("/signin/verify", "code", "000000").Body
				}
				if a.Body != wrong {
					h.T.Errorf("a code of %d steps ahead looks different from a wrong one", steps)
				}
			}
		}
		h.forget()
		h.out("codes of other steps", h.asked())
		for _, steps := range []int64{-1, 0} {
			b := h.asked()
			h.want(b.Post("/signin/verify", "code", codeAt(secret, c.Now(), steps)), http.StatusSeeOther)
			if _, in := isIn(b); !in {
				h.T.Errorf("the code of step %d is refused", steps)
			}
		}
	})
}

// A code that was used, and one of a step before it; also when the refused one
// comes in a later step, over a second browser, or while the row cannot be written.
func TestUsedAppCodeIsRefused(t *testing.T) {
	t.Parallel()
	withApp(t, func(h *house, c *clock, secret string) {
		used, before := codeAt(secret, c.Now(), 0), codeAt(secret, c.Now(), -1)
		first := h.asked()
		h.want(first.Post("/signin/verify", "code", used), http.StatusSeeOther)
		for _, wait := range []time.Duration{0, time.Second, 10 * time.Second, 4 * time.Second, 15 * time.Second} {
			c.turn(wait)
			for what, code := range map[string]string{"used": used, "older": before, "spelt anew": " " + used[:3] + "-" + used[3:], "full width": wide(used)} {
				h.forget()
				b := h.asked()
				h.want(b.Post("/signin/verify", "code", code), http.StatusUnprocessableEntity)
				if _, in := isIn(b); in {
					h.T.Errorf("%s after %s: signed in", what, wait)
				}
			}
		}
		h.forget()
		h.want(h.asked().Post("/signin/verify", "code", codeAt(secret, c.Now(), 0)), http.StatusSeeOther)
	})
}

func wide(code string) string {
	return strings.Map(func(r rune) rune { return r - '0' + '０' }, code)
}

// One code of the app at the same moment in many browsers, over two servers.
func TestAppCodeAtOnceWorksOnceAtTwoServers(t *testing.T) {
	t.Parallel()
	c := stopped()
	c.now = c.now.Truncate(30 * time.Second).Add(15 * time.Second)
	h := start(t, storetest.Postgres(t), every(&phone{}), c.set)
	g := start(t, h.DB, every(&phone{}), c.set, func(o *twostep.Options) { o.KeyFile = h.Keys })
	b := h.anna()
	secret := h.draftApp(b)
	h.leads(b.Post("/settings/2step/app/verify", "code", codeAt(secret, c.Now(), 0)), "/settings/2step/app/done")
	for range 3 {
		c.turn(time.Minute)
		h.forget()
		before := h.count("sessions")
		var doors []*live.Browser
		for i := range 8 {
			doors = append(doors, []*house{h, g}[i%2].asked())
		}
		var won atomic.Int64
		together(len(doors), func(i int) {
			if doors[i].Post("/signin/verify", "code", codeAt(secret, c.Now(), 0)).StatusCode == http.StatusSeeOther {
				won.Add(1)
			}
		})
		if n := h.count("sessions") - before; n != 1 || won.Load() != 1 {
			t.Errorf("%d sessions, %d answers that lead in", n, won.Load())
		}
	}
}

// Formatting makes two codes of one, or a second try of the same.
func TestSpellingsOfAnAppCodeAreOneCode(t *testing.T) {
	t.Parallel()
	withApp(t, func(h *house, c *clock, secret string) {
		code := codeAt(secret, c.Now(), 0)
		bad := live.Wrong(code)
		b := h.asked()
		for i, spelt := range []string{" " + bad, bad[:3] + " " + bad[3:], bad[:3] + "-" + bad[3:], wide(bad)} {
			h.want(b.Post("/signin/verify", "code", spelt), http.StatusUnprocessableEntity)
			h.forget()
			if got := h.tries(); got != string(rune('1'+i)) {
				h.T.Errorf("%q: %s tries are spent", spelt, got)
			}
		}
		for _, none := range []string{"", "12345", "1234567", "12345x", strings.Repeat("1", 65), "１２３４５"} {
			h.want(b.Post("/signin/verify", "code", none), http.StatusUnprocessableEntity)
		}
		if h.tries() != "4" {
			h.T.Error("what is no code is counted, or a code is not")
		}
		h.want(b.Post("/signin/verify", "code", code[:3]+"\u2009"+code[3:]), http.StatusSeeOther)
	})
}

// Three wrong codes of the mail and two of the app are five; another method,
// a new code or the printed ones give no more.
func TestAllMethodsShareFiveAttempts(t *testing.T) {
	t.Parallel()
	withApp(t, func(h *house, c *clock, secret string) {
		owner := h.asked()
		h.want(owner.Post("/signin/verify", "code", codeAt(secret, c.Now(), -1)), http.StatusSeeOther)
		printed := h.addPaper(owner)
		c.turn(time.Second)
		sessions := h.count("sessions")
		b := h.Browser()
		code := h.mailed(func() { h.chosen(b, live.AnnaEmail, live.AnnaPassword, "email") })
		for range 3 {
			h.want(b.Post("/signin/verify", "code", live.Wrong(code)), http.StatusUnprocessableEntity)
			h.forget()
		}
		h.want(b.Post("/signin/method", "method", "totp"), http.StatusSeeOther)
		h.want(b.Post("/signin/verify", "code", live.Wrong(codeAt(secret, c.Now(), 0))), http.StatusUnprocessableEntity)
		h.forget()
		h.want(b.Post("/signin/method", "method", "recovery"), http.StatusSeeOther)
		h.want(b.Post("/signin/verify", "code", "AAAAA-AAAA-AAAA"), http.StatusUnprocessableEntity)
		if h.tries() != "5" {
			h.T.Errorf("%s tries are spent", h.tries())
		}
		h.want(b.Post("/signin/verify", "code", printed[0]), http.StatusTooManyRequests)
		for method, right := range map[string]string{"totp": codeAt(secret, c.Now(), 0), "email": code, "recovery": printed[0], "sms": "123456"} {
			if a := b.Post("/signin/method", "method", method); a.StatusCode == http.StatusSeeOther && method != "recovery" {
				h.T.Errorf("%s is offered after five wrong codes", method)
			}
			// A code of six digits is none to the printed ones, which are asked for: 422.
			if a := b.Post("/signin/verify", "code", right); a.StatusCode != http.StatusTooManyRequests && (method == "recovery" || a.StatusCode != http.StatusUnprocessableEntity) {
				h.T.Errorf("%s after five wrong codes: %d", method, a.StatusCode)
			}
		}
		if _, in := isIn(b); in {
			h.T.Error("signed in")
		}
		if got := h.count("sessions"); got != sessions {
			h.T.Errorf("%d sessions, want %d", got, sessions)
		}
		b = h.Browser() // what was refused was not consumed
		h.chosen(b, live.AnnaEmail, live.AnnaPassword, "recovery")
		h.want(b.Post("/signin/verify", "code", printed[0]), http.StatusSeeOther)
	})
}

// The app is removed while its question is open, and again while the mail's is.
func TestRemovedAppCannotAnswer(t *testing.T) {
	t.Parallel()
	withApp(t, func(h *house, c *clock, secret string) {
		owner := h.enter(h.Browser(), live.AnnaEmail, live.AnnaPassword)
		b := h.asked()
		h.leads(owner.Post("/settings/2step/app/remove", "id", h.one("SELECT id FROM factors")), "/settings")
		h.leads(b.Post("/signin/verify", "code", codeAt(secret, c.Now(), 0)), "/signin")
		b = h.Browser()
		h.want(b.Post("/signin", "email", live.AnnaEmail, "password", live.AnnaPassword), http.StatusSeeOther)
		h.want(b.Post("/signin/method", "method", "totp"), http.StatusUnprocessableEntity)
		h.want(b.Post("/signin/verify", "code", codeAt(secret, c.Now(), 0)), http.StatusUnprocessableEntity)
		if _, in := isIn(b); in {
			h.T.Error("signed in by an app that was removed")
		}
		// Behind our back, so that no epoch helps.
		fresh := h.draftApp(owner)
		h.leads(owner.Post("/settings/2step/app/verify", "code", codeAt(fresh, c.Now(), -1)), "/settings/2step/app/done")
		b = h.asked()
		h.exec("DELETE FROM factors")
		h.want(b.Post("/signin/verify", "code", codeAt(fresh, c.Now(), 0)), http.StatusUnprocessableEntity)
		if _, in := isIn(b); in {
			h.T.Error("signed in by an app whose row is gone")
		}
	})
}

// Two enrolments at the same moment: of one draft, and of drafts in two sessions.
func TestEnrolmentsAtOnceStaySeparate(t *testing.T) {
	t.Parallel()
	var p phone
	storetest.Each(t, func(t *testing.T, url string) {
		c := stopped()
		c.now = c.now.Truncate(30 * time.Second).Add(15 * time.Second)
		h := start(t, url, every(&p), c.set)
		b := h.anna()
		together(6, func(int) { b.Post("/settings/2step/app", "name", "x") })
		if n := h.count("drafts"); n != 1 {
			t.Errorf("%d drafts of one method in one session", n)
		}
		replaced, secret := h.draftApp(b), h.draftApp(b)
		if replaced == secret {
			t.Error("a new draft is the old one")
		}
		h.want(b.Post("/settings/2step/app/verify", "code", codeAt(replaced, c.Now(), 0)), http.StatusUnprocessableEntity)
		session := h.cookie(b, "session")
		var tabs []*live.Browser
		for range 6 {
			tabs = append(tabs, h.with("session", session))
		}
		together(6, func(i int) { tabs[i].Post("/settings/2step/app/verify", "code", codeAt(secret, c.Now(), 0)) })
		if n := h.count("factors"); n != 1 {
			t.Errorf("%d apps of one draft", n)
		}
		h.exec("DELETE FROM sessions")
		one, other := h.anna(), h.anna()
		mine := h.draftApp(one)
		theirs := h.draftApp(other)
		if mine == theirs || strings.Contains(one.Get("/settings/2step/app").Body, theirs) {
			t.Error("two sessions share a draft")
		}
		h.want(one.Post("/settings/2step/app/verify", "code", codeAt(theirs, c.Now(), 0)), http.StatusUnprocessableEntity)
		h.leads(one.Post("/settings/2step/app/verify", "code", codeAt(mine, c.Now(), 0)), "/settings/2step/app/done")
		if a := other.Post("/settings/2step/app/verify", "code", codeAt(theirs, c.Now(), 0)); !strings.HasPrefix(a.Header.Get("Location"), "/signin") {
			t.Errorf("a draft outlives its session: %d to %q", a.StatusCode, a.Header.Get("Location"))
		}
		together(4, func(i int) { // one number, however many are drawn up
			d := h.with("session", h.cookie(one, "session"))
			d.Post("/settings/2step/sms", "country", "DE", "number", "01512345678"+string(rune('0'+i)))
		})
		if n := h.one("SELECT count(*) FROM drafts WHERE method = 'sms'"); n != "1" {
			t.Errorf("%s drafts of a number", n)
		}
		h.settle() // the texts of those that were replaced arrive in any order
		h.addNumber(one, &p, "015123456780")
		h.addNumber(one, &p, annaNumber)
		if h.one("SELECT count(*) FROM factors WHERE method = 'sms'") != "1" {
			t.Error("more than one number")
		}
	})
}
