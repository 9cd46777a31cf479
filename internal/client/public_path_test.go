package client

import "testing"

// A public path is refused if it would not match what it seems to name.
func TestPublicPaths(t *testing.T) {
	app := Client{ID: "wiki", Hosts: []string{"wiki.example", "wiki.example:8443"}}
	for entry, want := range map[string]bool{
		"/hooks/*": true, "/hooks/": true, "/status": true, "/": true, "POST /hooks/*": true, "GET /*": true,
		"M-SEARCH /x": true, "wiki.example/hooks/*": true, "GET wiki.example:8443/a": true, "/@anna/~x/a:b=c": true,

		"": false, "hooks": false, "*": false, "/*": false, "wiki.example/*": false, "/hooks*": false, "/*/hooks": false,
		"/a/*/b": false, "/hooks/**": false, "/a//b": false, "/a/../b": false, "/a/.": false, "/%61": false, "/a;b": false,
		`/a\b`: false, "/a?b": false, "/a#b": false, "/ü": false, "/a b": false, "get /a": false, "GET  /a": false,
		"GET,POST /a": false, "other.example/a": false, "https://wiki.example/a": false, "WIKI.example/a": false,
		"/.twostep/enter": false, "/.twostep/*": false, "GET /.twostep/x": false,
	} {
		app.PublicPaths = []string{entry}
		if err := app.Validate(); (err == nil) != want {
			t.Errorf("%q: %v", entry, err)
		}
	}
	app = Client{ID: "wiki", RedirectURIs: []string{"https://wiki.example/"}, PublicPaths: []string{"/hooks/*"}}
	if app.Validate() == nil {
		t.Error("an app without hosts may have public paths")
	}
	app = Client{ID: "wiki", Hosts: []string{"wiki.example"}, HeaderEncoding: "latin1"}
	if app.Validate() == nil {
		t.Error("an unknown encoding is accepted")
	}
}
