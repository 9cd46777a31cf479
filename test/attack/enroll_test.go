package attack

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/test/e2e/live"
)

// settingsRoutes are the routes that need a session, once for each method that is enrolled,
// each with the form that a page of ours sends.
func settingsRoutes() (all []struct{ method, path, form string }) {
	for _, r := range inventory {
		if r.needs != render.AccessSession {
			continue
		}
		for name, first := range enrolForms {
			method, at := path(strings.ReplaceAll(r.pattern, "{path}", name))
			form := r.form
			if strings.HasSuffix(r.pattern, "{path}") && method == http.MethodPost {
				form = first
			}
			if name == "app" || strings.Contains(r.pattern, "{path}") {
				all = append(all, struct{ method, path, form string }{method, at, form})
			}
		}
	}
	return all
}

// Somebody who has only given the password requests every settings page, while the owner has a draft
// of each method open.
func TestPasswordAloneOpensNoSettings(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		owner := h.annaSignedIn()
		secret := h.addApp(owner)
		h.wantRedirect(owner.Post("/settings/2step/recovery"), "/settings/2step/recovery")
		printed := recoveryCode.FindAllString(owner.Get("/settings/2step/recovery").Body, -1)
		drafted := h.draftApp(owner)
		h.WaitForOutbox()
		attacker := h.Browser()
		h.choose(attacker, live.AnnaEmail, live.AnnaPassword, "totp")
		token := h.cookie(attacker, "signin")
		before, mails := h.contents(), h.Mail.Len()
		for name, b := range map[string]*live.Browser{"its own cookie": attacker, "the session's": h.withCookies("session", token), "both": h.withCookies("session", token, "signin", token)} {
			for _, d := range settingsRoutes() {
				a := b.Do(h.request(d.method, d.path, d.form, form, "Origin: "+h.URL, "Sec-Fetch-Site: same-origin"))
				if a.StatusCode != http.StatusSeeOther || !strings.HasPrefix(a.Header.Get("Location"), "/signin") {
					h.T.Errorf("%s %s with %s: %d to %q", d.method, d.path, name, a.StatusCode, a.Header.Get("Location"))
				}
				for _, told := range append([]string{secret, drafted, live.AnnaEmail}, printed...) {
					if strings.Contains(a.Body, told) {
						h.T.Errorf("%s %s with %s: tells %q", d.method, d.path, name, told)
					}
				}
			}
		}
		if h.contents() != before {
			h.T.Error("half a sign-in changed a row")
		}
		if h.WaitForOutbox(); h.Mail.Len() != mails {
			h.T.Error("half a sign-in sent a message")
		}
		for _, path := range []string{"/settings/2step/app", "/settings", "/settings/2step/app/done"} { // and to the owner only while it waits
			h.wantRedirect(owner.Post("/settings/2step/app/cancel"), "/settings")
			if a := owner.Get(path); strings.Contains(a.Body, secret) || strings.Contains(a.Body, drafted) {
				h.T.Errorf("%s shows the secret again", path)
			}
		}
	}, allMethods(&phone{}))
}

