package signin_test

import (
	"strings"
	"testing"
	"time"
	"twostep.example/twostep/internal/store"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/seal"
)

func TestInvite(t *testing.T) {
	withAccount(t, func(h *fixture) {
		_, err := h.Accounts.Invite(h.Context(), h.Accounts.OperatorBy(""), account.NewAccount{Email: annaEmail})
		h.wantErr("an address with an account", err, account.ErrExists)
		token, err := h.Accounts.Invite(h.Context(), h.Accounts.OperatorBy(""), account.NewAccount{Email: "Bob@example.com", Operator: true})
		if err != nil {
			h.Fatal(err)
		}
		h.wantErr("a reset by an invitation", h.Accounts.ResetPassword(h.Context(), token, "another horse battery", home), account.ErrLink)
		h.wantErr("no name", h.Accounts.Join(h.Context(), token, " ", "another horse battery", home), account.ErrName)
		h.wantErr("too short", h.Accounts.Join(h.Context(), token, "Bob", "short", home), seal.ErrPasswordTooShort)
		h.advance(7 * 24 * time.Hour)
		if err := h.Accounts.Join(h.Context(), token, "Bob", "another horse battery", home); err != nil {
			h.Fatal(err)
		}
		h.wantErr("again", h.Accounts.Join(h.Context(), token, "Bob", "another horse battery", home), account.ErrLink)
		a, err := h.Store.FindAccountByEmail(h.Context(), "bob@example.com")
		if err != nil || a.Role != store.RoleOperator || a.Name != "Bob" {
			h.Errorf("account %+v, %v", a, err)
		}
		late, err := h.Accounts.Invite(h.Context(), h.Accounts.OperatorBy(""), account.NewAccount{Email: "eve@example.com", Name: "Eve"})
		if err != nil {
			h.Fatal(err)
		}
		h.advance(7*24*time.Hour + time.Millisecond)
		h.wantErr("after its expiry", h.Accounts.Join(h.Context(), late, "", "another horse battery", home), account.ErrLink)
	})
}

// A sign-up with a known address and one with an unknown address get the same response. Only the emails
// differ.
func TestSignUp(t *testing.T) {
	withAccount(t, func(h *fixture) {
		for _, email := range []string{annaEmail, "bob@example.com"} {
			if err := h.Accounts.SignUp(h.Context(), email, "Bob", "", home); err != nil {
				h.Errorf("%s: %v", email, err)
			}
		}
		mail := h.mails()
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
		if err := h.Accounts.Join(h.Context(), token, "", "another horse battery", home); err != nil {
			h.Fatal(err)
		}
		if _, err := h.start("bob@example.com", "another horse battery", home); err != nil {
			h.Error(err)
		}
		h.Accounts.Settings.SignUp = "invited"
		h.wantErr("sign-up when it is closed", h.Accounts.SignUp(h.Context(), "eve@example.com", "Eve", "", home), account.ErrSignUpClosed)
	})
}

// An account without a password hash accepts no password.
func TestAccountWithoutPasswordCannotSignIn(t *testing.T) {
	withAccount(t, func(h *fixture) {
		a, err := h.Store.FindAccountByEmail(h.Context(), annaEmail)
		if err != nil {
			h.Fatal(err)
		}
		a.ID, a.Email, a.PasswordHash = "bob", "bob@example.com", []byte{}
		if err := h.Store.CreateAccount(h.Context(), a); err != nil {
			h.Fatal(err)
		}
		for _, p := range []string{"", "null", "bob", annaPassword} {
			_, err := h.start("bob@example.com", p, home)
			h.wantErr(p, err, account.ErrCredentials)
			h.advance(time.Minute)
		}
	})
}

// Behind a proxy that is not configured all clients have the same unknown network. Failures in it delay
// nobody's sign-in until its limit for failures is reached.
func TestPasswordLimitsInUnknownNetwork(t *testing.T) {
	withAccount(t, func(h *fixture) {
		start := func(password string) error {
			_, err := h.start(annaEmail, password, origin.Origin{Language: "en"})
			return err
		}
		for range 20 {
			h.wantErr("a wrong password", start("wrong horse battery"), account.ErrCredentials)
		}
		if err := start(annaPassword); err != nil {
			h.Errorf("the right password: %v", err)
		}
		for range ratelimit.UnknownNetworkFactor*ratelimit.NetworkPasswordFailuresPerMinute - 20 {
			h.wantErr("a wrong password", start("wrong horse battery"), account.ErrCredentials)
		}
		h.wantErr("after the limit of the network", start(annaPassword), ratelimit.ErrLimited)
	})
}
