package store_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/store/storetest"
)

func each(t *testing.T, f func(t *testing.T, db *store.DB)) {
	storetest.EachWay(t, func(t *testing.T, url string) { f(t, storetest.Open(t, url)) })
}

func anna(t *testing.T, db *store.DB) store.Account {
	t.Helper()
	a := store.Account{ID: "anna", Email: "anna@example.com", Name: "Anna", PasswordHash: []byte("sealed"), Epoch: 1,
		CreatedAt: at(5)}
	if err := db.CreateAccount(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	return a
}

// signIn creates an account, an attempt that expires at 1000, and its challenge with one code.
func signIn(t *testing.T, db *store.DB) (store.Attempt, store.Challenge, store.OneTimeCode) {
	t.Helper()
	a := anna(t, db)
	s := store.Attempt{ID: "s", TokenHash: []byte("token"), AccountID: a.ID, Epoch: 1, StartedAt: at(10),
		ExpiresAt: at(1000)}
	c := store.Challenge{ID: "c", AttemptID: "s", Method: "email", State: []byte{}, MessagesSent: 1, LastSentAt: at(10),
		Version: 1}
	code := store.OneTimeCode{ID: "k", ChallengeID: "c", Method: "email", MAC: []byte("mac"), MessageID: "m",
		SentAt: at(10), ExpiresAt: at(900)}
	for _, err := range []error{db.CreateAttempt(t.Context(), s), db.CreateChallenge(t.Context(), c),
		db.CreateCode(t.Context(), code)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return s, c, code
}

func TestAccount(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		want := anna(t, db)
		for _, find := range []func() (store.Account, error){
			func() (store.Account, error) { return db.GetAccount(t.Context(), "anna") },
			func() (store.Account, error) { return db.FindAccountByEmail(t.Context(), "anna@example.com") },
		} {
			got, err := find()
			if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("got %v, %v, want %v", got, err, want)
			}
		}
		if _, err := db.FindAccountByEmail(t.Context(), "Anna@example.com"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("another spelling: got %v, want ErrNotFound", err)
		}
		want.ID = "other"
		if err := db.CreateAccount(t.Context(), want); !errors.Is(err, store.ErrConflict) {
			t.Errorf("same address again: got %v, want ErrConflict", err)
		}
	})
}

// Raising the epoch ends attempts and sessions without changing their rows.
func TestEpochEndsAttemptsAndSessions(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		s, _, _ := signIn(t, db)
		if err := db.CreateSession(ctx, store.Session{ID: "x", TokenHash: []byte("in"), AccountID: "anna", Epoch: 1,
			LastSeenAt: at(10), ExpiresAt: at(1000)}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := db.FindSession(ctx, []byte("in"), time.Time{}, at(20)); err != nil {
			t.Fatalf("before: %v", err)
		}
		if err := db.SetPassword(ctx, "anna", 1, []byte("new"), time.Time{}, at(9)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := db.FindSession(ctx, []byte("in"), time.Time{}, at(20)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("session after a new password: got %v, want ErrNotFound", err)
		}
		if _, _, _, err := db.LoadAttempt(ctx, s.TokenHash); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("sign-in after a new password: got %v, want ErrNotFound", err)
		}
		if err := db.SetPassword(ctx, "anna", 1, []byte("late"), time.Time{}, at(9)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a second change from the same epoch: got %v, want ErrNotFound", err)
		}
	})
}

// A session is live until and including its expiry and its idle limit.
func TestSessionExpiry(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		anna(t, db)
		if err := db.CreateSession(t.Context(), store.Session{ID: "x", TokenHash: []byte("in"), AccountID: "anna",
			Epoch: 1, LastSeenAt: at(100), ExpiresAt: at(1000)}); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			idle, now int64
			live      bool
		}{{100, 1000, true}, {101, 1000, false}, {100, 1001, false}} {
			_, _, err := db.FindSession(t.Context(), []byte("in"), at(c.idle), at(c.now))
			if (err == nil) != c.live {
				t.Errorf("seen since %d, now %d: got %v, want live %v", c.idle, c.now, err, c.live)
			}
		}
	})
}

// race calls f n times at once and returns how often it succeeded.
func race(t *testing.T, n int, f func() error) (won int64) {
	t.Helper()
	var all sync.WaitGroup
	start := make(chan struct{})
	for range n {
		all.Go(func() {
			<-start
			switch err := f(); {
			case err == nil:
				atomic.AddInt64(&won, 1)
			case !errors.Is(err, store.ErrNotFound):
				t.Errorf("race: %v", err)
			}
		})
	}
	close(start)
	all.Wait()
	return won
}

