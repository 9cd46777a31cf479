package delivery

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// rawGateway is a TCP or TLS listener; do gets the connection after the request was read, or at
// once.
func rawGateway(t *testing.T, read bool, do func(net.Conn)) Gateway {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended); l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if read {
					if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
						return
					}
				}
				do(c)
				<-ended // hang
			}()
		}
	}()
	return Kannel("http://"+l.Addr().String(), "twostep", testSecret, "Example")
}

// Whatever a gateway does, Send returns in time, and returns ErrUncertain exactly if the gateway
// may have accepted the message.
func TestGatewayFaultOutcomes(t *testing.T) {
	const head = "HTTP/1.1 202 Accepted\r\n"
	say := func(text string) func(net.Conn) { return func(c net.Conn) { io.WriteString(c, text) } }
	sayAndClose := func(text string) func(net.Conn) { return func(c net.Conn) { io.WriteString(c, text); c.Close() } }
	drip := func(c net.Conn) {
		io.WriteString(c, head+"Content-Length: 1000\r\n\r\n")
		sendSlowly(c)
	}
	for name, f := range map[string]struct {
		do   func(net.Conn)
		want error
	}{
		"hangs (200 after 29 s)":    {func(net.Conn) {}, ErrUncertain},
		"drops":                     {func(c net.Conn) { c.Close() }, ErrUncertain},
		"resets":                    {func(c net.Conn) { c.(*net.TCPConn).SetLinger(0); c.Close() }, ErrUncertain},
		"babbles":                   {sayAndClose("hello 747723 " + testSecret + "\r\n"), errTemporary},
		"half a header":             {sayAndClose(head + "Content-Le"), ErrUncertain},
		"half a header, then hangs": {say(head + "Content-Le"), ErrUncertain},
		"half a text":               {sayAndClose(head + "Content-Length: 24\r\n\r\n0: Acc"), ErrUncertain},
		"half a text, then hangs":   {say(head + "Content-Length: 24\r\n\r\n0: Acc"), ErrUncertain},
		"drips its text":            {drip, ErrUncertain},
		"drips its header":          {sendSlowly, ErrUncertain},
		"endless header": {func(c net.Conn) { io.WriteString(c, head); sendEndlessHeader(c, "X: y\r\n") },
			ErrUncertain},
		"endless text": {func(c net.Conn) {
			io.WriteString(c, head+"\r\n")
			sendEndlessHeader(c, "0: Accepted")
		}, errTemporary},
		"1 GB text": {func(c net.Conn) {
			io.WriteString(c, head+"Content-Length: 1073741824\r\n\r\n")
			sendEndlessHeader(c, "x")
		}, errTemporary},
		"half a no": {sayAndClose("HTTP/1.1 503 No\r\nContent-Length: 24\r\n\r\nbus"), errTemporary},
		"answers twice": {sayAndClose(strings.Repeat(head+"Content-Length: 11\r\n\r\n0: Accepted", 2)),
			nil},
		"no, then yes": {sayAndClose("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n" + head +
			"Content-Length: 11\r\n\r\n0: Accepted"), errTemporary},
		"100 first": {sayAndClose("HTTP/1.1 100 Continue\r\n\r\n" + head +
			"Content-Length: 11\r\n\r\n0: Accepted"), nil},
		"compressed without asking": {sayAndClose(head +
			"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b"), errTemporary},
		"asks for another connection": {sayAndClose("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), errTemporary},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := rawGateway(t, true, f.do)
			g.Timeout = 2 * time.Second
			if strings.Contains(name, "hangs") || strings.Contains(name, "drips") {
				g.Timeout = 150 * time.Millisecond
			}
			start := time.Now()
			sameErrorKind(t, name, g.Send(t.Context(), gatewayCodeSMS()), f.want)
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func sendEndlessHeader(c net.Conn, what string) {
	block := strings.Repeat(what, 4096)
	for {
		if _, err := io.WriteString(c, block); err != nil {
			return
		}
	}
}

func sendSlowly(c net.Conn) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if _, err := io.WriteString(c, "H"); err != nil {
			return
		}
	}
}

// If the TLS handshake fails nothing was sent, and another gateway may be tried.
func TestGatewayTLSFailureIsTemporary(t *testing.T) {
	for name, do := range map[string]func(net.Conn){
		"hangs": func(net.Conn) {}, "drops": func(c net.Conn) { c.Close() },
		"babbles": func(c net.Conn) { io.WriteString(c, "HTTP/1.1 202 A\r\n\r\n") },
	} {
		g := rawGateway(t, false, do)
		g.URL = strings.Replace(g.URL, "http:", "https:", 1)
		g.Timeout = 150 * time.Millisecond
		sameErrorKind(t, name, g.Send(t.Context(), gatewayCodeSMS()), errTemporary)
	}
	closed := httptest.NewServer(nil)
	g := Kannel(closed.URL, "twostep", testSecret, "Example")
	closed.Close()
	wantTemporaryGatewayError(t, g.Send(t.Context(), gatewayCodeSMS()))

	server, seen := fakeGateway(t, 202, "0: Accepted")
	g = presetGateways()["kannel"].withServer(server)
	g.RootCAs = nil // so that its certificate is not trusted
	wantTemporaryGatewayError(t, g.Send(t.Context(), gatewayCodeSMS()))
	if len(seen) != 0 {
		t.Error("sent to an unknown certificate")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantTemporaryGatewayError(t, g.Send(ctx, gatewayCodeSMS()))
}

// A redirect is not followed, so that no secret and no message goes to its target.
func TestGatewayDoesNotFollowRedirects(t *testing.T) {
	other, seen := fakeGateway(t, 202, "0: Accepted")
	for _, status := range []int{301, 302, 303, 307, 308} {
		for name, g := range presetGateways() {
			server := httptest.NewTLSServer(http.RedirectHandler(other.URL, status))
			sameErrorKind(t, fmt.Sprint(name, status), g.withServer(server).Send(t.Context(), gatewayCodeSMS()),
				errTemporary)
			server.Close()
		}
	}
	if len(seen) != 0 {
		t.Error("followed")
	}
}

// net/http does not repeat a GET by itself when the connection breaks.
func TestGatewayDoesNotRepeatGET(t *testing.T) {
	var requests atomic.Int32
	g := rawGateway(t, true, func(c net.Conn) { requests.Add(1); c.Close() })
	for range 3 {
		sameErrorKind(t, "drops", g.Send(t.Context(), gatewayCodeSMS()), ErrUncertain)
	}
	if requests.Load() != 3 {
		t.Errorf("got %d requests for 3 messages", requests.Load())
	}
}

// A public gateway whose name resolves to a private address is refused before a byte is sent (SSRF,
// DNS rebinding).
func TestPublicGatewayRefusesPrivateAddresses(t *testing.T) {
	server, seen := fakeGateway(t, 202, "0: Accepted")
	for _, name := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]"} {
		g := presetGateways()["kannel"].withServer(server)
		g.URL = strings.Replace(g.URL, "127.0.0.1", name, 1)
		g.AllowPrivate = false
		wantTemporaryGatewayError(t, g.Send(t.Context(), gatewayCodeSMS()))
	}
	if len(seen) != 0 {
		t.Error("sent")
	}
}
