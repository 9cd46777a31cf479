package twostep

import (
	"log/slog"
	"testing"
	"time"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/store/storetest"
)

// Security events are kept for as many days as the options say, and a clock that jumps over a year
// removes none of them.
func TestSweepKeepsEvents(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		const day = 24 * time.Hour
		now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
		clock := now
		s := &Server{store: storetest.Open(t, url), log: slog.New(slog.DiscardHandler), options: Options{AuditDays: 400}}
		s.events = &audit.Log{Store: s.store, Now: func() time.Time { return clock }, Logger: s.log}
		sweep := func(at time.Time) {
			t.Helper()
			if _, err := s.deleteExpired(t.Context(), at); err != nil {
				t.Fatal(err)
			}
		}
		sweep(now)
		err := s.store.Tx(t.Context(), func(tx *store.DB) error {
			return s.events.Record(t.Context(), tx, audit.Event{Kind: audit.AccountDisabled, Account: "anna"}, audit.Source{})
		})
		if err == nil {
			err = s.events.RecordFailure(t.Context(), audit.Event{Kind: audit.PasswordRejected, Account: "anna"}, audit.Source{})
		}
		if err != nil {
			t.Fatal(err)
		}
		left := func() int { return storetest.CountRows(t, url, "audit_events") }
		sweep(now.Add(1000 * day))
		sweep(now.Add(time.Hour))
		if left() != 2 {
			t.Error("a jump of the clock removes events")
		}
		for n := range 400 {
			sweep(now.Add(time.Duration(n) * day))
		}
		if left() != 2 {
			t.Error("events are gone before 400 days are over")
		}
		if counters := storetest.CountRows(t, url, "audit_counters"); counters != 0 {
			t.Errorf("%d counters of an hour that is over are left", counters)
		}
		sweep(now.Add(401 * day))
		sweep(now.Add(402 * day))
		if left() != 0 {
			t.Errorf("%d events stay for ever", left())
		}
	})
}
