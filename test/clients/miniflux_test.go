package clients

import (
	"testing"

	"twostep.example/twostep/internal/store/storetest"
)

var miniflux = &row{
	name: "miniflux", version: "2.3.5", run: testMiniflux,
	without: map[step]string{refresh: "keeps no tokens", backChannel: "has none"},
}

func testMiniflux(t *testing.T, r *row) {
	s := newSite(t, r)
	s.register()
	env := append(s.env("miniflux.env"), "LISTEN_ADDR="+s.listen, "RUN_MIGRATIONS=1",
		"DATABASE_URL="+storetest.NewPostgres(t))
	s.start(env, s.installed("miniflux.app"))

	anna := s.person()
	enter := func(b *person) page { return b.open(s.app + "/oauth2/oidc/redirect") }
	anna.says(enter(anna), "anna@example.com")
	s.saw(signIn)
	s.saw(userinfo) // Miniflux takes the profile from there

	p := anna.submit(anna.form(anna.open(s.app+"/"), "csrf"))
	anna.says(p)
	s.saw(signOut)

	s.misconfigure(func(b *person) { enter(b) })
}
