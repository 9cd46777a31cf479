package attack

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/internal/enroll"
	"twostep.example/twostep/test/e2e/live"
)

const newPassword = "brand new horse"

var (
	undoLink   = regexp.MustCompile(`/undo#(\S+)`)
	mailTo     = regexp.MustCompile(`(?m)^To: <([^>]+)>\r?$`)
	untilOther = func(o *twostep.Options) { o.EmailSecondStep = "until-another" }
)

// undoToken runs a change and returns the token of the link that undoes it.
func (h *server) undoToken(change func()) string {
	h.T.Helper()
	h.WaitForOutbox()
	n := h.Mail.Len()
	change()
	h.WaitForOutbox()
	for ; n < h.Mail.Len(); n++ {
		if found := undoLink.FindStringSubmatch(strings.ReplaceAll(h.Mail.Next(n), "=\r\n", "")); found != nil {
			return found[1]
		}
	}
	h.T.Fatal("no mail has a link that undoes the change")
	return ""
}

// reset resets Anna's password by email.
func (h *server) reset(password string) {
	h.T.Helper()
	h.wantRedirect(h.Browser().Post("/reset", "token", h.requestReset(), "password", password), "/reset/done")
}

// enterByApp signs Anna in with her app, in a new browser.
func (h *server) enterByApp(secret, password string) *live.Browser {
	h.T.Helper()
	h.Turn(time.Minute)
	h.avoidStepEnd()
	b := h.Browser()
	h.wantStatus(b.Post("/signin", "email", live.AnnaEmail, "password", password), http.StatusSeeOther)
	h.wantStatus(b.Post("/signin/method", "method", "totp"), http.StatusSeeOther)
	h.wantStatus(b.Post("/signin/verify", "code", h.code(secret, 0)), http.StatusSeeOther)
	h.wantIn(b)
	return b
}

func (h *server) wantIn(b *live.Browser) {
	h.T.Helper()
	if page, in := signedIn(b); !in {
		h.T.Errorf("not signed in: %.200s", page)
	}
}

// wantNoEmail fails the test if the password and the mailbox open a session.
func (h *server) wantNoEmail(what, password string) {
	h.T.Helper()
	b := h.Browser()
	h.wantStatus(b.Post("/signin", "email", live.AnnaEmail, "password", password), http.StatusSeeOther)
	if page := b.Get("/signin/method").Body; strings.Contains(page, `value="email"`) {
		h.T.Errorf("%s: email is offered", what)
	}
	h.WaitForOutbox()
	n := h.Mail.Len()
	h.wantStatus(b.Post("/signin/method", "method", "email"), http.StatusUnprocessableEntity)
	b.Post("/signin/code")
	h.WaitForOutbox()
	for ; n < h.Mail.Len(); n++ {
		if mail := h.Mail.Next(n); codeInMail.MatchString(mail) || longCode.MatchString(mail) {
			h.T.Errorf("%s: a code was mailed", what)
		}
	}
	h.wantOut(what, b)
}

func (h *server) wantOut(what string, b *live.Browser) {
	h.T.Helper()
	if _, in := signedIn(b); in {
		h.T.Errorf("%s: signed in", what)
	}
}

