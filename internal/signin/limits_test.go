package signin_test

import (
	"context"
	"errors"
	"net/url"
	"testing"
	"time"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/signin"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/store/storetest"
)

const annaNumber = "+491711234567"

// requestCall enters the password from an origin and requests a call.
func (h *fixture) requestCall(from origin.Origin) error {
	h.Helper()
	entry, err := h.start(annaEmail, annaPassword, from)
	if err != nil {
		h.Fatal(err)
	}
	return h.Choose(h.Context(), entry.Attempt, "spoken", from)
}

// Unknown devices can use up the messages to a number. Known devices have limits of their own: six per
// hour and fifteen per day each, and twenty per day together.
func TestTextsOfKnownDevices(t *testing.T) {
	withAccount(t, func(h *fixture) {
		h.advance(15 * time.Hour) // 01:00 UTC, so that no day ends during the test
		h.enrollNumber(h.signIn(), annaNumber)
		one, other := h.newBrowser(), h.newBrowser().at(officeIP)
		for _, b := range []*browser{one, other} {
			entry := b.enterPassword()
			if err := h.Choose(h.Context(), entry.Attempt, "email", b.from); err != nil {
				h.Fatal(err)
			}
			b.enterCode(entry.Attempt, false)
		}
		for n := range ratelimit.TextsPerBlockHour {
			if err := h.requestCall(otherNetwork(n)); err != nil {
				h.Fatal(err)
			}
		}
		h.wantErr("one more call for unknown devices", h.requestCall(otherNetwork(100)), ratelimit.ErrLimited)
		got := func(b *browser, most int) (n int) {
			for range most {
				if err := h.requestCall(b.from); err == nil {
					n++
				} else if !errors.Is(err, ratelimit.ErrLimited) {
					h.Fatal(err)
				}
			}
			return n
		}
		for hour, want := range []int{6, 6, 3, 0} {
			if n := got(one, 10); n != want {
				h.Errorf("hour %d: %d calls from a known device, want %d", hour, n, want)
			}
			h.advance(time.Hour)
		}
		if n := got(other, 10); n != ratelimit.TextsPerAccountDay-ratelimit.KnownMailsPerDay {
			h.Errorf("%d calls from another known device", n)
		}
	})
}

// Messages to a number that another person tries to enroll do not count against its owner's limits.
func TestTextsToNewNumber(t *testing.T) {
	withAccount(t, func(h *fixture) {
		sessionToken := h.enrollNumber(h.signIn(), annaNumber)
		for n := range ratelimit.NewNumberTextsPerDay - 1 {
			if err := h.startEnrollment(sessionToken, "spoken", url.Values{"number": {annaNumber}}); err != nil {
				h.Fatalf("number %d: %v", n, err)
			}
		}
		err := h.startEnrollment(sessionToken, "spoken", url.Values{"number": {annaNumber}})
		h.wantErr("one more", err, ratelimit.ErrLimited)
		if err := h.requestCall(otherNetwork(1)); err != nil {
			h.Errorf("Anna in a new browser: %v", err)
		}
	})
}

// One network can start sixty sign-ins of an account per hour. Other networks and known devices have
// limits of their own.
func TestSignInsPerNetwork(t *testing.T) {
	withAccount(t, func(h *fixture) {
		b := h.newBrowser().signIn(false)
		begin := func(from origin.Origin) error {
			_, err := h.start(annaEmail, annaPassword, from)
			return err
		}
		for n := range ratelimit.SignInsPerNetworkHour - 1 { // the first sign-in of b counts too: the device was unknown then
			if err := begin(home); err != nil {
				h.Fatalf("sign-in %d: %v", n, err)
			}
		}
		h.wantErr("one more", begin(home), ratelimit.ErrLimited)
		for what, from := range map[string]origin.Origin{"another network": otherNetwork(1), "a known device": b.from} {
			if err := begin(from); err != nil {
				h.Errorf("%s: %v", what, err)
			}
		}
		h.advance(time.Hour)
		if err := begin(home); err != nil {
			h.Errorf("the next hour: %v", err)
		}
	})
}

