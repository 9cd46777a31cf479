package e2e

import (
	"strings"
	"testing"

	"twostep.example/twostep/test/e2e/live"
)

// An invited person opens the link, sees which account it is for, sets it up, and enters the code. With a script the link
// is all it takes; without, its secret is pasted. The secret is never shown afterwards, and reaches no log.
func TestBrowserInvited(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "")
	for _, l := range []look{light, plain} {
		t.Run(l.name, func(t *testing.T) {
			b := browse(t, s.URL, l)
			email := l.name + "@example.com"
			address, err := s.Invite(t.Context(), email, "Bert", false)
			if err != nil {
				t.Fatal(err)
			}
			path, token := link(s, address)
			b.open(path)
			if l.noScript {
				b.enter("token", token)
				b.click("Continue")
			}
			b.sees("Choose a name and a password")
			if v := value[[]string](b, `[username.value, document.getElementById("name").value, location.href]`); v[0] != email || v[1] != "Bert" || v[2] != s.URL+"/join" {
				t.Errorf("account, name, address: %q", v)
			}
			if value[bool](b, `document.body.innerText.includes("`+token+`") || [...document.querySelectorAll("input:not([type=hidden])")].some(i => i.value.includes("`+token+`"))`) {
				t.Error("the page shows the secret of the link")
			}
			b.join(s, "Bert")
			if strings.Contains(s.Log.String(), token) {
				t.Error("the token is in the log")
			}
		})
	}
}

// join sets up the account on the page of an opened link, which has its name already, and signs in to it.
func (b *tab) join(s *live.Server, name string) {
	b.t.Helper()
	b.sees("Choose a name and a password")
	n := s.Mail.Len()
	b.enter("password", "short")
	b.click("Create account")
	b.sees("Use at least 8 characters.")
	b.enter("password", newPassword)
	b.click("Create account")
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
	b.join(s, "Carla")
}