// A thief reads the mailbox: the link that undoes a new app, password resets, and codes by email. None of that, in any
// order, removes the app or opens a session, and the passwords that the thief tries are limited.
func TestMailboxAloneUndoesNothing(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		b := h.annaSignedIn()
		token := h.undoToken(func() { h.addApp(b) })
		thief := h.Browser()
		for _, fields := range [][]string{
			{"token", token}, {"token", token, "password", ""}, {"token", token, "password", "wrong horse battery"},
		} {
			h.wantStatus(thief.Post("/undo", fields...), http.StatusUnprocessableEntity)
		}
		h.reset(newPassword)
		h.wantStatus(thief.Post("/undo", "token", token, "password", newPassword), http.StatusUnprocessableEntity)
		h.wantNoEmail("after a reset", newPassword)
		for range 5 {
			if a := thief.PostNow("/undo", "token", token, "password", newPassword); a.StatusCode == http.StatusTooManyRequests {
				break
			} else if a.StatusCode != http.StatusUnprocessableEntity {
				h.T.Errorf("a password that the account did not have: %d", a.StatusCode)
			}
		}
		h.wantStatus(thief.PostNow("/undo", "token", token, "password", live.AnnaPassword), http.StatusTooManyRequests)
		if n := h.count("factors"); n != 1 {
			h.T.Errorf("%d factors, want the app", n)
		}
		h.Turn(7*24*time.Hour + time.Second)
		h.wantStatus(thief.Post("/undo", "token", token, "password", live.AnnaPassword), http.StatusUnprocessableEntity)
	}, allMethods(&phone{}))
}

// undoSince adds an app, does something, and opens the link with the password of before: the answer redirects to a path
// and leaves so many factors.
func undoSince(t *testing.T, since func(h *server, b *live.Browser, secret string), to string, left int) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		b := h.annaSignedIn()
		secret := ""
		token := h.undoToken(func() { secret = h.addApp(b) })
		h.Turn(time.Second)
		since(h, b, secret)
		h.wantRedirect(h.Browser().Post("/undo", "token", token, "password", live.AnnaPassword), to)
		if n := h.count("factors"); n != left {
			h.T.Errorf("%d factors, want %d", n, left)
		}
	}, allMethods(&phone{}))
}

// An app that was never used goes at once, if the password is the same.
func TestUnusedFactorIsUndoneAtOnce(t *testing.T) {
	undoSince(t, func(*server, *live.Browser, string) {}, "/undo/done", 0)
}

// An app that has signed somebody in stays.
func TestUsedFactorIsNotUndoneAtOnce(t *testing.T) {
	undoSince(t, func(h *server, _ *live.Browser, secret string) { h.enterByApp(secret, live.AnnaPassword) },
		"/undo/requested", 1)
}

// An app stays that is older than the password.
func TestFormerPasswordUndoesNothingAtOnce(t *testing.T) {
	undoSince(t, func(h *server, b *live.Browser, _ string) {
		h.wantRedirect(b.Post("/settings/password", "current", live.AnnaPassword, "password", newPassword), "/settings/password/done")
		h.Turn(time.Second)
		h.reset("a third horse battery")
	}, "/undo/requested", 1)
}

// While an account is frozen, nothing but its other methods opens a session: no code by email of a new or an earlier
// attempt, no trusted device, no reset, no step-up by email. Sessions stay. The disputed app works.
func TestFrozenAccountIsNotEnteredByEmail(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		trusted := h.Browser()
		h.signInAndTrust(trusted, anna)
		h.wantTrusted("before", trusted, anna)
		var secret string
		token := h.undoToken(func() { secret = h.addApp(h.stepUp(trusted)) })
		h.enterByApp(secret, live.AnnaPassword)
		begun := h.Browser()
		code := h.mailedCode(func() { h.choose(begun, live.AnnaEmail, live.AnnaPassword, "email") })
		before := h.requestReset()
		h.wantRedirect(h.Browser().Post("/undo", "token", token, "password", live.AnnaPassword), "/undo/requested")

		h.wantStatus(begun.Post("/signin/verify", "code", code), http.StatusUnprocessableEntity)
		h.wantOut("a code from before", begun)
		h.wantNoEmail("frozen", live.AnnaPassword)
		h.wantAsked("frozen", trusted, anna)
		for _, reset := range []string{before, h.requestReset()} {
			h.wantStatus(h.Browser().Post("/reset", "token", reset), http.StatusForbidden)
			h.wantStatus(h.Browser().Post("/reset", "token", reset, "password", newPassword), http.StatusForbidden)
		}
		in := h.enterByApp(secret, live.AnnaPassword)
		h.wantRedirect(in.Post("/settings/confirm", "password", live.AnnaPassword), "/signin/verify")
		h.wantStatus(in.Post("/signin/method", "method", "email"), http.StatusUnprocessableEntity)
		if page := in.Get("/settings").Body; !strings.Contains(page, "/settings/keep") {
			h.T.Error("the settings do not offer to keep the change")
		}
	}, allMethods(&phone{}))
}

