package signin_test

import (
	"context"
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/email"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/odds"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/signin"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/store/storetest"
)

// A password reset ends all sessions and attempts, notifies the owner, works once, and opens no session.
func TestResetPassword(t *testing.T) {
	withAccount(t, func(h *fixture) {
		sessionToken, pending := h.signIn(), h.enterPassword()
		h.advance(time.Second) // so that its email is the newest
		if err := h.Accounts.RequestPasswordReset(h.Context(), "ANNA@example.com", "", home); err != nil {
			h.Fatal(err)
		}
		token := h.linkToken()
		h.wantErr("a common password", h.Accounts.ResetPassword(h.Context(), token, "password1", home), seal.ErrPasswordCommon)
		if err := h.Accounts.ResetPassword(h.Context(), token, "another horse battery", home); err != nil {
			h.Fatal(err)
		}
		if !strings.Contains(h.lastMail().Subject, "changed") || h.lastMail().To != annaEmail {
			h.Errorf("the owner got no notice: %q", h.lastMail().Subject)
		}
		h.wantErr("the link again", h.Accounts.ResetPassword(h.Context(), token, "a third horse battery", home), account.ErrLink)
		_, err := h.Sessions.Get(h.Context(), sessionToken)
		h.wantErr("an old session", err, session.ErrNoSession)
		_, err = h.Pending(h.Context(), pending, home)
		h.wantErr("an old sign-in", err, challenge.ErrNoAttempt)
		_, err = h.start(annaEmail, annaPassword, home)
		h.wantErr("the old password", err, account.ErrCredentials)
		if _, err := h.start(annaEmail, "another horse battery", home); err != nil {
			h.Errorf("the new password: %v", err)
		}
	})
}

func TestResetLinkExpires(t *testing.T) {
	withAccount(t, func(h *fixture) {
		var tokens []string
		for range 3 {
			if err := h.Accounts.RequestPasswordReset(h.Context(), annaEmail, "", home); err != nil {
				h.Fatal(err)
			}
			tokens = append(tokens, h.linkToken())
		}
		for i := range tokens[0] {
			cut := tokens[0][:i] + tokens[0][i+1:]
			h.wantErr("without one character", h.Accounts.ResetPassword(h.Context(), cut, annaPassword+"!", home), account.ErrLink)
		}
		h.advance(30 * time.Minute)
		if err := h.Accounts.ResetPassword(h.Context(), tokens[1], "another horse battery", home); err != nil {
			h.Errorf("at its expiry: %v", err)
		}
		h.wantErr("a link from before the change", h.Accounts.ResetPassword(h.Context(), tokens[2], "a third horse battery", home), account.ErrLink)
		h.advance(time.Hour)
		if err := h.Accounts.RequestPasswordReset(h.Context(), annaEmail, "", home); err != nil {
			h.Fatal(err)
		}
		late := h.linkToken()
		h.advance(30*time.Minute + time.Millisecond)
		h.wantErr("after its expiry", h.Accounts.ResetPassword(h.Context(), late, "a third horse battery", home), account.ErrLink)
	})
}

// Reset requests for an address with an account, one without, and one whose limit is reached get the same
// response and write the same rows.
func TestResetRequestsLookTheSame(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		h := newFixture(t, url)
		h.addAccount(annaEmail, annaPassword)
		for range 10 {
			for _, email := range []string{annaEmail, "nobody@example.com"} {
				if err := h.Accounts.RequestPasswordReset(h.Context(), email, "", home); err != nil {
					t.Fatal(err)
				}
			}
		}
		if n := len(h.mails()); n != 3 {
			t.Errorf("%d mails in an hour, want 3", n)
		}
		for _, table := range []string{"email_links", "outbox_messages"} {
			if n := storetest.CountRows(t, url, table); n != 20 {
				t.Errorf("%d rows in %s, want 20: one for each request, whether the address is known or not", n, table)
			}
		}
		from := home
		for range 10 {
			h.Accounts.RequestPasswordReset(h.Context(), "nobody@example.com", "", from)
		}
		var wait *ratelimit.LimitedError
		if err := h.Accounts.RequestPasswordReset(h.Context(), annaEmail, "", from); !errors.As(err, &wait) {
			t.Errorf("the 31st from one network: %v, want a limit", err)
		}
		from.Address = netip.MustParseAddr("203.0.113.6")
		if err := h.Accounts.RequestPasswordReset(h.Context(), annaEmail, "", from); err != nil {
			t.Errorf("from another network: %v", err)
		}
	})
}

