package store

import (
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// A database that does not answer is reported once, in one line, without the password.
func TestConnectErrorIsOneLine(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	_, err = Open(t.Context(), "postgres://ann:hunter2@"+address+"/people")
	if err == nil || strings.Contains(err.Error(), "\n") || strings.Count(err.Error(), "connection refused") != 1 ||
		!strings.Contains(err.Error(), "cannot connect to PostgreSQL, user=ann database=people: "+address) ||
		strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
	if !errors.As(err, new(*pgconn.ConnectError)) {
		t.Errorf("%T hides its cause", err)
	}
}
