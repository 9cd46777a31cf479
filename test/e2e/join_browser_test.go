package e2e

import (
	"strings"
	"testing"

	"twostep.example/twostep/test/e2e/live"
)

// An invited person opens the link, sets up the account and signs in.
func TestBrowserInvited(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "")
	for _, l := range []look{light, plain} {
		t.Run(l.name, func(t *testing.T) {
			b := browse(t, s.URL, l)
			email := l.name + "@example.com"
			address, err := s.Invite(t.Context(), email, "", false)
			if err != nil {
				t.Fatal(err)
			}
			path, token := link(s, address)
			b.open(path)
			if l.noScript {
				b.enter("token", token)
			} else if v := value[[]string](b, `[token.value, location.href]`); v[0] != token || v[1] != s.URL+"/join" {
				t.Errorf("token, address: %q", v)
			}
			b.join(s, email, "Bert")
			if strings.Contains(s.Log.String(), token) {
				t.Error("the token is in the log")
			}
		})
	}
}

// join sets up the account on the page of an opened link, and signs in to it.
func (b *tab) join(s *live.Server, email, name string) {
	b.t.Helper()
	b.enter("name", name)
	b.enter("password", newPassword)
	b.click("Create account")
	b.at("/join/done")
	n := s.Mail.Len()
	b.click("Sign in")
	b.credentials(email, newPassword)
	b.at("/signin/verify")
	b.code(s.Code(n))
	b.at("/settings")
	b.sees(name)
}

// Somebody without an account signs up: address and name, a mail, a password.
func TestBrowserSignUp(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "")
	b := browse(t, s.URL, light)
	b.open("/signin")
	b.click("Sign up")
	b.at("/signup")
	b.click("Sign up")
	b.sees("Enter your email address.")
	b.sees("Enter your name.")
	b.enter("email", "carla@example.com")
	b.enter("name", "Carla")
	b.click("Sign up")
	b.at("/signup/sent")
	path, _ := link(s, s.Mail.Next(0))
	b.open(path)
	b.join(s, "carla@example.com", "Carla")
}