// stepUp signs Anna in again in a browser, past its trust, so that it may change factors.
func (h *server) stepUp(b *live.Browser) *live.Browser {
	h.T.Helper()
	code := h.mailedCode(func() {
		h.wantRedirect(b.Post("/settings/confirm", "password", live.AnnaPassword), "/signin/verify")
	})
	h.wantStatus(b.Post("/signin/verify", "code", code), http.StatusSeeOther)
	return b
}

// While an account is frozen, nobody changes what proves the person, with any session.
func TestFrozenAccountChangesNothing(t *testing.T) {
	t.Parallel()
	var p phone
	eachDatabase(t, func(h *server) {
		b := h.annaSignedIn()
		token := h.undoToken(func() { h.addApp(b) })
		h.addNumber(b, &p, annaNumber)
		h.addRecoveryCodes(b)
		pending := h.Browser()
		h.signIn(pending, live.AnnaEmail, live.AnnaPassword)
		secret := h.draftApp(pending)
		h.exec("UPDATE factors SET last_used_at = 1")
		h.wantRedirect(h.Browser().Post("/undo", "token", token, "password", live.AnnaPassword), "/undo/requested")
		before := h.factorState()
		changes := h.changes(b)
		changes["a new password"] = func() live.Answer {
			return b.Post("/settings/password", "current", live.AnnaPassword, "password", newPassword)
		}
		changes["an app that was waiting"] = func() live.Answer {
			return pending.Post("/settings/2step/app/verify", "code", h.code(secret, -1))
		}
		for name, change := range changes {
			h.wantStatus(change(), http.StatusForbidden)
			if h.factorState() != before {
				h.T.Errorf("%s: something changed", name)
			}
		}
	}, allMethods(&p))
}

// A requested undo takes effect after 72 hours by the server's clock, not a second before, also for whoever signs in
// first. It takes the password along.
func TestUndoIsDueAfterTheFreeze(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		b := h.annaSignedIn()
		secret := ""
		token := h.undoToken(func() { secret = h.addApp(b) })
		h.enterByApp(secret, live.AnnaPassword)
		h.wantRedirect(h.Browser().Post("/undo", "token", token, "password", live.AnnaPassword), "/undo/requested")
		h.Turn(enroll.FreezeTime - 2*time.Minute)
		h.enterByApp(secret, live.AnnaPassword)
		h.Turn(2 * time.Minute)
		h.wantStatus(h.Browser().Post("/signin", "email", live.AnnaEmail, "password", live.AnnaPassword), http.StatusUnprocessableEntity)
		if n := h.count("factors"); n != 0 {
			h.T.Errorf("%d factors", n)
		}
		h.reset(newPassword)
		h.signIn(h.Browser(), live.AnnaEmail, newPassword)
	}, allMethods(&phone{}))
}

// One click in a browser that is signed in ends the freeze and the link. A browser that is not, or of another account,
// does not.
func TestObjectionEndsTheUndo(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		h.addBen()
		b := h.annaSignedIn()
		secret := ""
		token := h.undoToken(func() { secret = h.addApp(b) })
		owner := h.enterByApp(secret, live.AnnaPassword)
		h.wantRedirect(h.Browser().Post("/undo", "token", token, "password", live.AnnaPassword), "/undo/requested")
		h.Browser().Post("/settings/keep")
		h.wantRedirect(h.signIn(h.Browser(), benEmail, benPassword).Post("/settings/keep"), "/settings")
		h.wantNoEmail("after objections of others", live.AnnaPassword)
		h.wantRedirect(owner.Post("/settings/keep"), "/settings")
		h.wantStatus(h.Browser().Post("/undo", "token", token, "password", live.AnnaPassword), http.StatusUnprocessableEntity)
		h.Turn(enroll.FreezeTime)
		h.signIn(h.Browser(), live.AnnaEmail, live.AnnaPassword)
		if n := h.count("factors"); n != 1 {
			h.T.Errorf("%d factors, want the app", n)
		}
	}, allMethods(&phone{}))
}

