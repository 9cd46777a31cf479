package grant

import (
	"testing"
	"time"

	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/store/storetest"
)

// An answer is valid while nothing has changed that it was read from. Changes by other processes count after
// otherServersTTL at the latest; where they cannot be noticed, no answer is older.
func TestBasisIsValidUntilSomethingChanges(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		db, err := store.Config{URL: url, Server: true}.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		other := storetest.Open(t, url) // a command beside the server, or another server
		now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
		g := &Grants{Store: db, Now: func() time.Time { return now }}
		const useInterval = time.Minute
		progress := func(expires time.Time, cl client.Client) AuthProgress {
			return AuthProgress{Client: cl, Session: &session.Session{
				ID: "s", Account: session.Account{ID: "a"}, AuthenticatedAt: now, LastSeenAt: now, ExpiresAt: expires,
			}}
		}
		read := func() Basis {
			return g.OfSession(g.Basis(), progress(now.Add(time.Hour), client.Client{}), "g", useInterval)
		}
		start := now
		valid := func(what string, b Basis, after time.Duration, want bool) {
			t.Helper()
			now = start.Add(after)
			if got := g.Valid(t.Context(), b); got != want {
				t.Errorf("%s, after %s: valid %v, want %v", what, after, got, want)
			}
			now = start
		}
		longest := otherServersTTL
		if db.Exclusive() {
			longest = useInterval
		}
		b := read()
		valid("unchanged", b, 0, true)
		valid("unchanged", b, longest-time.Nanosecond, true)
		valid("unchanged", b, longest, false)
		valid("the clock was set back", b, -time.Nanosecond, false)

		if err := db.CreateAccount(t.Context(), store.Account{ID: "a", Email: "a", PasswordHash: []byte{}, Epoch: 1}); err != nil {
			t.Fatal(err)
		}
		b = read()
		valid("before the account is disabled", b, otherServersTTL, db.Exclusive())
		if err := db.SetDisabled(t.Context(), "a", 1, now); err != nil {
			t.Fatal(err)
		}
		valid("the account was disabled here", b, 0, false)
		start = now.Add(time.Minute)
		now = start
		b = read()
		valid("read again", b, 0, true)
		if err := other.SetDisabled(t.Context(), "a", 2, time.Time{}); err != nil {
			t.Fatal(err)
		}
		valid("the account was enabled elsewhere", b, otherServersTTL, false)

		if db.Exclusive() { // otherwise a session in use could become idle
			p := progress(now.Add(time.Hour), client.Client{})
			p.Session.LastSeenAt = now.Add(10*time.Second - useInterval)
			b := g.OfSession(g.Basis(), p, "g", useInterval)
			valid("before the use is to be recorded", b, 10*time.Second-time.Nanosecond, true)
			valid("the use is to be recorded", b, 10*time.Second, false)
		}
		soon := now.Add(time.Second)
		for what, p := range map[string]AuthProgress{
			"the session expires":                progress(soon, client.Client{}),
			"the authentication becomes too old": progress(now.Add(time.Hour), client.Client{MaxAge: 1}),
		} {
			b := g.OfSession(g.Basis(), p, "g", useInterval)
			valid(what, b, time.Second-time.Nanosecond, true)
			valid(what, b, time.Second, false)
		}
	})
}
