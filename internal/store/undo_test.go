package store_test

import (
	"errors"
	"testing"
	"time"

	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/store/storetest"
)

// The password before the first of several changes stays the former one until its time is over. Then it is deleted.
func TestFormerPassword(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		if err := db.CreateAccount(ctx, store.Account{ID: "a", Email: "a@example.com", PasswordHash: []byte("0"), Epoch: 1}); err != nil {
			t.Fatal(err)
		}
		day := func(n int) time.Time { return at(1).Add(time.Duration(n) * 24 * time.Hour) }
		want := func(what, former string, until time.Time) {
			t.Helper()
			a, err := db.GetAccount(ctx, "a")
			if err != nil || string(a.FormerPasswordHash) != former || !a.FormerPasswordUntil.Equal(until) {
				t.Errorf("%s: %q until %v (%v), want %q until %v", what, a.FormerPasswordHash, a.FormerPasswordUntil, err, former, until)
			}
		}
		set := func(epoch int64, hash string, now time.Time) {
			t.Helper()
			if err := db.SetPassword(ctx, "a", epoch, []byte(hash), time.Time{}, now); err != nil {
				t.Fatal(err)
			}
		}
		set(1, "1", day(0))
		want("the first change", "0", day(7))
		set(2, "2", day(7))
		want("a change within 7 days", "0", day(7))
		set(3, "", day(7).Add(time.Millisecond))
		want("a change after 7 days", "2", day(14).Add(time.Millisecond))
		if _, err := db.DeleteExpired(ctx, store.Cutoffs{Ended: day(15)}); err != nil {
			t.Fatal(err)
		}
		want("deleted", "", time.Time{})
		set(4, "3", day(16))
		set(5, "4", day(17))
		want("the password after none", "3", day(24))
	})
}

// A requested undo freezes the account until it takes effect or is canceled. It outlasts the expiry of its link and a
// restore.
func TestRequestedUndo(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		db, ctx := storetest.Open(t, url), t.Context()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(db.CreateAccount(ctx, store.Account{ID: "a", Email: "a@example.com", PasswordHash: []byte{}, Epoch: 1}))
		links := map[string]store.EmailLink{}
		for _, token := range []string{"x", "y", "z"} {
			l := store.EmailLink{TokenHash: []byte(token), Purpose: store.LinkUndo, AccountID: "a", CreatedAt: at(1), ExpiresAt: at(10)}
			must(db.CreateEmailLink(ctx, l))
			links[token] = l
		}
		request := func(token string, due int) error {
			l := links[token]
			l.DueAt = at(due)
			return db.RequestUndo(ctx, l, at(5))
		}
		frozen := func(what string, want time.Time) {
			t.Helper()
			if a, err := db.GetAccount(ctx, "a"); err != nil || !a.FrozenUntil.Equal(want) {
				t.Errorf("%s: frozen until %v (%v), want %v", what, a.FrozenUntil, err, want)
			}
		}
		must(request("x", 20))
		must(request("y", 30))
		if err := request("x", 40); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("requested twice: %v", err)
		}
		frozen("two undos", at(30))
		_, err := db.DeleteExpired(ctx, store.Cutoffs{Ended: at(100)})
		must(err)
		must(db.RevokeAll(ctx, "restored", at(11)))
		if err := db.FinishUndo(ctx, links["z"], at(11)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a link that was not requested and has expired: %v", err)
		}
		for now, want := range map[int]int{19: 0, 20: 1, 30: 2} {
			if due, err := db.ListDueUndos(ctx, at(now), 9); err != nil || len(due) != want {
				t.Errorf("%d due at %d (%v), want %d", len(due), now, err, want)
			}
		}
		must(db.FinishUndo(ctx, links["x"], at(20)))
		if err := db.FinishUndo(ctx, links["x"], at(20)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("taken effect twice: %v", err)
		}
		frozen("one undo", at(30))
		if err := db.CancelUndos(ctx, "a", at(30)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("canceled when it is due: %v", err)
		}
		must(db.CancelUndos(ctx, "a", at(29)))
		frozen("no undo", time.Time{})
	})
}

// An objection, or an undo that takes effect, at the same time as another request: the account is frozen exactly as long
// as an undo is requested.
func TestUndoRequestedWhileAnotherEnds(t *testing.T) {
	for what, end := range map[string]func(tx *store.DB, l store.EmailLink) error{
		"canceled": func(tx *store.DB, l store.EmailLink) error { return tx.CancelUndos(t.Context(), "a", at(6)) },
		"finished": func(tx *store.DB, l store.EmailLink) error { return tx.FinishUndo(t.Context(), l, at(6)) },
	} {
		storetest.EachDatabase(t, func(t *testing.T, url string) {
			db, ctx := storetest.Open(t, url), t.Context()
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			must(db.CreateAccount(ctx, store.Account{ID: "a", Email: "a@example.com", PasswordHash: []byte{}, Epoch: 1}))
			request := func(tx *store.DB, token string, due int) (l store.EmailLink, err error) {
				l = store.EmailLink{
					TokenHash: []byte(token), Purpose: store.LinkUndo, AccountID: "a", CreatedAt: at(1), ExpiresAt: at(10),
				}
				err = tx.CreateEmailLink(ctx, l)
				if l.DueAt = at(due); err == nil {
					err = tx.RequestUndo(ctx, l, at(5))
				}
				return l, err
			}
			first, err := request(db, "first", 20)
			must(err)
			ended := make(chan error, 1)
			must(db.Tx(ctx, func(tx *store.DB) error {
				if _, err := request(tx, "second", 30); err != nil {
					return err
				}
				go func() { ended <- db.Tx(ctx, func(tx *store.DB) error { return end(tx, first) }) }()
				time.Sleep(300 * time.Millisecond) // it waits for the account
				return nil
			}))
			must(<-ended)
			a, err := db.GetAccount(ctx, "a")
			must(err)
			due, err := db.ListDueUndos(ctx, at(40), 9)
			if err != nil || a.FrozenUntil.IsZero() != (len(due) == 0) {
				t.Errorf("%s: frozen until %v with %d requested undos (%v)", what, a.FrozenUntil, len(due), err)
			}
		})
	}
}