// With email.second_step = "until-another", codes by email are no second step beside an app or a number: on no page, in
// no step-up, not after a reset, not when its 24 hours have passed, and not when the guesses of the app are used up.
func TestEmailIsNoSecondStepBesideAnother(t *testing.T) {
	t.Parallel()
	var p phone
	eachDatabase(t, func(h *server) {
		b := h.annaSignedIn()
		codes := h.addRecoveryCodes(b) // a backup is no other method
		h.signIn(h.Browser(), live.AnnaEmail, live.AnnaPassword)
		h.Turn(time.Minute)
		h.addApp(h.signIn(b, live.AnnaEmail, live.AnnaPassword))
		h.wantNoEmail("beside an app", live.AnnaPassword)
		h.wantRedirect(b.Post("/settings/confirm", "password", live.AnnaPassword), "/signin/verify")
		h.wantStatus(b.Post("/signin/method", "method", "email"), http.StatusUnprocessableEntity)
		h.guessUntilRefused("totp", live.AnnaEmail)
		h.wantNoEmail("when the guesses are used up", live.AnnaPassword)
		h.reset(newPassword)
		h.wantNoEmail("after a reset", newPassword)
		h.Turn(25 * time.Hour)
		h.wantNoEmail("a day after a reset", newPassword)
		in := h.Browser()
		h.choose(in, live.AnnaEmail, newPassword, "recovery")
		h.wantStatus(in.Post("/signin/verify", "code", codes[0]), http.StatusSeeOther)
		h.wantIn(in)
	}, allMethods(&p), untilOther)
}

// chooseEmail walks through the choices of a person about codes by email. allowed says what the last one achieves.
func chooseEmail(t *testing.T, site live.Setup, allowed bool) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		b := h.annaSignedIn()
		secret := h.addApp(b)
		h.wantRedirect(b.Post("/settings/second-step", "email", "until-another"), "/settings")
		h.wantNoEmail("forbidden", live.AnnaPassword)
		h.Turn(11 * time.Minute)
		for _, choice := range []string{"always", "until-another"} {
			h.wantRedirect(b.Post("/settings/second-step", "email", choice), "/settings/confirm")
		}
		h.wantNoEmail("still forbidden", live.AnnaPassword)
		b = h.enterByApp(secret, live.AnnaPassword)
		for _, choice := range []string{"", "Always", "never", "0"} {
			h.wantStatus(b.Post("/settings/second-step", "email", choice), http.StatusBadRequest)
		}
		h.wantRedirect(b.Post("/settings/second-step", "email", "always"), "/settings")
		if allowed {
			h.signIn(h.Browser(), live.AnnaEmail, live.AnnaPassword)
		} else {
			h.wantNoEmail("the site forbids it", live.AnnaPassword)
		}
	}, allMethods(&phone{}), site)
}

// A person may forbid codes by email for their account, and allow them again with a recent proof by another method only.
func TestCodesByEmailAreAllowedWithARecentProofOnly(t *testing.T) {
	chooseEmail(t, func(*twostep.Options) {}, true)
}

// Nobody can allow what the site forbids.
func TestPersonMayOnlyForbidCodesByEmail(t *testing.T) { chooseEmail(t, untilOther, false) }