// The token of a step-up is used as a session, the token of a sign-in proves a session again, and a
// step-up in one browser is finished in another.
func TestStepUpTokenIsNoSession(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		h.addBen()
		b := h.annaSignedIn()
		h.Turn(11 * time.Minute)
		session := h.cookie(b, "session")
		code := h.mailedCode(func() {
			h.wantRedirect(b.Post("/settings/confirm", "password", live.AnnaPassword, "return_to", "/settings/2step/app"), "/signin/verify")
		})
		token := h.cookie(b, "signin")
		for _, d := range settingsRoutes() {
			a := h.withCookies("session", token, "signin", token).Do(h.request(d.method, d.path, d.form, form, "Origin: "+h.URL, "Sec-Fetch-Site: same-origin"))
			if a.StatusCode != http.StatusSeeOther || !strings.HasPrefix(a.Header.Get("Location"), "/signin") {
				h.T.Errorf("%s %s with the token of a step-up: %d to %q", d.method, d.path, a.StatusCode, a.Header.Get("Location"))
			}
		}
		// An ordinary sign-in finishes beside it: the session stays as old as it was.
		other := h.Browser()
		ordinary := h.passwordStep(other, live.AnnaEmail, live.AnnaPassword)
		h.wantStatus(other.Post("/signin/verify", "code", code), http.StatusUnprocessableEntity)
		h.wantStatus(b.Post("/signin/verify", "code", ordinary), http.StatusUnprocessableEntity)
		h.wantStatus(other.Post("/signin/verify", "code", ordinary), http.StatusSeeOther)
		h.wantRedirect(b.Get("/settings/2step/sms"), "/settings/confirm")
		// Giving the password again on the sign-in page does not make a sign-in of the step-up.
		again := h.withCookies("signin", token)
		h.wantStatus(again.Post("/signin", "email", live.AnnaEmail, "password", live.AnnaPassword), http.StatusSeeOther)
		if h.value("SELECT count(*) FROM attempts WHERE purpose = 'stepup'") != "1" || h.value("SELECT count(*) FROM attempts WHERE purpose = 'signin' AND finished_at = 0") != "1" {
			h.T.Error("the sign-in goes on with the row of the step-up")
		}
		// Ben's session with Anna's step-up: she is proven, he is not.
		ben := h.signIn(h.Browser(), benEmail, benPassword)
		h.Turn(11 * time.Minute)
		benSession := h.cookie(ben, "session")
		sessions := h.count("sessions")
		mixed := h.withCookies("session", benSession, "signin", token)
		h.wantStatus(mixed.Post("/signin/verify", "code", live.Wrong(code)), http.StatusUnprocessableEntity)
		h.wantRedirect(h.withCookies("session", benSession).Get("/settings/2step/app"), "/settings/confirm")
		h.wantStatus(b.Post("/signin/verify", "code", code), http.StatusSeeOther)
		if h.count("sessions") != sessions {
			h.T.Error("a step-up made a session more")
		}
		if _, in := signedIn(h.withCookies("session", session)); in {
			h.T.Error("the token of before the step-up still works")
		}
		h.wantRedirect(h.withCookies("session", benSession).Get("/settings/2step/app"), "/settings/confirm")
		h.wantStatus(b.Get("/settings/2step/sms"), http.StatusOK)
	}, allMethods(&phone{}))
}

// changes returns every way to change the factors of an account, by name.
func (h *server) changes(b *live.Browser) map[string]func() live.Answer {
	id := func(method string) string { return h.value("SELECT id FROM factors WHERE method = '" + method + "'") }
	app, sms, codes := id("totp"), id("sms"), id("recovery")
	return map[string]func() live.Answer{
		"a second app":     func() live.Answer { return b.Post("/settings/2step/app", "name", "Other") },
		"another number":   func() live.Answer { return b.Post("/settings/2step/sms", "country", "DE", "number", "015123456780") },
		"another address":  func() live.Answer { return b.Post("/settings/email", "email", "evil@example.net") },
		"other codes":      func() live.Answer { return b.Post("/settings/2step/recovery") },
		"without the app":  func() live.Answer { return b.Post("/settings/2step/app/remove", "id", app) },
		"without a number": func() live.Answer { return b.Post("/settings/2step/sms/remove", "id", sms) },
		"codes by email":   func() live.Answer { return b.Post("/settings/second-step", "email", "until-another") },
		"without codes":    func() live.Answer { return b.Post("/settings/2step/recovery/remove", "id", codes) },
	}
}

