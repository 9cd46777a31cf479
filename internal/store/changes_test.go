package store_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/store/storetest"
)

// allowed adds an account with a session in a device, and a grant with a token that was made in it.
func allowed(t *testing.T, db *store.DB, id string) {
	t.Helper()
	ctx, hash := t.Context(), []byte(id)
	for _, err := range []error{
		db.AddAccount(ctx, store.Account{ID: id, Email: id, Password: hash, Epoch: 1}),
		db.AddDevice(ctx, store.Device{ID: id, Series: hash, Secret: hash, EndsAt: 1000}),
		db.AddSession(ctx, store.Session{ID: id, Token: hash, Account: id, Epoch: 1, EndsAt: 1000, Device: id}),
		db.AddGrant(ctx, store.Grant{
			ID: id, App: "app", Account: id, Epoch: 1, Session: id, SessionEndsAt: 1000, Code: hash, CodeEndsAt: 1000,
			EndsAt: 1000,
		}),
		db.AddToken(ctx, store.Token{Token: hash, Grant: id, Kind: store.Host, EndsAt: 1000}),
		db.AddFactor(ctx, store.Factor{ID: id, Account: id, Method: "totp", Body: hash}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.UseGrant(ctx, hash, "app", 10); err != nil {
		t.Fatal(err)
	}
}

// Each write changes the keys of those that it is about, and of nobody else.
func TestChanged(t *testing.T) {
	const account, session, grant, clients, all = "account", "session", "grant", "clients", "all"
	ctx := t.Context()
	writes := []struct {
		name  string
		write func(db *store.DB, id string) error
		want  string // the keys that change; "": none
	}{
		{"a last-seen time", func(db *store.DB, id string) error { return db.SeeSession(ctx, id, 50) }, ""},
		{"a new hash of the same password", func(db *store.DB, id string) error {
			return db.Rehash(ctx, id, []byte(id), []byte("new"))
		}, ""},
		{"a password", func(db *store.DB, id string) error { return db.SetPassword(ctx, id, 1, []byte(id), 0) },
			account},
		{"an address", func(db *store.DB, id string) error { return db.SetEmail(ctx, id, 1, "new "+id) }, account},
		{"an epoch", func(db *store.DB, id string) error { return db.RaiseEpoch(ctx, id, 1) }, account},
		{"groups", func(db *store.DB, id string) error { return db.SetGroups(ctx, id, "staff") }, account},
		{"disabled", func(db *store.DB, id string) error { return db.SetDisabled(ctx, id, 1, 9) }, account},
		{"a factor more", func(db *store.DB, id string) error {
			return db.AddFactor(ctx, store.Factor{ID: "another of " + id, Account: id, Method: "sms", Body: []byte(id)})
		}, account},
		{"a factor used", func(db *store.DB, id string) error {
			return db.UseFactor(ctx, store.Factor{ID: id, Account: id, Version: 1, Body: []byte(id)}, 9)
		}, account},
		{"a factor less", func(db *store.DB, id string) error { return db.RemoveFactor(ctx, id, id) }, account},
		{"a consent", func(db *store.DB, id string) error {
			return db.KeepConsent(ctx, store.Consent{Account: id, App: "app"})
		}, account},
		{"no consent", func(db *store.DB, id string) error { return db.RemoveConsent(ctx, id, "app") }, account},
		{"the grants of a client", func(db *store.DB, id string) error { return db.EndGrants(ctx, id, "app", 9) },
			account},
		{"a new proof", func(db *store.DB, id string) error {
			return db.ProveSession(ctx, store.Session{ID: id, Token: []byte("new " + id), Account: id, Epoch: 1}, 0, 9)
		}, session},
		{"signed out", func(db *store.DB, id string) error { return db.EndSession(ctx, []byte(id)) }, session},
		{"a session ended", func(db *store.DB, id string) error { return db.EndOneSession(ctx, id, id) }, session},
		{"a device ended", func(db *store.DB, id string) error { return db.EndDevice(ctx, id, "why", 9) }, session},
		{"a grant ended", func(db *store.DB, id string) error { return db.EndGrant(ctx, id, 9) }, grant},
		{"a token used", func(db *store.DB, id string) error { return db.UseToken(ctx, []byte(id), 9) }, grant},
		{"a token removed", func(db *store.DB, id string) error { return db.RemoveToken(ctx, []byte(id)) }, grant},
		{"a client more", func(db *store.DB, id string) error { return db.AddApp(ctx, store.App{ID: id}) }, clients},
		{"a client changed", func(db *store.DB, id string) error { return db.ChangeApp(ctx, "app", "{}") }, clients},
		{"a client less", func(db *store.DB, id string) error { return db.RemoveApp(ctx, "app") }, clients},
		{"a restore", func(db *store.DB, id string) error { return db.Void(ctx, "why", 9) }, all},
	}
	each(t, func(t *testing.T, db *store.DB) {
		for i, c := range writes {
			one, other := fmt.Sprint("one ", i), fmt.Sprint("other ", i)
			allowed(t, db, one)
			allowed(t, db, other)
			if err := db.AddApp(t.Context(), store.App{ID: "app"}); err != nil && !errors.Is(err, store.ErrConflict) {
				t.Fatal(err)
			}
			keys := map[store.Key]bool{
				store.AccountKey(one): c.want == account || c.want == all, store.AccountKey(other): c.want == all,
				store.SessionKey(one): c.want == session || c.want == all, store.SessionKey(other): c.want == all,
				store.GrantKey(one): c.want == grant || c.want == all, store.GrantKey(other): c.want == all,
				store.ClientsKey(): c.want == clients || c.want == all,
			}
			every := slices.Collect(maps.Keys(keys))
			since, undo := db.Version(), errors.New("undo")
			err := db.Tx(t.Context(), func(tx *store.DB) error { return errors.Join(c.write(tx, one), undo) })
			if err == nil || err.Error() != undo.Error() || db.Changed(since, every...) {
				t.Errorf("%s, rolled back: %v, changed %v", c.name, err, db.Changed(since, every...))
			}
			err = db.Tx(t.Context(), func(tx *store.DB) error {
				err := c.write(tx, one)
				if db.Changed(since, every...) {
					t.Errorf("%s: changed before the commit", c.name)
				}
				return err
			})
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			for key, want := range keys {
				if got := db.Changed(since, key); got != want {
					t.Errorf("%s: %v changed: %v, want %v", c.name, key, got, want)
				}
			}
			if db.Changed(db.Version(), every...) {
				t.Errorf("%s: changed since now", c.name)
			}
		}
	})
}

// However many keys change, none of the changes is lost.
func TestManyChanges(t *testing.T) {
	db := storetest.Open(t, t.TempDir()+"/twostep.db")
	since := db.Version()
	if err := db.SetGroups(t.Context(), "first", ""); !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	for i := range 10_001 {
		err := db.Tx(t.Context(), func(tx *store.DB) error {
			return tx.RemoveConsent(t.Context(), fmt.Sprint(i),
				"app")
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if !db.Changed(since, store.AccountKey("first")) {
		t.Error("the first change is forgotten")
	}
}

// What is registered runs once the transaction is committed: once, in order, not after a rollback, and only that of
// the run that was committed.
func TestAfterCommit(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		var ran []string
		note := func(what string) func() { return func() { ran = append(ran, what) } }
		want := func(when string, list ...string) {
			t.Helper()
			if !slices.Equal(ran, list) {
				t.Errorf("%s: %q, want %q", when, ran, list)
			}
			ran = nil
		}
		db.AfterCommit(note("at once"))
		want("outside", "at once")
		run := 0
		err := db.Tx(t.Context(), func(tx *store.DB) error {
			run++
			tx.AfterCommit(note(fmt.Sprint("first of run ", run)))
			err := tx.Tx(t.Context(), func(tx *store.DB) error {
				tx.AfterCommit(note(fmt.Sprint("inner of run ", run)))
				return tx.SetMark(t.Context(), "a", "b")
			})
			if run == 1 { // PostgreSQL asks for a repetition
				return errors.Join(err, &pgconn.PgError{Code: "40001"})
			}
			want("before the commit")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		want("committed", "first of run 2", "inner of run 2")
		undo := errors.New("undo")
		err = db.Tx(t.Context(), func(tx *store.DB) error { tx.AfterCommit(note("never")); return undo })
		if !errors.Is(err, undo) {
			t.Error(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		err = db.Tx(ctx, func(tx *store.DB) error { tx.AfterCommit(note("never")); stop(); return nil })
		if err == nil {
			t.Error("committed after its context ended")
		}
		want("not committed")
	})
}

// The client of a session that is ended before it expires is due to be notified, once, however it was ended.
func TestDueLogouts(t *testing.T) {
	ctx := t.Context()
	for name, end := range map[string]func(db *store.DB) error{
		"signed out": func(db *store.DB) error { return db.EndSession(ctx, []byte("a")) },
		"ended":      func(db *store.DB) error { return db.EndOneSession(ctx, "a", "a") },
		"its device": func(db *store.DB) error { return db.EndDevice(ctx, "a", "why", 9) },
		"a password": func(db *store.DB) error { return db.SetPassword(ctx, "a", 1, []byte("a"), 0) },
		"everywhere": func(db *store.DB) error { return db.RaiseEpoch(ctx, "a", 1) },
		"disabled":   func(db *store.DB) error { return db.SetDisabled(ctx, "a", 1, 9) },
		"both": func(db *store.DB) error {
			return errors.Join(db.EndSession(ctx, []byte("a")), db.RaiseEpoch(ctx, "a", 1))
		},
		"before its grant":  nil,
		"a restore of both": func(db *store.DB) error { return db.Void(ctx, "why", 9) },
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, db *store.DB) {
				due := func(now int64) (n int) {
					t.Helper()
					list, err := db.Untold(ctx, now)
					if err != nil {
						t.Fatal(err)
					}
					for _, g := range list {
						if g.App != "app" || g.Account != g.Session {
							t.Errorf("due: %+v", g)
						}
						if g.Session == "a" {
							n++
						}
					}
					return n
				}
				allowed(t, db, "a")
				allowed(t, db, "b")
				if due(20) != 0 {
					t.Error("due before the session has ended")
				}
				if end == nil { // the code of an offline grant is used when the session is over
					g := store.Grant{ID: "late", App: "app", Account: "a", Epoch: 1, Session: "a", SessionEndsAt: 1000,
						Offline: true}
					g.Code, g.CodeEndsAt, g.EndsAt = []byte("late"), 1000, 1000
					if err := errors.Join(db.EndSession(ctx, []byte("a")), db.Told(ctx, "app", "a", 20),
						db.AddGrant(ctx, g)); err != nil {
						t.Fatal(err)
					}
					if _, err := db.UseGrant(ctx, g.Code, "app", 20); err != nil {
						t.Fatal(err)
					}
				} else if err := end(db); err != nil {
					t.Fatal(err)
				}
				if due(20) != 1 || due(1001) != 0 {
					t.Errorf("%d due, and %d after it would have expired; want 1 and 0", due(20), due(1001))
				}
				if err := db.Tell(ctx, "app", "a", 20, 80); err != nil {
					t.Fatal(err)
				}
				if err := db.Tell(ctx, "app", "a", 20, 80); !errors.Is(err, store.ErrNotFound) {
					t.Errorf("claimed twice: %v", err)
				}
				if due(79) != 0 || due(80) != 1 {
					t.Errorf("%d due while claimed, %d after it; want 0 and 1", due(79), due(80))
				}
				if err := db.Told(ctx, "app", "a", 81); err != nil {
					t.Fatal(err)
				}
				if due(500) != 0 {
					t.Error("due after it was sent")
				}
			})
		})
	}
}

// Sweep deletes everything that is over, in bounded statements, and repeats only the one that has more to do.
func TestSweepRepeats(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		db := storetest.Open(t, url)
		numbers := `WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1100)`
		storetest.Exec(t, url, `INSERT INTO failed_passwords (subject, failures, last_at) `+numbers+` SELECT 'x' || n,
				1, n FROM n`)
		storetest.Exec(t, url, `INSERT INTO rate_limit_counters (kind, subject, window_ms, ends_at, used) `+numbers+`
			SELECT CASE n % 2 WHEN 0 THEN 'site_guesses' ELSE 'x' END, '', 1, n, 1 FROM n`)
		count := storetest.Record(t, db)
		n, err := db.Sweep(t.Context(), store.Old{Ended: 2000})
		if err != nil || n != 1100+550 || storetest.Count(t, url, "rate_limit_counters") != 550 {
			t.Errorf("%d rows, %v", n, err)
		}
		if got := len(count.Statements()); got != 15+2+1 {
			t.Errorf("%d statements for 1,650 rows, want 18:\n%s", got, count)
		}
		if n, err := db.Sweep(t.Context(), store.Old{Odds: 2000}); n != 550 || err != nil {
			t.Errorf("%d guesses, %v", n, err)
		}
	})
}

// A recorder notes what a database runs: statements, arguments and the beginnings of transactions.
func TestRecord(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		r := storetest.Record(t, db)
		write := func(tx *store.DB) error { return errors.Join(tx.SetMark(ctx, "a", "b"), tx.SetMark(ctx, "c", "d")) }
		if err := errors.Join(db.Ping(ctx), db.Tx(ctx, write), write(db)); err != nil {
			t.Fatal(err)
		}
		list := r.Statements()
		if len(list) != 5 || r.Transactions() != 1 || list[0].Query != "SELECT 1" || fmt.Sprint(list[2].Args) != "[c d]" {
			t.Errorf("%d statements, %d transactions:\n%s", len(list), r.Transactions(), r)
		}
		if r.Reset(); len(r.Statements()) != 0 || r.Transactions() != 0 || r.String() != "" {
			t.Errorf("after Reset: %s", r)
		}
	})
}