// notices runs a step and counts the notices that it causes, by address and number. Codes are none.
func (h *server) notices(p *phone, step func()) map[string]int {
	h.T.Helper()
	h.WaitForOutbox()
	mails, texts := h.Mail.Len(), len(p.all())
	step()
	h.WaitForOutbox()
	count := map[string]int{}
	for ; mails < h.Mail.Len(); mails++ {
		mail := h.Mail.Next(mails)
		if to := mailTo.FindStringSubmatch(mail); to == nil {
			h.T.Errorf("no recipient in %.200s", mail)
		} else if plain := strings.ReplaceAll(mail, "=\r\n", ""); !codeInMail.MatchString(mail) && !strings.Contains(plain, "/reset#") {
			count[to[1]]++
		}
	}
	for _, m := range p.all()[texts:] {
		if !codeInText.MatchString(m.Text) {
			count[m.To]++
		}
	}
	return count
}

// Every change of what proves a person is told to them, at each address and number that the row names, once.
func TestEveryChangeOfProofIsTold(t *testing.T) {
	t.Parallel()
	var p phone
	eachDatabase(t, func(h *server) {
		const other, first, second = "anna@example.net", "+4915123456789", "+4915123456780"
		links := map[string]string{}
		var b *live.Browser
		enterByText := func(password string) {
			b = h.Browser()
			h.wantStatus(b.Post("/signin", "email", live.AnnaEmail, "password", password), http.StatusSeeOther)
			b.Post("/signin/method", "method", "sms")
			h.wantStatus(b.Post("/signin/verify", "code", h.textedCode(&p)), http.StatusSeeOther)
			h.wantIn(b)
		}
		undo := func(link, to string) {
			h.wantRedirect(h.Browser().Post("/undo", "token", links[link], "password", live.AnnaPassword), to)
		}
		all := map[string]int{live.AnnaEmail: 1, first: 1, second: 1}
		anna := map[string]int{live.AnnaEmail: 1}
		b = h.annaSignedIn()
		for _, row := range []struct {
			what string
			step func()
			want map[string]int
		}{
			{"name changed", func() { h.wantRedirect(b.Post("/settings/name", "name", "Anne"), "/settings") }, nil},
			{"app added", func() { h.addApp(b) }, anna},
			{"number added", func() { h.addNumber(b, &p, "015123456789") }, anna},
			{"number replaced", func() {
				links["number"] = h.undoToken(func() { h.addNumber(b, &p, "015123456780") })
			}, map[string]int{live.AnnaEmail: 1, first: 1}},
			{"recovery codes made", func() { h.addRecoveryCodes(b) }, anna},
			{"recovery codes replaced", func() { h.addRecoveryCodes(b) }, anna},
			{"app removed", func() {
				h.wantRedirect(b.Post("/settings/2step/app/remove", "id", h.value("SELECT id FROM factors WHERE method = 'totp'")), "/settings")
			}, anna},
			{"email second step stricter", func() {
				h.wantRedirect(b.Post("/settings/second-step", "email", "until-another"), "/settings")
			}, anna},
			{"email second step as before", func() {
				h.wantRedirect(b.Post("/settings/second-step", "email", "always"), "/settings")
			}, anna},
			{"password changed", func() {
				h.wantRedirect(b.Post("/settings/password", "current", live.AnnaPassword, "password", newPassword), "/settings/password/done")
			}, anna},
			{"address changed", func() {
				links["address"] = h.undoToken(func() {
					code := h.mailedCode(func() { h.wantRedirect(b.Post("/settings/email", "email", other), "/settings/email") })
					h.wantRedirect(b.Post("/settings/email/verify", "code", code), "/settings/email/done")
				})
			}, map[string]int{live.AnnaEmail: 1, other: 1}},
			{"address undone", func() { undo("address", "/undo/done") },
				map[string]int{live.AnnaEmail: 1, other: 1, first: 1, second: 1}},
			{"password reset", func() { h.reset(newPassword) }, anna},
			{"freeze begun", func() { enterByText(newPassword); undo("number", "/undo/requested") }, all},
			{"freeze ended", func() { h.wantRedirect(b.Post("/settings/keep"), "/settings") }, all},
			{"number replaced again", func() {
				links["again"] = h.undoToken(func() { h.addNumber(b, &p, "015123456789") })
			}, map[string]int{live.AnnaEmail: 1, second: 1}},
			{"number undone", func() {
				h.wantRedirect(h.Browser().Post("/undo", "token", links["again"], "password", newPassword), "/undo/done")
			}, all},
			{"password reset again", func() { h.reset("a third horse battery") }, anna},
			{"the old number signs in", func() {
				enterByText("a third horse battery")
				if to := h.lastText(&p).To; to != second {
					h.T.Errorf("the code went to %s, want %s", to, second)
				}
			}, nil},
			{"undo that takes effect later", func() {
				links["codes"] = h.undoToken(func() { h.addRecoveryCodes(b) })
			}, anna},
			{"freeze begun again", func() {
				h.exec("UPDATE factors SET last_used_at = 1 WHERE method = 'recovery'")
				h.wantRedirect(h.Browser().Post("/undo", "token", links["codes"], "password", "a third horse battery"), "/undo/requested")
			}, all},
			{"undone after the freeze", func() {
				h.Turn(enroll.FreezeTime)
				h.Browser().Post("/signin", "email", live.AnnaEmail, "password", "a third horse battery")
			}, all},
		} {
			h.Turn(time.Second)
			if got := h.notices(&p, row.step); !maps.Equal(got, row.want) {
				h.T.Errorf("%s: notices %v, want %v", row.what, got, row.want)
			}
		}
		methods := h.column("SELECT method FROM factors")
		slices.Sort(methods)
		if got := fmt.Sprint(methods); got != "[recovery sms]" {
			h.T.Errorf("factors %s, want the number, and the codes of before the undo", got)
		}
	}, allMethods(&p))
}

