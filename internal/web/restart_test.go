package web

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/internal/challenge"
)

const backToDevices = "?return_to=%2Fsettings%2Fdevices"

// enterPassword takes the first step, with a page to return to.
func (b *testBrowser) enterPassword() {
	b.Helper()
	w := b.post("/signin", "email", annaEmail, "password", annaPassword, "return_to", "/settings/devices")
	b.wantRedirect(w, "/signin/verify"+backToDevices)
}

// wantRestarted checks that a response leads to the sign-in page with the address and the return target, and that the
// address is in no URL and in no cookie.
func (b *testBrowser) wantRestarted(w *httptest.ResponseRecorder) {
	b.Helper()
	b.wantRedirect(w, "/signin"+backToDevices)
	for _, set := range w.Result().Cookies() {
		b.Errorf("the response sets the cookie %s", set.Name)
	}
	b.wantPage(b.get("/signin"+backToDevices), 200, "input#email[value="+annaEmail+"]", "input#password[autofocus]",
		"form[action=/signin"+backToDevices+"]", "To try again, enter your password.")
	b.now = b.now.Add(time.Hour) // the limits of the mailbox stay as they were
	b.enterPassword()
	b.wantRedirect(b.post("/signin/verify"+backToDevices, "code", b.deliverCode()), "/settings/devices")
}

// A person who is late gets a new code with one click, in the same sign-in while it lasts.
func TestLateCodeInTheSameSignIn(t *testing.T) {
	h := newTestServer(t)
	b := h.newBrowser()
	b.enterPassword()
	old := h.deliverCode()
	h.now = h.now.Add(16 * time.Minute)
	b.wantPage(b.post("/signin/verify"+backToDevices, "code", old), 422, "Please try again, or request a new code.",
		"button[formaction=/signin/code"+backToDevices+"]", "button#again-button")
	b.wantRedirect(b.post("/signin/code"+backToDevices), "/signin/verify"+backToDevices)
	b.wantRedirect(b.post("/signin/verify"+backToDevices, "code", h.deliverCode()), "/settings/devices")
}

// Whatever ended a sign-in, one click leads to a new one with the same address and return target.
func TestRestartKeepsAddressAndReturnTarget(t *testing.T) {
	for name, end := range map[string]func(*testServer, *testBrowser) *httptest.ResponseRecorder{
		"expired, new code": func(h *testServer, b *testBrowser) *httptest.ResponseRecorder {
			h.now = h.now.Add(challenge.TTL + time.Second)
			return b.post("/signin/code"+backToDevices, "code", "")
		},
		"expired, code, new code": func(h *testServer, b *testBrowser) *httptest.ResponseRecorder {
			h.now = h.now.Add(challenge.TTL + time.Second)
			b.wantPage(b.post("/signin/verify"+backToDevices, "code", "000000"), 422, "button[formaction=/signin/code"+backToDevices+"]",
				"You'll need to enter your password again.")
			return b.post("/signin/code"+backToDevices, "code", "")
		},
		"expired, reload": func(h *testServer, b *testBrowser) *httptest.ResponseRecorder {
			h.now = h.now.Add(challenge.TTL + time.Second)
			return b.get("/signin/verify" + backToDevices)
		},
		"expired, other method": func(h *testServer, b *testBrowser) *httptest.ResponseRecorder {
			h.now = h.now.Add(challenge.TTL + time.Second)
			return b.post("/signin/method"+backToDevices, "method", "post")
		},
		"no more codes": func(h *testServer, b *testBrowser) *httptest.ResponseRecorder {
			for range challenge.MaxMessages - 1 {
				h.now = h.now.Add(2 * time.Minute)
				b.wantRedirect(b.post("/signin/code"+backToDevices), "/signin/verify"+backToDevices)
			}
			h.now = h.now.Add(2 * time.Minute)
			b.wantPage(b.get("/signin/verify"+backToDevices), 200, "button[formaction=/signin/code"+backToDevices+"]",
				"You'll need to enter your password again.")
			return b.post("/signin/code" + backToDevices)
		},
		"too many wrong codes": func(h *testServer, b *testBrowser) *httptest.ResponseRecorder {
			b.useUpGuesses()
			b.wantPage(b.get("/signin/verify"+backToDevices), 429, "form[action=/signin/cancel"+backToDevices+"]", "input[name=again]")
			return b.post("/signin/cancel"+backToDevices, "again", "1")
		},
		"too many wrong codes, new code on an old page": func(h *testServer, b *testBrowser) *httptest.ResponseRecorder {
			b.useUpGuesses()
			b.wantPage(b.post("/signin/code"+backToDevices), 429, "Too many failed attempts.", "input[name=again]")
			return b.post("/signin/cancel"+backToDevices, "again", "1")
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newTestServer(t)
			b := h.newBrowser()
			b.enterPassword()
			w := end(h, b)
			b.wantRestarted(w)
		})
	}
}

