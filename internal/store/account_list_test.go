package store_test

import (
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/store/storetest"
)

// A page of a filter that few accounts fit reads a limited number of accounts, and the next page goes on after them. In
// the order of the last sign-in it begins and ends where the filter does.
func TestListOfManyAccounts(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		db := storetest.Open(t, url)
		pad, empty := `printf('%026d', n)`, `x''`
		if strings.HasPrefix(url, "postgres") {
			pad, empty = `lpad(n::text, 26, '0')`, `''::bytea`
		}
		const numbers = `WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 6000) `
		storetest.Exec(t, url, `INSERT INTO accounts (id, email, name, given_name, family_name, profile_changed_at, role,
				password_hash, password_set_by_mail_at, password_changed_at, former_password_hash, former_password_until,
				epoch, disabled_at, created_at, group_names, frozen_until, email_second_step, last_sign_in_at) `+numbers+
			`SELECT `+pad+`, `+pad+` || '@example.com', '', '', '', 0, '', `+empty+`, 0, 0, `+empty+`, 0, 1, 0, n, '', 0, '', n
			FROM n`)
		for _, id := range []string{"00000000000000000000000002", "00000000000000000000005999"} {
			f := store.Factor{ID: id, AccountID: id, Method: "totp", Body: []byte("x")}
			if err := db.CreateFactor(t.Context(), f); err != nil {
				t.Fatal(err)
			}
		}
		for _, sort := range []store.AccountSort{store.SortEmail, store.SortCreated, store.SortLastSignIn} {
			f := store.AccountFilter{OtherMethod: true, Sort: sort, Limit: 2}
			var pages []int
			for {
				list, next, err := db.ListAccounts(t.Context(), f)
				if err != nil {
					t.Fatal(err)
				}
				if pages = append(pages, len(list)); next == nil {
					break
				}
				f.After = *next
			}
			if len(pages) != 2 || pages[0] != 1 || pages[1] != 1 {
				t.Errorf("by %s: pages of %v accounts, want two of one each", sort, pages)
			}
		}
		f := store.AccountFilter{
			SignedInSince: time.UnixMilli(10), SignedInBefore: time.UnixMilli(12), Sort: store.SortLastSignIn, Limit: 5,
		}
		list, next, err := db.ListAccounts(t.Context(), f)
		if err != nil || len(list) != 2 || next != nil || list[0].LastSignInAt.UnixMilli() != 11 {
			t.Errorf("%+v, next %v, %v", list, next, err)
		}
	})
}
