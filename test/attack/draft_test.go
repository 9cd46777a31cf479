package attack

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// Somebody who is in asks again and again to change to an address that is somebody
// else's: it is flooded with mail, and every draft is five guesses more at its code.
func TestAddressChangesAreLimited(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	b := h.Browser()
	b.SignIn()
	h.settle()
	mails, guesses := h.Mail.Len(), 0
	for range 40 {
		if a := b.Post("/settings/email", "email", "victim@example.net"); a.StatusCode != http.StatusSeeOther {
			break
		}
		for range 5 {
			if b.Post("/settings/email/verify", "code", "000000").StatusCode == http.StatusUnprocessableEntity {
				guesses++
			}
		}
	}
	h.settle()
	if n := h.Mail.Len() - mails; n > 10 || guesses > 50 {
		t.Errorf("%d mails and %d guesses, want at most 10 and 50", n, guesses)
	}
}

// The name of a device is text of whoever is in, and the mail about its removal says it
// in its subject.
func TestDeviceNameStaysOutOfMail(t *testing.T) {
	t.Parallel()
	h := start(t, "", every(&phone{}))
	b := h.anna()
	h.calm()
	h.want(b.Post("/settings/2step/app", "name", "Alarm: go to https://evil.example/now"), http.StatusSeeOther)
	found := inApp.FindStringSubmatch(b.Get("/settings/2step/app").Body)
	h.leads(b.Post("/settings/2step/app/verify", "code", h.code(found[1], 0)), "/settings/2step/app/done")
	h.settle()
	n := h.Mail.Len()
	h.leads(b.Post("/settings/2step/app/remove", "id", h.one("SELECT id FROM factors")), "/settings")
	if mail := strings.ReplaceAll(h.Mail.Next(n), "=\r\n", ""); strings.Contains(mail, "evil.example") {
		t.Errorf("the mail says it:\n%s", mail)
	}
}

// Somebody draws up a factor while the session is fresh; what may be seen and confirmed
// of it later, by whoever has the session then.
func TestStaleSessionCannotUseADraft(t *testing.T) {
	t.Parallel()
	h := start(t, "", every(&phone{}))
	b := h.anna()
	h.Turn(9*time.Minute + 50*time.Second)
	secret := h.draftApp(b)
	h.leads(b.Post("/settings/2step/recovery"), "/settings/2step/recovery")
	h.Turn(14 * time.Minute)
	h.leads(b.Get("/settings/2step/sms"), "/settings/confirm")
	if a := b.Get("/settings/2step/app"); strings.Contains(a.Body, secret) {
		t.Error("a stale session sees the secret")
	}
	if a := b.Get("/settings/2step/recovery/codes.txt"); onPaper.MatchString(a.Body) {
		t.Error("a stale session downloads the codes")
	}
	h.calm()
	if a := b.Post("/settings/2step/app/verify", "code", h.code(secret, 0)); a.Header.Get("Location") == "/settings/2step/app/done" {
		t.Error("a stale session confirms")
	}
}
