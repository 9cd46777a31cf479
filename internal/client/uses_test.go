package client_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/store/storetest"
)

// The last use of a client is written once a minute, however often it is used. The use of a removed client is forgotten.
func TestLastUse(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, database string) {
		db, err := store.Open(t.Context(), database)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		now := time.Date(2026, 11, 23, 10, 0, 30, 0, time.UTC)
		clock := func() time.Time { return now }
		newClients := func() *client.Clients {
			a := &account.Accounts{Store: db, Now: clock, NotifyOutbox: func() {}}
			return &client.Clients{Store: db, Now: clock, Accounts: a}
		}
		c, other := newClients(), newClients()
		last := func(c *client.Clients) time.Time {
			at, err := c.LastUse(t.Context(), "wiki")
			if err != nil {
				t.Fatal(err)
			}
			return at
		}
		write := func(want int64) {
			t.Helper()
			if n, err := c.RecordUses(t.Context()); err != nil || n != want {
				t.Errorf("%d uses written, %v, want %d", n, err, want)
			}
		}
		wiki := client.Client{ID: "wiki", Hosts: []string{"wiki.example.com"}}
		if err := c.Create(t.Context(), account.By{}, wiki); err != nil || !last(c).IsZero() {
			t.Fatal(err, last(c))
		}
		write(0)
		for range 100 {
			c.RecordUse("wiki")
			c.RecordUse("https://app.example.com/client.json") // not registered
		}
		if minute := now.Truncate(time.Minute); !last(c).Equal(minute) || !last(other).IsZero() {
			t.Errorf("here %v, elsewhere %v before it is written", last(c), last(other))
		}
		write(1)
		c.RecordUse("wiki")
		write(0)
		if !last(other).Equal(last(c)) {
			t.Errorf("here %v, elsewhere %v", last(c), last(other))
		}
		now = now.Add(time.Minute)
		c.RecordUse("wiki")
		write(1)
		now = now.Add(-time.Hour) // another server's clock is behind
		other.RecordUse("wiki")
		if _, err := other.RecordUses(t.Context()); err != nil {
			t.Fatal(err)
		}
		if want := time.Date(2026, 11, 23, 10, 1, 0, 0, time.UTC); !last(c).Equal(want) {
			t.Errorf("last used at %v, want %v", last(c), want)
		}
		now = now.Add(2 * time.Hour)
		c.RecordUse("wiki")
		if err := c.Delete(t.Context(), account.By{}, "wiki"); err != nil {
			t.Fatal(err)
		}
		write(0)
		other.RecordUse("wiki") // a request that was under way
		if _, err := other.RecordUses(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := c.Create(t.Context(), account.By{}, wiki); err != nil || !last(c).IsZero() {
			t.Errorf("a new app with an old id was last used at %v, %v", last(c), err)
		}
	})
}

// A change names its fields in the event, and one that changes nothing has none. Of two changes of one version the second
// is refused.
func TestChangesOfOneVersion(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, database string) {
		db, err := store.Open(t.Context(), database)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		var calls atomic.Int64 // events of one millisecond have no order
		clock := func() time.Time { return time.Unix(1_700_000_000+calls.Add(1), 0) }
		c := client.Clients{Store: db, Now: clock, Accounts: &account.Accounts{Store: db, Now: clock, NotifyOutbox: func() {}}}
		by := account.By{Actor: audit.Actor{Type: audit.TypeOperator, ID: "BOSS"}}
		wiki := client.Client{ID: "wiki", Hosts: []string{"wiki.example.com"}}
		if err := c.Create(t.Context(), by, wiki); err != nil {
			t.Fatal(err)
		}
		was, results := wiki.Version(), make(chan error)
		for _, name := range []string{"One", "Two", "Three", "Four"} {
			go func() {
				mine := wiki
				mine.Name = name
				results <- c.Update(t.Context(), by, mine, was)
			}()
		}
		changed := 0
		for range 4 {
			if err := <-results; err == nil {
				changed++
			} else if !errors.Is(err, client.ErrChanged) {
				t.Error(err)
			}
		}
		now, err := c.Get(t.Context(), "wiki")
		if err != nil || changed != 1 {
			t.Fatalf("%d changes of one version, %v", changed, err)
		}
		for range 2 {
			now.RequiredGroups, now.Hosts = []string{"staff"}, []string{"other.example.com"}
			if err := c.Update(t.Context(), by, now, ""); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := c.RotateSecret(t.Context(), by, "wiki", true, ""); !errors.Is(err, client.ErrNoSecret) {
			t.Errorf("an app without a secret is given one: %v", err)
		}
		events, err := c.Accounts.Audit().List(t.Context(), audit.Filter{Kinds: []audit.Kind{audit.ClientUpdated}, Limit: 9})
		if err != nil || len(events) != 2 || events[0].Reason != "groups, hosts" || events[1].Reason != "name" || events[0].Actor != by.Actor {
			t.Errorf("%v %+v", err, events)
		}
	})
}

// The people of a client are those with a grant or a consent, each once and with their last sign-in, page by page.
func TestPeopleOfAClient(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, database string) {
		db, err := store.Open(t.Context(), database)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		start := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		n := 0
		grant := func(account, app string, at time.Time) {
			n++
			id := string(rune('a' + n))
			must(db.CreateGrant(t.Context(), store.Grant{ID: id, AccountID: account, ClientID: app, CodeHash: []byte(id), CreatedAt: at}))
		}
		for _, id := range []string{"A", "B", "C", "D", "E"} {
			must(db.CreateAccount(t.Context(), store.Account{ID: id, Email: id + "@example.com", Name: "Name " + id, PasswordHash: []byte("x")}))
		}
		grant("A", "wiki", start)
		grant("A", "wiki", start.Add(time.Hour))
		grant("B", "news", start)
		grant("C", "wiki", start)
		grant("GONE", "wiki", start) // of a deleted account
		grant("", "wiki", start)     // of the app itself
		must(db.SaveConsent(t.Context(), store.Consent{AccountID: "C", ClientID: "wiki", GrantedAt: start.Add(2 * time.Hour)}))
		must(db.SaveConsent(t.Context(), store.Consent{AccountID: "E", ClientID: "wiki", GrantedAt: start}))
		c := client.Clients{Store: db, Now: time.Now}
		var all []client.Person
		for after := ""; ; after = all[len(all)-1].AccountID {
			page, err := c.ListPeople(t.Context(), "wiki", after, 2)
			must(err)
			if len(page) == 0 {
				break
			}
			all = append(all, page...)
		}
		want := []client.Person{
			{AccountID: "A", Email: "A@example.com", Name: "Name A", LastAt: start.Add(time.Hour)},
			{AccountID: "C", Email: "C@example.com", Name: "Name C", LastAt: start.Add(2 * time.Hour)},
			{AccountID: "E", Email: "E@example.com", Name: "Name E", LastAt: start},
		}
		if len(all) != len(want) {
			t.Fatalf("%+v", all)
		}
		for i, p := range all {
			if p.AccountID != want[i].AccountID || p.Email != want[i].Email || p.Name != want[i].Name || !p.LastAt.Equal(want[i].LastAt) {
				t.Errorf("%+v, want %+v", p, want[i])
			}
		}
		for limit, want := range map[int]int{10: 3, 2: 2} {
			if n, err := c.CountPeople(t.Context(), "wiki", limit); err != nil || n != want {
				t.Errorf("%d people of at most %d, %v", n, limit, err)
			}
		}
	})
}
