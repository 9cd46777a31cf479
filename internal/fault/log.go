package fault

import (
	"log/slog"
	"sync"
	"time"
)

// Throttle allows something once a minute. The zero value is ready. It is safe for concurrent use.
type Throttle struct {
	mu   sync.Mutex
	last time.Time
}

// Allow reports whether a minute has passed since it last returned true, or the clock was set back.
func (t *Throttle) Allow(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if d := now.Sub(t.last); d >= 0 && d < time.Minute {
		return false
	}
	t.last = now
	return true
}

// Log writes about a failure that repeats: one line at once, then one line a minute with the number of failures since
// the line before, and one line when it works again. Its methods are safe for concurrent use.
type Log struct {
	Logger  *slog.Logger
	Now     func() time.Time
	Failing string // the message while it fails
	Working string // the message when it works again; "": none

	mu    sync.Mutex
	since time.Time // of the first failure; zero: it works
	lines Throttle
	count int // failures since the last line
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
	if !l.lines.Allow(now) {
		return
	}
	l.Logger.Error(l.Failing, append(attrs, "error", err, "failures", l.count, "since", l.since)...)
	l.count = 0
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
	l.since, l.lines, l.count = time.Time{}, Throttle{}, 0
}
