package store_test

import (
	"errors"
	"testing"
	"time"

	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/store/storetest"
)

// The cookie of a host works while its token, grant, session and account allow it, and no other token does.
func TestFindHostSession(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		db, ctx, token := storetest.Open(t, url), t.Context(), []byte("token")
		err := errors.Join(
			db.CreateAccount(ctx, store.Account{ID: "a", Email: "a", PasswordHash: []byte{}, Epoch: 1}),
			db.CreateAccount(ctx, store.Account{ID: "b", Email: "b", PasswordHash: []byte{}, Epoch: 1}),
			db.CreateSession(ctx, store.Session{
				ID: "s", TokenHash: []byte("s"), AccountID: "a", Epoch: 1, LastSeenAt: at(50), ExpiresAt: at(100),
			}),
			db.CreateGrant(ctx, store.Grant{
				ID: "g", AccountID: "a", Epoch: 1, SessionID: "s", CodeHash: []byte("g"), ExpiresAt: at(100),
			}),
			db.CreateToken(ctx, store.Token{Hash: token, GrantID: "g", Kind: store.ForwardAuthToken, ExpiresAt: at(100)}),
		)
		if err != nil {
			t.Fatal(err)
		}
		found := func(idle, now time.Time) bool {
			t.Helper()
			g, s, a, err := db.FindHostSession(ctx, token, idle, now)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				t.Fatal(err)
			}
			return err == nil && g.ID == "g" && s.ID == "s" && a.ID == "a"
		}
		if !found(at(50), at(60)) {
			t.Fatal("a live session is not found")
		}
		if found(at(51), at(60)) {
			t.Error("an idle session is found")
		}
		for change, back := range map[string]string{
			"tokens SET kind = 'access'":   "tokens SET kind = 'host'",
			"tokens SET expires_at = 1":    "tokens SET expires_at = 100000",
			"grants SET expires_at = 1":    "grants SET expires_at = 100000",
			"grants SET revoked_at = 1":    "grants SET revoked_at = 0",
			"grants SET epoch = 0":         "grants SET epoch = 1",
			"grants SET account_id = 'b'":  "grants SET account_id = 'a'",
			"sessions SET expires_at = 1":  "sessions SET expires_at = 100000",
			"sessions SET epoch = 0":       "sessions SET epoch = 1",
			"accounts SET disabled_at = 1": "accounts SET disabled_at = 0",
			"accounts SET epoch = 2":       "accounts SET epoch = 1",
		} {
			storetest.Exec(t, url, "UPDATE "+change)
			if found(at(50), at(60)) {
				t.Errorf("found after %s", change)
			}
			storetest.Exec(t, url, "UPDATE "+back)
		}
		if !found(at(50), at(60)) {
			t.Error("a live session is no longer found")
		}
	})
}
