package live

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

// Mail is a mail server that takes every mail over STARTTLS and keeps it.
type Mail struct {
	Port int

	t        testing.TB
	mu       sync.Mutex
	mails    []string
	arrived  chan struct{} // closed and replaced at each arrival
	refusing error
}

func startMail(t testing.TB, c *tls.Config) *Mail {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &Mail{t: t, Port: listener.Addr().(*net.TCPAddr).Port, arrived: make(chan struct{})}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &conversation{mail: m}, nil }))
	server.Domain = "localhost"
	server.TLSConfig = c
	ended := make(chan struct{})
	go func() { server.Serve(listener); close(ended) }()
	t.Cleanup(func() { server.Close(); listener.Close(); <-ended })
	return m
}

// Refuse makes the server answer every recipient with err from now on; nil: take them.
func (m *Mail) Refuse(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refusing = err
}

// Len is how many mails have arrived.
func (m *Mail) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.mails)
}

// Next is the n-th mail from 0, with its headers. It waits for it.
func (m *Mail) Next(n int) string {
	m.t.Helper()
	late := time.After(20 * time.Second)
	for {
		m.mu.Lock()
		if n < len(m.mails) {
			defer m.mu.Unlock()
			return m.mails[n]
		}
		arrived := m.arrived
		m.mu.Unlock()
		select {
		case <-arrived:
		case <-late:
			m.t.Fatalf("mail %d has not arrived", n)
		}
	}
}

type conversation struct{ mail *Mail }

func (c *conversation) Mail(string, *smtp.MailOptions) error { return nil }

func (c *conversation) Rcpt(string, *smtp.RcptOptions) error {
	c.mail.mu.Lock()
	defer c.mail.mu.Unlock()
	return c.mail.refusing
}

func (c *conversation) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	c.mail.mu.Lock()
	defer c.mail.mu.Unlock()
	c.mail.mails = append(c.mail.mails, string(text))
	close(c.mail.arrived)
	c.mail.arrived = make(chan struct{})
	return nil
}

func (c *conversation) Reset()        {}
func (c *conversation) Logout() error { return nil }
