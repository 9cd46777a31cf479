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

// maxKept is the longest text that a door lets in: an address to come back to.
const maxKept = 1024

// refused are texts that no door lets in.
func refused(text string) bool {
	return len(text) > maxKept || !utf8.ValidString(text) || strings.ContainsRune(text, 0)
}

// kept writes one and another text into every column that holds what somebody typed or sent, and says how
// that went and what stands there: the same as was written, or the error. Nothing of it stays.
func kept(ctx context.Context, db *store.DB, one, other string) (said []string) {
	undo := errors.New("undo")
	err := db.Tx(ctx, func(tx *store.DB) error {
		said = nil
		must := func(err error) {
			if err != nil {
				said = append(said, err.Error())
			}
		}
		same := func(got, want any, err error) {
			if must(err); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
				said = append(said, fmt.Sprintf("got %q, want %q", got, want))
			}
		}
		a := store.Account{ID: "a", Email: one, Name: other, PasswordHash: []byte(one), Epoch: 1, CreatedAt: at(5)}
		must(tx.CreateAccount(ctx, a))
		found, err := tx.FindAccountByEmail(ctx, one)
		same(found, a, err)
		_, err = tx.FindAccountByEmail(ctx, other)
		same(errors.Is(err, store.ErrNotFound), one != other, nil)
		i := store.Attempt{ID: "i", TokenHash: []byte("i"), AccountID: "a", Epoch: 1, Purpose: store.PurposeSignIn, Address: one, UserAgent: other, ClientHints: one, ReturnTo: other, ExpiresAt: at(9), DeviceID: one, OtherAddress: other, Reason: one}
		must(tx.CreateAttempt(ctx, i))
		signIn, _, _, err := tx.LoadAttempt(ctx, i.TokenHash)
		same(signIn, i, err)
		s := store.Session{ID: "s", TokenHash: []byte("s"), AccountID: "a", Epoch: 1, AttemptID: "i", AMR: one, Address: other, UserAgent: one, ClientHints: other, LastSeenAt: at(5), ExpiresAt: at(9), DeviceID: one}
		must(tx.CreateSession(ctx, s))
		session, _, err := tx.FindSession(ctx, s.TokenHash, at(5), at(5))
		same(session, s, err)
		l := store.EmailLink{TokenHash: []byte(one), Purpose: store.LinkInvite, Email: one, AccountID: "a", FactorID: other, Name: other, ExpiresAt: at(9)}
		must(tx.CreateEmailLink(ctx, l))
		link, err := tx.FindEmailLink(ctx, l.TokenHash, at(5))
		same(link, l, err)
		mark, err := tx.GetOrSetState(ctx, one, other)
		same(mark, other, err)
		must(tx.CreateAuditEvent(ctx, store.AuditEvent{ID: "e", Kind: "session.created", Address: one, Browser: other}))
		must(tx.SpendQuota(ctx, store.Counter{Kind: "test", Subject: one}, at(9), 1, 1))
		err = tx.SpendQuota(ctx, store.Counter{Kind: "test", Subject: other}, at(9), 1, 1)
		same(errors.Is(err, store.ErrNotFound), one == other, nil)
		// The last one: PostgreSQL takes nothing more in a transaction after a conflict.
		same(errors.Is(tx.CreateAccount(ctx, store.Account{ID: "b", Email: other, PasswordHash: []byte{}}), store.ErrConflict), one == other, nil)
		return undo
	})
	if !errors.Is(err, undo) {
		said = append(said, err.Error())
	}
	return said
}

// FUZ-011: whatever text comes through the doors, it is read back as it was written, is found by
// itself and by no other text, and is the same as another in both databases or in neither.
func FuzzText(f *testing.F) {
	for _, text := range []string{
		"", "a", "A", " a", "a ", "a\t\r\n", "'; DROP TABLE accounts; --", `\`, `"`, "%", "_", "$1", "?", "{a,b}", "NULL", "\\x00", "\\u0000", "0", "1e3", "-1", "ä", "a\u0308", "\u212b", "å", "ß", "ss", "ı", "I",
		"\u200b", "\ufeffa", "\u202e", "\uffff", "\U0010ffff", "\x7f\x01\x1b[31m", "日本", "👩\u200d💻", "2026-11-05", strings.Repeat("ä", maxKept/2),
	} {
		f.Add(text, "a")
		f.Add("a\u0308", text)
	}
	lite, postgres := storetest.Open(f, filepath.Join(f.TempDir(), "twostep.db")), storetest.Open(f, storetest.NewPostgres(f))
	f.Fuzz(func(t *testing.T, one, other string) {
		if refused(one) || refused(other) {
			return
		}
		for name, db := range map[string]*store.DB{"sqlite": lite, "postgres": postgres} {
			for _, wrong := range kept(t.Context(), db, one, other) {
				t.Errorf("%s: %q, %q: %s", name, one, other, wrong)
			}
		}
	})
}
