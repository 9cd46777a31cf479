package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// startTestServer starts a server on a free port. stop ends it; ended receives its error.
func startTestServer(t *testing.T, h http.HandlerFunc) (address string, stop func(), ended chan error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended = make(chan error, 1)
	log := slog.New(slog.DiscardHandler)
	go func() { ended <- serveUntil(ctx, listener, newHTTPServer(h, log, noProxy), log) }()
	t.Cleanup(stop)
	return listener.Addr().String(), stop, ended
}

// A request that is in progress when the server stops gets its whole response.
func TestShutdownFinishesRequests(t *testing.T) {
	begun, finish := make(chan bool), make(chan bool)
	address, stop, ended := startTestServer(t, func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-finish
		_, _ = io.WriteString(w, "whole")
	})
	answer := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + address)
		if err != nil {
			answer <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			answer <- err.Error()
		}
		answer <- string(body)
	}()
	<-begun
	stop()
	for { // until it refuses new connections
		c, err := net.Dial("tcp", address)
		if err != nil {
			break
		}
		c.Close()
	}
	select {
	case err := <-ended:
		t.Fatalf("ended before the answer, with %v", err)
	default:
	}
	close(finish)
	if got := <-answer; got != "whole" {
		t.Errorf("got %q", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Endless headers are cut off.
func TestLongHeaderIsRefused(t *testing.T) {
	address, _, _ := startTestServer(t, func(http.ResponseWriter, *http.Request) { t.Error("reached the handler") })
	req, err := http.NewRequest("GET", "http://"+address, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Long", strings.Repeat("x", 80<<10))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("got %s", resp.Status)
	}
}

// Only a server with a reverse proxy reads the large headers of requests to other apps.
func TestMaxHeaderBytes(t *testing.T) {
	for _, row := range []struct {
		settings settings
		want     int
	}{
		{settings{Listen: "127.0.0.1:0"}, 64 << 10},
		{settings{Listen: "unix:/run/twostep.sock"}, 1 << 20},
		{settings{Listen: "127.0.0.1:0", ProxySecret: strings.Repeat("x", 32)}, 1 << 20},
		{settings{Listen: "127.0.0.1:0", proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")}}, 1 << 20},
	} {
		if got := row.settings.maxHeaderBytes(); got != row.want {
			t.Errorf("%+v: got %d, want %d", row.settings, got, row.want)
		}
	}
}

// The printed port is the one that the listener got.
func TestPublicURLHasTakenPort(t *testing.T) {
	for _, row := range []struct{ public, listen, listening, want string }{
		{"", "127.0.0.1:0", "127.0.0.1:4711", "http://127.0.0.1:4711"},
		{"", "localhost:8080", "127.0.0.1:8080", "http://localhost:8080"},
		{"", "[::1]:0", "[::1]:4711", "http://[::1]:4711"},
		{"https://a.example", "127.0.0.1:0", "127.0.0.1:4711", "https://a.example"},
	} {
		s := settings{PublicURL: row.public, Listen: row.listen}
		if got, err := s.publicURL(row.listening); got != row.want || err != nil {
			t.Errorf("%+v: got %q, %v", row, got, err)
		}
	}
}

// The demo clock moves forward only, and keeps its offset over a restart.
func TestDemoClock(t *testing.T) {
	file := filepath.Join(t.TempDir(), "clock")
	c, err := openDemoClock(file)
	if err != nil {
		t.Fatal(err)
	}
	c.Advance(30 * 24 * time.Hour)
	c.Advance(-time.Hour)
	again, err := openDemoClock(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []*demoClock{c, again} {
		if ahead := time.Until(c.Now()).Round(time.Minute); ahead != 30*24*time.Hour {
			t.Errorf("ahead by %v", ahead)
		}
	}
}