// A session that was authenticated recently with a factor from before the change undoes it at once, without a password.
// One that was authenticated with the disputed factor, by email or long ago does not.
func TestOlderFactorUndoesAtOnce(t *testing.T) {
	t.Parallel()
	var p phone
	eachDatabase(t, func(h *server) {
		b := h.annaSignedIn()
		secret := h.addApp(b)
		h.Turn(time.Second)
		token := h.undoToken(func() { h.addNumber(b, &p, annaNumber) })
		stale := h.enterByApp(secret, live.AnnaPassword)
		h.Turn(11 * time.Minute)
		disputed := h.Browser()
		h.choose(disputed, live.AnnaEmail, live.AnnaPassword, "sms")
		h.wantStatus(disputed.Post("/signin/verify", "code", h.textedCode(&p)), http.StatusSeeOther)
		for what, b := range map[string]*live.Browser{
			"the disputed number": disputed, "email": h.annaSignedIn(), "an app, long ago": stale,
		} {
			if a := b.Post("/undo", "token", token); a.StatusCode != http.StatusUnprocessableEntity || h.count("factors") != 2 {
				h.T.Errorf("%s: %d, %d factors", what, a.StatusCode, h.count("factors"))
			}
		}
		h.wantRedirect(h.enterByApp(secret, live.AnnaPassword).Post("/undo", "token", token), "/undo/done")
		if left := h.column("SELECT method FROM factors"); !slices.Equal(left, []string{"totp"}) {
			h.T.Errorf("factors %v, want the app", left)
		}
	}, allMethods(&p))
}

// A thief has changed the address twice, so that one mailbox of theirs has a link that restores the other. Once the
// owner has undone the first change, that link is dead, and the owner has one for the app that the thief has added.
func TestLinkOfAnUndoneAddressIsDead(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		thief := h.annaSignedIn()
		change := func(to string) string {
			return h.undoToken(func() {
				code := h.mailedCode(func() { h.wantRedirect(thief.Post("/settings/email", "email", to), "/settings/email") })
				h.wantRedirect(thief.Post("/settings/email/verify", "code", code), "/settings/email/done")
			})
		}
		owners := change("thief@example.net")
		h.Turn(time.Second)
		thiefs := change("thief@example.org")
		h.Turn(time.Second)
		h.addApp(thief)
		again := h.undoToken(func() {
			h.wantRedirect(h.Browser().Post("/undo", "token", owners, "password", live.AnnaPassword), "/undo/done")
		})
		h.wantOut("the thief", thief)
		h.wantStatus(h.Browser().Post("/undo", "token", thiefs, "password", live.AnnaPassword), http.StatusUnprocessableEntity)
		if got := h.value("SELECT email FROM accounts"); got != live.AnnaEmail {
			h.T.Errorf("the address is %s", got)
		}
		h.wantRedirect(h.Browser().Post("/undo", "token", again, "password", live.AnnaPassword), "/undo/requested")
	}, allMethods(&phone{}))
}

