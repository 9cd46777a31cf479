package clients

import (
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

var springSecurity = &row{name: "spring-security", version: "Boot 4.0.7", run: testSpringSecurity}

func testSpringSecurity(t *testing.T, r *row) {
	s := newSite(t, r)
	s.register()
	s.also("server.port=8080", "server.port="+s.port())
	s.file("application.properties")
	early, err := filepath.Abs("java/Early.java")
	if err != nil {
		t.Fatal(err)
	}
	libraries := s.installed("java/lib") + "/*"
	s.tool("javac", "-parameters", "-d", ".", "-cp", libraries, s.file("App.java"), early)
	s.start(nil, "java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", // starts sooner
		"-cp", ".:"+libraries, "-Djavax.net.ssl.trustStore="+s.trustStore(),
		"-Djavax.net.ssl.trustStorePassword="+trustStorePassword, "shop.App")

	anna := s.person()
	anna.says(anna.open(s.app+"/"), "hello Anna, anna@example.com")
	s.saw(signIn)
	s.saw(userinfo) // Spring takes the claims from there
	first, second := anna.open(s.app+"/token"), anna.open(s.app+"/token")
	if said, err := s.userinfo(second.text); err != nil || said["email"] != "anna@example.com" || first.text == second.text {
		t.Errorf("the second access token is for %v (%v)\n%s\n%s", said, err, first.text, second.text)
	}
	s.saw(refresh)

	out := anna.send(http.MethodGet, s.app+"/logout", nil)
	if p := anna.submit(anna.form(out, "_csrf")); p.url.Path != "/signin" {
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

// tool runs a program in the folder of the site.
func (s *site) tool(name string, args ...string) {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), name, args...)
	cmd.Dir = s.dir
	if output, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("%s: %v\n%s", name, err, output)
	}
}

const trustStorePassword = "changeit"

// trustStore writes the certificate authorities of the tests into a file for Java.
func (s *site) trustStore() string {
	s.t.Helper()
	store := filepath.Join(s.dir, "trust.p12")
	rest, err := os.ReadFile(common.bundle)
	if err != nil {
		s.t.Fatal(err)
	}
	for n := 0; ; n++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return store
		}
		file := filepath.Join(s.dir, "trusted.pem")
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			s.t.Fatal(err)
		}
		s.tool("keytool", "-importcert", "-noprompt", "-alias", fmt.Sprint(n), "-file", file, "-keystore", store,
			"-storetype", "PKCS12", "-storepass", trustStorePassword)
	}
}
