package attack

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/email"
)

const proxySecret = "9f1c6f0f2b7a4d0e8c5b3a1d7e9f2c4b"

func withProxySecret(o *twostep.Options) {
	o.ProxySecret = proxySecret
	o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	o.Apps = []twostep.App{{ID: "wiki", Name: "Wiki", Hosts: []string{wiki}}}
}

// A process on the machine of the proxy has the address of the proxy, and names the address of a client. Without the
// secret its header is ignored, and the log says what to do, once a minute.
func TestOnlyTheProxySecretSuppliesTheAddress(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		const home, secret = "X-Forwarded-For: 203.0.113.5", "Twostep-Proxy-Secret: " + proxySecret
		b := h.BrowserAt("127.0.0.1")
		h.signInAndTrust(b, anna, home, secret)
		h.wantTrusted("through the proxy, at home", b, anna, home, secret)
		for says, headers := range map[string][]string{
			"without the secret": {home}, "with an empty one": {home, "Twostep-Proxy-Secret: "},
			"with a part of it":   {home, "Twostep-Proxy-Secret: " + proxySecret[:31]},
			"with more":           {home, "Twostep-Proxy-Secret: " + proxySecret + "0"},
			"in other letters":    {home, "Twostep-Proxy-Secret: " + strings.ToUpper(proxySecret)},
			"with two":            {home, secret, "Twostep-Proxy-Secret: x"},
			"in a list":           {home, "Twostep-Proxy-Secret: x, " + proxySecret},
			"in another header":   {home, "X-Twostep-Proxy-Secret: " + proxySecret},
			"with underscores":    {home, "Twostep_Proxy_Secret: " + proxySecret},
			"in Forwarded":        {"Forwarded: for=203.0.113.5;secret=" + proxySecret},
			"from somewhere else": {"X-Forwarded-For: 198.51.100.7", secret},
		} {
			h.wantAsked(says, h.withCookies("device", h.cookie(b, "device")).Move("127.0.0.1"), anna, headers...)
		}
		const remedy = "let the proxy set the header Twostep-Proxy-Secret"
		if n := strings.Count(h.Log.String(), remedy); n != 1 {
			h.T.Errorf("%d lines in the log name the remedy, want 1", n)
		}
		h.Turn(2 * time.Minute)
		h.wantStatus(b.Do(h.request("GET", "/signin", "", home)), http.StatusSeeOther)
		if n := strings.Count(h.Log.String(), remedy); n != 2 {
			h.T.Errorf("two minutes later %d lines name the remedy, want 2", n)
		}
		if strings.Contains(h.Log.String(), proxySecret) {
			h.T.Error("the secret is in the log")
		}
	}, withProxySecret)
	for _, weak := range []string{"secret", proxySecret[:31], proxySecret + " ", proxySecret + "\n", proxySecret + "ä"} {
		dir := t.TempDir()
		o := twostep.Options{
			Database: filepath.Join(dir, "db"), KeyFile: filepath.Join(dir, "keys"), PublicURL: "https://signin.example.com",
			Methods: []factor.Method{email.Method{}}, Logger: slog.New(slog.DiscardHandler), ProxySecret: weak,
			Senders: map[delivery.Channel]delivery.SendFunc{delivery.Email: delivery.Inbox{Dir: dir}.Send},
		}
		s, err := twostep.New(t.Context(), o)
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "ProxySecret") || strings.Contains(err.Error(), proxySecret[:31]) {
			t.Errorf("%q: %v", weak, err)
		}
	}
}

// A process without the secret asks about a request to a host, in the name of the proxy.
func TestForwardAuthNeedsTheProxySecret(t *testing.T) {
	t.Parallel()
	h := start(t, "", withProxySecret)
	ask := func(headers ...string) int {
		return h.BrowserAt("127.0.0.1").Do(h.request("GET", "/auth/check", "", append(headers, "X-Forwarded-Method: GET",
			"X-Forwarded-Proto: https", "X-Forwarded-Host: "+wiki, "X-Forwarded-Uri: /", navigate)...)).StatusCode
	}
	if got := ask("Twostep-Proxy-Secret: " + proxySecret); got != http.StatusFound {
		t.Errorf("with the secret: %d", got)
	}
	for _, headers := range [][]string{nil, {"Twostep-Proxy-Secret: x"}, {"Twostep-Proxy-Secret: " + proxySecret, "Twostep-Proxy-Secret: x"}} {
		if got := ask(headers...); got != http.StatusForbidden {
			t.Errorf("%q: %d", headers, got)
		}
	}
}

// Over a Unix socket the proxy is believed, without trusted_proxies. Over the network nobody is, also if they claim to
// come from a socket.
func TestUnixSocketSuppliesTheAddress(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	path := filepath.Join(t.TempDir(), "s")
	socket, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewUnstartedServer(h.Server)
	web.Listener.Close()
	web.Listener = socket
	web.Start()
	defer web.Close()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	defer client.CloseIdleConnections()
	ask := func(client *http.Client, base, forwarded string) string {
		r, err := http.NewRequestWithContext(t.Context(), "GET", base+"/help/trust", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = strings.TrimPrefix(h.URL, "https://")
		if forwarded != "" {
			r.Header.Set("X-Forwarded-For", forwarded)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%d, %v", resp.StatusCode, err)
		}
		return string(body)
	}
	if page := ask(client, "http://socket", "203.0.113.9"); !strings.Contains(page, "203.0.113.9") {
		t.Errorf("the address of the client is not known over the socket\n%s", page)
	}
	if page := ask(client, "http://socket", "203.0.113.9, 198.51.100.7"); !strings.Contains(page, "198.51.100.7") {
		t.Error("what the client claims is believed over the socket")
	}
	if page := ask(h.Client(), h.URL, "203.0.113.9"); strings.Contains(page, "203.0.113.9") {
		t.Error("the address is believed over the network")
	}
}
