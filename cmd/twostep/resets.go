package main

import (
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxStreams is how many HTTP/2 requests a connection may have at the same time; RFC 9113 6.5.2 recommends at least
	// 100.
	maxStreams = 100
	// maxResets is how many requests of an HTTP/2 connection the client may cancel before the connection is closed. A
	// cancelled request costs a client nothing, and the server has begun with it (CVE-2023-44487).
	maxResets = 100
	// maxNetworkResets is how many requests the connections of a network (IPv4 address, IPv6 /64) may cancel in a minute.
	// Beyond it a connection is closed after its first.
	maxNetworkResets = 1000
	// maxResetNetworks bounds the memory for the networks.
	maxResetNetworks = 10_000
)

// resetLimiter serves requests, and closes connections whose client cancels too many.
type resetLimiter struct {
	next http.Handler
	log  *slog.Logger
	// isProxy reports whether a trusted proxy sent the request. Its connections have the requests of many people, and one
	// of them may cancel as many as they like: closing the connection would end those of the others.
	isProxy func(*http.Request) bool

	connections sync.Map // *connection by remote address

	mu       sync.Mutex
	networks map[netip.Prefix]int // cancelled requests since began
	began    time.Time
}

// connection is an HTTP connection with the number of requests that its client has cancelled.
type connection struct {
	net.Conn
	resets atomic.Int64
}

// connState is the ConnState of the server: it keeps the connections that are open.
func (l *resetLimiter) connState(c net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		l.connections.Store(c.RemoteAddr().String(), &connection{Conn: c})
	case http.StateClosed, http.StateHijacked:
		l.connections.Delete(c.RemoteAddr().String())
	}
}

// ServeHTTP serves a request, unless its client has cancelled it before it began.
func (l *resetLimiter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Context().Err() == nil {
		l.next.ServeHTTP(w, r)
	}
	if r.ProtoMajor < 2 || r.Context().Err() == nil || l.isProxy(r) {
		return
	}
	found, _ := l.connections.Load(r.RemoteAddr)
	c, ok := found.(*connection)
	if !ok {
		return
	}
	if ofNetwork := l.count(c.RemoteAddr()); c.resets.Add(1) >= maxResets || ofNetwork > maxNetworkResets {
		l.log.Warn("closed a connection whose client cancels too many requests", "address", c.RemoteAddr().String())
		c.Close()
	}
}

// count counts a cancelled request of a network, and returns how many it has had in this minute.
func (l *resetLimiter) count(from net.Addr) int {
	at, err := netip.ParseAddrPort(from.String())
	if err != nil {
		return 0 // a Unix socket: the proxy behind it limits its clients
	}
	address, bits := at.Addr().Unmap(), 64
	if address.Is4() {
		bits = 32
	}
	network, _ := address.WithZone("").Prefix(bits) // bits always fits the family
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); now.Sub(l.began) >= time.Minute || len(l.networks) >= maxResetNetworks {
		l.networks, l.began = map[netip.Prefix]int{}, now
	}
	l.networks[network]++
	return l.networks[network]
}
