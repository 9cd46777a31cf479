package device_test

import (
	"path/filepath"
	"testing"
	"time"

	"twostep.example/twostep/internal/device"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/store/storetest"
)

// Of any number of decisions of an account, at most 400 are kept, the newest among them.
func TestDecisionsOfAnAccountAreBounded(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		keys, _, err := seal.CreateKeyRing(filepath.Join(t.TempDir(), "keys"))
		if err != nil {
			t.Fatal(err)
		}
		now := time.Date(2026, 11, 29, 10, 0, 0, 0, time.UTC)
		db := storetest.Open(t, url)
		d := &device.Devices{Store: db, Keys: keys, Now: func() time.Time { return now }}
		anna := store.AccountRef{ID: "anna", Epoch: 1}
		if err := db.CreateAccount(t.Context(), store.Account{ID: anna.ID, Email: "anna@example.com",
			PasswordHash: []byte{}}); err != nil {
			t.Fatal(err)
		}
		var traces []string
		err = db.Tx(t.Context(), func(tx *store.DB) error {
			for range 1000 {
				now = now.Add(time.Minute)
				decision := d.Decide(anna, device.RequestDevice{}, device.Circumstances{}, origin.Origin{}.TrustRequest(), now)
				traces = append(traces, decision.Trace)
				if err := d.RecordDecision(t.Context(), tx, anna, decision); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if n := storetest.CountRows(t, url, "trust_decisions"); n < 200 || n > 400 {
			t.Errorf("%d decisions of 1,000 are kept, want 200 to 400", n)
		}
		for _, trace := range traces[800:] {
			if _, err := d.ReplayDecision(t.Context(), trace); err != nil {
				t.Errorf("one of the newest 200 decisions: %v", err)
			}
		}
	})
}
