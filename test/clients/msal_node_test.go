package clients

import "testing"

var msalNode = &row{
	name: "msal-node", version: "7.2.3", folder: "node", run: testMSALNode,
	without: map[step]string{userinfo: "reads the ID token", backChannel: "has none"},
}

func testMSALNode(t *testing.T, r *row) {
	s := newSite(t, r)
	s.register()
	s.also("listen(3000", "listen("+s.port())
	s.start(nil, "node", s.file("server.mjs"))

	anna := s.person()
	anna.says(anna.open(s.app+"/"), "hello Anna <anna@example.com>")
	s.saw(signIn)
	p := anna.open(s.app + "/refresh")
	if said, err := s.userinfo(p.text); err != nil || said["email"] != "anna@example.com" {
		t.Errorf("the new access token is for %v (%v)\n%s", said, err, p.text)
	}
	s.saw(refresh)

	out := anna.open(s.app + "/logout")
	if p := anna.submit(anna.form(out, "post_logout_redirect_uri")); p.url.Path != "/signin" {
		t.Errorf("the sign-out leads to %s", p.url) // the app asks for a sign-in at once
	}
	if anna.signedIn() {
		t.Error("after the sign-out, the session at the server goes on")
	}
	s.saw(signOut)

	s.misconfigure(func(b *person) { b.open(s.app + "/") })
}
