package signin_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/enroll"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/signin"
	"twostep.example/twostep/internal/store/storetest"
)

// authenticator is an authenticator app (RFC 6238: SHA-1, 6 digits, 30 seconds), implemented independently
// of package totp.
type authenticator []byte

func (p authenticator) code(at time.Time) string {
	var step [8]byte
	binary.BigEndian.PutUint64(step[:], uint64(at.Unix()/30))
	mac := hmac.New(sha1.New, p)
	mac.Write(step[:])
	sum := mac.Sum(nil)
	i := sum[19] & 15
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[i:])&0x7fffffff%1000000)
}

// enrollApp enrolls an authenticator app and returns it with the new session token.
func (h *fixture) enrollApp(sessionToken string) (authenticator, string) {
	h.Helper()
	if err := h.startEnrollment(sessionToken, "totp", url.Values{}); err != nil {
		h.Fatal(err)
	}
	d, err := h.Enrollments.Pending(h.Context(), h.getSession(sessionToken), "totp", home)
	if err != nil {
		h.Fatal(err)
	}
	link, err := url.Parse(d.Show.URI)
	if err != nil {
		h.Fatal(err)
	}
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(link.Query().Get("secret"))
	if err != nil {
		h.Fatal(err)
	}
	sessionToken, err = h.confirm(sessionToken, "totp", authenticator(key).code(h.clock()))
	if err != nil {
		h.Fatal(err)
	}
	return authenticator(key), sessionToken
}

// chooseMethod enters the password and chooses a method.
func (h *fixture) chooseMethod(method string) (token string) {
	h.Helper()
	token = h.enterPassword()
	if err := h.Choose(h.Context(), token, method, home); err != nil {
		h.Fatal(err)
	}
	return token
}

// A code of the app is accepted once: the code that enrolled it counts as used, and so does one that
// signed in, for all sign-ins (RFC 6238 5.2).
func TestAppCodeIsUsedOnce(t *testing.T) {
	withAccount(t, func(h *fixture) {
		app, _ := h.enrollApp(h.signIn())
		_, err := h.verify(h.chooseMethod("totp"), app.code(h.clock()))
		h.wantErr("the code that enrolled the app", err, factor.ErrIncorrect)
		h.advance(time.Minute)
		code := app.code(h.clock())
		first, second := h.chooseMethod("totp"), h.chooseMethod("totp")
		if n := len(h.mails()); n != 2 { // the first code, and the notice of the new app
			h.Errorf("%d mails, want 2: nothing is sent for an app", n)
		}
		sessionToken, err := h.verify(first, code)
		if err != nil || strings.Join(h.getSession(sessionToken).AMR, " ") != "pwd otp mfa" {
			h.Fatalf("the code: %v", err)
		}
		_, err = h.verify(second, code)
		h.wantErr("the same code again", err, factor.ErrIncorrect)
	})
}

// The same code in many sign-ins at the same time, on two servers: one is accepted.
func TestAppCodeIsUsedOnceInParallel(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, address string) {
		h := newFixture(t, address)
		h.addAccount(annaEmail, annaPassword)
		app, _ := h.enrollApp(h.signIn())
		h.advance(time.Minute)
		other := h.services(storetest.Open(t, address), h.Keys)
		servers := []*signin.Services{h.Services, other}
		type attempt struct {
			server *signin.Services
			token  string
		}
		attempts := make(chan attempt, 32)
		for i := range 32 {
			attempts <- attempt{servers[i%2], h.chooseMethod("totp")}
		}
		code := app.code(h.clock())
		var accepted atomic.Int64
		atOnce(32, func() {
			a := <-attempts
			loaded, err := a.server.Challenges.Load(t.Context(), a.token, home)
			if err == nil {
				_, err = loaded.Verify(t.Context(), url.Values{"code": {code}})
			}
			switch {
			case err == nil:
				accepted.Add(1)
			case !errors.Is(err, factor.ErrIncorrect) && !errors.Is(err, ratelimit.ErrLimited):
				t.Error(err)
			}
		})
		if accepted.Load() != 1 {
			t.Errorf("%d accepted, want 1", accepted.Load())
		}
	})
}

