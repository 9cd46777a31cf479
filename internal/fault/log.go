package fault

import (
	"log/slog"
	"sync"
	"time"
)

// logInterval is the shortest time between two lines about the same failure.
const logInterval = time.Minute

// Log writes about a failure that repeats: one line at once, then one line a minute with the number of failures since
// the line before, and one line when it works again. Its methods are safe for concurrent use.
type Log struct {
	Logger  *slog.Logger
	Now     func() time.Time
	Failing string // the message while it fails
	Working string // the message when it works again; "": none

	mu     sync.Mutex
	since  time.Time // of the first failure; zero: it works
	logged time.Time // when the last line was written
	count  int       // failures since then
}

// Failed records a failure. attrs are in the line of this failure, if there is one.
func (l *Log) Failed(err error, attrs ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.Now()
	if l.since.IsZero() {
		l.since = now
	}
	l.count++
	if !l.logged.IsZero() && now.Sub(l.logged) < logInterval && !now.Before(l.logged) {
		return
	}
	l.Logger.Error(l.Failing, append(attrs, "error", err, "failures", l.count, "since", l.since)...)
	l.logged, l.count = now, 0
}

// Worked records that it works, and writes a line if it has failed before.
func (l *Log) Worked() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.since.IsZero() {
		return
	}
	if l.Working != "" {
		l.Logger.Info(l.Working, "since", l.since)
	}
	l.since, l.logged, l.count = time.Time{}, time.Time{}, 0
}
