package e2e

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/test/e2e/live"
)

// With npm's openid-client: by a pushed request and an answer as a form, and it asks whether the
// proof is fresh. Its port is whatever the machine gives it: on loopback that is no other address.
func TestClientNode(t *testing.T) {
	t.Parallel()
	secret, hash := twostep.NewAppSecret()
	app := twostep.App{ID: "node", SecretHashes: []string{hash}, RedirectURIs: []string{"http://127.0.0.1:9/callback"}, PostLogoutRedirectURIs: []string{"http://127.0.0.1:9/"}}
	s := live.Start(t, "", func(o *twostep.Options) { o.Apps = []twostep.App{app} })
	roots := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(roots, s.Certificate(), 0o600); err != nil {
		t.Fatal(err)
	}
	url := startNode(t, "NODE_EXTRA_CA_CERTS="+roots, "ISSUER="+s.URL, "CLIENT_ID=node", "CLIENT_SECRET="+secret)
	w := newWalker(t, s)
	a := w.to(url + "/signin")
	w.says(a, url, live.AnnaEmail)
	var said struct {
		Claims, Fresh, Info claims
		Shown               struct {
			Active bool
			ACR    string
		}
		Ended any
	}
	if err := json.Unmarshal([]byte(a.Body), &said); err != nil {
		t.Fatal(err)
	}
	got := said.Claims
	if got.ACR != "urn:twostep:acr:email" || !slices.Equal(got.AMR, []string{"pwd", "email"}) || got.Nonce == "" || got.Hash == "" || got.SID == "" || time.Since(time.Unix(got.At, 0)) > time.Minute {
		t.Errorf("claims: %s", a.Body)
	}
	if said.Info.Subject != got.Subject || said.Info.Name != "Anna" || said.Fresh.Subject != got.Subject || said.Fresh.At != got.At || !said.Shown.Active || said.Shown.ACR != got.ACR || said.Ended != "invalid_grant" {
		t.Errorf("and then: %s", a.Body)
	}
	w.says(w.to(url+"/signout"), url, "Nobody is in.")
	if a := w.Get("/settings"); a.StatusCode != http.StatusSeeOther {
		t.Errorf("after signing out in the app the settings answer %d", a.StatusCode)
	}
}

// startNode runs the app in testdata, and returns its address.
func startNode(t *testing.T, env ...string) (url string) {
	t.Helper()
	if _, err := os.Stat("../../build/node_modules/openid-client"); err != nil {
		t.Fatal("there is no openid-client: run make test, it installs what the tests need")
	}
	c := exec.Command("node", "testdata/openid-client.mjs")
	c.Env = append(os.Environ(), env...)
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	c.Stderr = os.Stderr
	stdout, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	late := time.AfterFunc(patience, func() { c.Process.Kill() }) // ends the reading below
	defer late.Stop()
	said, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the app does not start: %v", err)
	}
	return strings.TrimSpace(said)
}