// A code of any of several apps is accepted, and an account can have at most five apps.
func TestSeveralApps(t *testing.T) {
	withAccount(t, func(h *fixture) {
		sessionToken := h.signIn()
		var apps []authenticator
		for range 5 {
			var app authenticator
			app, sessionToken = h.enrollApp(sessionToken)
			apps = append(apps, app)
		}
		h.wantErr("a sixth app", h.startEnrollment(sessionToken, "totp", url.Values{}), enroll.ErrTooManyFactors)
		for i, app := range apps {
			h.advance(time.Minute)
			token := h.chooseMethod("totp")
			p, err := h.Pending(h.Context(), token, home)
			if err != nil || len(p.Offers) != 2 {
				h.Fatalf("%d offers, %v: want email and one for all apps", len(p.Offers), err)
			}
			if _, err := h.verify(token, app.code(h.clock())); err != nil {
				h.Errorf("app %d: %v", i, err)
			}
		}
	})
}

// A code from a phone whose clock is wrong gets an error that says so. It counts as a guess.
func TestWrongPhoneClockIsReported(t *testing.T) {
	withAccount(t, func(h *fixture) {
		app, _ := h.enrollApp(h.signIn())
		h.advance(time.Hour)
		token := h.chooseMethod("totp")
		_, err := h.verify(token, app.code(h.clock().Add(-3*time.Minute)))
		var says *factor.UserError
		if !errors.Is(err, factor.ErrIncorrect) || !errors.As(err, &says) || says.MessageKey != "clock.behind" {
			h.Errorf("a clock that is three minutes behind: %v", err)
		}
		p, err := h.Pending(h.Context(), token, home)
		if err != nil || p.Challenge.GuessesLeft != 4 {
			h.Errorf("%d guesses left, %v, want 4", p.Challenge.GuessesLeft, err)
		}
	})
}

// Recovery codes are shown until the person confirms that they have saved them. Each code opens one
// session, and the owner is told how many are left. They are offered last and never chosen by default.
func TestRecoveryCodes(t *testing.T) {
	withAccount(t, func(h *fixture) {
		sessionToken := h.signIn()
		set := func() []string {
			if err := h.startEnrollment(sessionToken, "recovery", url.Values{}); err != nil {
				h.Fatal(err)
			}
			d, err := h.Enrollments.Pending(h.Context(), h.getSession(sessionToken), "recovery", home)
			if err != nil || len(d.Show.Codes) != 10 || d.Challenge != nil {
				h.Fatalf("%d codes, %v", len(d.Show.Codes), err)
			}
			if sessionToken, err = h.confirm(sessionToken, "recovery", ""); err != nil {
				h.Fatal(err)
			}
			_, err = h.Enrollments.Pending(h.Context(), h.getSession(sessionToken), "recovery", home)
			h.wantErr("shown after confirmation", err, enroll.ErrNoPendingFactor)
			return d.Show.Codes
		}
		old := set()
		codes := set()
		token := h.enterPassword()
		p, err := h.Pending(h.Context(), token, home)
		if err != nil || challenge.Next(p, h.clock()) != challenge.StepVerify || p.Challenge.Method != "email" || len(p.Offers) != 2 || !p.Offers[1].Backup {
			h.Fatalf("pending %+v, %v", p, err)
		}
		if err := h.Choose(h.Context(), token, "recovery", home); err != nil {
			h.Fatal(err)
		}
		_, err = h.verify(token, old[0])
		h.wantErr("a code of the old set", err, factor.ErrIncorrect)
		h.advance(time.Second)
		if _, err := h.verify(token, codes[3]); err != nil {
			h.Fatal(err)
		}
		if m := h.lastMail(); !strings.Contains(m.Text, "9") || m.To != annaEmail {
			h.Errorf("the owner's notice: %s", m.Text)
		}
		_, err = h.verify(h.chooseMethod("recovery"), codes[3])
		h.wantErr("the same code again", err, factor.ErrIncorrect)
		for _, code := range append(codes[:3], codes[4:]...) {
			if _, err := h.verify(h.chooseMethod("recovery"), code); err != nil {
				h.Fatal(err)
			}
		}
		if p, err := h.Pending(h.Context(), h.enterPassword(), home); err != nil || len(p.Offers) != 1 {
			h.Errorf("%d offers, %v, want email alone: all codes are used", len(p.Offers), err)
		}
	})
}
