package signin_test

import (
	"errors"
	"net/url"
	"testing"
	"time"

	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/ratelimit"
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
