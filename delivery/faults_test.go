package delivery

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// The faults of FLT-050: what a mail server does wrong, and what Send makes of it.

func hang(net.Conn) bool       { return false }
func dropIt(c net.Conn) bool   { c.Close(); return false }
func reset(c net.Conn) bool    { c.(*net.TCPConn).SetLinger(0); c.Close(); return false }
func babble(c net.Conn) bool   { io.WriteString(c, "hello 747723\r\n"); return false }
func nonsense(c net.Conn) bool { io.WriteString(c, "299 what\r\n"); return false }

// endless is an answer without an end.
func endless(c net.Conn) bool {
	for {
		if _, err := io.WriteString(c, strings.Repeat("x", 4096)); err != nil {
			return false
		}
	}
}

// drip sends one byte at a time, so that every single read succeeds.
func drip(c net.Conn) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if _, err := io.WriteString(c, "2"); err != nil {
			return false
		}
	}
	return false
}

var steps = []string{"connect", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "."}

func plain(port int) SMTP {
	return SMTP{
		Host: "127.0.0.1", Port: port, Security: "none", From: "signin@example.com",
		User: "u", Password: "hunter2", Timeout: 10 * time.Second,
	}
}

func TestFaults(t *testing.T) {
	for name, do := range map[string]func(net.Conn) bool{
		"hang": hang, "drop": dropIt, "reset": reset, "babble": babble, "nonsense": nonsense,
		"endless": endless, "drip": drip,
	} {
		for _, at := range steps {
			t.Run(name+" at "+at, func(t *testing.T) {
				t.Parallel()
				port, _ := badServer{at: at, do: do}.start(t)
				s := plain(port)
				s.Timeout = 2 * time.Second
				if name == "hang" || name == "drip" {
					s.Timeout = 150 * time.Millisecond
				}
				start := time.Now()
				err := s.Send(context.Background(), codeMail())
				if took := time.Since(start); took > 5*time.Second {
					t.Errorf("took %v", took)
				}
				if at != "." {
					temporary(t, err)
					return
				}
				if !errors.Is(err, ErrUncertain) || errors.Is(err, ErrRefused) {
					t.Errorf("got %v, want ErrUncertain", err)
				}
				noSecrets(t, err)
			})
		}
	}
}

// The same on the way into TLS.
func TestFaultsTLS(t *testing.T) {
	ca := newAuthority(t)
	for name, do := range map[string]func(net.Conn) bool{
		"hang": hang, "drop": dropIt, "babble": babble, "endless": endless, "drip": drip,
		"no":                func(c net.Conn) bool { io.WriteString(c, "454 not now\r\n"); return false },
		"then hang":         func(c net.Conn) bool { io.WriteString(c, "220 go\r\n"); return false },
		"then babble":       func(c net.Conn) bool { io.WriteString(c, "220 go\r\n"); return babble(c) },
		"answer in advance": func(c net.Conn) bool { io.WriteString(c, "220 go\r\n250 AUTH PLAIN\r\n"); return false },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port, said := badServer{config: ca.good(), at: "STARTTLS", do: do}.start(t)
			s := plain(port)
			s.Host, s.Security, s.RootCAs, s.Timeout = "localhost", "starttls", ca.pool(), 150*time.Millisecond
			temporary(t, s.Send(context.Background(), codeMail()))
			for len(said) > 0 {
				if line := <-said; !strings.HasPrefix(line, "EHLO") && line != "STARTTLS" && line != "QUIT" {
					t.Errorf("said %q without TLS", line)
				}
			}
		})
	}
}

// The caller's context ends the conversation too.
func TestContext(t *testing.T) {
	for _, at := range steps {
		ctx, cancel := context.WithCancel(context.Background())
		port, _ := badServer{at: at, do: func(net.Conn) bool { cancel(); return false }}.start(t)
		err := plain(port).Send(ctx, codeMail())
		if !errors.Is(err, context.Canceled) || errors.Is(err, ErrUncertain) != (at == ".") {
			t.Errorf("at %s: got %v, want context.Canceled", at, err)
		}
		cancel()
	}
}

// Once the server has taken the mail, nothing makes it untaken.
func TestQuitLost(t *testing.T) {
	for _, do := range []func(net.Conn) bool{hang, dropIt, reset, babble, drip} {
		port, said := badServer{at: "QUIT", do: do}.start(t)
		start := time.Now()
		if err := plain(port).Send(context.Background(), codeMail()); err != nil {
			t.Errorf("got %v, want nil", err)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
		last := ""
		for len(said) > 0 {
			last = <-said
		}
		if last != "QUIT" {
			t.Errorf("got %q as the last command, want QUIT", last)
		}
	}
}

// Cut while the text is under way: the final dot was never sent, so it cannot have arrived.
func TestResetInText(t *testing.T) {
	port, _ := badServer{at: "DATA", do: func(c net.Conn) bool {
		io.WriteString(c, "354 go\r\n")
		io.ReadFull(c, make([]byte, 1000))
		return reset(c)
	}}.start(t)
	m := codeMail()
	m.Text = strings.Repeat("a line of a long message\n", 1<<20)
	temporary(t, plain(port).Send(context.Background(), m))
}

// The conversation has no step too many: each is a round trip.
func TestRoundTrips(t *testing.T) {
	port, said := badServer{}.start(t)
	s := plain(port)
	s.HELO = "signin.example.com"
	if err := s.Send(context.Background(), codeMail()); err != nil {
		t.Fatal(err)
	}
	var got []string
	for len(said) > 0 {
		got = append(got, <-said)
	}
	want := "EHLO signin.example.com|AUTH PLAIN AHUAaHVudGVyMg==|MAIL FROM:<signin@example.com>|RCPT TO:<ann@example.org>|DATA|.|QUIT"
	if strings.Join(got, "|") != want {
		t.Errorf("got %s, want %s", strings.Join(got, "|"), want)
	}
}

func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	temporary(t, plain(l.Addr().(*net.TCPAddr).Port).Send(context.Background(), codeMail()))
}
