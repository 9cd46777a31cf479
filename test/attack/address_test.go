package attack

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/test/e2e/live"
)

const newAddress = "anna@example.net"

var addressLink = regexp.MustCompile(`/address#(\S+)`)

// propose lets an operator propose a new address for Anna, and returns the token of the link.
func (h *server) propose(email string) (token string) {
	h.T.Helper()
	h.WaitForOutbox()
	n := h.Mail.Len()
	if err := h.ProposeEmail(h.T.Context(), twostep.By{Name: "Carla"}, live.AnnaEmail, email); err != nil {
		h.T.Fatal(err)
	}
	return h.sentTo(email, n, addressLink)
}

// sentTo returns what is found in the mail to an address after the first n mails.
func (h *server) sentTo(email string, n int, what *regexp.Regexp) string {
	h.T.Helper()
	h.WaitForOutbox()
	for i := n; i < h.Mail.Len(); i++ {
		mail := strings.ReplaceAll(h.Mail.Next(i), "=\r\n", "")
		if m := what.FindStringSubmatch(mail); m != nil && strings.Contains(mail, "To: <"+email+">") {
			return m[1]
		}
	}
	h.T.Fatalf("no mail to %s with %s", email, what)
	return ""
}

// The link of a new address is opened, used without the button, used for something else, cut short, used twice, or used
// after the account was disabled.
func TestAddressLink(t *testing.T) {
	t.Parallel()
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		c := newClock()
		h := start(t, url, c.set)
		in := h.Browser()
		in.SignIn()
		token := h.propose(newAddress)
		before := h.contents()
		for range 2 {
			for _, path := range []string{"/address", "/address?token=" + token, "/address?token=" + token + "&confirm=1"} {
				if a := h.wantStatus(h.Browser().Get(path), http.StatusOK); strings.Contains(a.Body, token) {
					t.Errorf("%.12s… shows the token", path)
				}
				h.Browser().Do(h.request("HEAD", path, ""))
			}
		}
		page := h.wantStatus(h.Browser().Post("/address", "token", token), http.StatusOK)
		if !strings.Contains(page.Body, newAddress) || strings.Contains(page.Body, live.AnnaEmail) || strings.Contains(page.Body, "Anna") {
			t.Error("the page has to name the new address and nothing of the account")
		}
		for _, wrong := range []string{"x", token[:len(token)-1], token + "A", strings.ToLower(token)} {
			h.wantStatus(h.Browser().Post("/address", "token", wrong, "confirm", "1"), http.StatusUnprocessableEntity)
		}
		for path, fields := range map[string][]string{
			"/reset": {"token", token, "password", "brand new horse"}, "/undo": {"token", token, "password", live.AnnaPassword},
			"/join": {"token", token, "name", "Anna", "password", "brand new horse"},
		} {
			h.wantStatus(h.Browser().Post(path, fields...), http.StatusUnprocessableEntity)
		}
		h.wantStatus(h.Browser().Do(h.request("POST", "/address", "token="+token+"&confirm=1", form, "Sec-Fetch-Site: cross-site", "Origin: https://evil.example")), http.StatusForbidden)
		if h.contents() != before {
			t.Error("something changed before the button")
		}
		reset := h.requestReset()
		h.wantStatus(h.Browser().Post("/address", "token", reset, "confirm", "1"), http.StatusUnprocessableEntity)
		n := h.Mail.Len()
		b := h.Browser()
		done := b.Post("/address", "token", token, "confirm", "1")
		h.wantRedirect(done, "/address/done")
		if strings.Contains(done.Header.Get("Location")+done.Body, token) || done.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Error("the token goes on after the change")
		}
		for _, browser := range []*live.Browser{b, in} {
			h.wantStatus(browser.Get("/settings"), http.StatusSeeOther)
		}
		if got := h.value("SELECT email FROM accounts"); got != newAddress {
			t.Fatalf("the address is %s", got)
		}
		h.wantStatus(h.Browser().Post("/address", "token", token, "confirm", "1"), http.StatusUnprocessableEntity)
		h.wantStatus(h.Browser().Post("/reset", "token", reset, "password", "brand new horse"), http.StatusUnprocessableEntity)
		undo := h.sentTo(live.AnnaEmail, n, undoLink)
		h.wantRedirect(h.Browser().Post("/undo", "token", undo, "password", live.AnnaPassword), "/undo/done")
		if got := h.value("SELECT email FROM accounts"); got != live.AnnaEmail {
			t.Errorf("after undo the address is %s", got)
		}
		// A used link is dead by itself, not only because the account has moved on.
		h.exec("UPDATE accounts SET epoch = 1")
		h.exec("UPDATE email_links SET epoch = 1")
		h.wantStatus(h.Browser().Post("/address", "token", token, "confirm", "1"), http.StatusUnprocessableEntity)
		for _, after := range []time.Duration{30 * time.Minute, 30*time.Minute + time.Millisecond} {
			h.exec("DELETE FROM email_links")
			late := h.propose(newAddress)
			c.advance(after)
			h.wantStatus(h.Browser().Post("/address", "token", late), map[bool]int{true: 200, false: 422}[after == 30*time.Minute])
		}
		disabled := h.propose(newAddress)
		h.exec("UPDATE accounts SET disabled_at = 1")
		h.wantStatus(h.Browser().Post("/address", "token", disabled, "confirm", "1"), http.StatusUnprocessableEntity)
		h.exec("UPDATE accounts SET disabled_at = 0, epoch = epoch + 1")
		h.wantStatus(h.Browser().Post("/address", "token", disabled, "confirm", "1"), http.StatusUnprocessableEntity)
		taken := h.propose(benEmail)
		h.addBen()
		h.wantStatus(h.Browser().Post("/address", "token", taken, "confirm", "1"), http.StatusUnprocessableEntity)
		if strings.Contains(h.Log.String(), token) {
			t.Error("the token is in the log")
		}
	})
}

// The link is used six times at once: the address changes once.
func TestAddressLinkAtOnce(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		token := h.propose(newAddress)
		var answers status
		atOnce(6, func(int) {
			answers.add(h.Browser().Post("/address", "token", token, "confirm", "1").StatusCode)
		})
		if answers.n[http.StatusSeeOther] != 1 || answers.n[http.StatusUnprocessableEntity] != 5 || h.value("SELECT epoch FROM accounts") != "2" {
			h.T.Errorf("six confirmations by one link: %v", answers.n)
		}
	})
}