// resetPassword resets Anna's password by email.
func (h *fixture) resetPassword(from origin.Origin) {
	h.Helper()
	h.advance(time.Second)
	if err := h.Accounts.RequestPasswordReset(h.Context(), annaEmail, "", from); err != nil {
		h.Fatal(err)
	}
	if err := h.Accounts.ResetPassword(h.Context(), h.linkToken(), annaPassword, from); err != nil {
		h.Fatal(err)
	}
}

// After a password reset the owner can sign in by app at once, even if an attacker has used up the guess
// budget and all pairs of the day. Otherwise the owner of a new device in a new network would have to wait
// for a day.
func TestResetRenewsCodePairs(t *testing.T) {
	withAccount(t, func(h *fixture) {
		app, _ := h.enrollApp(h.signIn())
		h.advance(time.Hour)
		h.addEntry(h.annaBudget(), store.EntryGuess, odds.AccountBudgetPerYear)
		for range odds.CodePairsPerDay {
			h.addEntry(h.annaBudget(), store.EntryPair, 0)
		}
		from := otherNetwork(1)
		pair := func() error {
			entry, err := h.start(annaEmail, annaPassword, from)
			if err != nil {
				h.Fatal(err)
			}
			if p, err := h.Pending(h.Context(), entry.Attempt, from); err != nil || p.Challenge == nil {
				if err := h.Choose(h.Context(), entry.Attempt, "totp", from); err != nil {
					h.Fatal(err)
				}
			}
			first := app.code(h.clock())
			h.advance(30 * time.Second)
			_, err = h.Verify(h.Context(), entry.Attempt, url.Values{"code": {first + app.code(h.clock())}}, from)
			return err
		}
		h.wantErr("a pair after the limit of the day", pair(), ratelimit.ErrLimited)
		h.resetPassword(from)
		if err := pair(); err != nil {
			h.Errorf("after the reset: %v", err)
		}
	})
}

// The same for the emails of the day, for an account that has only its mailbox.
func TestResetRenewsMails(t *testing.T) {
	withAccount(t, func(h *fixture) {
		for range ratelimit.MailsNewNetworksPerDay {
			h.addEntry(h.annaBudget(), store.EntrySend, 0)
		}
		from := otherNetwork(1)
		entry, err := h.start(annaEmail, annaPassword, from)
		if err != nil {
			h.Fatal(err)
		}
		h.wantErr("an email after the limit of the day", h.Choose(h.Context(), entry.Attempt, "email", from), ratelimit.ErrLimited)
		h.resetPassword(from)
		h.advance(time.Second)
		if entry, err = h.start(annaEmail, annaPassword, from); err != nil {
			h.Fatal(err)
		}
		if _, err := h.Verify(h.Context(), entry.Attempt, url.Values{"code": {h.code()}}, from); err != nil {
			h.Errorf("after the reset: %v", err)
		}
	})
}

func TestChangePassword(t *testing.T) {
	withAccount(t, func(h *fixture) {
		mine := h.signIn()
		who, err := h.Sessions.Get(h.Context(), mine)
		if err != nil {
			h.Fatal(err)
		}
		change := func(current, password string) (string, error) {
			return h.SignIns.ChangePassword(h.Context(), who, current, password, home)
		}
		_, err = change("wrong horse battery", "another horse battery")
		h.wantErr("wrong current password", err, account.ErrCredentials)
		_, err = change(annaPassword, "anna1234")
		h.wantErr("own name", err, seal.ErrPasswordContextSpecific)
		h.advance(10*time.Minute + time.Second)
		_, err = change(annaPassword, "another horse battery")
		h.wantErr("without recent authentication", err, session.ErrStepUpRequired)
		mine = h.signIn()
		other := h.signIn()
		who = h.getSession(mine)
		fresh, err := change(annaPassword, "another horse battery")
		if err != nil {
			h.Fatal(err)
		}
		for _, old := range []string{mine, other} {
			_, err := h.Sessions.Get(h.Context(), old)
			h.wantErr("an old session", err, session.ErrNoSession)
		}
		if now, err := h.Sessions.Get(h.Context(), fresh); err != nil || !now.AuthenticatedAt.Equal(who.AuthenticatedAt) || !now.ExpiresAt.Equal(who.ExpiresAt) {
			h.Errorf("the new session: %+v, %v, want the authentication time and expiry of the old one", now, err)
		}
		_, err = change("another horse battery", "a third horse battery")
		h.wantErr("from a session that has ended", err, session.ErrNoSession)
		if !strings.Contains(h.lastMail().Subject, "changed") {
			h.Errorf("the owner got no notice: %q", h.lastMail().Subject)
		}
	})
}