// Sixty wrong passwords at the same time, half of them on another server, are compared as often as one after the other:
// three times. The others are refused, and the delay that follows is that of three failures.
func TestParallelPasswordsAreCounted(t *testing.T) {
	withAccount(t, func(h *fixture) {
		h.advance(time.Second)
		other := h.services(h.Store, h.Keys)
		results := make(chan error, 60)
		for n := range cap(results) {
			on := []*signin.SignIns{h.SignIns, other.SignIns}[n%2]
			go func() {
				_, err := on.Start(h.Context(), signin.Credentials{Email: annaEmail, Password: "not hers"}, home)
				results <- err
			}()
		}
		compared := 0
		for range cap(results) {
			switch err := <-results; {
			case errors.Is(err, account.ErrCredentials):
				compared++
			case !errors.Is(err, ratelimit.ErrLimited):
				h.Error(err)
			}
		}
		if compared != 3 {
			h.Errorf("%d passwords were compared, want 3", compared)
		}
		h.advance(time.Second - time.Millisecond)
		_, err := h.start(annaEmail, annaPassword, home)
		h.wantErr("within the delay", err, ratelimit.ErrLimited)
		h.advance(time.Millisecond)
		if _, err := h.start(annaEmail, annaPassword, home); err != nil {
			h.Errorf("after the delay: %v", err)
		}
	})
}

// A wrong password counts, and is recorded, though the client hangs up while it is compared. One whose client hangs up
// in the queue is not compared.
func TestAbandonedPasswordIsCounted(t *testing.T) {
	withAccount(t, func(h *fixture) {
		h.advance(time.Second)
		rejected := func() (n int) {
			h.Helper()
			events, err := h.Store.ListAuditEvents(h.Context(), store.AuditFilter{Limit: 100})
			if err != nil {
				h.Fatal(err)
			}
			for _, e := range events {
				if e.Kind == string(audit.PasswordRejected) {
					n++
				}
			}
			return n
		}
		ctx, cancel := context.WithCancel(h.Context())
		clock := h.Limits.Now
		enter := func() error {
			_, err := h.SignIns.Start(ctx, signin.Credentials{Email: annaEmail, Password: "not hers"}, home)
			return err
		}
		for n := range 3 {
			ctx, cancel = context.WithCancel(h.Context())
			h.Limits.Now = func() time.Time { cancel(); return clock() } // the queue is behind it
			h.wantErr("wrong", enter(), account.ErrCredentials)
			if got := rejected(); got != n+1 {
				h.Errorf("%d wrong passwords are recorded, want %d", got, n+1)
			}
		}
		h.Limits.Now = clock
		h.wantErr("the client has gone before", enter(), context.Canceled)
		if got := rejected(); got != 3 {
			h.Errorf("%d wrong passwords are recorded, want 3", got)
		}
		_, err := h.start(annaEmail, annaPassword, home)
		h.wantErr("after three failures", err, ratelimit.ErrLimited)
	})
}

// A right password does not count as a wrong one, whether the sign-in goes on or fails after it. What was counted for it
// is given back once.
func TestRightPasswordIsSettled(t *testing.T) {
	withAccount(t, func(h *fixture) {
		check := func(when string) {
			h.Helper()
			failed := storetest.CountRows(t, h.url, "failed_passwords")
			counted := storetest.CountRows(t, h.url, "rate_limit_counters WHERE kind LIKE 'wrong_passwords%' AND used <> 0")
			if failed != 0 || counted != 0 {
				h.Errorf("%s: %d failures and %d counters, want none", when, failed, counted)
			}
		}
		storetest.Exec(t, h.url, "ALTER TABLE attempts RENAME TO gone")
		if _, err := h.start(annaEmail, annaPassword, home); err == nil {
			h.Error("a sign-in without its table")
		}
		storetest.Exec(t, h.url, "ALTER TABLE gone RENAME TO attempts")
		check("the sign-in failed")
		b := h.newBrowser()
		check("a sign-in with both steps")
		b.enterPassword()
		check("a sign-in in a known browser")
	})
}
