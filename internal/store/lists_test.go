package store_test

import (
	"fmt"
	"testing"

	"twostep.example/twostep/internal/store"
)

// The lists of the settings pages do not grow with what has ended: revoked trust, and the grants of each sign-in to an
// app.
func TestListsOfSettingsAreBounded(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		a := anna(t, db)
		if err := db.CreateDevice(ctx, store.Device{ID: "d", Series: []byte("d"), Secret: []byte("d")}); err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			id := fmt.Sprintf("n%02d", i)
			n := store.TrustedNetwork{ID: id, DeviceID: "d", AccountID: a.ID, Epoch: 1, Body: []byte{}, VerifiedAt: at(i)}
			if i == 18 {
				n.Epoch = 0
			}
			if err := db.CreateTrustedNetwork(ctx, n); err != nil {
				t.Fatal(err)
			}
			if i < 17 {
				if err := db.RevokeDeviceTrust(ctx, "d", a.ID, "removed", at(50)); err != nil {
					t.Fatal(err)
				}
			}
			g := store.Grant{
				ID: id, ClientID: "wiki", AccountID: a.ID, Epoch: 1, Scope: "openid", CodeHash: []byte(id), CreatedAt: at(i),
				ExpiresAt: at(1000), Offline: true,
			}
			switch i {
			case 3:
				g.ClientID = "mail"
			case 7:
				g.Scope = "openid email"
			case 19:
				g.ExpiresAt = at(50)
			}
			if err := db.CreateGrant(ctx, g); err != nil {
				t.Fatal(err)
			}
		}
		networks, err := db.ListLiveTrustedNetworks(ctx, a.Ref())
		if err != nil || len(networks) != 2 || networks[0].ID != "n17" || networks[1].ID != "n19" {
			t.Errorf("live trusted networks: %v, %v", networks, err)
		}
		if all, err := db.ListTrustedNetworks(ctx, a.ID); err != nil || len(all) != 20 {
			t.Errorf("%d trusted networks, %v", len(all), err)
		}
		scopes, err := db.ListGrantedScopes(ctx, a.ID, at(100))
		got := ""
		for _, s := range scopes {
			got += fmt.Sprintln(s.ClientID, s.Scope, s.CreatedAt.UnixMilli())
		}
		const want = "wiki openid 18\nwiki openid email 7\nmail openid 3\n"
		if err != nil || got != want {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	})
}
