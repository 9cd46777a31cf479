package delivery

import (
	"context"
	"errors"
	"fmt"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

func testCodeMail() Message {
	return Message{
		ID: "ABCDEFGHIJKLMNOPQRSTUVWXYZ", Channel: Email, To: "ann@example.org",
		Subject: "747723 is your Example verification code",
		Text:    "747723\n\nWorks for 15 minutes.\n",
		HTML:    "<p>747723</p>\n",
	}
}

func smtpFor(s *testMailServer, a *testCA) SMTP {
	out := SMTP{Host: "localhost", Port: s.port, From: "Example <signin@example.com>", Timeout: 10 * time.Second}
	if a != nil {
		out.RootCAs = a.certPool()
	}
	return out
}

// A mail is sent with each kind of TLS and each AUTH mechanism, as one message to one recipient.
func TestSMTPSend(t *testing.T) {
	for _, security := range []string{"", "starttls", "tls", "none"} {
		for _, mechanism := range []string{"", "PLAIN", "LOGIN"} {
			t.Run(security+" "+mechanism, func(t *testing.T) {
				t.Parallel()
				ca := newTestCA(t)
				config := ca.validConfig()
				if security == "none" {
					config = nil
				}
				server := startMailServer(t, config, security == "tls")
				s := smtpFor(server, ca)
				s.Security = security
				if mechanism != "" {
					server.users = map[string]string{"u": "hunter2"}
					server.mechanisms = []string{mechanism}
					s.User, s.Password = "u", "hunter2"
				}
				if err := s.Probe(t.Context()); err != nil {
					t.Fatalf("Probe: %v", err)
				}
				if err := s.Send(t.Context(), testCodeMail()); err != nil {
					t.Fatalf("Send: %v", err)
				}
				mails := server.acceptedMails()
				if len(mails) != 1 {
					t.Fatalf("got %d mails, want 1", len(mails))
				}
				if m := mails[0]; m.from != "signin@example.com" || !slices.Equal(m.to, []string{"ann@example.org"}) {
					t.Errorf("got envelope %s to %v, want signin@example.com to [ann@example.org]", m.from, m.to)
				}
			})
		}
	}
}

// A server whose certificate does not match its name gets nothing, and the error is temporary.
func TestSMTPRejectsBadCertificate(t *testing.T) {
	ca, other := newTestCA(t), newTestCA(t)
	for _, c := range []struct {
		name   string
		server *testMailServer
		tls    string
	}{
		{"wrong name", startMailServer(t, ca.serverConfig("mail.example.net", time.Now().Add(time.Hour)), false),
			"starttls"},
		{"wrong name, tls", startMailServer(t, ca.serverConfig("mail.example.net", time.Now().Add(time.Hour)), true),
			"tls"},
		{"expired", startMailServer(t, ca.serverConfig("localhost", time.Now().Add(-time.Hour)), false), "starttls"},
		{"expired, tls", startMailServer(t, ca.serverConfig("localhost", time.Now().Add(-time.Hour)), true), "tls"},
		{"unknown authority", startMailServer(t, other.validConfig(), false), "starttls"},
		{"unknown authority, tls", startMailServer(t, other.validConfig(), true), "tls"},
		{"STARTTLS stripped", startMailServer(t, nil, false), "starttls"},
		{"no TLS at all", startMailServer(t, nil, false), "tls"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.server.users = map[string]string{"u": "hunter2"}
			c.server.mechanisms = []string{"PLAIN"}
			s := smtpFor(c.server, ca)
			s.Security, s.User, s.Password = c.tls, "u", "hunter2"
			wantTemporaryError(t, s.Send(t.Context(), testCodeMail()))
			wantTemporaryError(t, s.Probe(t.Context()))
			if got := len(c.server.acceptedMails()); got != 0 {
				t.Errorf("got %d mails, want 0", got)
			}
		})
	}
}

