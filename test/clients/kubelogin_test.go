package clients

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var kubelogin = &row{
	name: "kubelogin", version: "1.28.0", run: testKubelogin,
	without: map[step]string{userinfo: "reads the ID token", signOut: "has none", backChannel: "has no server"},
}

// testKubelogin gets tokens in a browser, with the code of a device, and with the refresh token.
func testKubelogin(t *testing.T, r *row) {
	s := newSite(t, r)
	s.app = "http://localhost:" + s.port()
	s.swaps["http://localhost:8000"] = s.app
	s.register()
	getToken := func(cache string, more ...string) *program {
		var words []string
		for _, line := range strings.Split(s.text("kubeconfig-user.yaml"), "\n") {
			if word, ok := strings.CutPrefix(strings.TrimSpace(line), "- --"); ok {
				words = append(words, "--"+word)
			}
		}
		words = append(words, "--token-cache-dir", filepath.Join(s.dir, cache))
		return s.launch(nil, s.installed("kubelogin"), append(append([]string{"get-token"}, words...), more...)...)
	}
	inBrowser := []string{"--listen-address", s.listen, "--skip-open-browser"} // the test is the browser

	p := getToken("browser", inBrowser...)
	s.said(p, s.app)
	anna := s.person()
	anna.open(s.app + "/")
	first := s.credential(p)
	s.saw(signIn)

	if again := s.credential(getToken("browser", "--force-refresh")); again == first {
		t.Error("a forced refresh gives the same ID token")
	}
	s.saw(refresh)

	p = getToken("device", strings.TrimPrefix(strings.TrimSpace(s.text("without-browser.yaml")), "- "), "--skip-open-browser")
	link := s.said(p, regexp.QuoteMeta(s.URL)+`/device\?user_code=[A-Z-]+`)
	shown := anna.open(link)
	asked := anna.submit(anna.form(shown, "user_code"))
	anna.submit(anna.form(asked, "request"), "answer", "allow")
	s.credential(p)

	s.wrongRedirect(func() {
		bad := getToken("none", inBrowser...)
		s.said(bad, s.app)
		s.person().open(s.app + "/")
		bad.stop()
	})
}

// said waits until a program has printed what matches a pattern, and returns it.
func (s *site) said(p *program, pattern string) (text string) {
	s.t.Helper()
	s.until("the program says "+pattern, func() error {
		if text = regexp.MustCompile(pattern).FindString(p.said.String()); text == "" {
			return fmt.Errorf("it says %s", p.said.String())
		}
		return nil
	})
	return text
}

// credential returns the ID token that kubelogin has printed for kubectl, which must be Anna's.
func (s *site) credential(p *program) string {
	s.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		s.t.Fatalf("kubelogin does not end:\n%s", p.said.String())
	}
	out := p.said.String()
	var said struct{ Status struct{ Token string } }
	if err := json.Unmarshal([]byte(out[strings.Index(out, "{"):]), &said); err != nil {
		s.t.Fatalf("%v\n%s", err, out)
	}
	body, err := base64.RawURLEncoding.DecodeString(strings.Split(said.Status.Token+"..", ".")[1])
	if err != nil || !strings.Contains(string(body), `"email":"anna@example.com"`) {
		s.t.Errorf("the ID token says %s (%v)", body, err)
	}
	return said.Status.Token
}
