package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/store/storetest"
)

// site is a log on a database, with a clock that the test sets.
type site struct {
	*testing.T
	*audit.Log
	url string
	now time.Time
	out bytes.Buffer // the log lines, JSON
}

func each(t *testing.T, f func(s *site)) {
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		s := &site{T: t, url: url, now: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)}
		s.Log = &audit.Log{
			Store: storetest.Open(t, url), Now: func() time.Time { return s.now },
			Logger: slog.New(slog.NewJSONHandler(&s.out, nil)),
		}
		f(s)
	})
}

func (s *site) record(e audit.Event, from audit.Source) {
	s.Helper()
	if err := s.Store.Tx(s.Context(), func(tx *store.DB) error {
		return s.Record(s.Context(), tx, e,
			from)
	}); err != nil {
		s.Fatal(err)
	}
}

func (s *site) fail(e audit.Event, from audit.Source) {
	s.Helper()
	if err := s.RecordFailure(s.Context(), e, from); err != nil {
		s.Fatal(err)
	}
}

func (s *site) list(f audit.Filter) []audit.Event {
	s.Helper()
	list, err := s.List(s.Context(), f)
	if err != nil {
		s.Fatal(err)
	}
	return list
}

// lines returns the log lines.
func (s *site) lines() (list []map[string]any) {
	s.Helper()
	for d := json.NewDecoder(bytes.NewReader(s.out.Bytes())); d.More(); {
		var line map[string]any
		if err := d.Decode(&line); err != nil {
			s.Fatal(err)
		}
		list = append(list, line)
	}
	return list
}

// home is a client on a network of its own.
var home = audit.Source{Address: "203.0.113.9", Network: "203.0.113.9", Browser: "Firefox"}

// A recorded event is listed with the fields that Record sets, and is one log line.
func TestRecord(t *testing.T) {
	each(t, func(s *site) {
		s.record(audit.Event{
			Kind: audit.FactorAdded, Account: "anna", Email: "anna@example.com", Target: audit.Target("factor", "f"),
			Reason: "totp",
			Client: "wiki", SignIn: "s", Trace: "T",
		}, home)
		list := s.list(audit.Filter{})
		if len(list) != 1 {
			s.Fatalf("%d events", len(list))
		}
		got := list[0]
		want := audit.Event{
			ID: got.ID, At: s.now, Kind: audit.FactorAdded, Actor: audit.Person("anna"), Account: "anna",
			Target: "factor:f",
			Result: audit.Success, Reason: "totp", Client: "wiki", SignIn: "s", Address: "203.0.113.9",
			Browser: "Firefox", Trace: "T", Occurrences: 1,
		}
		if !got.At.Equal(want.At) || got.ID == 0 {
			s.Errorf("id %q, time %s", got.ID, got.At)
		}
		if got.At = want.At; got != want {
			s.Errorf("got  %+v\nwant %+v", got, want)
		}
		line := s.lines()[0]
		for key, value := range map[string]any{
			"msg": "audit", "level": "INFO", "event": "factor.added", "result": "success", "address": "203.0.113.9",
			"account": "anna", "email": "anna@example.com",
			"reason": "totp", "actor": "person:anna", "target": "factor:f", "client": "wiki", "sign_in": "s",
			"trace": "T", "browser": "Firefox", "id": got.ID.String(),
		} {
			if line[key] != value {
				s.Errorf("the line has %s=%v, want %v", key, line[key], value)
			}
		}
	})
}

// A rolled-back operation leaves no event and no log line. A failure that is recorded for it stays, even if the client
// has disconnected.
func TestRollback(t *testing.T) {
	each(t, func(s *site) {
		ctx, hangUp := context.WithCancel(s.Context())
		refused := errors.New("refused")
		err := s.Store.Tx(ctx, func(tx *store.DB) error {
			if err := s.Record(ctx, tx, audit.Event{Kind: audit.SessionCreated, Account: "anna"}, home); err != nil {
				return err
			}
			return refused
		})
		if !errors.Is(err, refused) || len(s.list(audit.Filter{})) != 0 || s.out.Len() != 0 {
			s.Fatalf("%v, %d events, log %q", err, len(s.list(audit.Filter{})), s.out.String())
		}
		hangUp()
		if err := s.RecordFailure(ctx, audit.Event{Kind: audit.PasswordRejected, Account: "anna"}, home); err != nil {
			s.Fatal(err)
		}
		list := s.list(audit.Filter{})
		if len(list) != 1 || list[0].Result != audit.Failure || len(s.lines()) != 1 || s.lines()[0]["level"] != "WARN" {
			s.Errorf("%+v, log %q", list, s.out.String())
		}
	})
}

