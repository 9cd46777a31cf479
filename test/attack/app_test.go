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

// withApp runs f on both databases, on a server whose clock stands in the middle of a time step and where
// Anna has an authenticator app.
func withApp(t *testing.T, f func(h *server, c *clock, secret string)) {
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		c := newClock()
		c.now = c.now.Truncate(30 * time.Second).Add(15 * time.Second)
		h := start(t, url, allMethods(&phone{}), c.set)
		b := h.annaSignedIn()
		secret := h.draftApp(b)
		h.wantRedirect(b.Post("/settings/2step/app/verify", "code", codeAt(secret, c.Now(), 0)), "/settings/2step/app/done")
		h.wantRedirect(b.Post("/settings/sessions/end"), "/signin")
		h.exec("DELETE FROM sessions")
		c.advance(10 * time.Minute)
		f(h, c, secret)
	})
}

// askedForApp returns a new browser in which Anna is asked for a code of her app.
func (h *server) askedForApp() *live.Browser {
	h.T.Helper()
	b := h.Browser()
	h.choose(b, live.AnnaEmail, live.AnnaPassword, "totp")
	return b
}

// Codes of 25 time steps before and after now are tried. Only the current and the previous step are
// accepted, and the answer to a future code does not tell that it will be right.
func TestOnlyCurrentAndPreviousAppCodesAreAccepted(t *testing.T) {
	t.Parallel()
	withApp(t, func(h *server, c *clock, secret string) {
		wrong := ""
		for steps := int64(-25); steps <= 25; steps++ {
			if steps == 0 || steps == -1 {
				continue
			}
			h.resetLimits()
			b := h.askedForApp()
			a := h.wantStatus(b.Post("/signin/verify", "code", codeAt(secret, c.Now(), steps)), http.StatusUnprocessableEntity)
			if steps > 0 {
				if wrong == "" {
					h.resetLimits()
					wrong = h.askedForApp().Post("/signin/verify", "code", "000000").Body
				}
				if a.Body != wrong {
					h.T.Errorf("a code of %d steps ahead looks different from a wrong one", steps)
				}
			}
		}
		h.resetLimits()
		h.wantNoSession("codes of other steps", h.askedForApp())
		for _, steps := range []int64{-1, 0} {
			b := h.askedForApp()
			h.wantStatus(b.Post("/signin/verify", "code", codeAt(secret, c.Now(), steps)), http.StatusSeeOther)
			if _, in := signedIn(b); !in {
				h.T.Errorf("the code of step %d is refused", steps)
			}
		}
	})
}

// A used app code, and a code of an older step, are tried again at once, in later steps and in other
// browsers.
func TestUsedAppCodeIsRefused(t *testing.T) {
	t.Parallel()
	withApp(t, func(h *server, c *clock, secret string) {
		used, before := codeAt(secret, c.Now(), 0), codeAt(secret, c.Now(), -1)
		first := h.askedForApp()
		h.wantStatus(first.Post("/signin/verify", "code", used), http.StatusSeeOther)
		for _, wait := range []time.Duration{0, time.Second, 10 * time.Second, 4 * time.Second, 15 * time.Second} {
			c.advance(wait)
			for what, code := range map[string]string{"used": used, "older": before, "spelt anew": " " + used[:3] + "-" + used[3:], "full width": fullWidth(used)} {
				h.resetLimits()
				b := h.askedForApp()
				h.wantStatus(b.Post("/signin/verify", "code", code), http.StatusUnprocessableEntity)
				if _, in := signedIn(b); in {
					h.T.Errorf("%s after %s: signed in", what, wait)
				}
			}
		}
		h.resetLimits()
		h.wantStatus(h.askedForApp().Post("/signin/verify", "code", codeAt(secret, c.Now(), 0)), http.StatusSeeOther)
	})
}

func fullWidth(code string) string {
	return strings.Map(func(r rune) rune { return r - '0' + '０' }, code)
}

// One app code is sent at the same moment from many browsers to two servers.
func TestAppCodeAtOnceWorksOnceAtTwoServers(t *testing.T) {
	t.Parallel()
	c := newClock()
	c.now = c.now.Truncate(30 * time.Second).Add(15 * time.Second)
	h := start(t, storetest.NewPostgres(t), allMethods(&phone{}), c.set)
	g := start(t, h.Database, allMethods(&phone{}), c.set, func(o *twostep.Options) { o.KeyFile = h.KeyFile })
	b := h.annaSignedIn()
	secret := h.draftApp(b)
	h.wantRedirect(b.Post("/settings/2step/app/verify", "code", codeAt(secret, c.Now(), 0)), "/settings/2step/app/done")
	for range 3 {
		c.advance(time.Minute)
		h.resetLimits()
		before := h.count("sessions")
		var browsers []*live.Browser
		for i := range 8 {
			browsers = append(browsers, []*server{h, g}[i%2].askedForApp())
		}
		var won atomic.Int64
		atOnce(len(browsers), func(i int) {
			if browsers[i].Post("/signin/verify", "code", codeAt(secret, c.Now(), 0)).StatusCode == http.StatusSeeOther {
				won.Add(1)
			}
		})
		if n := h.count("sessions") - before; n != 1 || won.Load() != 1 {
			t.Errorf("%d sessions, %d answers that lead in", n, won.Load())
		}
	}
}

