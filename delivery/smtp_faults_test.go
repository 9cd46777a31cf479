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

// Faults of a mail server, and the error of Send for each.

func stall(net.Conn) bool              { return false }
func dropConnection(c net.Conn) bool   { c.Close(); return false }
func resetConnection(c net.Conn) bool  { c.(*net.TCPConn).SetLinger(0); c.Close(); return false }
func sendGarbage(c net.Conn) bool      { io.WriteString(c, "hello 747723\r\n"); return false }
func sendUnknownReply(c net.Conn) bool { io.WriteString(c, "299 what\r\n"); return false }

// sendEndlessLine sends a response without an end.
func sendEndlessLine(c net.Conn) bool {
	for {
		if _, err := io.WriteString(c, strings.Repeat("x", 4096)); err != nil {
			return false
		}
	}
}

// sendByteByByte sends one byte at a time, so that every single read succeeds.
func sendByteByByte(c net.Conn) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if _, err := io.WriteString(c, "2"); err != nil {
			return false
		}
	}
	return false
}

var smtpStages = []string{"connect", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "."}

func plaintextSMTP(port int) SMTP {
	return SMTP{
		Host: "127.0.0.1", Port: port, Security: "none", From: "signin@example.com",
		User: "u", Password: "hunter2", Timeout: 10 * time.Second,
	}
}

func TestSMTPServerFaults(t *testing.T) {
	for name, do := range map[string]func(net.Conn) bool{
		"hang": stall, "drop": dropConnection, "reset": resetConnection, "babble": sendGarbage,
		"nonsense": sendUnknownReply,
		"endless":  sendEndlessLine, "drip": sendByteByByte,
	} {
		for _, at := range smtpStages {
			t.Run(name+" at "+at, func(t *testing.T) {
				t.Parallel()
				port, _ := faultySMTPServer{faultAt: at, fault: do}.start(t)
				s := plaintextSMTP(port)
				s.Timeout = 2 * time.Second
				if name == "hang" || name == "drip" {
					s.Timeout = 150 * time.Millisecond
				}
				start := time.Now()
				err := s.Send(context.Background(), testCodeMail())
				if took := time.Since(start); took > 5*time.Second {
					t.Errorf("took %v", took)
				}
				if at != "." {
					wantTemporaryError(t, err)
					return
				}
				if !errors.Is(err, ErrUncertain) || errors.Is(err, ErrRejected) {
					t.Errorf("got %v, want ErrUncertain", err)
				}
				wantNoSecrets(t, err)
			})
		}
	}
}

// The same faults during STARTTLS.
func TestSMTPFaultsDuringSTARTTLS(t *testing.T) {
	ca := newTestCA(t)
	for name, do := range map[string]func(net.Conn) bool{
		"hang": stall, "drop": dropConnection, "babble": sendGarbage, "endless": sendEndlessLine,
		"drip":              sendByteByByte,
		"no":                func(c net.Conn) bool { io.WriteString(c, "454 not now\r\n"); return false },
		"then hang":         func(c net.Conn) bool { io.WriteString(c, "220 go\r\n"); return false },
		"then babble":       func(c net.Conn) bool { io.WriteString(c, "220 go\r\n"); return sendGarbage(c) },
		"answer in advance": func(c net.Conn) bool { io.WriteString(c, "220 go\r\n250 AUTH PLAIN\r\n"); return false },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port, said := faultySMTPServer{config: ca.validConfig(), faultAt: "STARTTLS", fault: do}.start(t)
			s := plaintextSMTP(port)
			s.Host, s.Security, s.RootCAs, s.Timeout = "localhost", "starttls", ca.certPool(), 150*time.Millisecond
			wantTemporaryError(t, s.Send(context.Background(), testCodeMail()))
			for len(said) > 0 {
				if line := <-said; !strings.HasPrefix(line, "EHLO") && line != "STARTTLS" && line != "QUIT" {
					t.Errorf("said %q without TLS", line)
				}
			}
		})
	}
}

// The caller's context closes the connection too.
func TestSMTPSendStopsWithContext(t *testing.T) {
	for _, at := range smtpStages {
		ctx, cancel := context.WithCancel(context.Background())
		port, _ := faultySMTPServer{faultAt: at, fault: func(net.Conn) bool { cancel(); return false }}.start(t)
		err := plaintextSMTP(port).Send(ctx, testCodeMail())
		if !errors.Is(err, context.Canceled) || errors.Is(err, ErrUncertain) != (at == ".") {
			t.Errorf("at %s: got %v, want context.Canceled", at, err)
		}
		cancel()
	}
}

// Send succeeds once the server has accepted the mail, even if QUIT fails.
func TestSMTPSendSucceedsWhenQuitFails(t *testing.T) {
	for _, do := range []func(net.Conn) bool{stall, dropConnection, resetConnection, sendGarbage, sendByteByByte} {
		port, said := faultySMTPServer{faultAt: "QUIT", fault: do}.start(t)
		start := time.Now()
		if err := plaintextSMTP(port).Send(context.Background(), testCodeMail()); err != nil {
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

// A connection that breaks within the content is a temporary error: the final dot was never sent.
func TestSMTPResetDuringDataIsTemporary(t *testing.T) {
	port, _ := faultySMTPServer{faultAt: "DATA", fault: func(c net.Conn) bool {
		io.WriteString(c, "354 go\r\n")
		io.ReadFull(c, make([]byte, 1000))
		return resetConnection(c)
	}}.start(t)
	m := testCodeMail()
	m.Text = strings.Repeat("a line of a long message\n", 1<<20)
	wantTemporaryError(t, plaintextSMTP(port).Send(context.Background(), m))
}

// The session has no unneeded command: each costs a round trip.
func TestSMTPRoundTripCount(t *testing.T) {
	port, said := faultySMTPServer{}.start(t)
	s := plaintextSMTP(port)
	s.EHLO = "signin.example.com"
	if err := s.Send(context.Background(), testCodeMail()); err != nil {
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

func TestSMTPConnectionRefusedIsTemporary(t *testing.T) {
	const port = 1 // that of tcpmux, which nobody runs
	wantTemporaryError(t, plaintextSMTP(port).Send(context.Background(), testCodeMail()))
}