// TLS 1.1 and older are refused.
func TestSMTPRefusesOldTLS(t *testing.T) {
	ca := newTestCA(t)
	config := ca.validConfig()
	config.MinVersion, config.MaxVersion = 0x0301, 0x0302
	wantTemporaryError(t, smtpFor(startMailServer(t, config, false), ca).Send(t.Context(), testCodeMail()))
}

// wantTemporaryError fails the test if err is nil, wraps ErrRejected or ErrUncertain, or contains a
// secret.
func wantTemporaryError(t *testing.T, err error) {
	t.Helper()
	if err == nil || errors.Is(err, ErrRejected) || errors.Is(err, ErrUncertain) {
		t.Errorf("got %v, want a temporary error", err)
	}
	wantNoSecrets(t, err)
}

func wantNoSecrets(t *testing.T, err error) {
	t.Helper()
	for _, secret := range []string{"747723", "hunter2"} {
		if strings.Contains(fmt.Sprint(err), secret) {
			t.Errorf("error %q contains %s", err, secret)
		}
	}
}

// Responses of a server map to rejected or temporary.
func TestSMTPResponseCodes(t *testing.T) {
	no := func(code int) error {
		return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{code / 100, 1, 1},
			Message: "because of 747723\r\nforged"}
	}
	for _, c := range []struct {
		name             string
		mail, to, it     error
		wantRefused      bool
		wantCode, inText int
	}{
		{name: "sender 550", mail: no(550), wantRefused: true, wantCode: 550},
		{name: "sender 451", mail: no(451), wantCode: 451},
		{name: "sender 530, we have to sign in", mail: no(530), wantCode: 530},
		{name: "recipient 550", to: no(550), wantRefused: true, wantCode: 550},
		{name: "recipient 451, greylisted", to: no(451), wantCode: 451},
		{name: "text 554", it: no(554), wantRefused: true, wantCode: 554},
		{name: "text 452", it: no(452), wantCode: 452},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ca := newTestCA(t)
			server := startMailServer(t, ca.validConfig(), false)
			server.refuseMail, server.refuseRcpt, server.refuseData = c.mail, c.to, c.it
			err := smtpFor(server, ca).Send(t.Context(), testCodeMail())
			if errors.Is(err, ErrRejected) != c.wantRefused || errors.Is(err, ErrUncertain) || err == nil {
				t.Errorf("got %v, want refused %t", err, c.wantRefused)
			}
			var answer *textproto.Error
			if !errors.As(err, &answer) || answer.Code != c.wantCode {
				t.Errorf("got %v, want code %d", err, c.wantCode)
			}
			if c.it != nil { // only now has the server seen the code
				wantNoSecrets(t, err)
			}
			if strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("error %q has several lines", err)
			}
		})
	}
}

// A wrong password of ours is a temporary error that does not contain the password, even if the
// server repeats it.
func TestSMTPWrongPasswordIsTemporary(t *testing.T) {
	for _, mechanism := range []string{"PLAIN", "LOGIN", "XOAUTH2"} {
		ca := newTestCA(t)
		server := startMailServer(t, ca.validConfig(), false)
		server.users = map[string]string{"u": "other"}
		server.mechanisms = []string{mechanism}
		s := smtpFor(server, ca)
		s.User, s.Password = "u", "hunter2"
		wantTemporaryError(t, s.Send(t.Context(), testCodeMail()))
		wantTemporaryError(t, s.Probe(t.Context()))
	}
}

func TestSMTPAuthMechanism(t *testing.T) {
	s := SMTP{User: "u", Password: "hunter2"}
	for offered, want := range map[string]string{
		"CRAM-MD5 PLAIN LOGIN":              "*smtp.plainAuth",
		"NTLM LOGIN":                        "*smtp.loginAuth",
		"SCRAM-SHA-1 SCRAM-SHA-256":         "*smtp.scramAuth",
		"SCRAM-SHA-1":                       "*smtp.scramAuth",
		"CRAM-MD5":                          "*smtp.cramMD5Auth",
		"XOAUTH2 PLAIN-CLIENTTOKEN GSSAPI ": "<nil>",
	} {
		if got := fmt.Sprintf("%T", s.chooseAuth(strings.Fields(offered))); got != want {
			t.Errorf("%s: got %s, want %s", offered, got, want)
		}
	}
}