// Blanks, hyphens and digits of another script make one app code look like several. Every spelling of
// a wrong code costs an attempt; what is no code costs none.
func TestSpellingsOfAnAppCodeAreOneCode(t *testing.T) {
	t.Parallel()
	withApp(t, func(h *server, c *clock, secret string) {
		code := codeAt(secret, c.Now(), 0)
		bad := live.Wrong(code)
		b := h.askedForApp()
		for i, spelt := range []string{" " + bad, bad[:3] + " " + bad[3:], bad[:3] + "-" + bad[3:], fullWidth(bad)} {
			h.wantStatus(b.Post("/signin/verify", "code", spelt), http.StatusUnprocessableEntity)
			h.resetLimits()
			if got := h.tries(); got != string(rune('1'+i)) {
				h.T.Errorf("%q: %s tries are spent", spelt, got)
			}
		}
		for _, none := range []string{"", "12345", "1234567", "12345x", strings.Repeat("1", 65), "１２３４５"} {
			h.wantStatus(b.Post("/signin/verify", "code", none), http.StatusUnprocessableEntity)
		}
		if h.tries() != "4" {
			h.T.Error("what is no code is counted, or a code is not")
		}
		h.wantStatus(b.Post("/signin/verify", "code", code[:3]+"\u2009"+code[3:]), http.StatusSeeOther)
	})
}

// Three wrong codes by email, one of the app and one recovery code are five attempts. Another method,
// a new code or the right code is no way on after them.
func TestAllMethodsShareFiveAttempts(t *testing.T) {
	t.Parallel()
	withApp(t, func(h *server, c *clock, secret string) {
		owner := h.askedForApp()
		h.wantStatus(owner.Post("/signin/verify", "code", codeAt(secret, c.Now(), -1)), http.StatusSeeOther)
		printed := h.addRecoveryCodes(owner)
		c.advance(time.Second)
		sessions := h.count("sessions")
		b := h.Browser()
		code := h.passwordStep(b, live.AnnaEmail, live.AnnaPassword)
		for range 3 {
			h.wantStatus(b.Post("/signin/verify", "code", live.Wrong(code)), http.StatusUnprocessableEntity)
			h.resetLimits()
		}
		h.wantStatus(b.Post("/signin/method", "method", "totp"), http.StatusSeeOther)
		h.wantStatus(b.Post("/signin/verify", "code", live.Wrong(codeAt(secret, c.Now(), 0))), http.StatusUnprocessableEntity)
		h.resetLimits()
		h.wantStatus(b.Post("/signin/method", "method", "recovery"), http.StatusSeeOther)
		h.wantStatus(b.Post("/signin/verify", "code", "AAAAA-AAAA-AAAA"), http.StatusUnprocessableEntity)
		if h.tries() != "5" {
			h.T.Errorf("%s tries are spent", h.tries())
		}
		h.wantStatus(b.Post("/signin/verify", "code", printed[0]), http.StatusTooManyRequests)
		for method, right := range map[string]string{"totp": codeAt(secret, c.Now(), 0), "email": code, "recovery": printed[0], "sms": "123456"} {
			if a := b.Post("/signin/method", "method", method); a.StatusCode == http.StatusSeeOther && method != "recovery" {
				h.T.Errorf("%s is offered after five wrong codes", method)
			}
			// A code of six digits is none to the printed ones, which are asked for: 422.
			if a := b.Post("/signin/verify", "code", right); a.StatusCode != http.StatusTooManyRequests && (method == "recovery" || a.StatusCode != http.StatusUnprocessableEntity) {
				h.T.Errorf("%s after five wrong codes: %d", method, a.StatusCode)
			}
		}
		if _, in := signedIn(b); in {
			h.T.Error("signed in")
		}
		if got := h.count("sessions"); got != sessions {
			h.T.Errorf("%d sessions, want %d", got, sessions)
		}
		b = h.Browser() // what was refused was not consumed
		h.choose(b, live.AnnaEmail, live.AnnaPassword, "recovery")
		h.wantStatus(b.Post("/signin/verify", "code", printed[0]), http.StatusSeeOther)
	})
}