// The limit for reset emails holds for parallel requests.
func TestResetMailLimitInParallel(t *testing.T) {
	withAccount(t, func(h *fixture) {
		atOnce(60, func() { _ = h.Accounts.RequestPasswordReset(h.Context(), annaEmail, "", home) })
		if n := len(h.mails()); n != 3 {
			h.Errorf("%d mails, want 3", n)
		}
	})
}

// Reset requests from one network, hour after hour, do not keep the owner from getting a link.
func TestResetFloodFromOtherNetwork(t *testing.T) {
	withAccount(t, func(h *fixture) {
		other := home
		other.Address = netip.MustParseAddr("198.51.100.7")
		for range 72 {
			if err := h.Accounts.RequestPasswordReset(h.Context(), annaEmail, "", other); err != nil {
				h.Fatal(err)
			}
			h.mails()
			h.advance(time.Hour + time.Second)
		}
		n := len(h.mails())
		if n < 25 || n > 44 { // ten on each of the four days that the test touches
			h.Errorf("%d mails in three days, want about 30", n)
		}
		if err := h.Accounts.RequestPasswordReset(h.Context(), annaEmail, "", home); err != nil {
			h.Fatal(err)
		}
		if len(h.mails()) != n+1 {
			h.Error("the owner got no link")
		}
	})
}

// A password hash of lower cost is replaced at the next sign-in.
func TestRehash(t *testing.T) {
	withAccount(t, func(h *fixture) {
		read := func() string {
			a, err := h.Store.FindAccountByEmail(h.Context(), annaEmail)
			if err != nil {
				h.Fatal(err)
			}
			hash, err := h.Keys.Open("password "+a.ID, a.PasswordHash)
			if err != nil {
				h.Fatal(err)
			}
			return string(hash)
		}
		before := read()
		h.enterPassword()
		if read() != before {
			h.Error("replaced though the cost is the same")
		}
		h.Accounts.Passwords = seal.NewPasswordHasher(seal.HashCost{MemoryKiB: 128, Passes: 1}, 4, 0)
		h.enterPassword()
		if after := read(); !strings.Contains(after, "m=128,") {
			h.Errorf("the hash is still %s", after)
		}
		h.enterPassword()
	})
}

// The mailbox that has just reset the password is not accepted as the second step if the account has
// another factor. After a day it is.
func TestMailboxCooldown(t *testing.T) {
	withAccount(t, func(h *fixture) {
		reset := func() {
			h.advance(time.Hour)
			if err := h.Accounts.RequestPasswordReset(h.Context(), annaEmail, "", home); err != nil {
				h.Fatal(err)
			}
			if err := h.Accounts.ResetPassword(h.Context(), h.linkToken(), annaPassword, home); err != nil {
				h.Fatal(err)
			}
		}
		offers := func() string {
			h.advance(time.Second)
			p, err := h.Pending(h.Context(), h.enterPassword(), home)
			if err != nil {
				h.Fatal(err)
			}
			var names []string
			for _, o := range p.Offers {
				names = append(names, o.Method)
			}
			return strings.Join(names, " ")
		}
		reset()
		if got := offers(); got != "email" {
			h.Errorf("after a reset, without another factor: %q", got)
		}
		h.enrollNumber(h.signIn(), "+491711234567")
		if got := offers(); got != "spoken" {
			h.Errorf("after a reset, with another factor: %q", got)
		}
		token := h.enterPassword()
		h.wantErr("email after a reset", h.Choose(h.Context(), token, "email", home), challenge.ErrUnknownMethod)
		h.advance(24 * time.Hour)
		if got := offers(); got != "email spoken" {
			h.Errorf("a day later: %q", got)
		}
	})
}

