package ledger_test

import (
	"errors"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"twostep/internal/account"
	"twostep/internal/ledger"
	"twostep/internal/limit"
	"twostep/internal/seal"
	"twostep/internal/store"
	"twostep/internal/store/storetest"
)

// A clock that is set back behind a renewal gives no guesses away.
func TestClockBehindRenewal(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		keys, err := seal.ParseKeys(seal.NewKey())
		if err != nil {
			t.Fatal(err)
		}
		now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
		db := storetest.Open(t, url)
		l := &ledger.Ledgers{PerYear: limit.PerYear, Registry: &account.Registry{
			Store: db, Keys: keys, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
		}}
		anna, from := store.Account{ID: "anna"}, account.From{Address: netip.MustParseAddr("203.0.113.5")}
		guesses := func() (n int) {
			for ; n < 1000; n++ {
				err := db.Tx(t.Context(), func(tx *store.DB) error {
					return l.Debit(t.Context(), tx, ledger.Guess{Ledger: ledger.Of(anna), Challenge: "one", Cost: 1000}, from)
				})
				if errors.Is(err, ledger.ErrUsedUp) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			return n
		}
		if n := guesses(); n != 20 {
			t.Errorf("%d guesses, want 20", n)
		}
		now = now.Add(time.Hour)
		if err := db.Tx(t.Context(), func(tx *store.DB) error { return l.Renew(t.Context(), tx, anna, now) }); err != nil {
			t.Fatal(err)
		}
		now = now.Add(-30 * time.Minute)
		if n := guesses(); n != 0 {
			t.Errorf("%d guesses behind the renewal, want none", n)
		}
		now = now.Add(time.Hour)
		if n := guesses(); n != 20 {
			t.Errorf("%d guesses after the renewal, want 20", n)
		}
	})
}