// The default actor is the person of the account, or anonymous without an account.
func TestActor(t *testing.T) {
	each(t, func(s *site) {
		s.record(audit.Event{Kind: audit.PasswordChanged, Account: "anna"}, home)
		s.fail(audit.Event{Kind: audit.PasswordRejected}, home)
		s.record(audit.Event{Kind: audit.AccountDisabled, Account: "anna", Actor: audit.Actor{Type: audit.TypeOperator,
			ID: "root"}}, audit.Source{})
		got := map[audit.Kind]string{}
		for _, e := range s.list(audit.Filter{}) {
			got[e.Kind] = e.Actor.String()
		}
		want := "map[account.disabled:operator:root password.changed:person:anna password.rejected:anonymous]"
		if fmt.Sprint(got) != want {
			s.Errorf("got %v, want %s", got, want)
		}
	})
}

// Each filter excludes what does not match. The list is newest first, and its pages have no gaps or duplicates.
func TestList(t *testing.T) {
	each(t, func(s *site) {
		began := s.now
		for i := range 30 {
			e := audit.Event{Kind: audit.SessionCreated, Account: []string{"anna", "ben"}[i%2], Reason: fmt.Sprint(i)}
			if i%3 == 0 {
				e.Kind, e.Result = audit.CodeRejected, audit.Failure
			}
			from := home
			if i%5 == 0 {
				from.Address, from.Network = "2001:db8::1", "2001:db8::/64"
			}
			s.record(e, from)
			if i%4 == 3 { // each four events have the same time
				s.now = s.now.Add(time.Minute)
			}
		}
		for what, row := range map[string]struct {
			filter audit.Filter
			want   int
		}{
			"all":     {audit.Filter{}, 30},
			"account": {audit.Filter{Account: "anna"}, 15},
			"nobody":  {audit.Filter{Account: "eve"}, 0},
			"kind":    {audit.Filter{Kinds: []audit.Kind{audit.CodeRejected}}, 10},
			"kinds":   {audit.Filter{Kinds: []audit.Kind{audit.CodeRejected, audit.SessionCreated}}, 30},
			"result":  {audit.Filter{Result: audit.Failure}, 10},
			"address": {audit.Filter{Address: "2001:db8::1"}, 6},
			"since":   {audit.Filter{Since: began.Add(time.Minute)}, 26},
			"until":   {audit.Filter{Until: began.Add(time.Minute)}, 4},
			"all of it": {audit.Filter{Account: "anna", Result: audit.Failure, Address: "2001:db8::1", Since: began,
				Until: s.now.Add(time.Second)}, 1},
			"one minute": {audit.Filter{Since: began.Add(time.Minute), Until: began.Add(2 * time.Minute)}, 4},
		} {
			seen := map[audit.EventID]bool{}
			row.filter.Limit = 7
			var last audit.Event
			for {
				list := s.list(row.filter)
				for _, e := range list {
					if seen[e.ID] || last.ID != 0 && e.At.After(last.At) {
						s.Errorf("%s: %s comes twice or in the wrong order", what, e.Reason)
					}
					seen[e.ID], last = true, e
				}
				if len(list) < 7 {
					break
				}
				row.filter.Before = last.ID
			}
			if len(seen) != row.want {
				s.Errorf("%s: %d events, want %d", what, len(seen), row.want)
			}
		}
	})
}

// count returns the number of listed events of a kind, and the sum of their Occurrences.
func (s *site) count(f audit.Filter, kind audit.Kind) (rows, occurrences int64) {
	f.Kinds, f.Limit = []audit.Kind{kind}, 100_000
	for _, e := range s.list(f) {
		rows, occurrences = rows+1, occurrences+e.Occurrences
	}
	return rows, occurrences
}

