package main

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"time"

	"github.com/emersion/go-smtp"
)

// mailServer takes every mail over STARTTLS and says when.
type mailServer struct {
	port  int
	taken chan mail
	stop  func() error
}

type mail struct {
	text string
	at   time.Time // the last byte was here, and the next thing sent is "250 OK"
}

func startMail(c *tls.Config) (*mailServer, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	m := &mailServer{port: listener.Addr().(*net.TCPAddr).Port, taken: make(chan mail, 4096)}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return talk{m}, nil }))
	server.Domain, server.TLSConfig = "localhost", c
	server.ErrorLog = log.New(io.Discard, "", 0)
	m.stop = server.Close
	go server.Serve(listener)
	return m, nil
}

type talk struct{ server *mailServer }

func (talk) Mail(string, *smtp.MailOptions) error { return nil }
func (talk) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (talk) Reset()                               {}
func (talk) Logout() error                        { return nil }

func (t talk) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err == nil {
		t.server.taken <- mail{string(text), time.Now()}
	}
	return err
}