// What may happen once happens once under concurrency.
func TestOnce(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		_, c, code := signIn(t, db)
		if err := db.CreateEmailLink(ctx, store.EmailLink{TokenHash: []byte("l"), Purpose: store.LinkReset,
			Email: "anna@example.com", ExpiresAt: at(1000)}); err != nil {
			t.Fatal(err)
		}
		c.Version++
		for _, once := range []struct {
			name string
			n    int64
			f    func() error
		}{
			{"spend guess", 1, func() error { return db.SpendGuess(ctx, store.Challenge{ID: c.ID}, 5, at(20)) }},
			{"reissue challenge", 1, func() error { return db.ReissueChallenge(ctx, c) }},
			{"use code", 1, func() error { return db.UseCode(ctx, code.ID, at(20)) }},
			{"use link", 1, func() error { return db.UseEmailLink(ctx, []byte("l"), at(20)) }},
			{"pass challenge", 1, func() error { return db.PassChallenge(ctx, c.ID, at(20)) }},
			{"finish attempt", 1, func() error { return db.FinishAttempt(ctx, "s", at(20)) }},
		} {
			if got := race(t, 40, once.f); got != once.n {
				t.Errorf("%s: %d of 40 succeeded, want %d", once.name, got, once.n)
			}
		}
	})
}

// Nothing can be spent, used or finished after it has expired. The expiry itself is included.
func TestExpiry(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		_, c, code := signIn(t, db)
		for _, late := range []error{db.SpendGuess(ctx, c, 5, at(1001)), db.UseCode(ctx, code.ID, at(901)),
			db.FinishAttempt(ctx, "s", at(1001)), db.ExtendAttempt(ctx, "s", at(2000), at(1001))} {
			if !errors.Is(late, store.ErrNotFound) {
				t.Errorf("after the end: got %v, want ErrNotFound", late)
			}
		}
		for _, last := range []error{db.SpendGuess(ctx, c, 5, at(1000)), db.UseCode(ctx, code.ID, at(900)),
			db.ExtendAttempt(ctx, "s", at(2000), at(1000)), db.FinishAttempt(ctx, "s", at(2000))} {
			if last != nil {
				t.Errorf("at the end: %v", last)
			}
		}
		if err := db.ExtendAttempt(ctx, "s", at(3000), at(1500)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("extend a finished attempt: got %v, want ErrNotFound", err)
		}
	})
}

func TestPruneCodes(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		signIn(t, db)
		for i := range int64(4) {
			c := store.OneTimeCode{ID: fmt.Sprint("k", i), ChallengeID: "c", Method: "email", MAC: []byte{},
				SentAt: at(20 + i), ExpiresAt: at(900)}
			if err := errors.Join(db.CreateCode(ctx, c), db.PruneCodes(ctx, "c", 3, at(20+i))); err != nil {
				t.Fatal(err)
			}
		}
		live, err := db.ListCodes(ctx, "c")
		live = slices.DeleteFunc(live, func(c store.SentCode) bool { return !c.UsedAt.IsZero() })
		if err != nil || len(live) != 3 || live[0].ID != "k3" || live[2].ID != "k1" {
			t.Errorf("got %v, %v, want k3, k2, k1", live, err)
		}
	})
}

func TestClaimMessage(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		for i := range 20 {
			m := store.OutboxMessage{ID: fmt.Sprint("m", i), Body: []byte("b"), State: store.MessageWaiting,
				DueAt: at(10), ExpiresAt: at(100), Urgent: true}
			if err := db.EnqueueMessage(ctx, m); err != nil {
				t.Fatal(err)
			}
		}
		var claimed sync.Map
		for race(t, 8, func() error {
			m, err := db.ClaimMessage(ctx, true, at(10), at(50))
			if _, twice := claimed.LoadOrStore(m.ID, true); err == nil && twice {
				t.Errorf("%s was claimed twice", m.ID)
			}
			return err
		}) > 0 {
		}
		n := 0
		claimed.Range(func(id, _ any) bool {
			if id != "" {
				n++
			}
			return true
		})
		if n != 20 {
			t.Errorf("claimed %d of 20", n)
		}
	})
}

