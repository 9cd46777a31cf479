package e2e

import (
	"regexp"
	"strings"
	"testing"

	"twostep.example/twostep/test/e2e/live"
)

var mailedLink = regexp.MustCompile(`https?://\S+#\S+`)

// link is the path, with the fragment, of the link in a mail, and its token.
func link(s *live.Server, mail string) (path, token string) {
	s.T.Helper()
	mail = strings.ReplaceAll(mail, "=\r\n", "")
	address, found := strings.CutPrefix(mailedLink.FindString(mail), s.URL)
	_, token, _ = strings.Cut(address, "#")
	if !found || token == "" {
		s.T.Fatalf("no link in %s", mail)
	}
	return address, token
}

const newPassword = "seven clouds over a lake"

// forget asks for a link to choose a new password.
func (b *tab) forget(s *live.Server) (path, token string) {
	b.t.Helper()
	n := s.Mail.Len()
	b.open("/signin")
	b.click("Forgot your password?")
	b.at("/forgot")
	b.enter("email", live.AnnaEmail)
	b.click("Send link")
	b.at("/forgot/sent")
	return link(s, s.Mail.Next(n))
}

// The token of a mailed link goes from the address bar into the form; no server and no
// log sees it before the form is sent, and no log at all. The new password works.
func TestBrowserReset(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "")
	b := browse(t, s.URL, light)
	path, token := b.forget(s)
	b.open(path)
	b.choosing()
	b.ready()
	if v := value[[]string](b, `[username.value, location.href, document.activeElement.id]`); v[0] != live.AnnaEmail || v[1] != s.URL+"/reset" || v[2] != "password" {
		t.Errorf("account, address, focus: %q", v)
	}
	b.enter("password", "12345678")
	b.click("Change password")
	b.sees("This is one of the most common passwords. Choose a different one.")
	b.enter("password", newPassword)
	b.click("Change password")
	b.at("/reset/done")
	b.click("Sign in")
	b.at("/signin")
	if email := value[string](b, `email.value`); email != live.AnnaEmail {
		t.Errorf("the sign-in page has %q as the address", email)
	}
	b.enter("password", newPassword)
	b.click("Sign in")
	b.at("/signin/verify")
	if strings.Contains(s.Log.String(), token) {
		t.Error("the token is in the log")
	}
}

// choosing waits for the page that asks for the new password.
func (b *tab) choosing() { b.t.Helper(); b.until(`!!document.querySelector("#password")`) }

// A link that is opened in a tab that shows the same page already works, too, before and after another link.
func TestBrowserResetSameTab(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "")
	b := browse(t, s.URL, light)
	_, token := b.forget(s)
	b.open("/reset")
	for range 2 {
		value[bool](b, `(document.title = "before", location.hash = "#`+token+`", true)`)
		b.until(`document.title !== "before" && document.readyState === "complete" && location.hash === "" && !!document.querySelector("#password")`)
		if got := value[string](b, `document.querySelector("[name=token]").value`); got != token {
			t.Errorf("the form has %q", got)
		}
	}
}

// Without JavaScript the token is pasted from the mail.
func TestBrowserResetPlain(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "")
	b := browse(t, s.URL, plain)
	_, token := b.forget(s)
	b.open("/reset")
	b.enter("token", token)
	b.click("Continue")
	b.enter("password", newPassword)
	b.click("Change password")
	b.at("/reset/done")
	b.open("/reset")
	b.enter("token", token)
	b.click("Continue")
	b.sees("This link has expired or has already been used.")
}
