package signin_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/internal/device"
	"twostep.example/twostep/internal/signin"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/internal/trust"
)

// owner returns Anna's account.
func (h *fixture) owner() store.AccountRef {
	h.Helper()
	a, err := h.Accounts.Find(h.Context(), annaEmail)
	if err != nil {
		h.Fatal(err)
	}
	return a.Ref()
}

// present presents a device cookie. It returns the cookie that the response sets ("": none), and whether the server
// has noticed that the cookie was copied.
func (h *fixture) present(a store.AccountRef, cookie string) (next string, noticed bool) {
	h.Helper()
	from := home
	from.DeviceToken = cookie
	found, err := h.Devices.FindDevice(h.Context(), a, from)
	if err != nil {
		h.Fatal(err)
	}
	if found.RevokeReason != "" {
		return "", true
	}
	err = h.Store.Tx(h.Context(), func(tx *store.DB) (err error) {
		_, next, err = h.Devices.RegisterDevice(h.Context(), tx, a, found)
		return err
	})
	if err != nil {
		h.Fatal(err)
	}
	return next, false
}

// register returns the cookie of a new device.
func (h *fixture) register(a store.AccountRef) (cookie string) {
	h.Helper()
	err := h.Store.Tx(h.Context(), func(tx *store.DB) (err error) {
		_, cookie, err = h.Devices.RegisterDevice(h.Context(), tx, a, device.RequestDevice{})
		return err
	})
	if err != nil {
		h.Fatal(err)
	}
	return cookie
}

// jar is the cookie that a browser keeps. What it has written to disk is 30 seconds old.
type jar struct {
	cookie string
	at     time.Time // when it got it
	onDisk string
}

// set stores the cookie of a response, if it has one.
func (j *jar) set(cookie string, now time.Time) {
	if cookie != "" {
		j.flush(now)
		j.cookie, j.at = cookie, now
	}
}

func (j *jar) flush(now time.Time) {
	if now.Sub(j.at) >= 30*time.Second {
		j.onDisk = j.cookie
	}
}

// crash loses what is not on disk yet.
func (j *jar) crash(now time.Time) {
	j.flush(now)
	j.cookie = j.onDisk
}

// An owner and a thief take turns with one cookie, at two servers. The second use of one of them shows it, at any
// interval above the minute in which tabs race.
func TestTakingTurnsIsNoticed(t *testing.T) {
	withAccount(t, func(h *fixture) {
		servers := []*signin.Services{h.Services}
		if strings.HasPrefix(h.url, "postgres") {
			servers = append(servers, h.services(storetest.Open(h.T, h.url), h.Keys))
		}
		a := h.owner()
		for _, before := range []int{0, 1, 4} { // uses of the owner before the theft
			for _, every := range []time.Duration{
				61 * time.Second, 119 * time.Second, 121 * time.Second, 10 * time.Minute, time.Hour, 25 * time.Hour,
			} {
				owner := jar{cookie: h.register(a)}
				for range before {
					h.advance(time.Hour)
					next, _ := h.present(a, owner.cookie)
					owner.set(next, h.clock())
				}
				thief := owner
				for i := 1; ; i++ {
					h.advance(every)
					turn := &owner
					if i%2 == 0 {
						turn = &thief
					}
					h.Services = servers[i%len(servers)]
					next, noticed := h.present(a, turn.cookie)
					turn.set(next, h.clock())
					if noticed {
						break
					}
					if i == 4 {
						h.Fatalf("every %v after %d uses: two uses of each are not noticed", every, before)
					}
				}
			}
		}
	})
}

// A thief who follows the owner within the minute looks like another tab. The first time that one of them waits for
// longer, they get different secrets, and the next use shows it.
func TestThiefWithinTheMinuteIsNoticedLater(t *testing.T) {
	withAccount(t, func(h *fixture) {
		a := h.owner()
		owner := jar{cookie: h.register(a)}
		thief := owner
		turn := func(j *jar, after time.Duration) bool {
			h.advance(after)
			next, noticed := h.present(a, j.cookie)
			j.set(next, h.clock())
			return noticed
		}
		for range 5 {
			if turn(&owner, 24*time.Hour) || turn(&thief, 30*time.Second) {
				h.Fatal("two tabs are taken for a copy")
			}
		}
		if turn(&owner, 24*time.Hour) || turn(&thief, 2*time.Minute) {
			h.Fatal("two uses of one secret are taken for a copy")
		}
		if !turn(&owner, 24*time.Hour) {
			h.Error("the owner and the thief have different secrets, and both are accepted")
		}
	})
}

