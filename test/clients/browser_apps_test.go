package clients

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The apps that run in the browser alone. Their pages are files.
var (
	angularAuth = &row{
		name: "angular-auth-oidc-client", version: "22.0.1", folder: "angular", run: testAngularAuth,
		without: map[step]string{backChannel: "has no server"},
	}
	oidcClientTS = &row{
		name: "oidc-client-ts", version: "3.5.0", quick: true, run: testOIDCClientTS, without: map[step]string{backChannel: "has no server"},
	}
	msalBrowser = &row{
		name: "msal-browser", version: "5.30.0", run: testMSALBrowser,
		without: map[step]string{userinfo: "reads the ID token", backChannel: "has no server"},
	}
)

// serveFiles serves blocks of the guide, and the packages of npm, as the web server of an app does.
func (s *site) serveFiles(names ...string) {
	s.t.Helper()
	mux := http.NewServeMux()
	for _, name := range names {
		path := "/" + name
		if name == "index.html" {
			path = "/{$}"
		}
		text := s.text(name)
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Write([]byte(text))
		})
	}
	mux.Handle("GET /node_modules/", http.FileServer(http.Dir(s.installed("node"))))
	l, err := net.Listen("tcp", s.listen)
	if err != nil {
		s.t.Fatal(err)
	}
	server := &http.Server{Handler: mux}
	go server.Serve(l)
	s.t.Cleanup(func() { server.Close() })
}

// inBrowser signs in, renews, and signs out, with the buttons that each of the pages has.
func (s *site) inBrowser() *tab {
	s.t.Helper()
	s.register()
	b := s.tab()
	s.serveFiles(s.names("html")...)
	b.open(s.app)
	b.sees("nobody is signed in")
	b.click("login")
	b.signIn()
	b.sees("hello Anna <anna@example.com>")
	s.saw(signIn)

	const token = `document.getElementById("user").dataset.token`
	old := b.value(token)
	b.click("renew")
	b.until(token + ` !== "" && ` + token + ` !== "` + old + `"`)
	if said, err := s.userinfo(b.value(token)); err != nil || said["email"] != "anna@example.com" {
		s.t.Errorf("the new access token is for %v (%v)", said, err)
	}
	s.saw(refresh)
	return b
}

// leave signs out, and then wants the log to name a wrong redirect.
func (s *site) leave(b *tab) {
	s.t.Helper()
	b.click("logout")
	b.sees("nobody is signed in")
	b.open(s.URL + "/settings")
	b.until(`location.pathname === "/signin"`)
	s.saw(signOut)

	s.wrongRedirect(func() {
		b.open(s.app)
		b.sees("nobody is signed in")
		b.click("login")
		b.until(`location.pathname === "/oauth2/authorize"`)
	})
}

// testAngularAuth bundles the program of the guide, as the Angular CLI does. That its templates are compiled in the
// browser spares the test the rest of the CLI.
func testAngularAuth(t *testing.T, r *row) {
	s := newSite(t, r)
	s.file("main.ts")
	for name, text := range map[string]string{
		"entry.ts":      "import '@angular/compiler';\nimport './main';\n",
		"tsconfig.json": `{"compilerOptions": {"target": "es2022", "experimentalDecorators": true, "useDefineForClassFields": false}}`,
	} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	bundle := exec.CommandContext(t.Context(), s.installed("angular/node_modules/.bin/esbuild"), "entry.ts", "--bundle",
		"--format=esm", "--log-level=warning")
	bundle.Dir = s.dir
	script, err := bundle.Output()
	if err != nil {
		t.Fatal(err)
	}
	s.guide.files["index.html"] = `<!doctype html><title>My app</title><link rel="icon" href="data:,"><app-root></app-root>` +
		`<script type="module">` + string(script) + `</script>`
	b := s.inBrowser()
	s.saw(userinfo) // the library loads it before it shows the user
	s.leave(b)
}

func testOIDCClientTS(t *testing.T, r *row) {
	s := newSite(t, r)
	b := s.inBrowser()
	s.saw(userinfo) // the library loads it before it shows the user

	other := s.tab()
	other.open(s.app)
	other.sees("nobody is signed in")
	other.popup("popup").signIn()
	other.sees("hello Anna <anna@example.com>")

	s.leave(b)
}

func testMSALBrowser(t *testing.T, r *row) {
	s := newSite(t, r)
	s.leave(s.inBrowser())
}

// names are those of the blocks of the guide with this ending.
func (s *site) names(ending string) (all []string) {
	for name := range s.guide.files {
		if filepath.Ext(name) == "."+ending {
			all = append(all, name)
		}
	}
	return all
}