// useUpGuesses enters wrong codes until none is compared any more.
func (b *testBrowser) useUpGuesses() {
	b.Helper()
	wrong := differentCode(b.deliverCode())
	for range challenge.MaxGuesses {
		b.now = b.now.Add(15 * time.Second)
		b.wantPage(b.post("/signin/verify"+backToDevices, "code", wrong), 422)
	}
}

// A new sign-in does not make the old one valid again, and its guesses stay charged.
func TestRestartEndsTheAttempt(t *testing.T) {
	h := newTestServer(t)
	b := h.newBrowser()
	b.enterPassword()
	code := h.deliverCode()
	b.wantRedirect(b.post("/signin/cancel"+backToDevices, "again", "1"), "/signin"+backToDevices)
	b.wantPage(b.post("/signin/verify"+backToDevices, "code", code), 422, "does not match our records")
	b.wantRedirect(b.get("/signin/verify"+backToDevices), "/signin"+backToDevices)
}

// The address is filled in for the person who entered it, not for the next one.
func TestRestartForgetsAddress(t *testing.T) {
	for name, leave := range map[string]func(*testServer, *testBrowser){
		"Not you?": func(_ *testServer, b *testBrowser) {
			b.wantRedirect(b.post("/signin/cancel"), "/signin")
		},
		"another browser": func(h *testServer, b *testBrowser) { clear(b.cookies) },
		"later":           func(h *testServer, b *testBrowser) { h.now = h.now.Add(maxEmailAge + time.Second) },
		"signed in": func(h *testServer, b *testBrowser) {
			token := b.cookies["__Host-signin"]
			b.wantRedirect(b.post("/signin/verify"+backToDevices, "code", h.deliverCode()), "/settings/devices")
			b.post("/signout")
			b.cookies["__Host-signin"] = token
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newTestServer(t)
			b := h.newBrowser()
			b.enterPassword()
			leave(h, b)
			w := b.get("/signin")
			b.wantPage(w, 200, "input#email[autofocus]")
			if strings.Contains(w.Body.String(), annaEmail) {
				t.Error("the page shows the address")
			}
		})
	}
}

// A step-up that has ended starts again at the password, and then leads to the same page.
func TestRestartStepUp(t *testing.T) {
	const backToEmail = "?return_to=%2Fsettings%2Femail"
	for name, end := range map[string]func(*testServer, *testBrowser) *httptest.ResponseRecorder{
		"expired": func(h *testServer, b *testBrowser) *httptest.ResponseRecorder {
			h.now = h.now.Add(challenge.TTL + time.Second)
			return b.post("/signin/code" + backToEmail)
		},
		"expired, reload": func(h *testServer, b *testBrowser) *httptest.ResponseRecorder {
			h.now = h.now.Add(challenge.TTL + time.Second)
			return b.get("/signin/verify" + backToEmail)
		},
		"too many wrong codes": func(h *testServer, b *testBrowser) *httptest.ResponseRecorder {
			b.useUpGuesses()
			b.wantPage(b.post("/signin/code"+backToEmail), 429, "a[href=/settings/confirm"+backToEmail+"]")
			return b.post("/signin/cancel"+backToEmail, "again", "1")
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newTestServer(t)
			b := h.signInAnna()
			h.now = h.now.Add(11 * time.Minute)
			const confirm = "/settings/confirm" + backToEmail
			b.wantRedirect(b.get("/settings/email"), confirm)
			w := b.post("/settings/confirm", "password", annaPassword, "return_to", "/settings/email")
			b.wantRedirect(w, "/signin/verify"+backToEmail)
			b.wantRedirect(end(h, b), confirm)
			w = b.post("/settings/confirm", "password", annaPassword, "return_to", "/settings/email")
			b.wantRedirect(w, "/signin/verify"+backToEmail)
			b.wantRedirect(b.post("/signin/verify"+backToEmail, "code", h.deliverCode()), "/settings/email")
		})
	}
}