// A thief adds a number and replaces it by another one, so that there are two links. The first one removes both numbers,
// and the second one brings none back.
func TestUndoneFactorDoesNotComeBack(t *testing.T) {
	t.Parallel()
	var p phone
	eachDatabase(t, func(h *server) {
		thief := h.annaSignedIn()
		h.Turn(time.Minute)
		added := h.undoToken(func() { h.addNumber(thief, &p, "015123456789") })
		h.Turn(time.Minute)
		replaced := h.undoToken(func() { h.addNumber(thief, &p, "015123456780") })
		h.Turn(time.Second)
		h.wantRedirect(h.Browser().Post("/undo", "token", added, "password", live.AnnaPassword), "/undo/done")
		if n := h.count("factors"); n != 0 {
			h.T.Errorf("the thief has %d numbers left", n)
		}
		h.Turn(time.Second)
		h.wantStatus(h.Browser().Post("/undo", "token", replaced, "password", live.AnnaPassword), http.StatusUnprocessableEntity)
		h.reset(newPassword)
		if n := h.count("factors"); n != 0 {
			h.T.Errorf("the thief has %d numbers again", n)
		}
	}, allMethods(&p))
}

// A thief changes the address, adds a number, replaces it, and requests an undo with the link at the new address. Once
// the owner has undone the change of the address, the account is not frozen.
func TestThiefDoesNotKeepTheAccountFrozen(t *testing.T) {
	t.Parallel()
	var p phone
	eachDatabase(t, func(h *server) {
		const address = "thief@example.net"
		thief := h.annaSignedIn()
		owners := h.undoToken(func() {
			code := h.mailedCode(func() { h.wantRedirect(thief.Post("/settings/email", "email", address), "/settings/email") })
			h.wantRedirect(thief.Post("/settings/email/verify", "code", code), "/settings/email/done")
		})
		h.Turn(time.Minute)
		link := h.undoToken(func() { h.addNumber(thief, &p, "015123456789") })
		h.Turn(time.Minute)
		h.addNumber(thief, &p, "015123456780")
		used := h.Browser()
		h.choose(used, address, live.AnnaPassword, "sms")
		h.wantStatus(used.Post("/signin/verify", "code", h.textedCode(&p)), http.StatusSeeOther)
		h.wantRedirect(h.Browser().Post("/undo", "token", link, "password", live.AnnaPassword), "/undo/requested")
		again := h.undoToken(func() {
			h.wantRedirect(h.Browser().Post("/undo", "token", owners, "password", live.AnnaPassword), "/undo/done")
		})
		if until := h.value("SELECT frozen_until FROM accounts"); until != "0" {
			h.T.Errorf("frozen until %s", until)
		}
		if left := h.column("SELECT email FROM email_links WHERE due_at > 0 AND used_at = 0"); len(left) != 0 {
			h.T.Errorf("%d undos are requested", len(left))
		}
		h.Turn(time.Second)
		h.reset(newPassword)
		h.Turn(enroll.FreezeTime)
		h.wantStatus(h.Browser().Post("/signin", "email", live.AnnaEmail, "password", newPassword), http.StatusSeeOther)
		h.wantRedirect(h.Browser().Post("/undo", "token", again, "password", live.AnnaPassword), "/undo/requested")
	}, allMethods(&p))
}