// broken is a verification method whose Challenge fails.
type broken struct{ email.Method }

func (broken) Challenge(context.Context, factor.Request) (factor.Challenge, error) {
	return factor.Challenge{}, errors.New("broken")
}

// If a method cannot issue a challenge, the sign-in fails and leaves nothing behind.
func TestMethodFails(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, address string) {
		h := newFixture(t, address)
		h.addAccount(annaEmail, annaPassword)
		h.Challenges.Methods = []factor.Method{broken{}}
		if _, err := h.SignIns.Start(t.Context(), signin.Credentials{Email: annaEmail, Password: annaPassword}, home); err == nil {
			t.Error("the sign-in started without a challenge")
		}
		if n := storetest.CountRows(t, address, "attempts"); n != 0 {
			t.Errorf("%d attempts left behind", n)
		}
	})
}

// lettered is a verification method that sends answer as its code.
type lettered struct {
	email.Method
	answer string
}

func (m lettered) Challenge(context.Context, factor.Request) (factor.Challenge, error) {
	return factor.Challenge{Answer: m.answer}, nil
}

// A code whose guesses cannot be counted is not sent: one of few letters and digits, or a short one where
// a long code is needed.
func TestShortCodesAreRejected(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, address string) {
		h := newFixture(t, address)
		h.addAccount(annaEmail, annaPassword)
		who := h.getSession(h.signIn())
		for answer, short := range map[string]bool{"K7QX": true, "123456": false} {
			h.Challenges.Methods = []factor.Method{lettered{answer: answer}}
			if err := h.Enrollments.StartEmailChange(t.Context(), who, "new@example.com", home); (err != nil) != short {
				t.Errorf("%q, for a new address: %v", answer, err)
			}
		}
		for _, used := range []bool{false, true} {
			for answer, short := range map[string]bool{
				"K7QX": true, "K7QXK7QXK7QX": true, "éééééééé": true, "123456": used, "1234567890": used, "K7QXK7QXK7QXK": false,
			} {
				h.advance(time.Hour)
				h.Challenges.Methods = []factor.Method{lettered{answer: answer}}
				_, err := h.SignIns.Start(t.Context(), signin.Credentials{Email: annaEmail, Password: annaPassword}, home)
				if (err != nil) != short || errors.Is(err, ratelimit.ErrLimited) {
					t.Errorf("%q, with an exhausted budget %v: %v", answer, used, err)
				}
			}
			h.addEntry(h.annaBudget(), store.EntryGuess, odds.AccountBudgetPerYear)
		}
	})
}

// With two methods nothing is sent before one is chosen. Choosing the same one again sends nothing.
func TestChooseMethod(t *testing.T) {
	withAccount(t, func(h *fixture) {
		var n atomic.Int64
		h.enrollNumber(h.signIn(), "+491711234567")
		seen := len(h.mails())
		token := h.enterPassword()
		p, err := h.Pending(h.Context(), token, home)
		if err != nil || challenge.Next(p, h.clock()) != challenge.StepMethod || len(h.mails()) != seen {
			h.Fatalf("step %v, %d mails, %v", challenge.Next(p, h.clock()), len(h.mails())-seen, err)
		}
		_, err = h.Verify(h.Context(), token, url.Values{"code": {"123456"}}, home)
		h.wantErr("a code before the choice", err, challenge.ErrNoAttempt)
		for _, bad := range []string{"", "none", "EMAIL", "email\x00", "../email", strings.Repeat("x", 10000)} {
			h.wantErr(bad, h.Choose(h.Context(), token, bad, home), challenge.ErrUnknownMethod)
		}
		atOnce(8, func() {
			if h.Choose(h.Context(), token, "email", home) == nil {
				n.Add(1)
			}
		})
		if mails := len(h.mails()) - seen; mails != 1 || n.Load() == 0 {
			h.Errorf("%d mails after %d choices, want 1", mails, n.Load())
		}
		code := h.code()
		h.advance(time.Second)
		if err := h.Choose(h.Context(), token, "spoken", home); err != nil {
			h.Fatal(err)
		}
		_, err = h.verify(token, code)
		h.wantErr("the code of the other method", err, factor.ErrIncorrect)
		if _, err := h.verify(token, h.code()); err != nil {
			h.Error(err)
		}
	})
}
