package grant

import (
	"errors"
	"log/slog"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/device"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store/storetest"
)

// Requests without client authentication are limited per network and hour, whether stored or pushed. Those of
// authenticated clients are not counted.
func TestAuthRequestLimitPerNetwork(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		keys, err := seal.LoadOrCreateKeyRing(filepath.Join(t.TempDir(), "keys"))
		if err != nil {
			t.Fatal(err)
		}
		now := time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
		db, log, clock := storetest.Open(t, url), slog.New(slog.DiscardHandler), func() time.Time { return now }
		g := &Grants{
			Store: db, Keys: keys, Now: clock, Log: log, Limits: &ratelimit.Limiter{Store: db, Keys: keys, Now: clock, Log: log},
			Accounts: &account.Accounts{Store: db, Keys: keys, Now: clock, Log: log},
		}
		g.Challenges = &challenge.Challenges{Devices: &device.Devices{Store: db, Keys: keys, Now: clock}}
		public, confidential := client.Client{ID: "phone"}, client.Client{ID: "books", SecretHashes: []string{"x"}}
		for range authRequestsPerNetworkHour {
			if _, err := g.SaveAuthRequest(t.Context(), AuthRequest{ClientID: "phone"}, at("192.0.2.1")); err != nil {
				t.Fatal(err)
			}
		}
		wait := func(what string, want bool, err error) {
			t.Helper()
			if got := errors.Is(err, ratelimit.ErrLimited); got != want || !want && err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		_, err = g.SaveAuthRequest(t.Context(), AuthRequest{ClientID: "phone"}, at("192.0.2.1"))
		wait("one more", true, err)
		_, err = g.PushAuthRequest(t.Context(), public, AuthRequest{ClientID: "phone"}, at("192.0.2.1"))
		wait("pushed by a public client", true, err)
		_, err = g.PushAuthRequest(t.Context(), confidential, AuthRequest{ClientID: "books"}, at("192.0.2.1"))
		wait("pushed by an app with a secret", false, err)
		_, err = g.SaveAuthRequest(t.Context(), AuthRequest{ClientID: "phone"}, at("192.0.2.2"))
		wait("another network", false, err)
		now = now.Add(time.Hour)
		_, err = g.SaveAuthRequest(t.Context(), AuthRequest{ClientID: "phone"}, at("192.0.2.1"))
		wait("an hour later", false, err)
	})
}

func at(address string) origin.Origin { return origin.Origin{Address: netip.MustParseAddr(address)} }
