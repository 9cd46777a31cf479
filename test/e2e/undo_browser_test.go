package e2e

import (
	"regexp"
	"strings"
	"testing"

	"twostep.example/twostep/test/e2e/live"
)

var undoLink = regexp.MustCompile(`/undo#(\S+)`)

// undone changes Anna's address as an attacker would, and opens the link in the mail that
// her old mailbox gets.
func (b *tab) undone(s *live.Server) (token string) {
	b.t.Helper()
	b.signIn(s)
	n := s.Mail.Len()
	b.open("/settings/email")
	b.enter("email", "attacker@example.net")
	b.click("Send Code")
	b.sees("@example.net")
	b.code(s.Code(n))
	b.at("/settings/email/done")
	found := undoLink.FindStringSubmatch(strings.ReplaceAll(s.Mail.Next(n+1)+s.Mail.Next(n+2), "=\r\n", ""))
	if found == nil {
		b.t.Fatal("no mail has a link that takes it back")
	}
	b.open("/undo#" + found[1])
	b.sees("Undo this change")
	return found[1]
}

// Whoever changes Anna's address is undone from her old mailbox, with the password that she had before; then she
// chooses a new one.
func TestBrowserUndo(t *testing.T) {
	t.Parallel()
	for _, l := range []look{light, plain} {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			s := live.Start(t, "")
			b := browse(t, s.URL, l)
			token := b.undone(s)
			if l == plain {
				b.enter("token", token)
			}
			b.click("Undo the change")
			b.sees("Enter the password that you had before the change.")
			b.enter("password", live.AnnaPassword)
			b.click("Undo the change")
			b.at("/undo/done")
			b.open("/settings")
			b.at("/signin")
			b.credentials(live.AnnaEmail, live.AnnaPassword)
			b.sees("The email or password isn't correct.")
			b.open("/undo/done")
			b.click("Choose a new password")
			b.at("/forgot")
			if strings.Contains(s.Log.String(), token) {
				t.Error("the token is in the log")
			}
		})
	}
}

func undoStory(b *tab, show func(string)) {
	token := b.undone(b.on())
	show("undo")
	b.enter("token", token+"x")
	b.enter("password", live.AnnaPassword)
	b.click("Undo the change")
	b.sees("This link has expired or has already been used. If the change wasn't yours, choose a new password.")
	show("undo-old")
	b.enter("token", token)
	b.enter("password", live.AnnaPassword)
	b.click("Undo the change")
	b.at("/undo/done")
	show("undo-done")
}
