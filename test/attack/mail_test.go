package attack

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/test/e2e/live"
)

// Somebody who knows the password starts and cancels sign-ins and asks for codes. The owner's pending
// sign-in stays open and its code good.
func TestStrangerCannotEndTheOwnersCode(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		owner := h.Browser()
		code := owner.Password()
		for range 4 {
			attacker := h.Browser()
			h.passwordStep(attacker, live.AnnaEmail, live.AnnaPassword)
			attacker.Post("/signin/verify", "code", "000000")
			h.Turn(31 * time.Second)
			attacker.Post("/signin/code")
			attacker.Post("/signin/cancel")
		}
		h.Browser().Post("/signin/cancel")
		h.requestReset()
		h.wantStatus(owner.Post("/signin/verify", "code", code), http.StatusSeeOther)
		if _, in := signedIn(owner); !in {
			h.T.Error("the owner's code died of somebody else's sign-in")
		}
	})
}

// The mail lacks what the owner needs to see that somebody else is signing in.
func TestCodeMailSaysWhoAsked(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	b := h.BrowserAt("127.0.0.1")
	h.wantStatus(h.post(b, "/signin", "email=anna%40example.com&password=correct+horse+battery", "User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"), http.StatusSeeOther)
	mail := strings.ReplaceAll(h.Mail.Next(0), "=\r\n", "")
	for _, part := range []string{"We never ask for this code", "someone knows your password", "Firefox on Windows", "127.0.0.1", live.Code(t, mail)} {
		if !strings.Contains(mail, part) {
			t.Errorf("the mail lacks %q", part)
		}
	}
	if strings.Contains(mail, "://") {
		t.Error("the mail has a link: it teaches people to click")
	}
}

// The user agent is the attacker's own text, and the mail with the code repeats it.
func TestUserAgentStaysOutOfMail(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	for _, agent := range []string{"https://evil.example/verify/1.0 (Windows NT 10.0)", "evil.example/1 (Windows NT 10.0)", "Calm.Enter.your.code.at.evil.example/1.0 (Windows NT 10.0; x)"} {
		h.WaitForOutbox()
		n := h.Mail.Len()
		h.wantStatus(h.post(h.Browser(), "/signin", "email=anna%40example.com&password=correct+horse+battery", "User-Agent: "+agent), http.StatusSeeOther)
		if mail := strings.ReplaceAll(h.Mail.Next(n), "=\r\n", ""); strings.Contains(mail, "evil") {
			_, line, _ := strings.Cut(mail, "The sign-in began")
			t.Errorf("%s:%.160s", agent, line)
		}
	}
}
