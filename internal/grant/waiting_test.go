package grant

import (
	"errors"
	"log/slog"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store/storetest"
)

// Requests that nobody has to prove anything for are so many in an hour of one network, by
// whichever door they come; those of apps that prove themselves are not counted.
func TestWaitingPerHour(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		keys, err := seal.OpenKeys(filepath.Join(t.TempDir(), "keys"))
		if err != nil {
			t.Fatal(err)
		}
		now := time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
		g := &Grants{Registry: &account.Registry{Store: storetest.Open(t, url), Keys: keys, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }}}
		public, known := App{ID: "phone"}, App{ID: "books", Secrets: []string{"x"}}
		for range waitingPerHour {
			if _, err := g.Wait(t.Context(), Request{App: "phone"}, at("192.0.2.1")); err != nil {
				t.Fatal(err)
			}
		}
		wait := func(what string, want bool, err error) {
			t.Helper()
			if got := errors.Is(err, account.ErrWait); got != want || !want && err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		_, err = g.Wait(t.Context(), Request{App: "phone"}, at("192.0.2.1"))
		wait("one more", true, err)
		_, err = g.Push(t.Context(), public, Request{App: "phone"}, at("192.0.2.1"))
		wait("pushed by nobody", true, err)
		_, err = g.Push(t.Context(), known, Request{App: "books"}, at("192.0.2.1"))
		wait("pushed by an app with a secret", false, err)
		_, err = g.Wait(t.Context(), Request{App: "phone"}, at("192.0.2.2"))
		wait("another network", false, err)
		now = now.Add(time.Hour)
		_, err = g.Wait(t.Context(), Request{App: "phone"}, at("192.0.2.1"))
		wait("an hour later", false, err)
	})
}

// at is somebody at an address.
func at(address string) account.From { return account.From{Address: netip.MustParseAddr(address)} }
