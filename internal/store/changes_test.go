package store_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/store/storetest"
)

// createSession creates an account with a session in a device, and a grant of that session with a token.
func createSession(t *testing.T, db *store.DB, id string) {
	t.Helper()
	ctx, hash := t.Context(), []byte(id)
	for _, err := range []error{
		db.CreateAccount(ctx, store.Account{ID: id, Email: id, PasswordHash: hash, Epoch: 1}),
		db.CreateDevice(ctx, store.Device{ID: id, Series: hash, Secret: hash, ExpiresAt: at(1000)}),
		db.CreateSession(ctx, store.Session{ID: id, TokenHash: hash, AccountID: id, Epoch: 1, ExpiresAt: at(1000),
			DeviceID: id}),
		db.CreateGrant(ctx, store.Grant{
			ID: id, ClientID: "app", AccountID: id, Epoch: 1, SessionID: id, SessionExpiresAt: at(1000), CodeHash: hash,
			CodeExpiresAt: at(1000),
			ExpiresAt:     at(1000),
		}),
		db.CreateToken(ctx, store.Token{Hash: hash, GrantID: id, Kind: store.ForwardAuthToken, ExpiresAt: at(1000)}),
		db.CreateFactor(ctx, store.Factor{ID: id, AccountID: id, Method: "totp", Body: hash}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.UseAuthorizationCode(ctx, hash, "app", at(10)); err != nil {
		t.Fatal(err)
	}
}

// Each write changes the keys of what it writes and no others.
func TestChanged(t *testing.T) {
	const account, session, grant, clients, all = "account", "session", "grant", "clients", "all"
	ctx := t.Context()
	writes := []struct {
		name  string
		write func(db *store.DB, id string) error
		want  string // the keys that change; "": none
	}{
		{"a last-seen time", func(db *store.DB, id string) error { return db.TouchSession(ctx, id, at(50)) }, ""},
		{"a name", func(db *store.DB, id string) error {
			return db.SetNames(ctx, id, store.Names{Name: "Anne"}, time.UnixMilli(2))
		}, account},
		{"a new hash of the same password", func(db *store.DB, id string) error {
			return db.ReplacePasswordHash(ctx, id, []byte(id), []byte("new"))
		}, ""},
		{"a password", func(db *store.DB, id string) error {
			return db.SetPassword(ctx, id, 1, []byte(id), time.Time{}, at(9))
		},
			account},
		{"an address", func(db *store.DB, id string) error { return db.SetEmail(ctx, id, 1, "new "+id, time.UnixMilli(2)) }, account},
		{"email as second step", func(db *store.DB, id string) error {
			return db.SetEmailSecondStep(ctx, id, 1, store.EmailUntilAnother)
		}, account},
		{"an epoch", func(db *store.DB, id string) error { return db.IncrementEpoch(ctx, id, 1) }, account},
		{"role", func(db *store.DB, id string) error { return db.SetRole(ctx, id, "auditor") }, account},
		{"groups", func(db *store.DB, id string) error { return db.SetGroups(ctx, id, "staff") }, account},
		{"disabled", func(db *store.DB, id string) error { return db.SetDisabled(ctx, id, 1, at(9)) }, account},
		{"a factor more", func(db *store.DB, id string) error {
			return db.CreateFactor(ctx, store.Factor{ID: "another of " + id, AccountID: id, Method: "sms",
				Body: []byte(id)})
		}, account},
		{"a factor used", func(db *store.DB, id string) error {
			return db.UseFactor(ctx, store.Factor{ID: id, AccountID: id, Version: 1, Body: []byte(id)}, at(9))
		}, account},
		{"a factor less", func(db *store.DB, id string) error { return db.DeleteFactor(ctx, id, id) }, account},
		{"a consent", func(db *store.DB, id string) error {
			return db.SaveConsent(ctx, store.Consent{AccountID: id, ClientID: "app"})
		}, account},
		{"no consent", func(db *store.DB, id string) error { return db.DeleteConsent(ctx, id, "app") }, account},
		{"the grants of a client", func(db *store.DB, id string) error {
			return db.RevokeClientGrants(ctx, id, "app",
				at(9))
		},
			account},
		{"a new proof", func(db *store.DB, id string) error {
			return db.ReauthenticateSession(ctx, &store.Session{ID: id, TokenHash: []byte("new " + id), AccountID: id,
				Epoch: 1}, time.Time{}, at(9))
		}, session},
		{"a session ended", func(db *store.DB, id string) error { return db.DeleteSession(ctx, id, id) }, session},
		{"a device ended", func(db *store.DB, id string) error { return db.RevokeDevice(ctx, id, "why", at(9)) },
			session},
		{"a grant ended", func(db *store.DB, id string) error { return db.RevokeGrant(ctx, id, at(9)) }, grant},
		{"a token used", func(db *store.DB, id string) error { return db.UseToken(ctx, []byte(id), at(9)) }, grant},
		{"a token removed", func(db *store.DB, id string) error { return db.DeleteToken(ctx, []byte(id)) }, grant},
		{"a client more", func(db *store.DB, id string) error { return db.CreateClient(ctx, store.Client{ID: id}) },
			clients},
		{"a client changed", func(db *store.DB, id string) error { return db.UpdateClient(ctx, "app", "", "{}") }, clients},
		{"a client less", func(db *store.DB, id string) error { return db.DeleteClient(ctx, "app") }, clients},
		{"a restore", func(db *store.DB, id string) error { return db.RevokeAll(ctx, "why", at(9)) }, all},
	}
	each(t, func(t *testing.T, db *store.DB) {
		for i, c := range writes {
			one, other := fmt.Sprint("one ", i), fmt.Sprint("other ", i)
			createSession(t, db, one)
			createSession(t, db, other)
			if err := db.CreateClient(t.Context(), store.Client{ID: "app"}); err != nil && !errors.Is(err,
				store.ErrConflict) {
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

// No change is lost, however many keys change.
func TestManyChanges(t *testing.T) {
	db := storetest.Open(t, t.TempDir()+"/twostep.db")
	since := db.Version()
	if err := db.SetGroups(t.Context(), "first", ""); !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	for i := range 10_001 {
		err := db.Tx(t.Context(), func(tx *store.DB) error {
			return tx.DeleteConsent(t.Context(), fmt.Sprint(i),
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

// Registered functions run once, in order, after the commit and not after a rollback. If the transaction is retried,
// only those of the committed run are called.
func TestAfterCommit(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		var ran []string
		appendTo := func(what string) func() { return func() { ran = append(ran, what) } }
		want := func(when string, list ...string) {
			t.Helper()
			if !slices.Equal(ran, list) {
				t.Errorf("%s: %q, want %q", when, ran, list)
			}
			ran = nil
		}
		db.AfterCommit(appendTo("at once"))
		want("outside", "at once")
		run := 0
		err := db.Tx(t.Context(), func(tx *store.DB) error {
			run++
			tx.AfterCommit(appendTo(fmt.Sprint("first of run ", run)))
			err := tx.Tx(t.Context(), func(tx *store.DB) error {
				tx.AfterCommit(appendTo(fmt.Sprint("inner of run ", run)))
				return tx.SetState(t.Context(), "a", "b")
			})
			if run == 1 { // PostgreSQL asks to retry
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
		err = db.Tx(t.Context(), func(tx *store.DB) error { tx.AfterCommit(appendTo("never")); return undo })
		if !errors.Is(err, undo) {
			t.Error(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		err = db.Tx(ctx, func(tx *store.DB) error { tx.AfterCommit(appendTo("never")); stop(); return nil })
		if err == nil {
			t.Error("committed after its context ended")
		}
		want("not committed")
	})
}

// The client of a session that ends before it expires is due for one logout notification, however the session ended.
func TestDueLogouts(t *testing.T) {
	ctx := t.Context()
	for name, end := range map[string]func(db *store.DB) error{
		"ended":      func(db *store.DB) error { return db.DeleteSession(ctx, "a", "a") },
		"its device": func(db *store.DB) error { return db.RevokeDevice(ctx, "a", "why", at(9)) },
		"a password": func(db *store.DB) error { return db.SetPassword(ctx, "a", 1, []byte("a"), time.Time{}, at(9)) },
		"everywhere": func(db *store.DB) error { return db.IncrementEpoch(ctx, "a", 1) },
		"disabled":   func(db *store.DB) error { return db.SetDisabled(ctx, "a", 1, at(9)) },
		"both": func(db *store.DB) error {
			return errors.Join(db.DeleteSession(ctx, "a", "a"), db.IncrementEpoch(ctx, "a", 1))
		},
		"before its grant":  nil,
		"a restore of both": func(db *store.DB) error { return db.RevokeAll(ctx, "why", at(9)) },
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, db *store.DB) {
				due := func(now int64) (n int) {
					t.Helper()
					list, err := db.ListDueLogouts(ctx, at(now))
					if err != nil {
						t.Fatal(err)
					}
					for _, g := range list {
						if g.ClientID != "app" || g.AccountID != g.SessionID {
							t.Errorf("due: %+v", g)
						}
						if g.SessionID == "a" {
							n++
						}
					}
					return n
				}
				createSession(t, db, "a")
				createSession(t, db, "b")
				if due(20) != 0 {
					t.Error("due before the session has ended")
				}
				if end == nil { // the code of an offline grant is used when the session is over
					g := store.Grant{ID: "late", ClientID: "app", AccountID: "a", Epoch: 1, SessionID: "a",
						SessionExpiresAt: at(1000),
						Offline:          true}
					g.CodeHash, g.CodeExpiresAt, g.ExpiresAt = []byte("late"), at(1000), at(1000)
					if err := errors.Join(db.DeleteSession(ctx, "a", "a"), db.FinishLogout(ctx, "app", "a", at(20)),
						db.CreateGrant(ctx, g)); err != nil {
						t.Fatal(err)
					}
					if _, err := db.UseAuthorizationCode(ctx, g.CodeHash, "app", at(20)); err != nil {
						t.Fatal(err)
					}
				} else if err := end(db); err != nil {
					t.Fatal(err)
				}
				if due(20) != 1 || due(1001) != 0 {
					t.Errorf("%d due, and %d after it would have expired; want 1 and 0", due(20), due(1001))
				}
				if err := db.ClaimLogout(ctx, "app", "a", at(20), at(80)); err != nil {
					t.Fatal(err)
				}
				if err := db.ClaimLogout(ctx, "app", "a", at(20), at(80)); !errors.Is(err, store.ErrNotFound) {
					t.Errorf("claimed twice: %v", err)
				}
				if due(79) != 0 || due(80) != 1 {
					t.Errorf("%d due while claimed, %d after it; want 0 and 1", due(79), due(80))
				}
				if err := db.FinishLogout(ctx, "app", "a", at(81)); err != nil {
					t.Fatal(err)
				}
				if due(500) != 0 {
					t.Error("due after it was sent")
				}
			})
		})
	}
}

// DeleteExpired deletes in steps, and repeats only statements that have more to delete.
func TestDeleteExpiredInSteps(t *testing.T) {
	storetest.EachWay(t, func(t *testing.T, url string) {
		db := storetest.Open(t, url)
		numbers := `WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1100)`
		storetest.Exec(t, url, `INSERT INTO failed_passwords (subject, failures, last_at) `+numbers+` SELECT 'x' || n,
				1, n FROM n`)
		storetest.Exec(t, url, `INSERT INTO rate_limit_counters (kind, subject, window_ms, ends_at, used) `+numbers+`
			SELECT CASE n % 2 WHEN 0 THEN 'site_guesses' ELSE 'x' END, '', 1, n, 1 FROM n`)
		count := storetest.Record(t, db)
		n, err := db.DeleteExpired(t.Context(), store.Cutoffs{Ended: at(2000)})
		if err != nil || n != 1100+550 || storetest.CountRows(t, url, "rate_limit_counters") != 550 {
			t.Errorf("%d rows, %v", n, err)
		}
		steps := map[string][]int64{}
		for _, s := range count.Statements() {
			steps[s.Query] = append(steps[s.Query], s.Args[1].(int64))
		}
		if len(steps) != 24 {
			t.Errorf("%d different statements, want 24", len(steps))
		}
		for query, rows := range steps {
			large := strings.Contains(query, "failed_passwords") || strings.Contains(query, "kind NOT IN ('site_guesses'")
			if most := slices.Max(rows); most > 1000 || (len(rows) > 1) != large {
				t.Errorf("steps of %d rows: %s", rows, query)
			}
		}
		if n, err := db.DeleteExpired(t.Context(), store.Cutoffs{Guesses: at(2000)}); n != 550 || err != nil {
			t.Errorf("%d guesses, %v", n, err)
		}
	})
}

// A recorder records statements, their arguments, and the beginning of transactions.
func TestRecord(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		r := storetest.Record(t, db)
		write := func(tx *store.DB) error { return errors.Join(tx.SetState(ctx, "a", "b"), tx.SetState(ctx, "c", "d")) }
		if err := errors.Join(db.Ping(ctx), db.Tx(ctx, write), write(db)); err != nil {
			t.Fatal(err)
		}
		list := r.Statements()
		if len(list) != 5 || r.Transactions() != 1 || list[0].Query != "SELECT 1" ||
			fmt.Sprint(list[2].Args) != "[c d]" {
			t.Errorf("%d statements, %d transactions:\n%s", len(list), r.Transactions(), r)
		}
		if r.Reset(); len(r.Statements()) != 0 || r.Transactions() != 0 || r.String() != "" {
			t.Errorf("after Reset: %s", r)
		}
	})
}
