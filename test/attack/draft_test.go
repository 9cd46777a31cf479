package attack

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// Somebody who is signed in asks again and again to change to somebody else's address: that address
// gets many mails, and every draft gives five more guesses at its code.
func TestAddressChangesAreLimited(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	b := h.Browser()
	b.SignIn()
	h.WaitForOutbox()
	mails, guesses := h.Mail.Len(), 0
	for range 40 {
		if a := b.Post("/settings/email", "email", "victim@example.net"); a.StatusCode != http.StatusSeeOther {
			break
		}
		h.WaitForOutbox() // or a mail is sent again: the guesses turn the clock further than it is held for
		for range 5 {
			if b.Post("/settings/email/verify", "code", "000000").StatusCode == http.StatusUnprocessableEntity {
				guesses++
			}
		}
	}
	h.WaitForOutbox()
	if n := h.Mail.Len() - mails; n > 10 || guesses > 50 {
		t.Errorf("%d mails and %d guesses, want at most 10 and 50", n, guesses)
	}
}

// The name of a device is chosen by its user, and the mail about its removal would repeat a link in
// it.
func TestDeviceNameStaysOutOfMail(t *testing.T) {
	t.Parallel()
	h := start(t, "", allMethods(&phone{}))
	b := h.annaSignedIn()
	h.avoidStepEnd()
	h.wantStatus(b.Post("/settings/2step/app", "name", "Alarm: go to https://evil.example/now"), http.StatusSeeOther)
	found := otpauthLink.FindStringSubmatch(b.Get("/settings/2step/app").Body)
	h.wantRedirect(b.Post("/settings/2step/app/verify", "code", h.code(found[1], 0)), "/settings/2step/app/done")
	h.WaitForOutbox()
	n := h.Mail.Len()
	h.wantRedirect(b.Post("/settings/2step/app/remove", "id", h.value("SELECT id FROM factors")), "/settings")
	if mail := strings.ReplaceAll(h.Mail.Next(n), "=\r\n", ""); strings.Contains(mail, "evil.example") {
		t.Errorf("the mail says it:\n%s", mail)
	}
}

// A draft of a factor is made while the session is fresh. A stale session must not see its secret or
// confirm it.
func TestStaleSessionCannotUseADraft(t *testing.T) {
	t.Parallel()
	h := start(t, "", allMethods(&phone{}))
	b := h.annaSignedIn()
	h.Turn(9*time.Minute + 50*time.Second)
	secret := h.draftApp(b)
	h.wantRedirect(b.Post("/settings/2step/recovery"), "/settings/2step/recovery")
	h.Turn(14 * time.Minute)
	h.wantRedirect(b.Get("/settings/2step/sms"), "/settings/confirm")
	if a := b.Get("/settings/2step/app"); strings.Contains(a.Body, secret) {
		t.Error("a stale session sees the secret")
	}
	if a := b.Get("/settings/2step/recovery/codes.txt"); recoveryCode.MatchString(a.Body) {
		t.Error("a stale session downloads the codes")
	}
	h.avoidStepEnd()
	if a := b.Post("/settings/2step/app/verify", "code", h.code(secret, 0)); a.Header.Get("Location") == "/settings/2step/app/done" {
		t.Error("a stale session confirms")
	}
}
