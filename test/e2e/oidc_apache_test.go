package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
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

// With Debian's mod_auth_openidc: a folder of a web server is for people who have signed in here.
// It refreshes, signs out, and hears of a sign-out by the back channel.
func TestClientApache(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	site := "http://localhost:" + port
	secret, hash := twostep.NewAppSecret()
	app := twostep.App{ID: "apache", SecretHashes: []string{hash}, RedirectURIs: []string{site + "/private/back"}, PostLogoutRedirectURIs: []string{site + "/"}, BackChannelLogoutURI: site + "/private/back?logout=backchannel"}
	s := live.Start(t, "", func(o *twostep.Options) { o.Apps = []twostep.App{app} })
	startApache(t, s, port, secret)
	w := newWalker(t, s)
	w.says(w.to(site+"/private/"), site, "For members.")

	before := w.info(site)
	got := before.IDToken
	if got.ACR != "urn:twostep:acr:email" || !slices.Equal(got.AMR, []string{"pwd", "email"}) || got.Nonce == "" || got.Hash == "" || got.SID == "" || time.Since(time.Unix(got.At, 0)) > time.Minute || before.UserInfo.Email != live.AnnaEmail {
		t.Errorf("%+v", before)
	}
	w.says(w.to(site+"/private/back?"+url.Values{"refresh": {site + "/private/"}, "access_token": {before.AccessToken}}.Encode()), site, "For members.")
	if after := w.info(site); after.AccessToken == before.AccessToken || after.RefreshToken == before.RefreshToken || after.IDToken.Subject != got.Subject || after.IDToken.At != got.At {
		t.Errorf("refreshed: %+v\nbefore: %+v", after, before)
	}
	w.says(w.to(site+"/private/back?"+url.Values{"logout": {site + "/"}}.Encode()), site, "Nobody is in.")
	if a := w.Get("/settings"); a.StatusCode != http.StatusSeeOther {
		t.Errorf("after signing out in the app the settings answer %d", a.StatusCode)
	}

	w.says(w.to(site+"/private/"), site, "For members.")
	w.Post("/signout")
	for late := time.Now().Add(patience); w.send(http.MethodGet, site+"/private/", nil).StatusCode == http.StatusOK; {
		if time.Now().After(late) {
			t.Fatal("the web server did not hear of the sign-out")
		}
	}
}

// apacheInfo is what the module tells an app of its own session.
type apacheInfo struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	IDToken      claims `json:"id_token"`
	UserInfo     claims `json:"userinfo"`
}

func (w *walker) info(site string) (i apacheInfo) {
	w.t.Helper()
	a := w.send(http.MethodGet, site+"/private/back?info=json", nil)
	if err := json.Unmarshal([]byte(a.Body), &i); err != nil {
		w.t.Fatalf("%v: %d %s", err, a.StatusCode, a.Body)
	}
	return i
}

const apacheConfig = `
ServerRoot %[1]s
DefaultRuntimeDir %[1]s
PidFile %[1]s/pid
ErrorLog %[1]s/error.log
ServerName localhost
Listen 127.0.0.1:%[2]s
User www-data
Group www-data
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authn_core_module /usr/lib/apache2/modules/mod_authn_core.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule authz_user_module /usr/lib/apache2/modules/mod_authz_user.so
LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so
LoadModule auth_openidc_module /usr/lib/apache2/modules/mod_auth_openidc.so
StartServers 1
DocumentRoot %[1]s/www
DirectoryIndex index.html
OIDCProviderMetadataURL %[3]s/.well-known/openid-configuration
OIDCCABundlePath %[1]s/roots.pem
OIDCClientID apache
OIDCClientSecret %[4]s
OIDCRedirectURI http://localhost:%[2]s/private/back
OIDCCryptoPassphrase %[4]s
OIDCScope "openid email profile offline_access"
OIDCPKCEMethod S256
OIDCCookieSameSite On
OIDCInfoHook access_token id_token userinfo refresh_token
<Location /private/>
	AuthType openid-connect
	Require valid-user
</Location>
`

// startApache serves two pages, one of them for people who are in.
func startApache(t *testing.T, s *live.Server, port, secret string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "twostep-apache-") // the test's own folder is for its owner alone, and Apache becomes somebody else
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	err = os.Chmod(dir, 0o755)
	for name, text := range map[string]string{
		"www/index.html": "Nobody is in.", "www/private/index.html": "For members.", "roots.pem": string(s.Certificate()),
		"apache.conf": fmt.Sprintf(apacheConfig, dir, port, s.URL, secret),
	} {
		if err == nil {
			err = os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	c := exec.Command("/usr/sbin/apache2", "-f", filepath.Join(dir, "apache.conf"), "-D", "FOREGROUND")
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} // so it ends its children too
	c.Stdout, c.Stderr = &said, &said
	if err := c.Start(); err != nil {
		t.Fatalf("%v: run make test, it installs what the tests need", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	t.Cleanup(func() {
		c.Process.Signal(syscall.SIGTERM)
		<-ended
		if log, err := os.ReadFile(filepath.Join(dir, "error.log")); err == nil && t.Failed() {
			t.Logf("%s", log)
		}
	})
	look, late := time.NewTicker(20*time.Millisecond), time.After(patience)
	defer look.Stop()
	for {
		if res, err := http.Get("http://127.0.0.1:" + port + "/"); err == nil {
			res.Body.Close()
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("the web server has ended: %v %s", err, said.String())
		case <-late:
			t.Fatal("the web server does not answer")
		case <-look.C:
		}
	}
}