// A message may be sent again after any number of known failures, after one unknown result, and never after it has
// expired.
func TestMessageRetries(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		if err := db.EnqueueMessage(ctx, store.OutboxMessage{ID: "m", Body: []byte("b"), State: store.MessageWaiting,
			DueAt: at(10), ExpiresAt: at(100)}); err != nil {
			t.Fatal(err)
		}
		var held store.Claim
		claim := func(now int64) error {
			m, err := db.ClaimMessage(ctx, false, at(now), at(now+5))
			held = m.Claim()
			return err
		}
		for now := int64(10); now < 50; now += 10 {
			if err := errors.Join(claim(now), db.RetryMessage(ctx, held, at(now+10), true)); err != nil {
				t.Fatalf("known failure at %d: %v", now, err)
			}
		}
		if err := errors.Join(claim(50), db.RetryMessage(ctx, held, at(60), false)); err != nil {
			t.Fatal(err)
		}
		if err := claim(59); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("not due yet: got %v, want ErrNotFound", err)
		}
		if err := claim(60); err != nil { // its worker dies
			t.Errorf("after one unknown result: %v", err)
		}
		if err := claim(90); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("after two unknown results: got %v, want ErrNotFound", err)
		}
		if _, err := db.ExpireMessages(ctx, at(90)); err != nil {
			t.Fatal(err)
		}
		if state, _, err := db.GetMessageState(ctx, "m"); state != store.MessageUnknown || err != nil {
			t.Errorf("state %q, %v, want unknown", state, err)
		}
	})
}

// A transaction commits all of its changes or none, and others do not see them before.
func TestTx(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		broken := errors.New("broken")
		err := db.Tx(ctx, func(tx *store.DB) error {
			anna(t, tx)
			if _, err := tx.GetAccount(ctx, "anna"); err != nil {
				t.Errorf("inside: %v", err)
			}
			if _, err := db.GetAccount(ctx, "anna"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("outside, before the commit: got %v, want ErrNotFound", err)
			}
			return broken
		})
		if !errors.Is(err, broken) {
			t.Errorf("got %v, want the error of the function", err)
		}
		if _, err := db.GetAccount(ctx, "anna"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("after a rollback: got %v, want ErrNotFound", err)
		}
	})
}

// Processes that open a new database at once migrate it once.
func TestOpenTogether(t *testing.T) {
	storetest.EachWay(t, func(t *testing.T, url string) {
		if n := race(t, 6, func() error {
			db, err := store.Open(context.Background(), url)
			if err != nil {
				return err
			}
			return db.Close()
		}); n != 6 {
			t.Errorf("%d of 6 opened", n)
		}
	})
}