// A session alone, or one whose proof is eleven minutes old, changes factors. Email is never removed.
func TestFactorChangesNeedARecentProof(t *testing.T) {
	t.Parallel()
	var p phone
	eachDatabase(t, func(h *server) {
		b := h.annaSignedIn()
		h.addApp(b)
		h.addNumber(b, &p, annaNumber)
		h.addRecoveryCodes(b)
		h.Turn(10*time.Minute + time.Second)
		before, texts := h.factorState(), len(p.all())
		for name, change := range h.changes(b) {
			h.wantRedirect(change(), "/settings/confirm")
			if h.factorState() != before {
				h.T.Errorf("%s: something changed", name)
			}
		}
		h.wantRedirect(b.Post("/settings/password", "current", live.AnnaPassword, "password", "brand new horse"), "/settings/confirm")
		h.wantStatus(b.Post("/settings/confirm", "password", "wrong horse battery"), http.StatusUnprocessableEntity)
		h.wantRedirect(b.Post("/settings/2step/sms"), "/settings/confirm")
		// Half a step-up is none.
		h.wantRedirect(b.Post("/settings/confirm", "password", live.AnnaPassword), "/signin/verify")
		for _, method := range []string{"", "none", "password", "TOTP", "totp\u200b", "../email", strings.Repeat("x", 9000)} {
			h.wantStatus(b.Post("/signin/method", "method", method), http.StatusUnprocessableEntity)
		}
		for name, change := range h.changes(b) {
			h.wantRedirect(change(), "/settings/confirm")
			if h.factorState() != before {
				h.T.Errorf("%s after the password alone: something changed", name)
			}
		}
		if len(p.all()) != texts {
			h.T.Error("a text message was sent")
		}
		for _, at := range []string{"/settings/email/remove", "/settings/2step/email/remove", "/settings/2step//remove"} {
			if a := b.Post(at, "id", "email"); a.StatusCode == http.StatusOK || h.factorState() != before {
				h.T.Errorf("%s: %d", at, a.StatusCode)
			}
		}
		fresh := h.annaSignedIn()
		held := h.factorState()
		for _, at := range []string{"app", "sms", "recovery"} {
			h.wantRedirect(fresh.Post("/settings/2step/"+at+"/remove", "id", "email"), "/settings/2step/"+at)
			h.wantRedirect(fresh.Post("/settings/2step/"+at+"/remove", "id", ""), "/settings/2step/"+at)
		}
		if h.factorState() != held {
			h.T.Error("a factor went with the id of the mailbox")
		}
	}, allMethods(&p))
}

// The ids of another person's factors, sessions and drafts are used in every form.
func TestIDsOfAnotherAccountChangeNothing(t *testing.T) {
	t.Parallel()
	var p phone
	eachDatabase(t, func(h *server) {
		h.addBen()
		b := h.annaSignedIn()
		h.addApp(b)
		h.addNumber(b, &p, annaNumber)
		h.addRecoveryCodes(b)
		h.draftApp(b)
		h.wantRedirect(b.Post("/settings/2step/recovery"), "/settings/2step/recovery")
		ben := h.signIn(h.Browser(), benEmail, benPassword)
		before := h.factorState()
		for _, id := range slices.Concat(h.column("SELECT id FROM factors"), h.column("SELECT attempt_id FROM pending_factors"), h.column("SELECT id FROM accounts"), h.column("SELECT id FROM sessions WHERE account_id <> (SELECT id FROM accounts WHERE email = '"+benEmail+"')")) {
			for _, at := range []string{"app", "sms", "recovery"} {
				h.wantRedirect(ben.Post("/settings/2step/"+at+"/remove", "id", id), "/settings/2step/"+at)
				h.wantStatus(ben.Get("/settings/2step/"+at+"?id="+id+"&session="+id), http.StatusOK)
				h.wantRedirect(ben.Post("/settings/2step/"+at+"/verify", "code", "123456"), "/settings/2step/"+at)
				h.wantRedirect(ben.Get("/settings/2step/"+at+"/done?id="+id), "/settings/2step/"+at)
				h.wantRedirect(ben.Get("/settings/2step/"+at+"/codes.txt?id="+id), "/settings")
				for _, body := range []string{"id=" + id + "&account=" + id, "id=" + id + "&id=" + id, "account=" + id} {
					h.wantStatus(h.post(ben, "/settings/2step/"+at+"/remove", body), http.StatusBadRequest)
				}
			}
			h.wantStatus(ben.Get("/settings/2step/"+id), http.StatusNotFound)
			h.wantRedirect(ben.Post("/settings/sessions/"+id+"/end"), "/settings/sessions")
			if h.factorState() != before {
				h.T.Fatalf("Ben changed something by the id %s", id)
			}
		}
		if _, in := signedIn(b); !in {
			h.T.Error("Ben ended Anna's session")
		}
	}, allMethods(&p))
}

