package outbox

import (
	"log/slog"
	"sync"
	"time"
)

// failureLog logs that messages cannot be delivered because the database fails: at once, then one line a minute, and
// one line when it works again. A database that fails does so for every worker, many times a second.
type failureLog struct {
	mu     sync.Mutex
	since  time.Time // zero: the last delivery did not fail
	logged time.Time // the last line
	count  int       // failures since then
}

const failureLogInterval = time.Minute

func (f *failureLog) failed(log *slog.Logger, now time.Time, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.since.IsZero() {
		f.since = now
	}
	f.count++
	if f.logged.IsZero() || now.Sub(f.logged) >= failureLogInterval {
		log.Error("messages cannot be delivered: the database fails", "error", err, "failures", f.count, "since", f.since)
		f.logged, f.count = now, 0
	}
}

func (f *failureLog) worked(log *slog.Logger) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.since.IsZero() {
		return
	}
	log.Info("messages are delivered again", "since", f.since)
	f.since, f.logged, f.count = time.Time{}, time.Time{}, 0
}
