package attack

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/internal/page"
	"twostep.example/twostep/test/e2e/live"
)

// settingsDoors are the routes that need a session, once for each method that is enrolled,
// each with the form that a page of ours sends.
func settingsDoors() (all []struct{ method, path, form string }) {
	for _, r := range inventory {
		if r.needs != page.Session {
			continue
		}
		for name, first := range enrolls {
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

// Who has shown the password only walks through all pages that
// change or show how the account proves itself, while the owner has a draft of each method open.
func TestPasswordAloneOpensNoSettings(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		owner := h.anna()
		secret := h.addApp(owner)
		h.leads(owner.Post("/settings/2step/recovery"), "/settings/2step/recovery")
		printed := onPaper.FindAllString(owner.Get("/settings/2step/recovery").Body, -1)
		drafted := h.draftApp(owner)
		h.settle()
		thief := h.Browser()
		h.chosen(thief, live.AnnaEmail, live.AnnaPassword, "totp")
		token := h.cookie(thief, "signin")
		before, mails := h.contents(), h.Mail.Len()
		for name, b := range map[string]*live.Browser{"its own cookie": thief, "the session's": h.with("session", token), "both": h.with("session", token, "signin", token)} {
			for _, d := range settingsDoors() {
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
		if h.settle(); h.Mail.Len() != mails {
			h.T.Error("half a sign-in sent a message")
		}
		for _, path := range []string{"/settings/2step/app", "/settings", "/settings/2step/app/done"} { // and to the owner only while it waits
			h.leads(owner.Post("/settings/2step/app/cancel"), "/settings")
			if a := owner.Get(path); strings.Contains(a.Body, secret) || strings.Contains(a.Body, drafted) {
				h.T.Errorf("%s shows the secret again", path)
			}
		}
	}, every(&phone{}))
}

// The token of a step-up is no session, the token of a sign-in proves no
// session anew, and a step-up in another browser opens nothing of the other's.
func TestStepUpTokenIsNoSession(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		h.addBen()
		b := h.anna()
		h.Turn(11 * time.Minute)
		session := h.cookie(b, "session")
		code := h.mailed(func() {
			h.leads(b.Post("/settings/confirm", "password", live.AnnaPassword, "return_to", "/settings/2step/app"), "/signin/verify")
		})
		token := h.cookie(b, "signin")
		for _, d := range settingsDoors() {
			a := h.with("session", token, "signin", token).Do(h.request(d.method, d.path, d.form, form, "Origin: "+h.URL, "Sec-Fetch-Site: same-origin"))
			if a.StatusCode != http.StatusSeeOther || !strings.HasPrefix(a.Header.Get("Location"), "/signin") {
				h.T.Errorf("%s %s with the token of a step-up: %d to %q", d.method, d.path, a.StatusCode, a.Header.Get("Location"))
			}
		}
		// An ordinary sign-in finishes beside it: the session stays as old as it was.
		other := h.Browser()
		ordinary := h.password(other, live.AnnaEmail, live.AnnaPassword)
		h.want(other.Post("/signin/verify", "code", code), http.StatusUnprocessableEntity)
		h.want(b.Post("/signin/verify", "code", ordinary), http.StatusUnprocessableEntity)
		h.want(other.Post("/signin/verify", "code", ordinary), http.StatusSeeOther)
		h.leads(b.Get("/settings/2step/sms"), "/settings/confirm")
		// Typing the password again at the first door does not make a sign-in of the step-up.
		again := h.with("signin", token)
		h.want(again.Post("/signin", "email", live.AnnaEmail, "password", live.AnnaPassword), http.StatusSeeOther)
		if h.one("SELECT count(*) FROM signins WHERE purpose = 'stepup'") != "1" || h.one("SELECT count(*) FROM signins WHERE purpose = 'signin' AND finished_at = 0") != "1" {
			h.T.Error("the sign-in goes on with the row of the step-up")
		}
		// Ben's session with Anna's step-up: she is proven, he is not.
		ben := h.enter(h.Browser(), benEmail, benPassword)
		h.Turn(11 * time.Minute)
		benSession := h.cookie(ben, "session")
		sessions := h.count("sessions")
		mixed := h.with("session", benSession, "signin", token)
		h.want(mixed.Post("/signin/verify", "code", live.Wrong(code)), http.StatusUnprocessableEntity)
		h.leads(h.with("session", benSession).Get("/settings/2step/app"), "/settings/confirm")
		h.want(b.Post("/signin/verify", "code", code), http.StatusSeeOther)
		if h.count("sessions") != sessions {
			h.T.Error("a step-up made a session more")
		}
		if _, in := isIn(h.with("session", session)); in {
			h.T.Error("the token of before the step-up still works")
		}
		h.leads(h.with("session", benSession).Get("/settings/2step/app"), "/settings/confirm")
		h.want(b.Get("/settings/2step/sms"), http.StatusOK)
	}, every(&phone{}))
}

// changes are the ways in which somebody who is in may change what proves them.
func (h *house) changes(b *live.Browser) map[string]func() live.Answer {
	id := func(method string) string { return h.one("SELECT id FROM factors WHERE method = '" + method + "'") }
	app, sms, paper := id("totp"), id("sms"), id("recovery")
	return map[string]func() live.Answer{
		"a second app":     func() live.Answer { return b.Post("/settings/2step/app", "name", "Other") },
		"another number":   func() live.Answer { return b.Post("/settings/2step/sms", "country", "DE", "number", "015123456780") },
		"another address":  func() live.Answer { return b.Post("/settings/email", "email", "evil@example.net") },
		"other codes":      func() live.Answer { return b.Post("/settings/2step/recovery") },
		"without the app":  func() live.Answer { return b.Post("/settings/2step/app/remove", "id", app) },
		"without a number": func() live.Answer { return b.Post("/settings/2step/sms/remove", "id", sms) },
		"without codes":    func() live.Answer { return b.Post("/settings/2step/recovery/remove", "id", paper) },
	}
}

// A session alone, or one that was proven eleven minutes ago, changes how
// the account proves itself. The mailbox is never removed.
func TestFactorChangesNeedARecentProof(t *testing.T) {
	t.Parallel()
	var p phone
	each(t, func(h *house) {
		b := h.anna()
		h.addApp(b)
		h.addNumber(b, &p, annaNumber)
		h.addPaper(b)
		h.Turn(10*time.Minute + time.Second)
		before, texts := h.held(), len(p.all())
		for name, change := range h.changes(b) {
			h.leads(change(), "/settings/confirm")
			if h.held() != before {
				h.T.Errorf("%s: something changed", name)
			}
		}
		h.leads(b.Post("/settings/password", "current", live.AnnaPassword, "password", "brand new horse"), "/settings/confirm")
		h.want(b.Post("/settings/confirm", "password", "wrong horse battery"), http.StatusUnprocessableEntity)
		h.leads(b.Post("/settings/2step/sms"), "/settings/confirm")
		// Half a step-up is none.
		h.leads(b.Post("/settings/confirm", "password", live.AnnaPassword), "/signin/verify")
		for _, method := range []string{"", "none", "password", "TOTP", "totp\u200b", "../email", strings.Repeat("x", 9000)} {
			h.want(b.Post("/signin/method", "method", method), http.StatusUnprocessableEntity)
		}
		for name, change := range h.changes(b) {
			h.leads(change(), "/settings/confirm")
			if h.held() != before {
				h.T.Errorf("%s after the password alone: something changed", name)
			}
		}
		if len(p.all()) != texts {
			h.T.Error("a text message was sent")
		}
		for _, at := range []string{"/settings/email/remove", "/settings/2step/email/remove", "/settings/2step//remove"} {
			if a := b.Post(at, "id", "email"); a.StatusCode == http.StatusOK || h.held() != before {
				h.T.Errorf("%s: %d", at, a.StatusCode)
			}
		}
		fresh := h.anna()
		held := h.held()
		for _, at := range []string{"app", "sms", "recovery"} {
			h.leads(fresh.Post("/settings/2step/"+at+"/remove", "id", "email"), "/settings/2step/"+at)
			h.leads(fresh.Post("/settings/2step/"+at+"/remove", "id", ""), "/settings/2step/"+at)
		}
		if h.held() != held {
			h.T.Error("a factor went with the id of the mailbox")
		}
	}, every(&p))
}

// The ids of another person's factor, session and draft.
func TestIDsOfAnotherAccountChangeNothing(t *testing.T) {
	t.Parallel()
	var p phone
	each(t, func(h *house) {
		h.addBen()
		b := h.anna()
		h.addApp(b)
		h.addNumber(b, &p, annaNumber)
		h.addPaper(b)
		h.draftApp(b)
		h.leads(b.Post("/settings/2step/recovery"), "/settings/2step/recovery")
		ben := h.enter(h.Browser(), benEmail, benPassword)
		before := h.held()
		for _, id := range slices.Concat(h.list("SELECT id FROM factors"), h.list("SELECT signin FROM drafts"), h.list("SELECT id FROM accounts"), h.list("SELECT id FROM sessions WHERE account <> (SELECT id FROM accounts WHERE email = '"+benEmail+"')")) {
			for _, at := range []string{"app", "sms", "recovery"} {
				h.leads(ben.Post("/settings/2step/"+at+"/remove", "id", id), "/settings/2step/"+at)
				h.want(ben.Get("/settings/2step/"+at+"?id="+id+"&session="+id), http.StatusOK)
				h.leads(ben.Post("/settings/2step/"+at+"/verify", "code", "123456"), "/settings/2step/"+at)
				h.leads(ben.Get("/settings/2step/"+at+"/done?id="+id), "/settings/2step/"+at)
				h.leads(ben.Get("/settings/2step/"+at+"/codes.txt?id="+id), "/settings")
				for _, body := range []string{"id=" + id + "&account=" + id, "id=" + id + "&id=" + id, "account=" + id} {
					h.want(h.post(ben, "/settings/2step/"+at+"/remove", body), http.StatusBadRequest)
				}
			}
			h.want(ben.Get("/settings/2step/"+id), http.StatusNotFound)
			h.leads(ben.Post("/settings/sessions/"+id+"/end"), "/settings/sessions")
			if h.held() != before {
				h.T.Fatalf("Ben changed something by the id %s", id)
			}
		}
		if _, in := isIn(b); !in {
			h.T.Error("Ben ended Anna's session")
		}
	}, every(&p))
}

// A change of a factor or of the address ends every other session and every sign-in on
// its way, and the session that made it goes on under another token.
func TestFactorChangeEndsOtherSessions(t *testing.T) {
	t.Parallel()
	var p phone
	each(t, func(h *house) {
		b := h.anna()
		remove := func(at, method string) func() {
			return func() {
				h.leads(b.Post("/settings/2step/"+at+"/remove", "id", h.one("SELECT id FROM factors WHERE method = '"+method+"'")), "/settings")
			}
		}
		for _, step := range []struct {
			name string
			do   func()
		}{
			{"an app", func() { h.addApp(b) }}, {"a number", func() { h.addNumber(b, &p, annaNumber) }}, {"another number", func() { h.addNumber(b, &p, "015123456780") }},
			{"codes", func() { h.addPaper(b) }}, {"new codes", func() { h.addPaper(b) }}, {"without an app", remove("app", "totp")}, {"without codes", remove("recovery", "recovery")},
			{"address", func() {
				code := h.mailed(func() { h.leads(b.Post("/settings/email", "email", "anna@example.net"), "/settings/email") })
				h.leads(b.Post("/settings/email/verify", "code", code), "/settings/email/done")
			}},
		} {
			elsewhere, onTheWay := h.anna(), h.Browser()
			code := h.mailed(func() { h.chosen(onTheWay, live.AnnaEmail, live.AnnaPassword, "email") })
			before := h.cookie(b, "session")
			step.do()
			if _, in := isIn(elsewhere); in {
				h.T.Errorf("%s: another session goes on", step.name)
			}
			h.leads(onTheWay.Post("/signin/verify", "code", code), "/signin")
			if _, in := isIn(h.with("session", before)); in || h.cookie(b, "session") == before {
				h.T.Errorf("%s: the old token works", step.name)
			}
			if _, in := isIn(b); !in {
				h.T.Errorf("%s: the one who did it is out", step.name)
			}
		}
	}, every(&p))
}

// Fields that no page of ours has, and who is told of a change.
func TestFactorFormsRefuseUnknownFieldsAndTellTheOwner(t *testing.T) {
	t.Parallel()
	var p phone
	each(t, func(h *house) {
		b := h.anna()
		before, sent := h.held(), len(p.all())
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
		if h.held() != before || len(p.all()) != sent {
			h.T.Error("something was stored or sent")
		}
		told := func(what string, do func()) (mails []string) {
			h.settle()
			n := h.Mail.Len()
			do()
			h.settle()
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
		for what, do := range map[string]func(){"an app": func() { h.addApp(b) }, "codes": func() { h.addPaper(b) }, "a number": func() { h.addNumber(b, &p, annaNumber) }} {
			if mails := told(what, do); len(mails) != 1 || !strings.Contains(mails[0], "To: <"+live.AnnaEmail+">") && !strings.Contains(mails[0], "To: "+live.AnnaEmail) {
				h.T.Errorf("%s: told %q", what, mails)
			}
		}
		n := len(p.all())
		told("another number", func() { h.addNumber(b, &p, "015123456780") })
		var old bool
		for _, m := range p.all()[n:] {
			old = old || m.To == "+4915123456789" && !inText.MatchString(m.Text)
		}
		if !old {
			h.T.Error("the old number is not told")
		}
		for _, at := range []string{"app", "sms", "recovery"} {
			method := map[string]string{"app": "totp"}[at] + strings.TrimPrefix(at, "app")
			told("without "+at, func() {
				h.leads(b.Post("/settings/2step/"+at+"/remove", "id", h.one("SELECT id FROM factors WHERE method = '"+method+"'")), "/settings")
			})
		}
		mails := told("address", func() {
			code := h.mailed(func() { h.leads(b.Post("/settings/email", "email", "anna@example.net"), "/settings/email") })
			h.leads(b.Post("/settings/email/verify", "code", code), "/settings/email/done")
		})
		if all := strings.Join(mails, "\n"); len(mails) != 2 || !strings.Contains(all, "To: <"+live.AnnaEmail) || !strings.Contains(all, "To: <anna@example.net") {
			h.T.Errorf("address: told %q", mails)
		}
	}, every(&p))
}
