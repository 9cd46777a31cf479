package store_test

import (
	"testing"

	"twostep.example/twostep/internal/store"
)

// CreateTrustDecision reports when there are more decisions than so many, of the same account.
func TestCreateTrustDecision(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		anna(t, db)
		ben := store.Account{ID: "ben", Email: "ben@example.com", PasswordHash: []byte{}}
		if err := db.CreateAccount(t.Context(), ben); err != nil {
			t.Fatal(err)
		}
		add := func(account, id string) (full bool) {
			t.Helper()
			full, err := db.CreateTrustDecision(t.Context(), store.TrustDecision{ID: id, AccountID: account, Body: []byte{}}, 3)
			if err != nil {
				t.Fatal(err)
			}
			return full
		}
		for _, id := range []string{"1", "2", "3"} {
			if add("anna", id) {
				t.Errorf("there are more than 3 decisions after number %s", id)
			}
		}
		add("anna", "4")
		if !add("anna", "5") {
			t.Error("there are 5 decisions, and not more than 3")
		}
		if add("anna", "5") || add("ben", "6") {
			t.Error("the same decision again, or the first of another account, is one of more than 3")
		}
	})
}
