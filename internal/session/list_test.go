package session_test

import (
	"testing"
	"time"

	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/store/storetest"
)

// The pages of ListOthers have every live session of the person but their own once, on both databases.
func TestListOthers(t *testing.T) {
	now := time.Date(2026, 11, 5, 10, 2, 11, 0, time.UTC)
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		db := storetest.Open(t, url)
		at := func(s int) time.Time { return now.Add(time.Duration(s) * time.Second) }
		for _, id := range []string{"A", "B"} {
			a := store.Account{ID: id, Email: id, Epoch: 1, PasswordHash: []byte{}}
			if err := db.CreateAccount(t.Context(), a); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 25 {
			id := string(rune('A' + i))
			row := store.Session{
				ID: id, TokenHash: []byte(id), AccountID: "A", Epoch: 1,
				StartedAt: at(i / 2), AuthenticatedAt: at(i / 2), LastSeenAt: at(0), ExpiresAt: at(100),
			}
			switch id {
			case "C":
				row.AccountID = "B"
			case "D":
				row.Epoch = 0
			case "E":
				row.ExpiresAt = at(-1)
			case "F":
				row.LastSeenAt = at(-3601)
			}
			if err := db.CreateSession(t.Context(), row); err != nil {
				t.Fatal(err)
			}
		}
		s := session.Sessions{Store: db, Now: func() time.Time { return now }, Idle: time.Hour}
		who := session.Session{ID: "G", Account: session.Account{ID: "A"}}
		var got string
		var before session.Cursor
		for {
			list, err := s.ListOthers(t.Context(), who, before, 4)
			if err != nil {
				t.Fatal(err)
			}
			if len(list) == 0 {
				break
			}
			for _, one := range list {
				got += one.ID
				if again, ok := session.ParseCursor(one.Cursor().String()); !ok || !again.At.Equal(one.StartedAt) {
					t.Errorf("the cursor of %s is %s", one.ID, one.Cursor())
				}
			}
			before = list[len(list)-1].Cursor()
		}
		if got != "YXWVUTSRQPONMLKJIHBA" {
			t.Errorf("got %s", got)
		}
	})
}
