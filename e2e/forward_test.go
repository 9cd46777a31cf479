package e2e

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"twostep"
	"twostep/delivery"
	"twostep/e2e/live"
	"twostep/factor"
	"twostep/factor/email"
)

// nginx with deploy/nginx.conf in front of an app: nobody comes in without both steps, the app
// is told who it is, whatever a client says, and who signs out is out at once. While Twostep is
// down nobody comes in.
func TestNginx(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "the app at %s\n", r.URL.RequestURI())
		for name, values := range r.Header {
			if strings.HasPrefix(strings.ReplaceAll(strings.ToLower(name), "_", "-"), "remote-") {
				fmt.Fprintf(w, "%s=%s\n", name, strings.Join(values, "|"))
			}
		}
	}))
	defer app.Close()
	host := freeAddress(t)
	codes := make(chan string, 10)
	signin, server := behind(t, host, codes)
	startNginx(t, host, signin.Listener.Addr().String(), app.Listener.Addr().String())

	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	v := &passer{t, &http.Client{Jar: jar, Timeout: 20 * time.Second}}
	body := v.get("http://"+host+"/page?a=b", "Remote-User", "operator", "Remote_User", "operator")
	back := regexp.MustCompile(`name="return_to" value="([^"]+)"`).FindStringSubmatch(body)
	if back == nil {
		t.Fatalf("nobody is in, and sees\n%s", body)
	}
	v.post(signin.URL+"/signin", url.Values{"email": {live.AnnaEmail}, "password": {live.AnnaPassword}, "return_to": {back[1]}})
	body = v.post(signin.URL+"/signin/verify", url.Values{"code": {<-codes}})
	if !strings.Contains(body, "the app at /page?a=b") || !strings.Contains(body, "Remote-Email="+live.AnnaEmail+"\n") {
		t.Fatalf("after both steps Anna sees\n%s", body)
	}
	for _, name := range []string{"Remote-User", "remote-user", "REMOTE-USER", "Remote_User", "remote_email", "Remote-Groups", "Remote-Acr"} {
		if body := v.get("http://"+host+"/", name, "operator"); !strings.Contains(body, "the app at /") || strings.Contains(body, "operator") {
			t.Errorf("%s from a client reaches the app\n%s", name, body)
		}
	}
	v.post(signin.URL+"/signout", nil)
	if body := v.get("http://" + host + "/"); strings.Contains(body, "the app at") {
		t.Error("signed out, and still in")
	}
	signin.Close()
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if body := v.get("http://" + host + "/"); strings.Contains(body, "the app at") {
		t.Error("while nobody can be asked, everybody comes in")
	}
}

// behind is a server whose app is the host, and whose codes come by the channel.
func behind(t *testing.T, host string, codes chan string) (*httptest.Server, *twostep.Server) {
	t.Helper()
	dir, web := t.TempDir(), httptest.NewServer(nil)
	t.Cleanup(web.Close)
	server, err := twostep.New(t.Context(), twostep.Options{
		Database: filepath.Join(dir, "twostep.db"), KeyFile: filepath.Join(dir, "keys"), PublicURL: web.URL, Methods: []factor.Method{email.Method{}},
		Send: map[delivery.Channel]delivery.Send{delivery.Email: func(_ context.Context, m delivery.Message) error {
			if code := regexp.MustCompile(`(?m)^\d{6}$`).FindString(m.Text); code != "" {
				codes <- code
			}
			return nil
		}},
		Apps:           []twostep.App{{ID: "wiki", Hosts: []string{host}}},
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	web.Config.Handler = server
	if err := server.AddAccount(t.Context(), twostep.NewAccount{Email: live.AnnaEmail, Name: "Anna", Password: live.AnnaPassword}); err != nil {
		t.Fatal(err)
	}
	return web, server
}

// startNginx runs nginx with the file that we ship, at other addresses.
func startNginx(t *testing.T, host, signin, app string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "deploy", "nginx.conf"))
	if err != nil {
		t.Fatal(err)
	}
	shipped := strings.NewReplacer("127.0.0.1:8080", signin, "127.0.0.1:3000", app, "listen 80;", "listen "+host+";", "signin.example.com", signin).Replace(string(text))
	dir := t.TempDir()
	whole := "daemon off; pid " + dir + "/pid; error_log stderr; events {}\nhttp {\naccess_log off; client_body_temp_path " + dir + "/b; proxy_temp_path " + dir + "/p;\n" +
		"fastcgi_temp_path " + dir + "/f; uwsgi_temp_path " + dir + "/u; scgi_temp_path " + dir + "/s;\n" + shipped + "\n}\n"
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(whole), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "/usr/sbin/nginx", "-c", file, "-p", dir, "-e", "stderr")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // its workers end with it
	said := &strings.Builder{}
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); _ = cmd.Wait() })
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) { // another program starts
		if c, err := net.Dial("tcp", host); err == nil {
			c.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatalf("nginx does not start:\n%s", said)
		}
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// passer is a browser that follows where it is sent.
type passer struct {
	t *testing.T
	*http.Client
}

func (v *passer) get(address string, headers ...string) string {
	v.t.Helper()
	r, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return v.read(v.Do(r))
}

func (v *passer) post(address string, form url.Values) string {
	v.t.Helper()
	return v.read(v.PostForm(address, form))
}

func (v *passer) read(a *http.Response, err error) string {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return string(body)
}
