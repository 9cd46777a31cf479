package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"

	"twostep.example/twostep/delivery"
)

// answeringServer accepts one connection and answers each line with the next of the answers, the first at once.
func answeringServer(t *testing.T, answers ...string) (port int, received chan string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	received = make(chan string, len(answers))
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		for _, answer := range answers {
			if _, err := fmt.Fprintf(conn, "%s\r\n", answer); err != nil {
				return
			}
			line := make([]byte, 512)
			n, err := conn.Read(line)
			if err != nil {
				return
			}
			received <- strings.TrimSpace(string(line[:n]))
		}
	}()
	return listener.Addr().(*net.TCPAddr).Port, received
}

// A mail server that cannot be used is one line with the remedy, and one that works is none.
func TestProbeMailServer(t *testing.T) {
	for _, row := range []struct {
		name     string
		user     string
		security string
		answers  []string
		want     string
	}{
		{"works", "", "none", []string{"220 mail.example.com", "250 mail.example.com", "221 bye"}, ""},
		{"refuses the greeting", "", "none", []string{"220 mail.example.com", "550 who are you", "550 who are you"}, "smtp.ehlo"},
		{"has no TLS", "", "starttls", []string{"220 mail.example.com", "250 mail.example.com"}, "smtp.security"},
		{"refuses the password", "signin", "none", []string{"220 mail.example.com", "250-mail.example.com\r\n250 AUTH PLAIN", "535 5.7.8 no"}, "smtp.password"},
		{"is busy", "", "none", []string{"421 later"}, "smtp.host"},
	} {
		t.Run(row.name, func(t *testing.T) {
			port, _ := answeringServer(t, row.answers...)
			server := delivery.SMTP{Host: "127.0.0.1", Port: port, Security: row.security, From: "signin@example.com", EHLO: "signin.example.com"}
			if row.user != "" {
				server.User, server.Password = row.user, "secret"
			}
			var log bytes.Buffer
			probeMailServer(t.Context(), server, slog.New(slog.NewTextHandler(&log, nil)))
			if got := log.String(); strings.Count(got, "\n") != min(len(row.want), 1) || !strings.Contains(got, row.want) || strings.Contains(got, "secret") {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

// The server is greeted with the name of the sign-in server, unless the owner says another one.
func TestEHLOName(t *testing.T) {
	for _, row := range []struct{ public, ehlo, want string }{
		{"https://signin.example.com", "", "signin.example.com"},
		{"https://signin.example.com:8443", "", "signin.example.com"},
		{"https://signin.example.com", "mail.example.org", "mail.example.org"},
		{"https://192.0.2.1", "", ""},
		{"https://[2001:db8::1]", "", ""},
		{"https://signin", "", ""},
		{"https://sign_in.example.com", "", ""},
		{"https://bücher.example", "", ""},
		{"https://signin.example.com.", "", "signin.example.com"},
		{"http://localhost:8080", "", ""},
	} {
		s := settings{PublicURL: row.public, SMTP: smtpSettings{EHLO: row.ehlo}}
		if got := s.smtpServer().EHLO; got != row.want {
			t.Errorf("%s, %q: got %q, want %q", row.public, row.ehlo, got, row.want)
		}
	}
	port, received := answeringServer(t, "220 mail.example.com", "250 mail.example.com", "221 bye")
	s := settings{PublicURL: "https://signin.example.com", SMTP: smtpSettings{Host: "127.0.0.1", Port: port, Security: "none", From: "signin@example.com"}}
	if err := s.smtpServer().Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := <-received; got != "EHLO signin.example.com" {
		t.Errorf("the server is greeted with %q", got)
	}
}
