package store_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/store/storetest"
)

// maxText is the longest text that the HTTP handlers accept: a return target.
const maxText = 1024

// rejected reports whether the HTTP handlers reject text.
func rejected(text string) bool {
	return len(text) > maxText || !utf8.ValidString(text) || strings.ContainsRune(text, 0)
}

// roundTrip writes two texts into every column that holds what a client sent, reads them back, and returns what was
// wrong. It rolls back its changes.
func roundTrip(ctx context.Context, db *store.DB, one, other string) (problems []string) {
	undo := errors.New("undo")
	err := db.Tx(ctx, func(tx *store.DB) error {
		problems = nil
		must := func(err error) {
			if err != nil {
				problems = append(problems, err.Error())
			}
		}
		same := func(got, want any, err error) {
			if must(err); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
				problems = append(problems, fmt.Sprintf("got %q, want %q", got, want))
			}
		}
		a := store.Account{ID: "a", Email: one, Name: other, GivenName: one, FamilyName: other, PasswordHash: []byte(one), Epoch: 1, CreatedAt: at(5)}
		must(tx.CreateAccount(ctx, a))
		found, err := tx.FindAccountByEmail(ctx, one)
		same(found, a, err)
		_, err = tx.FindAccountByEmail(ctx, other)
		same(errors.Is(err, store.ErrNotFound), one != other, nil)
		i := store.Attempt{ID: "i", TokenHash: []byte("i"), AccountID: "a", Epoch: 1, Purpose: store.PurposeSignIn,
			Address: one, UserAgent: other, ClientHints: one, ExpiresAt: at(9), DeviceID: one,
			OtherAddress: other, Reason: one}
		must(tx.CreateAttempt(ctx, i))
		signIn, _, _, err := tx.LoadAttempt(ctx, i.TokenHash)
		same(signIn, i, err)
		s := store.Session{ID: "s", TokenHash: []byte("s"), AccountID: "a", Epoch: 1, AttemptID: "i", AMR: one,
			Address: other, UserAgent: one, ClientHints: other, LastSeenAt: at(5), ExpiresAt: at(9), DeviceID: one}
		must(tx.CreateSession(ctx, s))
		session, _, err := tx.FindSession(ctx, s.TokenHash, at(5), at(5))
		same(session, s, err)
		l := store.EmailLink{TokenHash: []byte(one), Purpose: store.LinkInvite, Email: one, AccountID: "a",
			FactorID: other, Names: store.Names{Name: other, GivenName: one, FamilyName: other}, ExpiresAt: at(9)}
		must(tx.CreateEmailLink(ctx, l))
		link, err := tx.FindEmailLink(ctx, l.TokenHash, at(5))
		same(link, l, err)
		state, err := tx.GetOrSetState(ctx, one, other)
		same(state, other, err)
		_, err = tx.CreateAuditEvent(ctx, store.AuditEvent{Kind: "session.created", ActorType: "person", Address: one,
			Browser: other}, at(5))
		must(err)
		must(tx.SpendQuota(ctx, store.Counter{Kind: "test", Subject: one}, at(9), 1, 1))
		err = tx.SpendQuota(ctx, store.Counter{Kind: "test", Subject: other}, at(9), 1, 1)
		same(errors.Is(err, store.ErrNotFound), one == other, nil)
		// This is last, because a conflict aborts a transaction of PostgreSQL.
		same(errors.Is(tx.CreateAccount(ctx, store.Account{ID: "b", Email: other, PasswordHash: []byte{}}),
			store.ErrConflict), one == other, nil)
		return undo
	})
	if !errors.Is(err, undo) {
		problems = append(problems, err.Error())
	}
	return problems
}

// Every text that the HTTP handlers accept is read back as it was written, is found by itself and by no other
// text, and is equal to another text in both databases or in neither.
func FuzzText(f *testing.F) {
	for _, text := range []string{
		"", "a", "A", " a", "a ", "a\t\r\n", "'; DROP TABLE accounts; --", `\`, `"`, "%", "_", "$1", "?", "{a,b}",
		"NULL", "\\x00", "\\u0000", "0", "1e3", "-1", "ä", "a\u0308", "\u212b", "å", "ß", "ss", "ı", "I",
		"\u200b", "\ufeffa", "\u202e", "\uffff", "\U0010ffff", "\x7f\x01\x1b[31m", "日本", "👩\u200d💻", "2026-11-05",
		strings.Repeat("ä", maxText/2),
	} {
		f.Add(text, "a")
		f.Add("a\u0308", text)
	}
	lite, postgres := storetest.Open(f, filepath.Join(f.TempDir(), "twostep.db")), storetest.Open(f,
		storetest.NewPostgres(f))
	f.Fuzz(func(t *testing.T, one, other string) {
		if rejected(one) || rejected(other) {
			return
		}
		for name, db := range map[string]*store.DB{"sqlite": lite, "postgres": postgres} {
			for _, wrong := range roundTrip(t.Context(), db, one, other) {
				t.Errorf("%s: %q, %q: %s", name, one, other, wrong)
			}
		}
	})
}
