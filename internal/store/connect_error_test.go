package store

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// A database that does not answer is reported once, in one line, without the password.
func TestConnectErrorIsOneLine(t *testing.T) {
	const address = "127.0.0.1:1" // a port of tcpmux, which nobody runs
	_, err := Open(t.Context(), "postgres://ann:hunter2@"+address+"/people")
	if err == nil || strings.Contains(err.Error(), "\n") || strings.Count(err.Error(), "connection refused") != 1 ||
		!strings.Contains(err.Error(), "cannot connect to PostgreSQL, user=ann database=people: "+address) ||
		strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
	if !errors.As(err, new(*pgconn.ConnectError)) {
		t.Errorf("%T hides its cause", err)
	}
}

// An error about a database URL quotes nothing of its password, wherever a character that is not encoded ends it.
func TestURLErrorQuotesNoPassword(t *testing.T) {
	for url, want := range map[string]string{
		"postgres://ann:hun@ter2@127.0.0.1:1/people":                     "write @ as %40",
		"postgres://ann:hun/ter2@127.0.0.1:1/people":                     "write @ as %40",
		"postgres://ann:12/ter2@127.0.0.1/people":                        "write @ as %40",
		"postgres://ann:12/ter2@127.0.0.1/people?sslmode=no":             "write @ as %40",
		"postgresql://ann:hun@ter2:x@127.0.0.1:1/people":                 "write @ as %40",
		"postgres://ann:hun%ter2@127.0.0.1:1/people":                     "invalid percent-encoded token in password",
		"postgres://ann:hunter2@127.0.0.1:1/people?sslmode=no":           "sslmode is invalid",
		"postgres://ann@127.0.0.1:1/people?password=hunter2&sslmode=no":  "sslmode is invalid",
		"postgres://ann:hun`ter2@127.0.0.1:port/people":                  "invalid port",
		"postgres://ann:hunter2@127.0.0.1:1/people?sslrootcert=/missing": "unable to read CA file",
	} {
		_, err := Open(t.Context(), url)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "ter2") {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
	for _, url := range []string{
		"postgres:///people?host=/run/postgresql&user=ann@example", "postgres://ann@%2Frun%2Fpostgresql/people",
		"postgres://ann:hun%40ter%2F2@127.0.0.1/people", "postgres://ann:hunter2@127.0.0.1,127.0.0.2:5433/people",
	} {
		if err := preparePostgres(Config{URL: url}); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}
