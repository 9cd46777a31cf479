package e2e

import (
	"strings"
	"testing"

	"twostep.example/twostep"
	"twostep.example/twostep/test/e2e/live"
)

// proposed lets an operator propose a new address for Anna, and returns the link.
func proposed(s *live.Server) (path, token string) {
	s.T.Helper()
	n := s.Mail.Len()
	if err := s.ProposeEmail(s.T.Context(), twostep.By{Name: "Carla"}, live.AnnaEmail, "anna@example.net"); err != nil {
		s.T.Fatal(err)
	}
	s.WaitForOutbox()
	for _, i := range []int{n, n + 1} { // the other one tells the old address
		if mail := s.Mail.Next(i); strings.Contains(mail, "To: <anna@example.net>") {
			return link(s, mail)
		}
	}
	s.T.Fatal("no mail to the new address")
	return "", ""
}

// A person opens the link that an operator sent to their new address, sees the address, confirms it, and signs in with
// it. Neither opening the link nor a log uses it up.
func TestBrowserNewAddress(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "")
	b := browse(t, s.URL, light)
	path, token := proposed(s)
	b.open(path)
	b.until(`!!document.querySelector("[name=confirm]")`)
	b.sees("anna@example.net")
	b.ready()
	if address := value[string](b, `location.href`); address != s.URL+"/address" {
		t.Errorf("the address bar has %s", address)
	}
	b.click("Confirm the email address")
	b.at("/address/done")
	b.click("Sign in")
	b.at("/signin")
	if email := value[string](b, `email.value`); email != "anna@example.net" {
		t.Errorf("the sign-in page has %q as the address", email)
	}
	b.enter("password", live.AnnaPassword)
	b.click("Sign in")
	b.at("/signin/verify")
	if strings.Contains(s.Log.String(), token) {
		t.Error("the token is in the log")
	}
}

// Without JavaScript the token is pasted from the mail.
func TestBrowserNewAddressPlain(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "")
	b := browse(t, s.URL, plain)
	_, token := proposed(s)
	b.open("/address")
	b.enter("token", token)
	b.click("Continue")
	b.sees("anna@example.net")
	b.click("Confirm the email address")
	b.at("/address/done")
	b.open("/address")
	b.enter("token", token)
	b.click("Continue")
	b.sees("Ask the administrator for a new one.")
}
