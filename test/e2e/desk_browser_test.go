package e2e

import (
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"twostep.example/twostep"
	"twostep.example/twostep/test/e2e/live"
)

var deskLink = regexp.MustCompile(`/desk#([A-Z2-7]{26})`)

// signInAs signs somebody in by email.
func (b *tab) signInAs(s *live.Server, email string) {
	b.t.Helper()
	s.WaitForOutbox()
	n := s.Mail.Len()
	b.open("/signin")
	b.credentials(email, newPassword)
	b.at("/signin/verify")
	b.code(s.Code(n))
	b.at("/settings")
}

// cancelLink returns the token of the newest link that cancels a desk code.
func cancelLink(t *testing.T, s *live.Server) (token string) {
	t.Helper()
	s.WaitForOutbox()
	for n := range s.Mail.Len() {
		if found := deskLink.FindStringSubmatch(strings.ReplaceAll(s.Mail.Next(n), "=\r\n", "")); found != nil {
			token = found[1]
		}
	}
	if token == "" {
		t.Fatal("no mail has a link that cancels the code")
	}
	return token
}

// readOut lets one operator request a code for Anna, and another one approve it. It returns what the first one reads.
func readOut(t *testing.T, s *live.Server, l look) (code string) {
	t.Helper()
	one, two := browse(t, s.URL, l), browse(t, s.URL, l)
	one.signInAs(s, "one@example.com")
	two.signInAs(s, "two@example.com")
	anna, err := s.ShowAccount(t.Context(), live.AnnaEmail)
	if err != nil {
		t.Fatal(err)
	}
	one.open("/admin/people/" + anna.ID)
	one.click("Locked out? Give a help desk code")
	one.sees("A second operator must approve the code within 15 minutes.")
	one.click("Request a code")
	one.sees("Waiting for approval")
	two.open("/admin/desk-codes")
	two.sees("Requested by One")
	two.open("/admin/people/" + anna.ID + "/desk-code")
	two.click("Approve")
	two.sees("The code is approved.")
	two.sees("Only One, who requested it, can see the code.")
	one.click("Check again")
	one.sees("The code is approved")
	one.click("Show a code")
	one.sees("Read this code to the person")
	one.do(chromedp.Text(".deskcode", &code))
	return code
}

// lockedOut is a server with two operators, on which every code needs both.
func lockedOut(t *testing.T) *live.Server {
	t.Helper()
	s := live.Start(t, "", withApp, func(o *twostep.Options) { o.ApproveDeskCodes = true })
	for email, name := range map[string]string{"one@example.com": "One", "two@example.com": "Two"} {
		a := twostep.AccountParams{Email: email, Name: name, Password: newPassword, Role: twostep.RoleOperator}
		if err := s.CreateAccount(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// Anna is locked out. An operator requests a code, another one approves it, and she sets up a new method with it. With
// it she signs in again.
func TestBrowserLockedOut(t *testing.T) {
	t.Parallel()
	for _, l := range []look{light, plain} {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			s := lockedOut(t)
			code := readOut(t, s, l)
			b := browse(t, s.URL, l)
			b.open("/signin")
			b.credentials(live.AnnaEmail, live.AnnaPassword)
			b.at("/signin/verify")
			b.click("Use a code from the help desk")
			b.enter("code", "00000-00000")
			b.click("Sign in")
			b.sees("That code is wrong or has expired")
			b.enter("code", strings.ToLower(code))
			b.click("Sign in")
			b.at("/settings/setup")
			b.open("/settings/devices")
			b.at("/settings/setup") // nothing else is open
			b.sees("Set up a verification method")
			b.enrollApp(s, "")
			b.open("/settings")
			b.sees("2-Step verification")
			b.open("/admin")
			b.sees("Page not found")
		})
	}
}

// Anna did not call. She cancels the code with the link in the mail, and whoever has it is refused.
func TestBrowserDeskCodeCancelled(t *testing.T) {
	t.Parallel()
	for _, l := range []look{light, plain} {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			s := lockedOut(t)
			code := readOut(t, s, l)
			anna, thief := browse(t, s.URL, l), browse(t, s.URL, l)
			token := cancelLink(t, s)
			anna.open("/desk#" + token)
			anna.sees("Someone asked the help desk for a code")
			if l == plain {
				anna.enter("token", token)
			}
			anna.click("Cancel the code")
			anna.at("/desk/done")
			thief.open("/signin")
			thief.credentials(live.AnnaEmail, live.AnnaPassword)
			thief.at("/signin/verify")
			thief.click("Use a code from the help desk")
			thief.enter("code", code)
			thief.click("Sign in")
			thief.sees("That code is wrong or has expired")
			if strings.Contains(s.Log.String(), token) || strings.Contains(s.Log.String(), code) {
				t.Error("the token or the code is in the log")
			}
		})
	}
}
