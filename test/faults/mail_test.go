package faults

import (
	"fmt"
	"io"
	"log"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"

	"twostep.example/twostep/internal/store/storetest"
)

// How a mail server treats its clients.
type mailState int

const (
	takes   mailState = iota // every mail
	away                     // the port is closed
	hangs                    // it takes connections and says nothing
	refuses                  // every recipient, for the time being
)

// mailServer is a mail server without TLS that keeps what it takes.
type mailServer struct {
	port int

	t        *testing.T
	incoming chan net.Conn // to the SMTP conversation
	ended    chan struct{}

	mu       sync.Mutex
	state    mailState
	listener net.Listener
	open     []net.Conn
	silent   []net.Conn          // of those, the ones that nobody has answered
	boxes    map[string][]string // by recipient
	ids      map[string]int      // how often each message was taken
	arrived  chan struct{}       // closed and replaced at each arrival
}

func startMail(t *testing.T) *mailServer {
	t.Helper()
	m := &mailServer{
		t: t, incoming: make(chan net.Conn), ended: make(chan struct{}), arrived: make(chan struct{}),
		boxes: map[string][]string{}, ids: map[string]int{},
	}
	m.listen(fmt.Sprintf("127.0.0.1:%d", storetest.FreePort(t)))
	m.port = m.listener.Addr().(*net.TCPAddr).Port
	backend := func(*smtp.Conn) (smtp.Session, error) { return &conversation{server: m}, nil }
	server := smtp.NewServer(smtp.BackendFunc(backend))
	server.Domain = "localhost"
	server.ErrorLog = log.New(io.Discard, "", 0) // clients are killed
	served := make(chan struct{})
	go func() { server.Serve(incoming{m}); close(served) }()
	t.Cleanup(func() {
		m.set(away)
		close(m.ended)
		server.Close()
		<-served
	})
	return m
}

// listen opens the port. The caller holds mu, or nobody else knows m.
func (m *mailServer) listen(address string) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		m.t.Error(err)
		return
	}
	m.listener = listener
	go m.accept(listener)
}

func (m *mailServer) accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return // closed
		}
		m.mu.Lock()
		m.open = append(m.open, conn)
		silent := m.state == hangs
		if silent {
			m.silent = append(m.silent, conn)
		}
		m.mu.Unlock()
		if !silent {
			m.talk(conn)
		}
	}
}

// talk begins the SMTP conversation.
func (m *mailServer) talk(conn net.Conn) {
	select {
	case m.incoming <- conn:
	case <-m.ended:
	}
}

// set changes how the server treats its clients from now on. If it is away, its connections are closed. If it no longer
// hangs, it answers those who have waited.
func (m *mailServer) set(s mailState) {
	m.mu.Lock()
	waited := m.silent
	m.silent = nil
	switch {
	case s == away && m.state != away:
		m.listener.Close()
		for _, conn := range m.open {
			conn.Close()
		}
		m.open = nil
	case s != away && m.state == away:
		m.listen(m.listener.Addr().String())
	}
	m.state = s
	m.mu.Unlock()
	for _, conn := range waited {
		m.talk(conn)
	}
}

// box returns the mails to an address, and a channel that is closed when there is another mail.
func (m *mailServer) box(address string) ([]string, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := m.boxes[address]
	return list[:len(list):len(list)], m.arrived
}

// takenOften returns how many messages were taken more than twice.
func (m *mailServer) takenOften() (often int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range m.ids {
		if n > 2 {
			often++
		}
	}
	return often
}

// incoming is the listener of the SMTP conversation.
type incoming struct{ m *mailServer }

func (l incoming) Accept() (net.Conn, error) {
	select {
	case conn := <-l.m.incoming:
		return conn, nil
	case <-l.m.ended:
		return nil, net.ErrClosed
	}
}

func (l incoming) Close() error   { return nil }
func (l incoming) Addr() net.Addr { return l.m.listener.Addr() }

type conversation struct {
	server *mailServer
	to     string
}

func (c *conversation) Mail(string, *smtp.MailOptions) error { return nil }

func (c *conversation) Rcpt(to string, _ *smtp.RcptOptions) error {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	if c.server.state == refuses {
		return &smtp.SMTPError{Code: 451, Message: "try again later"}
	}
	c.to = to
	return nil
}

var messageID = regexp.MustCompile(`(?mi)^Message-ID: <([A-Za-z0-9_-]+)@`)

func (c *conversation) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	m := c.server
	m.mu.Lock()
	defer m.mu.Unlock()
	m.boxes[c.to] = append(m.boxes[c.to], string(text))
	if found := messageID.FindStringSubmatch(string(text)); found != nil {
		m.ids[found[1]]++
	}
	close(m.arrived)
	m.arrived = make(chan struct{})
	return nil
}

func (c *conversation) Reset()        {}
func (c *conversation) Logout() error { return nil }

var codeLine = regexp.MustCompile(`(?m)^\d{6}\r?$`)

// codeIn returns the verification code in a mail, "" if there is none.
func codeIn(mail string) string { return strings.TrimSpace(codeLine.FindString(mail)) }
