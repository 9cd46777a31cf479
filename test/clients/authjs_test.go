package clients

import (
	"net/http"
	"testing"
)

var authJS = &row{
	name: "authjs", version: "0.12.3", folder: "node", run: testAuthJS,
	without: map[step]string{
		refresh: "by hand, in a callback of the app", userinfo: "reads the ID token", backChannel: "has none",
	},
}

func testAuthJS(t *testing.T, r *row) {
	s := newSite(t, r)
	s.register()
	s.also("listen(3000", "listen("+s.port())
	s.start(s.env("authjs.env"), "node", s.file("server.mjs"))

	enter := func(b *person) page {
		return b.on(b.submit(b.form(b.open(s.app+"/auth/signin"), "csrfToken")))
	}
	anna := s.person()
	anna.says(enter(anna))
	anna.says(anna.open(s.app+"/"), "hello Anna <anna@example.com>")
	s.saw(signIn)

	anna.submit(anna.form(anna.open(s.app+"/auth/signout"), "csrfToken"))
	anna.says(anna.send(http.MethodGet, s.app+"/", nil), "nobody is signed in")
	s.saw(signOut)

	s.misconfigure(func(b *person) { enter(b) })
}
