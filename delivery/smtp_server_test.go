package delivery

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// testCA is a certificate authority for one test.
type testCA struct {
	tb   testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newTestCA(tb testing.TB) *testCA {
	tb.Helper()
	a := &testCA{tb: tb}
	a.key = newTestKey(tb)
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, a.key.Public(), a.key)
	if err != nil {
		tb.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		tb.Fatal(err)
	}
	return a
}

func newTestKey(tb testing.TB) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func (a *testCA) certPool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// serverConfig returns a server's TLS configuration with a certificate for one name.
func (a *testCA) serverConfig(name string, expires time.Time) *tls.Config {
	a.tb.Helper()
	key := newTestKey(a.tb)
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: expires,
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, key.Public(), a.key)
	if err != nil {
		a.tb.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

func (a *testCA) validConfig() *tls.Config {
	return a.serverConfig("localhost", time.Now().Add(time.Hour))
}

// acceptedMail is a mail that the server accepted.
type acceptedMail struct {
	from string
	to   []string
	raw  string
	utf8 bool // MAIL had the parameter SMTPUTF8
}

// testMailServer is a real mail server in this process. Its fields are set before the first mail.
type testMailServer struct {
	port                               int
	users                              map[string]string
	mechanisms                         []string
	refuseMail, refuseRcpt, refuseData error

	mu       sync.Mutex
	mails    []acceptedMail
	sessions int
}

func (s *testMailServer) acceptedMails() []acceptedMail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mails)
}

// startMailServer starts a server. With a nil config it offers no TLS; implicit starts TLS at once.
func startMailServer(tb testing.TB, config *tls.Config, implicit bool) *testMailServer {
	tb.Helper()
	s := &testMailServer{}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.sessions++
		return &mailSession{server: s}, nil
	}))
	server.Domain, server.EnableSMTPUTF8 = "localhost", tb.Name() == "TestSMTPUTF8"
	server.ErrorLog = log.New(io.Discard, "", 0)
	server.AllowInsecureAuth = config == nil
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s.port = l.Addr().(*net.TCPAddr).Port
	if implicit {
		l = tls.NewListener(l, config)
	} else {
		server.TLSConfig = config
	}
	done := make(chan struct{})
	go func() { defer close(done); server.Serve(l) }()
	tb.Cleanup(func() { server.Close(); <-done })
	return s
}

type mailSession struct {
	server *testMailServer
	mail   acceptedMail
}

func (s *mailSession) AuthMechanisms() []string { return s.server.mechanisms }

func (s *mailSession) Auth(mech string) (sasl.Server, error) {
	check := func(user, password string) error {
		if want, ok := s.server.users[user]; !ok || want != password {
			// A careless server: it repeats the password.
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "wrong: " + password}
		}
		return nil
	}
	if mech == sasl.Plain {
		return sasl.NewPlainServer(func(_, user, password string) error { return check(user, password) }), nil
	}
	return &loginServer{check: check}, nil
}

// loginServer is the server's side of AUTH LOGIN.
type loginServer struct {
	responses []string
	check     func(user, password string) error
}

func (l *loginServer) Next(response []byte) ([]byte, bool, error) {
	if response != nil {
		l.responses = append(l.responses, string(response))
	}
	switch len(l.responses) {
	case 0:
		return []byte("Username:"), false, nil
	case 1:
		return []byte("Password:"), false, nil
	}
	return nil, true, l.check(l.responses[0], l.responses[1])
}

func (s *mailSession) Reset()        { s.mail = acceptedMail{} }
func (s *mailSession) Logout() error { return nil }

func (s *mailSession) Mail(from string, o *smtp.MailOptions) error {
	s.mail = acceptedMail{from: from, utf8: o.UTF8}
	return s.server.refuseMail
}

func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.mail.to = append(s.mail.to, to)
	return s.server.refuseRcpt
}

func (s *mailSession) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if s.server.refuseData != nil {
		return s.server.refuseData
	}
	s.mail.raw = string(raw)
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.mails = append(s.server.mails, s.mail)
	return nil
}

// faultySMTPServer speaks just enough SMTP to misbehave at one point: "connect", a command, or "."
// for the end of the content. There it calls do, which returns true to continue with the usual
// response.
type faultySMTPServer struct {
	config  *tls.Config // nil: does not offer STARTTLS
	faultAt string
	fault   func(c net.Conn) bool
}

// start returns the port, and a channel with the commands in the order of arrival.
func (b faultySMTPServer) start(t *testing.T) (int, <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 100)
	conns := make(chan net.Conn, 10)
	go func() {
		defer close(conns)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns <- c
			go b.serveConn(c, said)
		}
	}()
	t.Cleanup(func() {
		l.Close()
		for c := range conns {
			c.Close()
		}
	})
	return l.Addr().(*net.TCPAddr).Port, said
}

func (b faultySMTPServer) serveConn(c net.Conn, said chan<- string) {
	if b.faultAt == "connect" && !b.fault(c) {
		return
	}
	io.WriteString(c, "220 bad\r\n")
	r := bufio.NewReader(c)
	inText := false
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		verb, _, _ := strings.Cut(line, " ")
		if inText && line != "." {
			continue
		}
		said <- line
		if verb == b.faultAt && !b.fault(c) {
			return
		}
		inText = verb == "DATA"
		answer := map[string]string{
			"EHLO": "250-bad\r\n250 AUTH PLAIN", "DATA": "354 go", "QUIT": "221 bye",
			"STARTTLS": "220 go", "AUTH": "235 in",
		}[verb]
		if verb == "EHLO" && b.config != nil {
			answer = "250-bad\r\n250-AUTH PLAIN\r\n250 STARTTLS"
		}
		if answer == "" {
			answer = "250 ok"
		}
		io.WriteString(c, answer+"\r\n")
		if verb == "STARTTLS" {
			c = tls.Server(c, b.config)
			r = bufio.NewReader(c)
		}
	}
}
