package main

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/url"
	"sync/atomic"
)

// tapped stands between a program and PostgreSQL and counts the statements that are executed.
type tapped struct {
	url      string // of the database, through the tap
	executed atomic.Int64
	listener net.Listener
}

// tap opens one to the database at address, which must not want TLS.
func tap(address string) (*tapped, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("not a URL of a database") // it may hold a password
	}
	to := u.Host
	w := &tapped{}
	if w.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	u.Host = w.listener.Addr().String()
	q := u.Query()
	q.Set("sslmode", "disable")
	u.RawQuery = q.Encode()
	w.url = u.String()
	go func() {
		for {
			client, err := w.listener.Accept()
			if err != nil {
				return
			}
			go w.join(client, to)
		}
	}()
	return w, nil
}

func (w *tapped) join(client net.Conn, to string) {
	defer client.Close()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	go io.Copy(client, server)
	for first := true; ; first = false {
		kind, err := w.pass(client, server, first)
		if err != nil {
			return
		}
		if kind == 'E' || kind == 'Q' { // Execute, Query (PostgreSQL, 54.7)
			w.executed.Add(1)
		}
	}
}

// pass hands one message on. The first of a connection has no kind.
func (w *tapped) pass(from io.Reader, to io.Writer, first bool) (kind byte, err error) {
	head := make([]byte, 5)
	if first {
		head = head[:4]
	}
	if _, err := io.ReadFull(from, head); err != nil {
		return 0, err
	}
	length := binary.BigEndian.Uint32(head[len(head)-4:])
	if _, err := to.Write(head); err != nil {
		return 0, err
	}
	_, err = io.CopyN(to, from, int64(length)-4)
	return head[0], err
}