// Many failures from one network, at one account, or of unknown addresses from any network are recorded up to the limit
// and then counted. Each has its log line, and the next hour starts again.
func TestFlood(t *testing.T) {
	each(t, func(s *site) {
		network := func(n int) audit.Source {
			address := fmt.Sprintf("198.51.%d.%d", n/250, n%250)
			return audit.Source{Address: address, Network: address}
		}
		wrong := func(account string) audit.Event { return audit.Event{Kind: audit.PasswordRejected, Account: account} }
		for hour := range int64(2) {
			for i := range 100 { // one network, many accounts
				s.fail(wrong(fmt.Sprint("account ", i)), network(0))
			}
			for i := range 50 { // one account, many networks
				s.fail(wrong("anna"), network(1+i))
			}
			for _, row := range []struct {
				filter  audit.Filter
				most    int64
				omitted int64
			}{
				{audit.Filter{Address: network(0).Address}, audit.PerNetwork, 40},
				{audit.Filter{Account: "anna"}, audit.PerAccount, 20},
			} {
				rows, _ := s.count(row.filter, audit.PasswordRejected)
				if rows != row.most*(hour+1) {
					s.Errorf("%+v: %d rows, want %d", row.filter, rows, row.most*(hour+1))
				}
				s.now = s.now.Add(11 * time.Second) // counts are written every 10 s
				s.fail(wrong("anna"), network(0))
				s.now = s.now.Add(11 * time.Second)
				s.fail(wrong("anna"), network(99))
				summaries, occurrences := s.count(row.filter, audit.EventsOmitted)
				if summaries != hour+1 || occurrences < row.omitted*(hour+1) {
					s.Errorf("%+v: %d events count %d, want %d that count %d or more", row.filter, summaries,
						occurrences, hour+1, row.omitted*(hour+1))
				}
			}
			s.now = s.now.Add(time.Hour)
		}
		if n := len(s.lines()); n != 2*(150+4) {
			s.Errorf("%d log lines, want %d", n, 2*154)
		}
	})
}

// Many failures of unknown addresses do not hide failures at an account. Events that change something are never only
// counted.
func TestFloodHidesNothing(t *testing.T) {
	each(t, func(s *site) {
		for i := range audit.PerSiteUnknown + 50 {
			s.fail(audit.Event{Kind: audit.PasswordRejected, Target: fmt.Sprint("name:", i%40)},
				audit.Source{Network: fmt.Sprint(i)})
		}
		if rows, _ := s.count(audit.Filter{}, audit.PasswordRejected); rows != audit.PerSiteUnknown {
			s.Errorf("%d rows, want %d", rows, audit.PerSiteUnknown)
		}
		for range audit.PerAccount + 5 {
			s.fail(audit.Event{Kind: audit.PasswordRejected, Account: "anna"}, home)
		}
		if rows, _ := s.count(audit.Filter{Account: "anna"}, audit.PasswordRejected); rows != audit.PerAccount {
			s.Errorf("%d failures of the account, want %d", rows, audit.PerAccount)
		}
		for range 3 * audit.PerAccount {
			s.record(audit.Event{Kind: audit.DeviceSecretReused, Account: "anna", Result: audit.Failure}, home)
		}
		if rows, _ := s.count(audit.Filter{Account: "anna"}, audit.DeviceSecretReused); rows != 3*audit.PerAccount {
			s.Errorf("%d changes are recorded, want %d", rows, 3*audit.PerAccount)
		}
	})
}

// Failures beyond a limit are counted exactly, in one event of the time of the first of them, while several servers record
// them at once. Their log lines have no id.
func TestServersCountTogether(t *testing.T) {
	each(t, func(s *site) {
		const more = 20
		servers := []*store.DB{s.Store, storetest.Open(s.T, s.url)}
		began := s.now
		var all sync.WaitGroup
		for i := range audit.PerAccount + more {
			all.Go(func() {
				// A log of its own does not remember that the limit is exceeded.
				l := &audit.Log{Store: servers[i%2], Now: s.Now, Logger: s.Logger}
				e := audit.Event{Kind: audit.PasswordRejected, Account: "anna"}
				if err := l.RecordFailure(s.Context(), e, home); err != nil {
					s.Error(err)
				}
			})
		}
		all.Wait()
		s.now = s.now.Add(time.Minute)
		s.fail(audit.Event{Kind: audit.PasswordRejected, Account: "anna"}, home)
		list := s.list(audit.Filter{Kinds: []audit.Kind{audit.EventsOmitted}})
		if len(list) != 1 || list[0].Occurrences != more+1 || !list[0].At.Equal(began) || list[0].Account != "anna" {
			s.Errorf("got %+v, want one event that counts %d since %s", list, more+1, began)
		}
		if rows, _ := s.count(audit.Filter{}, audit.PasswordRejected); rows != audit.PerAccount {
			s.Errorf("%d rows, want %d", rows, audit.PerAccount)
		}
		ids := map[any]int{}
		for _, line := range s.lines() {
			ids[line["id"]]++
		}
		if ids[nil] != more+1 || len(ids) != audit.PerAccount+1 {
			s.Errorf("%d lines without an id and %d ids, want %d and %d", ids[nil], len(ids)-1, more+1, audit.PerAccount)
		}
	})
}

