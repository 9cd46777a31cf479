package clients

import (
	"errors"
	"net/http"
	"testing"
)

var expressOpenIDConnect = &row{
	name: "express-openid-connect", version: "3.4.0", quick: true, folder: "node", run: testExpressOpenIDConnect,
}

func testExpressOpenIDConnect(t *testing.T, r *row) {
	s := newSite(t, r)
	s.register()
	s.also("listen(3000", "listen("+s.port())

	// The example of its own documentation asks for an ID token alone, as a form.
	const ours = "authorizationParams: { response_type: 'code', scope: 'openid profile email offline_access' },"
	s.also(ours, "")
	bare := s.start(nil, "node", s.file("server.mjs"))
	since := len(s.Log.String())
	s.person().open(s.app + "/")
	s.rejected(since, "response_type id_token is not enabled", `--response-type "id_token"`)
	s.set("--response-type", "id_token")
	first := s.person()
	first.says(first.open(s.app+"/"), "hello Anna")
	s.set("--response-type", "")
	bare.stop()

	delete(s.swaps, ours)
	s.start(nil, "node", s.file("server.mjs"))
	anna := s.person()
	anna.says(anna.open(s.app+"/"), "hello Anna")
	s.saw(signIn)
	anna.says(anna.open(s.app+"/userinfo"), `"email":"anna@example.com"`)
	s.saw(userinfo)
	p := anna.open(s.app + "/refresh")
	if said, err := s.userinfo(p.text); err != nil || said["email"] != "anna@example.com" {
		t.Errorf("the new access token is for %v (%v)\n%s", said, err, p.text)
	}
	s.saw(refresh)

	if p := anna.send(http.MethodGet, s.app+"/logout", nil); p.url.Path != "/signin" {
		t.Errorf("the sign-out leads to %s", p.url)
	}
	if anna.signedIn() {
		t.Error("after the sign-out, the session at the server goes on")
	}
	s.saw(signOut)

	anna.says(anna.open(s.app+"/"), "hello Anna")
	anna.signOut()
	s.until("the app knows of the sign-out", func() error {
		if p := anna.send(http.MethodGet, s.app+"/", nil); p.has("hello") {
			return errors.New("the app says hello")
		}
		return nil
	})
	s.saw(backChannel)

	s.misconfigure(func(b *person) { b.open(s.app + "/") })
}
