package clients

import "testing"

var passportOpenIDConnect = &row{
	name: "passport-openidconnect", version: "0.1.2", folder: "node", run: testPassportOpenIDConnect,
	without: map[step]string{refresh: "keeps no tokens", backChannel: "has none"},
}

func testPassportOpenIDConnect(t *testing.T, r *row) {
	s := newSite(t, r)
	s.register()
	s.also("listen(3000", "listen("+s.port())

	// The example of its own documentation sends neither PKCE nor a nonce.
	s.swaps["nonce: true"] = "nonce: false"
	bare := s.start(nil, "node", s.file("server.mjs"))
	s.withoutPKCE(func(anna *person) page { return anna.open(s.app + "/login") }, "hello Anna <anna@example.com>")
	bare.stop()

	delete(s.swaps, "nonce: true")
	s.start(nil, "node", s.file("server.mjs"))
	anna := s.person()
	anna.says(anna.open(s.app+"/login"), "hello Anna <anna@example.com>")
	s.saw(signIn)
	s.saw(userinfo) // the strategy takes the profile from there

	out := anna.open(s.app + "/logout")
	anna.says(anna.submit(anna.form(out, "post_logout_redirect_uri")), "nobody is signed in")
	if anna.signedIn() {
		t.Error("after the sign-out, the session at the server goes on")
	}
	s.saw(signOut)

	s.misconfigure(func(b *person) { b.open(s.app + "/login") })
}
