package web

import (
	"net/http"
	"testing"
	"time"

	"twostep.example/twostep/internal/policy"
)

// under sets the rules of the server.
func (h *testServer) under(p policy.Policy) {
	h.Helper()
	rules, err := policy.New(p, nil)
	if err != nil {
		h.Fatal(err)
	}
	h.Devices.Rules, h.Sessions.Rules = rules, rules
}

// Before the day, a sign-in says how many days are left, and the person can go on; from the day on they are led through the
// set-up. The settings say it at any time. With the method there is nothing to set up.
func TestSetUpIsAskedForAtTheSignIn(t *testing.T) {
	h := newTestServer(t)
	day := h.now.Truncate(24 * time.Hour).Add(10 * 24 * time.Hour)
	h.under(policy.Policy{All: policy.Rule{Require: day}})
	signIn := func() *testBrowser {
		b := h.newBrowser()
		b.wantRedirect(b.post("/signin?return_to=%2Fhelp", "email", annaEmail, "password", annaPassword),
			"/signin/verify?return_to=%2Fhelp")
		if b.get("/signin/verify?return_to=%2Fhelp").Code == http.StatusSeeOther {
			b.wantRedirect(b.post("/signin/method?return_to=%2Fhelp", "method", "post"), "/signin/verify?return_to=%2Fhelp")
		}
		b.wantRedirect(b.post("/signin/verify?return_to=%2Fhelp", "code", h.deliverCode()),
			"/settings/required?return_to=%2Fhelp")
		return b
	}
	b := signIn()
	b.wantPage(b.get("/settings/required?return_to=%2Fhelp"), 200, "10 days are left", "Later", "a[href=/help]")
	b.wantPage(b.get("/settings"), 200, "10 days are left", "a[href=/settings/required]", "you need another method besides email")
	h.now = day
	b = signIn()
	w := b.get("/settings/required?return_to=%2Fhelp")
	b.wantPage(w, 200, "no longer enough", "a[href=/settings/2step/app?return_to=%2Fhelp]")
	if matches(parseHTML(w), "a[href=/help]") && matches(parseHTML(w), "p.side") {
		t.Error("the set-up can be put off")
	}
	h.under(policy.Policy{})
	b.wantRedirect(b.get("/settings/required?return_to=%2Fhelp"), "/help")
	b.wantRedirect(b.get("/settings/required"), "/settings")
}

// The code page, the settings and the list of devices say what holds for the person.
func TestPagesSayWhatHolds(t *testing.T) {
	h := newTestServer(t)
	h.under(policy.Policy{All: policy.Rule{Trust: 23 * time.Hour, Idle: 30 * time.Minute, Methods: []string{"post"}}})
	b := h.newBrowser()
	b.wantRedirect(b.post("/signin", "email", annaEmail, "password", annaPassword), "/signin/verify")
	b.wantPage(b.get("/signin/verify"), 200, "Trust this device for 23 hours")
	b.wantRedirect(b.post("/signin/verify", "code", h.deliverCode(), "trust", "1"), "/settings")
	b.wantPage(b.get("/settings"), 200, "You can trust a device for 23 hours.",
		"You're signed out after 30 minutes without use, and after 1 day in any case.", "Allowed methods: ")
	b.wantPage(b.get("/settings/devices"), 200, "After 23 hours")
	h.deliverCode() // the message that the device is trusted
	h.under(policy.Policy{All: policy.Rule{Trust: policy.Off}})
	b = h.signInAnna()
	b.wantPage(b.get("/settings"), 200, "Devices can't be trusted")
}
