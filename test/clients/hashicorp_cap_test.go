package clients

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
)

var hashicorpCap = &row{
	name: "hashicorp-cap", version: "0.16.0", run: testHashicorpCap,
	without: map[step]string{refresh: "not in the example", signOut: "has none", backChannel: "has none"},
}

func testHashicorpCap(t *testing.T, r *row) {
	s := newSite(t, r)
	s.app = "http://localhost:" + s.port()
	s.swaps["http://localhost:3000"] = s.app
	s.register()
	s.also("OIDC_PORT=3000", "OIDC_PORT="+s.port())
	s.start(s.env("cap.env"), s.installed("spa"), "-scopes", "email,profile")

	anna := s.person()
	p := anna.open(s.app + "/login")
	anna.says(p)
	var said struct{ IDToken, AccessToken string }
	if err := json.Unmarshal([]byte(p.text), &said); err != nil {
		t.Fatalf("%v\n%s", err, p.text)
	}
	body, err := base64.RawURLEncoding.DecodeString(strings.Split(said.IDToken+"..", ".")[1])
	if err != nil || !strings.Contains(string(body), `"preferred_username":"anna@example.com"`) {
		t.Errorf("the ID token that the library has verified says %s (%v)", body, err)
	}
	s.saw(signIn)
	if info, err := s.userinfo(said.AccessToken); err != nil || info["email"] != "anna@example.com" {
		t.Errorf("the access token is for %v (%v)", info, err)
	}
	s.saw(userinfo)

	s.misconfigure(func(b *person) { b.open(s.app + "/login") })

}
