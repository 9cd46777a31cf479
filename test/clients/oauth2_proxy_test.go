package clients

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

var oauth2Proxy = &row{
	name: "oauth2-proxy", version: "7.15.6", quick: true, run: testOAuth2Proxy,
	without: map[step]string{backChannel: "has none"},
}

// testOAuth2Proxy signs in to an app that knows nothing of sign-ins, behind oauth2-proxy.
func testOAuth2Proxy(t *testing.T, r *row) {
	s := newSite(t, r)
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "user=%s email=%s name=%s", r.Header.Get("X-Forwarded-User"), r.Header.Get("X-Forwarded-Email"),
			r.Header.Get("X-Forwarded-Preferred-Username"))
	}))
	t.Cleanup(behind.Close)
	s.register()
	s.also("127.0.0.1:4180", s.listen)
	s.also("http://127.0.0.1:8000", behind.URL)
	s.also(`cookie_refresh = "1m"`, `cookie_refresh = "1s"`)

	// The example of its own documentation has no PKCE.
	enter := func(b *person) page { return b.open(s.app + "/oauth2/start?rd=/") }
	s.swaps[`code_challenge_method = "S256"`] = ""
	bare := s.start(nil, s.installed("oauth2-proxy"), "--config", s.file("oauth2-proxy.cfg"))
	s.withoutPKCE(enter, "email=anna@example.com")
	bare.stop()

	delete(s.swaps, `code_challenge_method = "S256"`)
	s.start(nil, s.installed("oauth2-proxy"), "--config", s.file("oauth2-proxy.cfg"))
	anna := s.person()
	anna.says(enter(anna), "email=anna@example.com", "name=anna@example.com")
	s.saw(signIn)

	tokens := s.requests("/oauth2/token", http.StatusOK)
	s.until("oauth2-proxy refreshes", func() error {
		anna.says(anna.open(s.app+"/"), "email=anna@example.com")
		if n := s.requests("/oauth2/token", http.StatusOK); n == tokens {
			return fmt.Errorf("%d requests for tokens", n)
		}
		return nil
	})
	s.saw(refresh)
	info := anna.open(s.app + "/oauth2/userinfo")
	anna.says(info, `"email":"anna@example.com"`)
	s.saw(userinfo)

	out := anna.open(s.app + s.text("sign-out.txt"))
	anna.submit(anna.form(out, "post_logout_redirect_uri")) // oauth2-proxy sends no id_token_hint, so a page asks
	if p := anna.send(http.MethodGet, s.app+"/", nil); strings.Contains(p.text, "anna@") {
		t.Errorf("after the sign-out, oauth2-proxy still lets in: %s", p.text)
	}
	if anna.signedIn() {
		t.Error("after the sign-out, the session at the server goes on")
	}
	s.saw(signOut)

	s.misconfigure(func(b *person) { b.open(s.app + "/oauth2/start") })
}
