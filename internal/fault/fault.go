// Package fault names failures that pass, such as a database that cannot be reached, and logs those that repeat once a
// minute.
package fault

import (
	"context"
	"errors"
)

// ErrUnavailable means that something this server needs cannot be used now: the database is unreachable, busy,
// read-only or out of space, or the server is shutting down. The same request may succeed later. It says nothing about
// the person who asks, so it must neither sign anybody in nor out.
var ErrUnavailable = errors.New("the server cannot do this now, try again in a few seconds")

// RetrySeconds is the Retry-After of a response to a request that failed with a temporary error, in seconds.
const RetrySeconds = 5

// Temporary reports whether err passes: it is ErrUnavailable, or the request ran out of time.
func Temporary(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, context.DeadlineExceeded)
}