// The app is removed while a sign-in waits for its code, by the owner and behind the server's back.
func TestRemovedAppCannotAnswer(t *testing.T) {
	t.Parallel()
	withApp(t, func(h *server, c *clock, secret string) {
		owner := h.signIn(h.Browser(), live.AnnaEmail, live.AnnaPassword)
		b := h.askedForApp()
		h.wantRedirect(owner.Post("/settings/2step/app/remove", "id", h.value("SELECT id FROM factors")), "/settings")
		h.wantRedirect(b.Post("/signin/verify", "code", codeAt(secret, c.Now(), 0)), "/signin")
		b = h.Browser()
		h.wantStatus(b.Post("/signin", "email", live.AnnaEmail, "password", live.AnnaPassword), http.StatusSeeOther)
		h.wantStatus(b.Post("/signin/method", "method", "totp"), http.StatusUnprocessableEntity)
		h.wantStatus(b.Post("/signin/verify", "code", codeAt(secret, c.Now(), 0)), http.StatusUnprocessableEntity)
		if _, in := signedIn(b); in {
			h.T.Error("signed in by an app that was removed")
		}
		// Behind our back, so that no epoch helps.
		fresh := h.draftApp(owner)
		h.wantRedirect(owner.Post("/settings/2step/app/verify", "code", codeAt(fresh, c.Now(), -1)), "/settings/2step/app/done")
		b = h.askedForApp()
		h.exec("DELETE FROM factors")
		h.wantStatus(b.Post("/signin/verify", "code", codeAt(fresh, c.Now(), 0)), http.StatusUnprocessableEntity)
		if _, in := signedIn(b); in {
			h.T.Error("signed in by an app whose row is gone")
		}
	})
}

// Enrolments run at the same moment: several confirmations of one draft, and drafts in two sessions.
func TestEnrolmentsAtOnceStaySeparate(t *testing.T) {
	t.Parallel()
	var p phone
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		c := newClock()
		c.now = c.now.Truncate(30 * time.Second).Add(15 * time.Second)
		h := start(t, url, allMethods(&p), c.set)
		b := h.annaSignedIn()
		atOnce(6, func(int) { b.Post("/settings/2step/app", "name", "x") })
		if n := h.count("pending_factors"); n != 1 {
			t.Errorf("%d drafts of one method in one session", n)
		}
		replaced, secret := h.draftApp(b), h.draftApp(b)
		if replaced == secret {
			t.Error("a new draft is the old one")
		}
		h.wantStatus(b.Post("/settings/2step/app/verify", "code", codeAt(replaced, c.Now(), 0)), http.StatusUnprocessableEntity)
		session := h.cookie(b, "session")
		var tabs []*live.Browser
		for range 6 {
			tabs = append(tabs, h.withCookies("session", session))
		}
		atOnce(6, func(i int) { tabs[i].Post("/settings/2step/app/verify", "code", codeAt(secret, c.Now(), 0)) })
		if n := h.count("factors"); n != 1 {
			t.Errorf("%d apps of one draft", n)
		}
		h.exec("DELETE FROM sessions")
		one, other := h.annaSignedIn(), h.annaSignedIn()
		mine := h.draftApp(one)
		theirs := h.draftApp(other)
		if mine == theirs || strings.Contains(one.Get("/settings/2step/app").Body, theirs) {
			t.Error("two sessions share a draft")
		}
		h.wantStatus(one.Post("/settings/2step/app/verify", "code", codeAt(theirs, c.Now(), 0)), http.StatusUnprocessableEntity)
		h.wantRedirect(one.Post("/settings/2step/app/verify", "code", codeAt(mine, c.Now(), 0)), "/settings/2step/app/done")
		if a := other.Post("/settings/2step/app/verify", "code", codeAt(theirs, c.Now(), 0)); !strings.HasPrefix(a.Header.Get("Location"), "/signin") {
			t.Errorf("a draft outlives its session: %d to %q", a.StatusCode, a.Header.Get("Location"))
		}
		atOnce(4, func(i int) { // one number, however many are drawn up
			d := h.withCookies("session", h.cookie(one, "session"))
			d.Post("/settings/2step/sms", "country", "DE", "number", "01512345678"+string(rune('0'+i)))
		})
		if n := h.value("SELECT count(*) FROM pending_factors WHERE method = 'sms'"); n != "1" {
			t.Errorf("%s drafts of a number", n)
		}
		h.WaitForOutbox() // the texts of those that were replaced arrive in any order
		h.addNumber(one, &p, "015123456780")
		h.addNumber(one, &p, annaNumber)
		if h.value("SELECT count(*) FROM factors WHERE method = 'sms'") != "1" {
			t.Error("more than one number")
		}
	})
}
