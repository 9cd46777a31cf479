package e2e

import (
	"strings"
	"testing"

	"twostep.example/twostep/test/e2e/live"
)

// Somebody moves to another mailbox: the new one proves itself, the old one is told, and from
// then on only the new one signs in and gets the codes.
func TestBrowserChangeEmail(t *testing.T) {
	t.Parallel()
	for _, l := range []look{light, plain} {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			s := live.Start(t, "")
			b := browse(t, s.URL, l)
			b.signIn(s)
			b.open("/settings/email?return_to=/settings/sessions")
			b.enter("email", "Anna.Anders@example.net")
			b.click("Send Code")
			b.sees("@example.net")
			b.code(s.Code(1))
			b.at("/settings/email/done")
			if a, z := s.Mail.Next(2), s.Mail.Next(3); !strings.Contains(a+z, "To: <"+live.AnnaEmail+">") {
				t.Errorf("the old mailbox is not told, but %s%s", a, z)
			}
			b.click("Continue")
			b.at("/settings/sessions")
			b.signOut()
			b.credentials(live.AnnaEmail, live.AnnaPassword)
			b.sees("The email or password isn't correct.")
			n := s.Mail.Len()
			b.credentials("anna.anders@example.net", live.AnnaPassword)
			b.at("/signin/verify")
			b.code(s.Code(n))
			b.at("/settings")
		})
	}
}
