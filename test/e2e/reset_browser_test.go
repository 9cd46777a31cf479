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
	if v := value[[]string](b, `[token.value, location.href, document.activeElement.id]`); v[0] != token || v[1] != s.URL+"/reset" || v[2] != "password" {
		t.Errorf("token, address, focus: %q", v)
	}
	b.enter("password", "12345678")
	b.click("Change password")
	b.sees("This is one of the most common passwords. Choose a different one.")
	b.enter("password", newPassword)
	b.click("Change password")
	b.at("/reset/done")
	b.click("Sign in")
	b.credentials(live.AnnaEmail, newPassword)
	b.at("/signin/verify")
	if strings.Contains(s.Log.String(), token) {
		t.Error("the token is in the log")
	}
}

// A link that is opened in a tab that shows the same page already fills the form, too.
func TestBrowserResetSameTab(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "")
	b := browse(t, s.URL, light)
	path, token := b.forget(s)
	b.open("/reset")
	value[bool](b, `(location.hash = "`+strings.TrimPrefix(path, "/reset")+`", true)`)
	b.until(`token.value === "` + token + `" && location.hash === ""`)
}

// Without JavaScript the token is pasted from the mail.
func TestBrowserResetPlain(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "")
	b := browse(t, s.URL, plain)
	_, token := b.forget(s)
	b.open("/reset")
	b.enter("token", token)
	b.enter("password", newPassword)
	b.click("Change password")
	b.at("/reset/done")
	b.open("/reset")
	b.enter("token", token)
	b.enter("password", newPassword)
	b.click("Change password")
	b.sees("This link has expired or has already been used.")
}
