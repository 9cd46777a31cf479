package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// connectError is a failure to connect to PostgreSQL, in one line.
type connectError struct {
	text string
	err  error
}

func (e *connectError) Error() string { return e.text }

func (e *connectError) Unwrap() error { return e.err }

// describeConnectError returns err with each cause once, or nil if it is no failure to connect. pgconn reports a
// cause for each address and once more for each way to reach it, with TLS and without.
func describeConnectError(err error) error {
	failed := new(pgconn.ConnectError)
	if !errors.As(err, &failed) {
		return nil
	}
	text, causes, _ := strings.Cut(failed.Error(), ":")
	var unique []string
	for cause := range strings.Lines(causes) {
		if cause = strings.TrimSpace(cause); cause != "" && !slices.Contains(unique, cause) {
			unique = append(unique, cause)
		}
	}
	what := fmt.Sprintf("cannot connect to PostgreSQL, %s: %s",
		strings.ReplaceAll(strings.TrimPrefix(text, "failed to connect to "), "`", ""), strings.Join(unique, "; "))
	return &connectError{what, err}
}
