package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"twostep.example/twostep/internal/store/storetest"
)

// ends are what a proxy stands between.
type ends struct {
	testing.TB
	dir         string // of its own
	server, app string // host:port; of the server also the path of a Unix socket
	secret      string // that the server shares with the proxy; "": none
}

// upstream is the server as a proxy names it, which has prefix before the path of a Unix socket.
func (e ends) upstream(prefix string) string {
	if strings.HasPrefix(e.server, "/") {
		return prefix + e.server
	}
	return e.server
}

// proxies start one each, with the configuration that we ship, and say where it listens. Traefik and
// Envoy are not to be had where the tests run: see replayed_test.go.
var proxies = map[string]func(ends) string{"nginx": nginx, "haproxy": haproxy, "caddy": caddy, "traefik (replayed)": traefik, "envoy (replayed)": envoy}

func nginx(e ends) string {
	port := freePort(e)
	e.certificate()
	e.deploy("nginx.conf", "wiki.conf", "listen 443 ssl", "listen 127.0.0.1:"+port+" ssl", "server 127.0.0.1:8080;", "server "+e.upstream("unix:")+";",
		"127.0.0.1:3000", e.app, "/etc/ssl/", e.dir+"/", "# include /etc/nginx/twostep-secret.conf", "include "+e.dir+"/secret.conf")
	e.write("secret.conf", "")
	if e.secret != "" {
		e.write("secret.conf", "proxy_set_header Twostep-Proxy-Secret \""+e.secret+"\";\n")
	}
	e.write("nginx.conf", "daemon off;\nuser root;\npid nginx.pid;\nevents {}\nhttp {\n\taccess_log off;\n\tclient_body_temp_path a;\n\tproxy_temp_path b;\n"+
		"\tfastcgi_temp_path c;\n\tuwsgi_temp_path d;\n\tscgi_temp_path e;\n\tinclude wiki.conf;\n}\n")
	return e.run(port, "nginx", "-p", e.dir, "-e", "stderr", "-c", "nginx.conf")
}

func haproxy(e ends) string {
	port := freePort(e)
	e.certificate()
	e.deploy("haproxy-twostep.lua", "twostep.lua", "127.0.0.1:8080", e.upstream("unix@"))
	e.deploy("haproxy.cfg", "haproxy.cfg", "bind :443", "bind 127.0.0.1:"+port, "127.0.0.1:8080", e.upstream("unix@"), "127.0.0.1:3000", e.app, "/etc/ssl/", e.dir+"/", "/etc/haproxy/", e.dir+"/")
	return e.run(port, "haproxy", "-db", "-f", filepath.Join(e.dir, "haproxy.cfg"))
}

func caddy(e ends) string {
	port := freePort(e)
	e.certificate()
	e.deploy("Caddyfile", "Caddyfile", wiki+" {\n", "{\n\tadmin off\n\thttps_port "+port+"\n\tdefault_bind 127.0.0.1\n\tauto_https off\n\tstorage file_system "+e.dir+"\n}\n"+
		wiki+" {\n\ttls "+e.dir+"/"+wiki+".crt "+e.dir+"/"+wiki+".key\n", "127.0.0.1:8080", e.upstream("unix/"), "127.0.0.1:3000", e.app)
	return e.run(port, "caddy", "run", "--adapter", "caddyfile", "--config", filepath.Join(e.dir, "Caddyfile"))
}

// deploy writes a file that we ship, with the addresses of this test. Each of the texts to replace
// must be there: otherwise it is another file than the test thinks.
func (e ends) deploy(name, as string, pairs ...string) string {
	e.Helper()
	text, err := os.ReadFile(filepath.Join("../../deploy", name))
	if err != nil {
		e.Fatal(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(string(text), pairs[i]) {
			e.Fatalf("deploy/%s has no %q", name, pairs[i])
		}
	}
	changed := strings.NewReplacer(pairs...).Replace(string(text))
	e.write(as, changed)
	return changed
}

func (e ends) write(name, text string) {
	e.Helper()
	if err := os.WriteFile(filepath.Join(e.dir, name), []byte(text), 0o600); err != nil {
		e.Fatal(err)
	}
}

// certificate is that of the wiki, in the forms in which proxies want it.
func (e ends) certificate() tls.Certificate {
	e.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		e.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{wiki}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	if err != nil {
		e.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		e.Fatal(err)
	}
	crt := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	secret := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	e.write(wiki+".crt", crt)
	e.write(wiki+".key", secret)
	e.write(wiki+".pem", crt+secret)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// run runs a proxy until the test ends, and waits until it listens.
func (e ends) run(port, name string, args ...string) (address string) {
	e.Helper()
	c := exec.Command(e.program(name), args...)
	c.Env = append(os.Environ(), "HOME="+e.dir, "XDG_CONFIG_HOME="+e.dir, "XDG_DATA_HOME="+e.dir, "TWOSTEP_PROXY_SECRET="+e.secret)
	said, err := os.Create(filepath.Join(e.dir, "said"))
	if err != nil {
		e.Fatal(err)
	}
	c.Stdout, c.Stderr, c.Dir = said, said, e.dir
	if err := c.Start(); err != nil {
		e.Fatal(err)
	}
	over := make(chan struct{})
	go func() { _ = c.Wait(); close(over) }()
	e.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		<-over
		if text, err := os.ReadFile(said.Name()); e.Failed() && err == nil {
			e.Logf("%s: %s", name, text)
		}
		said.Close()
	})
	address = "127.0.0.1:" + port
	late := time.After(patience)
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return address
		}
		select {
		case <-over:
			e.Fatalf("%s has ended", name)
		case <-late:
			e.Fatalf("%s does not listen", name)
		case <-tick.C:
		}
	}
}

// program is the path of a proxy. Many people's PATH has no /usr/sbin.
func (e ends) program(name string) string {
	e.Helper()
	for _, dir := range []string{"../../build", "/usr/sbin", ""} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			if path, err = filepath.Abs(path); err == nil {
				return path
			}
		}
	}
	e.Fatalf("there is no %s: tools/install.sh brings it", name)
	return ""
}

// freePort returns a port on which nobody listens.
func freePort(t testing.TB) string { return strconv.Itoa(storetest.FreePort(t)) }

// throughTo is a client for which the wiki is at an address. It comes from an address of its own
// and follows no redirect.
func throughTo(address string) *http.Client {
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 200, 1)}}
	return &http.Client{
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // the certificate is this test's
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return from.DialContext(ctx, network, address)
			},
		},
	}
}

// copied writes an answer as it came.
func copied(w http.ResponseWriter, resp *http.Response) {
	for name, values := range resp.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}