// If the event that counts is lost, or its counter, another one is created.
func TestLostCounter(t *testing.T) {
	each(t, func(s *site) {
		fail := func() {
			s.now = s.now.Add(11 * time.Second) // counts are written every 10 s
			s.fail(audit.Event{Kind: audit.PasswordRejected, Account: "anna"}, home)
		}
		for range audit.PerAccount + 1 {
			s.fail(audit.Event{Kind: audit.PasswordRejected, Account: "anna"}, home)
		}
		for _, table := range []string{"audit_events", "audit_counters"} {
			storetest.Exec(s.T, s.url, "DELETE FROM "+table)
			fail()
			fail()
		}
		rows, occurrences := s.count(audit.Filter{}, audit.EventsOmitted)
		if rows != 2 || occurrences != 4 {
			s.Errorf("%d events count %d, want 2 that count 4", rows, occurrences)
		}
	})
}

// The terms in the database are the kinds of event and the types of actor, each once.
func TestTerms(t *testing.T) {
	text, err := os.ReadFile("audit.go")
	if err != nil {
		t.Fatal(err)
	}
	each(t, func(s *site) {
		var want []string
		for _, m := range regexp.MustCompile(`(?m)^\tType\w+\s+= "([^"]+)"`).FindAllStringSubmatch(string(text), -1) {
			want = append(want, m[1])
		}
		for _, d := range audit.Describe() {
			want = append(want, string(d.Kind))
		}
		for _, term := range want {
			if n := storetest.CountRows(s.T, s.url, "audit_terms WHERE term = '"+term+"'"); n != 1 {
				s.Errorf("%q is %d times in the database, want 1", term, n)
			}
		}
		if n := storetest.CountRows(s.T, s.url, "audit_terms"); n != len(want) || len(want) < 50 {
			s.Errorf("%d terms are in the database, want %d", n, len(want))
		}
	})
}

// A failure beyond a limit that is known to be exceeded does not use the database.
func TestFloodCostsNoTransaction(t *testing.T) {
	each(t, func(s *site) {
		for range audit.PerAccount + 1 {
			s.fail(audit.Event{Kind: audit.PasswordRejected, Account: "anna"}, home)
		}
		if err := s.Store.Close(); err != nil {
			s.Fatal(err)
		}
		s.fail(audit.Event{Kind: audit.PasswordRejected, Account: "anna"}, home)
		if err := s.RecordFailure(s.Context(), audit.Event{Kind: audit.PasswordRejected, Account: "ben"},
			home); err == nil {
			s.Error("the database is closed, and a failure below the limit is recorded")
		}
	})
}

// Every kind is described once, has an id of lower-case words, and is in docs/audit.md.
func TestKinds(t *testing.T) {
	text, err := os.ReadFile("kinds.go")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	id := regexp.MustCompile(`^[a-z_]+\.[a-z_]+$`)
	seen := map[audit.Kind]bool{}
	var rows []string
	for _, d := range audit.Describe() {
		if seen[d.Kind] || !id.MatchString(string(d.Kind)) || !d.Kind.Known() || d.When == "" ||
			strings.HasSuffix(d.When, ".") {
			t.Errorf("%+v", d)
		}
		seen[d.Kind] = true
		limited := ""
		if d.Bounded {
			limited = "yes"
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |\n", d.Kind, d.When, limited))
	}
	for _, m := range regexp.MustCompile(`(?m)^\t(\w+)\s+Kind = "([^"]+)"$`).FindAllStringSubmatch(string(text), -1) {
		if !seen[audit.Kind(m[2])] {
			t.Errorf("%s is not described", m[1])
		}
		delete(seen, audit.Kind(m[2]))
	}
	if len(seen) > 0 {
		t.Errorf("described and no constant: %v", seen)
	}
	if table := strings.Join(rows, ""); !strings.Contains(string(page), table) {
		t.Errorf("docs/audit.md does not hold this table:\n%s", table)
	}
	if audit.Kind("no.such").Known() {
		t.Error("an unknown kind is known")
	}
}