// A change of a factor or of the email address ends every other session and every pending sign-in, and
// the session that made it gets a new token.
func TestFactorChangeEndsOtherSessions(t *testing.T) {
	t.Parallel()
	var p phone
	eachDatabase(t, func(h *server) {
		b := h.annaSignedIn()
		remove := func(at, method string) func() {
			return func() {
				h.wantRedirect(b.Post("/settings/2step/"+at+"/remove", "id", h.value("SELECT id FROM factors WHERE method = '"+method+"'")), "/settings")
			}
		}
		for _, step := range []struct {
			name string
			do   func()
		}{
			{"an app", func() { h.addApp(b) }}, {"a number", func() { h.addNumber(b, &p, annaNumber) }}, {"another number", func() { h.addNumber(b, &p, "015123456780") }},
			{"codes", func() { h.addRecoveryCodes(b) }}, {"new codes", func() { h.addRecoveryCodes(b) }}, {"without an app", remove("app", "totp")}, {"without codes", remove("recovery", "recovery")},
			{"address", func() {
				code := h.mailedCode(func() { h.wantRedirect(b.Post("/settings/email", "email", "anna@example.net"), "/settings/email") })
				h.wantRedirect(b.Post("/settings/email/verify", "code", code), "/settings/email/done")
			}},
		} {
			elsewhere, onTheWay := h.annaSignedIn(), h.Browser()
			code := h.passwordStep(onTheWay, live.AnnaEmail, live.AnnaPassword)
			before := h.cookie(b, "session")
			step.do()
			if _, in := signedIn(elsewhere); in {
				h.T.Errorf("%s: another session goes on", step.name)
			}
			h.wantRedirect(onTheWay.Post("/signin/verify", "code", code), "/signin")
			if _, in := signedIn(h.withCookies("session", before)); in || h.cookie(b, "session") == before {
				h.T.Errorf("%s: the old token works", step.name)
			}
			if _, in := signedIn(b); !in {
				h.T.Errorf("%s: the one who did it is out", step.name)
			}
		}
	}, allMethods(&p))
}

// Factor forms are sent with fields that no page has. Every change is announced to the owner, by the
// old number and address too.
func TestFactorFormsRefuseUnknownFieldsAndTellTheOwner(t *testing.T) {
	t.Parallel()
	var p phone
	eachDatabase(t, func(h *server) {
		b := h.annaSignedIn()
		before, sent := h.factorState(), len(p.all())
		for at, body := range map[string]string{
			"/settings/2step/app": "name=x", "/settings/2step/sms": "country=DE&number=" + annaNumber, "/settings/2step/recovery": "", "/settings/email": "email=evil%40example.net",
			"/settings/2step/app/verify": "code=123456", "/settings/email/verify": "code=123456", "/settings/confirm": "password=x", "/settings/2step/app/remove": "id=x",
		} {
			for _, more := range []string{"verified=1", "slot=4", "method=email", "destination=evil%40example.net", "secret=JBSWY3DPEHPK3PXP", "seen=1", "session=x", "account=x", "to=%2B4915123456780", "Number=1", "EMAIL=x%40y.example", "number[]=1"} {
				if a := h.post(b, at, body+"&"+more); a.StatusCode != http.StatusBadRequest {
					h.T.Errorf("%s with %s: %d", at, more, a.StatusCode)
				}
			}
		}
		if h.factorState() != before || len(p.all()) != sent {
			h.T.Error("something was stored or sent")
		}
		told := func(what string, do func()) (mails []string) {
			h.WaitForOutbox()
			n := h.Mail.Len()
			do()
			h.WaitForOutbox()
			for ; n < h.Mail.Len(); n++ {
				if mail := h.Mail.Next(n); !strings.Contains(mail, "verification code") {
					mails = append(mails, mail)
				}
			}
			if len(mails) == 0 {
				h.T.Errorf("%s: nobody is told", what)
			}
			return mails
		}
		for what, do := range map[string]func(){"an app": func() { h.addApp(b) }, "codes": func() { h.addRecoveryCodes(b) }, "a number": func() { h.addNumber(b, &p, annaNumber) }} {
			if mails := told(what, do); len(mails) != 1 || !strings.Contains(mails[0], "To: <"+live.AnnaEmail+">") && !strings.Contains(mails[0], "To: "+live.AnnaEmail) {
				h.T.Errorf("%s: told %q", what, mails)
			}
		}
		n := len(p.all())
		told("another number", func() { h.addNumber(b, &p, "015123456780") })
		var old bool
		for _, m := range p.all()[n:] {
			old = old || m.To == "+4915123456789" && !codeInText.MatchString(m.Text)
		}
		if !old {
			h.T.Error("the old number is not told")
		}
		for _, at := range []string{"app", "sms", "recovery"} {
			method := map[string]string{"app": "totp"}[at] + strings.TrimPrefix(at, "app")
			told("without "+at, func() {
				h.wantRedirect(b.Post("/settings/2step/"+at+"/remove", "id", h.value("SELECT id FROM factors WHERE method = '"+method+"'")), "/settings")
			})
		}
		mails := told("address", func() {
			code := h.mailedCode(func() { h.wantRedirect(b.Post("/settings/email", "email", "anna@example.net"), "/settings/email") })
			h.wantRedirect(b.Post("/settings/email/verify", "code", code), "/settings/email/done")
		})
		if all := strings.Join(mails, "\n"); len(mails) != 2 || !strings.Contains(all, "To: <"+live.AnnaEmail) || !strings.Contains(all, "To: <anna@example.net") {
			h.T.Errorf("address: told %q", mails)
		}
	}, allMethods(&p))
}