// An enrollment that can send no more codes starts again.
func TestRestartEnrollment(t *testing.T) {
	h := newTestServer(t)
	b := h.signInAnna()
	const page = "/settings/2step/call"
	b.wantRedirect(b.post(page, "country", "DE", "number", "+49171"), page)
	for range challenge.MaxMessages - 1 {
		h.now = h.now.Add(2 * time.Minute)
		b.wantRedirect(b.post(page+"/code"), page)
	}
	h.now = h.now.Add(90 * time.Second)
	b.wantPage(b.get(page), 200, "button[formaction="+page+"/code]", "You'll need to start again.")
	b.wantRedirect(b.post(page+"/code"), page)
	b.wantPage(b.get(page), 200, "input#number")
}

// A code of the app is not sent, so the page advises what helps instead: the clock, and to scan again.
func TestWrongAppCodeAdvice(t *testing.T) {
	b := newTestServer(t).signInAnna()
	const page = "/settings/2step/app"
	b.post(page)
	w := b.post(page+"/verify", "code", "000000")
	b.wantPage(w, 422, "set your phone's clock to automatic, or scan the QR code again.", "svg[role=img]",
		"input#code[autofocus]")
	if strings.Contains(w.Body.String(), "new code") {
		t.Error("the page advises to request a new code")
	}
}

// The page says that a message is late, and so does the response to the script.
func TestSlowDelivery(t *testing.T) {
	h := newTestServer(t)
	b := h.newBrowser()
	b.enterPassword()
	for at, want := range map[time.Duration]string{0: "Sending…", slowDelivery: "Sending is taking longer than usual."} {
		h.now = now.Add(at)
		b.wantPage(b.get("/signin/verify"), 200, want)
		if got := b.get("/signin/status").Body.String(); !strings.Contains(got, want) {
			t.Errorf("after %s: %s", at, got)
		}
	}
	h.deliverCode()
	b.wantPage(b.get("/signin/verify"), 200, "Sent at 10:02. Check your spam folder too.")
}

// Whoever is signed out in the middle of something signs in and goes on to where the page leads. A sign-in is more than
// the step-up that it replaces.
func TestSignedOutPageLeadsOn(t *testing.T) {
	h := newTestServer(t)
	b := h.newBrowser()
	b.wantRedirect(b.get("/settings/confirm"+backToDevices), "/signin"+backToDevices)
	b.wantRedirect(b.post("/settings/confirm"+backToDevices, "password", annaPassword), "/signin"+backToDevices)
	b.wantRedirect(b.post("/settings/2step/app"+backToDevices, "name", ""), "/signin"+backToDevices)
	b.wantRedirect(b.get("/signin/verify"+backToDevices), "/signin"+backToDevices)
	b.wantRedirect(b.get("/settings/name"), "/signin?return_to=%2Fsettings%2Fname")
	b.wantRedirect(b.post("/settings/name", "name", "Eve"), "/signin")
}

// A tab goes on to its own page while another tab is in the middle of a step-up, and the step-up goes on too.
func TestTabBesideAStepUp(t *testing.T) {
	h := newTestServer(t)
	b := h.signInAnna()
	h.now = h.now.Add(11 * time.Minute)
	const toEmail = "?return_to=%2Fsettings%2Femail"
	b.wantRedirect(b.post("/settings/confirm"+toEmail, "password", annaPassword), "/signin/verify"+toEmail)
	b.wantRedirect(b.get("/signin"+backToDevices), "/settings/devices")
	b.wantRedirect(b.get("/signin"), "/signin/verify")
	b.wantRedirect(b.post("/signin"+backToDevices, "email", annaEmail, "password", annaPassword), "/settings/devices")
	b.wantRedirect(b.post("/signin/verify"+toEmail, "code", h.deliverCode()), "/settings/email")
	b.wantRedirect(b.post("/signin/verify"+backToDevices, "code", "000000"), "/signin"+backToDevices)
	b.wantRedirect(b.get("/signin"+backToDevices), "/settings/devices")
}