// Open returns an error for a schema of a newer program.
func TestNewerSchema(t *testing.T) {
	storetest.EachWay(t, func(t *testing.T, url string) {
		storetest.Open(t, url)
		storetest.Exec(t, url, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, TRUE)`)
		if db, err := store.Open(t.Context(), url); err == nil {
			db.Close()
			t.Error("opened a database of schema 9999")
		}
	})
}

// Characters that are special in URLs are allowed in the path.
func TestOddPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "100% #1?mode=memory.db")
	anna(t, storetest.Open(t, path))
	db := storetest.Open(t, path)
	if _, err := db.GetAccount(t.Context(), "anna"); err != nil {
		t.Error(err)
	}
}

func TestDeleteExpired(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		s, _, _ := signIn(t, db)
		if n, err := db.DeleteExpired(t.Context(), store.Cutoffs{Ended: at(1000)}); n != 0 || err != nil {
			t.Errorf("too early: %d, %v", n, err)
		}
		if n, err := db.DeleteExpired(t.Context(), store.Cutoffs{Ended: at(1001)}); n != 1 || err != nil {
			t.Errorf("got %d, %v, want 1", n, err)
		}
		if _, _, _, err := db.LoadAttempt(t.Context(), s.TokenHash); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("got %v, want ErrNotFound", err)
		}
		if _, err := db.FindChallenge(t.Context(), s.ID); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("its challenge: got %v, want ErrNotFound", err)
		}
	})
}

// Trusted networks are deleted at Cutoffs.Trust, trust decisions at Cutoffs.Decisions, and devices that have expired with
// all that refers to them at Cutoffs.Ended.
func TestDeleteExpiredTrust(t *testing.T) {
	storetest.EachWay(t, func(t *testing.T, url string) {
		db := storetest.Open(t, url)
		ctx := t.Context()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(db.CreateAccount(ctx, store.Account{ID: "a", Email: "anna@example.com", PasswordHash: []byte{}, Epoch: 1}))
		for i, id := range []string{"old", "new"} {
			must(db.CreateDevice(ctx, store.Device{ID: id, Series: []byte(id), Secret: []byte("s"),
				ExpiresAt: at(int64(100 + 100*i))}))
			must(db.SaveKnownDevice(ctx, id, "a", at(1)))
			must(db.CreateTrustedNetwork(ctx, store.TrustedNetwork{ID: "early " + id, DeviceID: id, AccountID: "a",
				Epoch: 1, Body: []byte("b"), VerifiedAt: at(10)}))
			must(db.CreateTrustedNetwork(ctx, store.TrustedNetwork{ID: "late " + id, DeviceID: id, AccountID: "a",
				Epoch: 1, Body: []byte("b"), VerifiedAt: at(20)}))
			_, err := db.CreateTrustDecision(ctx, store.TrustDecision{ID: id, DecidedAt: at(int64(10 + 10*i)),
				AccountID: "a", Reason: "none", Body: []byte("b")}, 9)
			must(err)
		}
		count := func(networks, decisions, devices, known int) {
			t.Helper()
			for table, want := range map[string]int{
				"trusted_networks": networks, "trust_decisions": decisions, "devices": devices, "known_devices": known,
			} {
				if n := storetest.CountRows(t, url, table); n != want {
					t.Errorf("%d %s, want %d", n, table, want)
				}
			}
		}
		_, err := db.DeleteExpired(ctx, store.Cutoffs{Trust: at(10), Decisions: at(10)})
		must(err)
		count(4, 2, 2, 2)
		_, err = db.DeleteExpired(ctx, store.Cutoffs{Trust: at(20)})
		must(err)
		count(2, 2, 2, 2)
		_, err = db.DeleteExpired(ctx, store.Cutoffs{Decisions: at(20)})
		must(err)
		count(2, 1, 2, 2)
		_, err = db.DeleteExpired(ctx, store.Cutoffs{Ended: at(150)})
		must(err)
		count(1, 1, 1, 1)
	})
}

// Concurrent rotations replace the secrets of a device once.
func TestRotateDeviceSecrets(t *testing.T) {
	storetest.EachWay(t, func(t *testing.T, url string) {
		db := storetest.Open(t, url)
		was := store.Device{ID: "d", Series: []byte("series"), Secret: []byte("first"), ExpiresAt: at(1000)}
		if err := db.CreateDevice(t.Context(), was); err != nil {
			t.Fatal(err)
		}
		var won atomic.Int64
		var all sync.WaitGroup
		for i := range 16 {
			all.Go(func() {
				is := was
				is.NextSecret = []byte{byte('a' + i)}
				switch err := db.RotateDeviceSecrets(t.Context(), was, is); {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, store.ErrNotFound):
					t.Error(err)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 {
			t.Errorf("%d of 16 won", won.Load())
		}
	})
}

// A table with many expired rows does not keep the others waiting: the statements take turns.
func TestExpiredRowsTakeTurns(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		db := storetest.Open(t, url)
		const many = 200
		for i := range many {
			one := store.BudgetEntry{ID: fmt.Sprint(i), Budget: "anna", Kind: store.EntrySend, CreatedAt: at(1)}
			if err := db.CreateBudgetEntry(t.Context(), one); err != nil {
				t.Fatal(err)
			}
		}
		recorder := storetest.Record(t, db)
		n, err := db.DeleteExpired(t.Context(), store.Cutoffs{Ended: at(2)})
		if err != nil || n != many {
			t.Fatalf("%d rows were deleted, want %d: %v", n, many, err)
		}
		var order []string
		for _, s := range recorder.Statements() {
			for _, table := range []string{"guess_budget_entries", "outbox_messages"} {
				if strings.HasPrefix(s.Query, "DELETE FROM "+table) && !strings.Contains(s.Query, "NOT IN ('send'") {
					order = append(order, table)
				}
			}
		}
		if len(order) < 4 || order[0] != "guess_budget_entries" || order[1] != "outbox_messages" ||
			slices.Contains(order[2:], "outbox_messages") {
			t.Errorf("the order is %q, want many steps for the guess budgets, and the messages after the first", order)
		}
	})
}