// Each wrong setting is named, and nothing is sent.
func TestSMTPCheck(t *testing.T) {
	good := SMTP{Host: "mail.example.com", From: "Example <signin@example.com>"}
	if err := good.Check(); err != nil {
		t.Errorf("got %v, want nil", err)
	}
	for want, change := range map[string]func(*SMTP){
		"smtp.host is missing":                      func(s *SMTP) { s.Host = "" },
		`smtp.host is "mail.example.com:587", want`: func(s *SMTP) { s.Host = "mail.example.com:587" },
		"smtp.port":            func(s *SMTP) { s.Port = 70000 },
		"smtp.from is missing": func(s *SMTP) { s.From = "" },
		`smtp.from is "Example, Inc. <signin@example.com>": sender`: func(s *SMTP) { s.From = "Example, Inc. <signin@example.com>" },
		`signin@example.com>": sender: name: control`:               func(s *SMTP) { s.From = "=?utf-8?q?a=0D=0Ab?= <signin@example.com>" },
		"smtp.user and smtp.password":                               func(s *SMTP) { s.User = "u" },
		`smtp.security is "ssl", want`:                              func(s *SMTP) { s.Security = "ssl" },
		"on this machine only":                                      func(s *SMTP) { s.Security = "none" },
		"would send smtp.password":                                  func(s *SMTP) { s.Security, s.User, s.Password = "none", "u", "hunter2" },
		"smtp.timeout":                                              func(s *SMTP) { s.Timeout = -1 },
		"smtp.ehlo":                                                 func(s *SMTP) { s.EHLO = "a b" },
	} {
		s := good
		change(&s)
		err := s.Check()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		wantTemporaryError(t, s.Send(t.Context(), testCodeMail()))
		wantTemporaryError(t, s.Probe(t.Context()))
	}
	for _, host := range []string{"localhost", "127.0.0.1", "127.9.9.9", "::1"} {
		s := good
		s.Host, s.Security = host, "none"
		if err := s.Check(); err != nil {
			t.Errorf("%s: got %v, want nil", host, err)
		}
	}
}

func TestSMTPAddress(t *testing.T) {
	for want, s := range map[string]SMTP{
		"h:587":    {Host: "h"},
		"h:465":    {Host: "h", Security: "tls"},
		"h:25":     {Host: "h", Security: "none"},
		"[::1]:26": {Host: "::1", Port: 26},
	} {
		if got := s.address(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// Printing the settings does not show the password.
func TestSMTPStringHidesPassword(t *testing.T) {
	s := SMTP{Host: "h", User: "u", Password: "hunter2"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, s); strings.Contains(got, "hunter2") {
			t.Errorf("%s prints %s", verb, got)
		}
	}
}

// Concurrent sends do not affect each other.
func TestSMTPConcurrentSends(t *testing.T) {
	ca := newTestCA(t)
	server := startMailServer(t, ca.validConfig(), false)
	s := smtpFor(server, ca)
	var wg sync.WaitGroup
	for n := range 20 {
		wg.Go(func() {
			m := testCodeMail()
			m.ID = fmt.Sprint("id", n)
			if err := s.Send(context.Background(), m); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := len(server.acceptedMails()); got != 20 {
		t.Errorf("got %d mails, want 20", got)
	}
}

// From the call to the server's acceptance, with STARTTLS and a new connection each time.
func BenchmarkSMTPSend(b *testing.B) {
	ca := newTestCA(b)
	s := smtpFor(startMailServer(b, ca.validConfig(), false), ca)
	var times []time.Duration
	for b.Loop() {
		start := time.Now()
		if err := s.Send(b.Context(), testCodeMail()); err != nil {
			b.Fatal(err)
		}
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "ms-median")
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, "ms-p99")
}
