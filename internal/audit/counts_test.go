package audit_test

import (
	"testing"
	"time"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/store/storetest"
)

// Counts has each event of the last 31 days once, by its hour, kind, result and reason. It is read again after a minute,
// and then has the events of hours that are over too, if they appear late.
func TestCounts(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		now := time.Date(2026, 11, 29, 9, 30, 0, 0, time.UTC)
		l := &audit.Log{Store: storetest.Open(t, url), Now: func() time.Time { return now }}
		event := func(at time.Time, e audit.Event) {
			t.Helper()
			l2 := &audit.Log{Store: l.Store, Now: func() time.Time { return at }}
			if err := l2.Record(t.Context(), l.Store, e, audit.Source{}); err != nil {
				t.Fatal(err)
			}
		}
		signedIn := audit.Event{Kind: audit.SessionCreated, Account: "anna", Reason: "email"}
		wrong := audit.Event{Kind: audit.CodeRejected, Account: "anna", Result: audit.Failure}
		event(now.Add(-32*24*time.Hour), signedIn) // too old
		for _, ago := range []time.Duration{30 * 24 * time.Hour, 3 * time.Hour, 3 * time.Hour, time.Minute, 0} {
			event(now.Add(-ago), signedIn)
		}
		event(now.Add(-3*time.Hour), audit.Event{Kind: audit.SessionCreated, Account: "anna", Reason: audit.TrustedDevice})
		event(now.Add(-3*time.Hour), wrong)
		event(now, audit.Event{Kind: audit.NameChanged, Account: "anna"}) // not counted
		want := func(what string, want map[audit.Count]bool) {
			t.Helper()
			got, err := l.Counts(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range got {
				if !want[c] {
					t.Errorf("%s: %+v", what, c)
				}
				delete(want, c)
			}
			if len(want) > 0 {
				t.Errorf("%s: no %+v", what, want)
			}
		}
		hour := func(n int) time.Time { return now.Truncate(time.Hour).Add(time.Duration(n) * time.Hour) }
		three, nine := now.Add(-3*time.Hour).Truncate(time.Hour), hour(0)
		all := func(three2, nine2 int64) map[audit.Count]bool {
			return map[audit.Count]bool{
				{Hour: now.Add(-30 * 24 * time.Hour).Truncate(time.Hour), Kind: audit.SessionCreated, Result: audit.Success, Reason: "email", Events: 1}: true,
				{Hour: three, Kind: audit.SessionCreated, Result: audit.Success, Reason: "email", Events: three2}:                                        true,
				{Hour: three, Kind: audit.SessionCreated, Result: audit.Success, Reason: audit.TrustedDevice, Events: 1}:                                 true,
				{Hour: three, Kind: audit.CodeRejected, Result: audit.Failure, Events: 1}:                                                                true,
				{Hour: nine, Kind: audit.SessionCreated, Result: audit.Success, Reason: "email", Events: nine2}:                                          true,
			}
		}
		want("first", all(2, 2))
		event(now, signedIn)
		want("within a minute", all(2, 2))
		now = now.Add(2 * time.Minute)
		want("after a minute", all(2, 3))
	})
}