// Somebody lets the server send text messages to numbers that earn them money: in other spellings, with a digit more or
// less, or with the answer to a question that nobody asked.
func TestCostlyNumbersCannotBeConfirmed(t *testing.T) {
	t.Parallel()
	p := &phone{}
	h := start(t, "", allMethods(p))
	anna := h.annaSignedIn()
	try := func(country, number, confirmed string) live.Answer {
		t.Helper()
		return anna.Post("/settings/2step/sms", "country", country, "number", number, "confirmed", confirmed)
	}
	for _, number := range []string{"+1 900 234 5678", "+1 (900) 234-5678", "tel:+1-900-234-5678", "+49 (0)900 1234567", "0049 900 12345678", "0900/1234567", "0900 1234567 8", "＋４９ ９００ １２３４５６７",
		"+44 909 879 0123", "+44 70 1234 5678", "+870 773 111 632", "00870 773 111 632", "+881 6 1234 5678", "+882 13 300655", "+979 123 456 789", "+1 800 234 5678", "+1 201 976 1234", "0180 5 123456"} {
		digits := "+" + strings.TrimPrefix(strings.NewReplacer(" ", "", "-", "", "(", "", ")", "", "/", "", "tel:", "", "+", "").Replace(number), "00")
		for _, confirmed := range []string{"", digits, number, "+49" + digits[1:], "on"} {
			h.wantStatus(try("DE", number, confirmed), http.StatusUnprocessableEntity)
		}
	}
	// The answer is for one number, and the form keeps what was typed.
	asked := h.wantStatus(try("DE", "030 123456", ""), http.StatusUnprocessableEntity)
	for _, want := range []string{"Is this right?", `value="030 123456"`, `<input type="hidden" name="confirmed" value="&#43;4930123456">`} {
		if !strings.Contains(asked.Body, want) {
			t.Errorf("no %s in %s", want, asked.Body)
		}
	}
	h.wantStatus(try("DE", "030 123457", "+4930123456"), http.StatusUnprocessableEntity)
	h.WaitForOutbox()
	if n := len(p.all()); n != 0 {
		t.Fatalf("%d messages were sent", n)
	}
	h.wantRedirect(try("DE", "030 123456", "+4930123456"), "/settings/2step/sms")
	if to := h.lastText(p).To; to != "+4930123456" {
		t.Errorf("the message went to %s", to)
	}
}
