package signin_test

import (
	"strings"
	"testing"
	"time"

	"twostep/internal/seal"
	"twostep/internal/signin"
)

func TestParseEmail(t *testing.T) {
	for typed, want := range map[string]string{
		"anna@example.com":     "anna@example.com",
		"  Anna@EXAMPLE.com ":  "anna@example.com",
		"a.b+c_d@example.com":  "a.b+c_d@example.com",
		"anna@bücher.example":  "anna@xn--bcher-kva.example",
		"o'neil@example.co.uk": "o'neil@example.co.uk",
	} {
		if got, err := signin.ParseEmail(typed); got != want || err != nil {
			t.Errorf("%q: got %q, %v, want %q", typed, got, err, want)
		}
		if again, err := signin.ParseEmail(want); again != want || err != nil {
			t.Errorf("%q is not its own canonical form: %q, %v", want, again, err)
		}
	}
	for _, bad := range []string{
		"", "anna", "@example.com", "anna@", "anna@localhost", "anna@example", "a@b@example.com", `"a b"@example.com`,
		`"a@b"@c.com`, "anna@[127.0.0.1]", "anna@127.0.0.1", "anna@example..com", ".anna@example.com", "anna.@example.com",
		"an..na@example.com", "anna@-example.com", "anna@example-.com", "anna(x)@example.com", "Anna <anna@example.com>",
		"anna@example.com,eve@example.com", "anna@example.com\nBcc: eve@example.com", "anna@example.com\x00", "anna\u202e@example.com",
		"ann\u0430@example.com", "\u212aim@example.com", "mıke@example.com", "anna@exam ple.com", "anna@example.com.",
		strings.Repeat("a", 65) + "@example.com", "a@" + strings.Repeat("a", 64) + ".com", "a@" + strings.Repeat("a.", 130) + "com",
	} {
		if got, err := signin.ParseEmail(bad); err == nil {
			t.Errorf("%q: accepted as %q", bad, got)
		}
	}
}

// Whatever is accepted is plain ASCII with one @, and canonical.
func FuzzParseEmail(f *testing.F) {
	for _, s := range []string{"anna@example.com", "A@B.C", "anna@bücher.de", "a@xn--a.com"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		email, err := signin.ParseEmail(typed)
		if err != nil {
			return
		}
		again, err := signin.ParseEmail(email)
		if err != nil || again != email {
			t.Errorf("%q: %q becomes %q, %v", typed, email, again, err)
		}
		if strings.Count(email, "@") != 1 || strings.ContainsFunc(email, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
			t.Errorf("%q: accepted as %q", typed, email)
		}
	})
}

func TestInvite(t *testing.T) {
	withAnna(t, func(h *house) {
		_, err := h.Invite(h.Context(), annaEmail, "", false)
		h.refused("an address with an account", err, signin.ErrExists)
		token, err := h.Invite(h.Context(), "Bob@example.com", "", true)
		if err != nil {
			h.Fatal(err)
		}
		h.refused("a reset by an invitation", h.Reset(h.Context(), token, "another horse battery", home), signin.ErrLink)
		h.refused("no name", h.Join(h.Context(), token, " ", "another horse battery", home), signin.ErrName)
		h.refused("too short", h.Join(h.Context(), token, "Bob", "short", home), seal.ErrTooShort)
		h.turn(7 * 24 * time.Hour)
		if err := h.Join(h.Context(), token, "Bob", "another horse battery", home); err != nil {
			h.Fatal(err)
		}
		h.refused("again", h.Join(h.Context(), token, "Bob", "another horse battery", home), signin.ErrLink)
		a, err := h.Store.AccountByEmail(h.Context(), "bob@example.com")
		if err != nil || !a.Operator || a.Name != "Bob" {
			h.Errorf("account %+v, %v", a, err)
		}
		late, err := h.Invite(h.Context(), "eve@example.com", "Eve", false)
		if err != nil {
			h.Fatal(err)
		}
		h.turn(7*24*time.Hour + time.Millisecond)
		h.refused("after its end", h.Join(h.Context(), late, "", "another horse battery", home), signin.ErrLink)
	})
}

// A known and an unknown address look alike to whoever signs up; only the mail differs.
func TestSignUp(t *testing.T) {
	withAnna(t, func(h *house) {
		for _, email := range []string{annaEmail, "bob@example.com"} {
			if err := h.SignUp(h.Context(), email, "Bob", home); err != nil {
				h.Errorf("%s: %v", email, err)
			}
		}
		mail := h.arrived()
		if len(mail) != 2 || strings.Contains(mail[0].Text+mail[1].Text, "#") == false {
			h.Fatalf("%d mails", len(mail))
		}
		for _, m := range mail {
			if hasLink := strings.Contains(m.Text, "#"); hasLink != (m.To == "bob@example.com") {
				h.Errorf("mail to %s:\n%s", m.To, m.Text)
			}
		}
		if mail[1].To == annaEmail {
			mail[0], mail[1] = mail[1], mail[0]
		}
		token := strings.Fields(strings.SplitN(mail[1].Text, "#", 2)[1])[0]
		if err := h.Join(h.Context(), token, "", "another horse battery", home); err != nil {
			h.Fatal(err)
		}
		if _, err := h.Begin(h.Context(), signin.Credentials{Email: "bob@example.com", Password: "another horse battery"}, home); err != nil {
			h.Error(err)
		}
		h.Engine.Settings.SignUp = "invited"
		h.refused("sign-up when it is closed", h.SignUp(h.Context(), "eve@example.com", "Eve", home), signin.ErrSignUpClosed)
	})
}

// Nobody without a password hash, and nobody disabled, comes in with any password.
func TestNoPassword(t *testing.T) {
	withAnna(t, func(h *house) {
		a, err := h.Store.AccountByEmail(h.Context(), annaEmail)
		if err != nil {
			h.Fatal(err)
		}
		a.ID, a.Email, a.Password = "bob", "bob@example.com", []byte{}
		if err := h.Store.AddAccount(h.Context(), a); err != nil {
			h.Fatal(err)
		}
		for _, p := range []string{"", "null", "bob", annaWord} {
			_, err := h.Begin(h.Context(), signin.Credentials{Email: "bob@example.com", Password: p}, home)
			h.refused(p, err, signin.ErrCredentials)
		}
	})
}
