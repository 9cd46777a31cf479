package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

func noProxy(*http.Request) bool { return false }

// A client cancels one request after the other. Its connection is closed after a hundred, and beyond a thousand in a
// minute its next connections are closed after one each. A client that cancels none keeps its connection, and
// so does a trusted proxy, whose clients cancel their requests.
func TestConnectionOfCancelledRequestsIsClosed(t *testing.T) {
	running := make(chan struct{}, 1)
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			return
		}
		running <- struct{}{}
		<-r.Context().Done()
	})
	server := httptest.NewUnstartedServer(nil)
	isProxy := func(r *http.Request) bool { return r.Header.Get("Test-Proxy") != "" }
	server.Config = newHTTPServer(handler, slog.New(slog.DiscardHandler), isProxy)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	// Each client counts its own connections: one may still open its last while the next client begins.
	type countingClient struct {
		http.Client
		connections atomic.Int64
	}
	client := func() *countingClient {
		c := &countingClient{}
		transport := server.Client().Transport.(*http.Transport).Clone()
		transport.DialContext = func(ctx context.Context, network, to string) (net.Conn, error) {
			c.connections.Add(1)
			return new(net.Dialer).DialContext(ctx, network, to)
		}
		t.Cleanup(transport.CloseIdleConnections)
		c.Transport = transport
		return c
	}
	proxy := client()
	get := func(c *countingClient, ctx context.Context, path string) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c == proxy {
			r.Header.Set("Test-Proxy", "yes")
		}
		resp, err := c.Do(r)
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	other := client()
	if err := get(other, t.Context(), "/"); err != nil {
		t.Fatal(err)
	}
	flood := client()
	cancelRequests := func(c *countingClient, n int) (opened int64) {
		c.connections.Store(0)
		for n > 0 {
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- get(c, ctx, "/wait") }()
			select {
			case <-running:
				cancel()
				<-ended
				n--
			case <-ended: // the connection was closed at this moment
				cancel()
			}
		}
		return c.connections.Load()
	}
	if got := cancelRequests(flood, maxNetworkResets); got < maxNetworkResets/maxResets/2 {
		t.Errorf("%d connections for %d cancelled requests, want about %d", got, maxNetworkResets, maxNetworkResets/maxResets)
	}
	if got := cancelRequests(flood, 50); got < 5 { // the client may send some before it notices
		t.Errorf("%d connections for the next 50 cancelled requests of the network, want one each", got)
	}
	if got := cancelRequests(proxy, maxResets+1); got != 1 {
		t.Errorf("%d connections of a proxy for the requests that its clients cancel, want one", got)
	}
	other.connections.Store(0)
	if err := get(other, t.Context(), "/"); err != nil || other.connections.Load() != 0 {
		t.Errorf("another client: %v, %d new connections", err, other.connections.Load())
	}
}
