package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/delivery"
)

// The check of an app says what is right, what is wrong and what to do, and why requests were rejected. Nothing that
// somebody sent in the name of the app reaches the terminal as a control character.
func TestAppDoctor(t *testing.T) {
	dir, web := t.TempDir(), httptest.NewServer(nil)
	defer web.Close()
	inbox := &delivery.Inbox{Dir: filepath.Join(dir, "inbox")}
	server, err := twostep.New(t.Context(), twostep.Options{
		Database: filepath.Join(dir, "twostep.db"), KeyFile: filepath.Join(dir, "keys"), PublicURL: web.URL,
		Methods: verificationMethods(&settings{}), Logger: slog.New(slog.DiscardHandler),
		Senders: map[delivery.Channel]delivery.SendFunc{delivery.Email: inbox.Send, delivery.SMS: inbox.Send},
		Local:   &twostep.LocalMode{Inbox: inbox},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	web.Config.Handler = server
	app := httptest.NewTLSServer(http.NotFoundHandler()) // with a certificate that nobody trusts
	defer app.Close()
	if err := server.CreateApp(t.Context(), twostep.App{
		ID: "phone", RedirectURIs: []string{
			"com.example.phone:/cb", "http://127.0.0.1:7777/cb", strings.Replace(app.URL, "127.0.0.1", "localtest.invalid", 1) + "/cb",
		},
	}); err != nil {
		t.Fatal(err)
	}
	listen := strings.TrimPrefix(web.URL, "http://")
	run := func() (string, error) {
		var out bytes.Buffer
		err := realMain(t.Context(), []string{"app", "doctor", "phone", "--data", dir, "--listen", listen}, &out, io.Discard)
		return out.String(), err
	}
	text, err := run()
	if err == nil || err.Error() != "1 of the checks of phone failed" {
		t.Errorf("it says %v", err)
	}
	for _, want := range []string{
		"ok    discovery " + web.URL + "/.well-known/openid-configuration\n", "ok    clock\n",
		"ok    keys " + web.URL + "/oauth2/jwks with RS256\n", "note  com.example.phone:/cb: ", "note  http://127.0.0.1:7777/cb: ",
		"fail  https://localtest.invalid", "Browsers must reach the address.", "No request of phone was rejected",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	response, err := web.Client().Get(web.URL + "/oauth2/authorize?client_id=phone&redirect_uri=https://x.example/%1b%5b2J")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	text, _ = run()
	for _, want := range []string{
		"reason    the redirect_uri is not registered: registered are: com.example.phone:/cb", "sent      redirect_uri=https://x.example/\uFFFD[2J\n",
		"requests  1\n", "remedy    correct it in the app, or run `twostep app set phone --redirect URL`",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%q", want, text)
		}
	}
	web.Close()
	if text, err = run(); err == nil || !strings.Contains(text, "fail  discovery ") || !strings.Contains(text, "start the server") {
		t.Errorf("without a server: %v\n%s", err, text)
	}
}

// The certificate of another server has names that a terminal would obey.
func TestDoctorPrintsNoNamesOfCertificates(t *testing.T) {
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"\x1b[2Jok    https://app.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	raw, err := x509.CreateCertificate(nil, template, template, public, key)
	if err != nil {
		t.Fatal(err)
	}
	other := httptest.NewUnstartedServer(http.NotFoundHandler())
	other.Config.ErrorLog = log.New(io.Discard, "", 0)
	other.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key}}}
	other.StartTLS()
	defer other.Close()
	address, err := url.Parse(other.URL)
	if err != nil {
		t.Fatal(err)
	}
	address.Host = "localhost:" + address.Port() // only for a name, the error quotes the names of the certificate
	var out bytes.Buffer
	d := &appDoctor{out: &out}
	d.fail(address.String(), connect(t.Context(), address), "remedy")
	if text := out.String(); !strings.Contains(text, "\uFFFD[2Jok") || strings.Contains(text, "\x1b") {
		t.Errorf("it prints %q", text)
	}
}
