package main

import (
	"net"
	"strings"
	"testing"
)

// A wrong address of the metrics is refused in words that name the setting.
func TestMetricsListen(t *testing.T) {
	const listen = "127.0.0.1:8080"
	for address, want := range map[string]string{
		"": "", "127.0.0.1:9464": "", "[::1]:9464": "", ":9464": "", "unix:/run/twostep/metrics.sock": "",
		"9464":                                 "want ADDR:PORT, like 127.0.0.1:9464, or unix:PATH",
		"127.0.0.1:99999":                      "want ADDR:PORT",
		"unix:metrics.sock":                    "an absolute path",
		"unix:/run/" + strings.Repeat("x", 90): "at most 90 bytes",
		listen:                                 "another address than listen",
	} {
		err := (&metricsSettings{Listen: address}).complete(listen)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), "metrics.listen")) {
			t.Errorf("%q: got %v, want %q", address, err, want)
		}
	}
	if err := (&metricsSettings{Listen: "127.0.0.1:0"}).complete("127.0.0.1:0"); err != nil {
		t.Errorf("two free ports: %v", err)
	}
}

// Only an address that other networks may reach is public.
func TestIsPublic(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1": false, "::1": false, "10.1.2.3": false, "192.168.0.1": false, "fd00::1": false, "fe80::1": false,
		"::ffff:10.0.0.1": false, "0.0.0.0": true, "::": true, "203.0.113.7": true, "2001:db8::1": true,
	} {
		if got := isPublic(&net.TCPAddr{IP: net.ParseIP(address), Port: 9464}); got != want {
			t.Errorf("%s: got %v, want %v", address, got, want)
		}
	}
	if isPublic(&net.UnixAddr{Name: "/run/twostep/metrics.sock", Net: "unix"}) {
		t.Error("a socket is public")
	}
}
