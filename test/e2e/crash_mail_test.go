package e2e

import (
	"io"
	"log"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"
)

// mailServer takes every mail without TLS and counts how often each was accepted. It
// lives in the parent, so no kill makes it forget.
type mailServer struct {
	port int

	mu      sync.Mutex
	mails   []string
	arrived chan struct{} // closed and replaced at each arrival
}

func startMailServer(t *testing.T) *mailServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &mailServer{port: listener.Addr().(*net.TCPAddr).Port, arrived: make(chan struct{})}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &mailTalk{m}, nil }))
	server.Domain = "localhost"
	server.ErrorLog = log.New(io.Discard, "", 0) // a killed client is no news here
	ended := make(chan struct{})
	go func() { server.Serve(listener); close(ended) }()
	t.Cleanup(func() { server.Close(); <-ended })
	return m
}

type mailTalk struct{ server *mailServer }

func (c *mailTalk) Mail(string, *smtp.MailOptions) error { return nil }
func (c *mailTalk) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (c *mailTalk) Reset()                               {}
func (c *mailTalk) Logout() error                        { return nil }

func (c *mailTalk) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	c.server.mails = append(c.server.mails, strings.ReplaceAll(string(text), "=\r\n", ""))
	close(c.server.arrived)
	c.server.arrived = make(chan struct{})
	return nil
}

// all are the mails so far, and a channel that closes when there is one more.
func (m *mailServer) all() ([]string, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mails[:len(m.mails):len(m.mails)], m.arrived
}

var messageID = regexp.MustCompile(`(?mi)^Message-ID: <([A-Za-z0-9_-]+)@`)

// idOf is the id of the message a mail was made of, which is the id of its row.
func idOf(mail string) string {
	if found := messageID.FindStringSubmatch(mail); found != nil {
		return found[1]
	}
	return ""
}

// sends is how often each message was accepted.
func (m *mailServer) sends() map[string]int {
	mails, _ := m.all()
	n := map[string]int{}
	for _, mail := range mails {
		n[idOf(mail)]++
	}
	return n
}

var linkToken = regexp.MustCompile(`/(?:reset|join)#([A-Za-z0-9_-]+)`)

// tokenIn is the token of the link in a mail.
func tokenIn(t *testing.T, mail string) string {
	t.Helper()
	found := linkToken.FindStringSubmatch(mail)
	if found == nil {
		t.Fatalf("no link in %s", mail)
	}
	return found[1]
}