// A thief who presents the stolen secret every 50 seconds does not keep it valid for ever: the successor of a secret is
// the same for five minutes at most, so the owner's next use shows the copy.
func TestThiefWhoNeverPausesIsNoticed(t *testing.T) {
	withAccount(t, func(h *fixture) {
		a := h.owner()
		owner := jar{cookie: h.register(a)}
		stolen := owner.cookie
		for use := range 3 {
			for range 8 {
				h.advance(50 * time.Second)
				if _, noticed := h.present(a, stolen); noticed {
					return
				}
			}
			h.advance(time.Second)
			next, noticed := h.present(a, owner.cookie)
			if noticed {
				return
			}
			if owner.set(next, h.clock()); use > 0 && owner.cookie == stolen {
				h.Error("the owner keeps the stolen secret")
			}
		}
		h.Error("three uses of the owner between those of the thief are not noticed")
	})
}

// One browser is never taken for two, whatever happens to its requests and responses: every sequence of three such
// things, at several intervals.
func TestOneBrowserIsNotNoticed(t *testing.T) {
	withAccount(t, func(h *fixture) {
		a := h.owner()
		var j jar
		var name []string
		present := func() string {
			next, noticed := h.present(a, j.cookie)
			if noticed {
				h.Fatalf("one browser is taken for two: %q", name)
			}
			return next
		}
		things := []struct {
			name string
			do   func()
		}{
			{"received", func() { j.set(present(), h.clock()) }},
			{"lost", func() { present() }},
			{"crash", func() { j.set(present(), h.clock()); j.crash(h.clock()) }},
			{"two tabs", func() {
				first, second := present(), present()
				j.set(first, h.clock())
				j.set(second, h.clock())
			}},
			{"two tabs, responses in reverse order", func() {
				first := present()
				h.advance(50 * time.Second)
				j.set(present(), h.clock())
				j.set(first, h.clock())
			}},
		}
		for _, gaps := range [][]time.Duration{
			{time.Second, time.Second, time.Second}, {59 * time.Second, 2 * time.Second, 5 * time.Second},
			{61 * time.Second, 61 * time.Second, time.Second}, {119 * time.Second, 2 * time.Second, 10 * time.Second},
			{121 * time.Second, time.Second, 31 * time.Second}, {time.Hour, 24 * time.Hour, time.Hour},
		} {
			for n := range len(things) * len(things) * len(things) {
				j = jar{cookie: h.register(a), at: h.clock()}
				j.onDisk = j.cookie
				h.advance(time.Hour)
				name = nil
				for _, gap := range gaps {
					thing := things[n%len(things)]
					n /= len(things)
					name = append(name, fmt.Sprint(thing.name, ", ", gap))
					thing.do()
					h.advance(gap)
				}
				for range 3 {
					next, noticed := h.present(a, j.cookie)
					if noticed {
						h.Fatalf("one browser is taken for two: %q", name)
					}
					j.set(next, h.clock())
					h.advance(time.Hour)
				}
			}
		}
	})
}

// Eight tabs race with a secret whose first successor was lost. The browser goes on with any of the
// responses.
func TestTabsRaceAfterALostResponse(t *testing.T) {
	withAccount(t, func(h *fixture) {
		b := h.newBrowser().signIn(true)
		for range 5 {
			h.advance(time.Hour)
			lost := b.copy()
			lost.wantReason("the response that is lost", trust.Trusted)
			h.advance(time.Hour)
			before := b.from.DeviceToken
			cookies := make(chan string, 8)
			atOnce(8, func() {
				entry, err := h.start(annaEmail, annaPassword, b.from)
				if err != nil {
					h.Error(err)
				}
				cookies <- entry.Device
			})
			close(cookies)
			for c := range cookies {
				if c != "" && c != b.from.DeviceToken && b.from.DeviceToken != before {
					h.Error("two tabs of one browser got different secrets")
				}
				if c != "" {
					b.from.DeviceToken = c
				}
			}
			h.advance(time.Hour)
			b.wantReason("the browser after the race", trust.Trusted)
		}
		h.wantCopyNotices(0, 0)
	})
}
