package twostep

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/fault"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/outbox"
	"twostep.example/twostep/internal/store"
)

const (
	// readinessTimeout is how long the database may take to show that it can be written and read.
	readinessTimeout = 2 * time.Second
	// readinessInterval is the shortest time between two such writes; between them the last result is the answer.
	readinessInterval = 3 * time.Second
)

// readiness remembers the last check of the database. Checks run one at a time.
type readiness struct {
	mu     sync.Mutex
	last   databaseCheck
	faults *fault.Log
}

// databaseCheck is what a check of the database has found.
type databaseCheck struct {
	at      time.Time
	err     error         // why it cannot be written or read; nil: it can
	took    time.Duration // for writing and reading
	waiting store.WaitingMessages
	latest  time.Time // the latest time that any server has seen; zero: none
}

// ready answers 200 if the database can be written and read and the clock is right, and 503 otherwise. A mail server
// that is down is no reason for 503: no other server would reach it, and people with other methods can sign in.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	check := s.checkDatabase(r.Context())
	status, text := http.StatusOK, "ready"
	if s.clockIsWrong() {
		status, text = http.StatusServiceUnavailable, "not ready: the clock of this server is wrong"
	}
	if check.err != nil {
		status, text = http.StatusServiceUnavailable, "not ready: the database cannot be used"
	}
	if status != http.StatusOK {
		w.Header().Set("Retry-After", strconv.Itoa(fault.RetrySeconds))
	}
	if r.URL.Query().Has("verbose") && origin.IsDirectFromPrivateNetwork(r) && origin.ForwardedBy(r) == "" {
		text += "\n" + strings.Join(s.readinessDetails(check), "\n") + "\n" + s.pages.ProxyDetector.String()
	}
	writeText(w, status, text)
}

// checkDatabase returns the last check if it is not older than readinessInterval, and checks otherwise.
func (s *Server) checkDatabase(ctx context.Context) databaseCheck {
	s.readiness.mu.Lock()
	defer s.readiness.mu.Unlock()
	now := s.now()
	if age := now.Sub(s.readiness.last.at); age >= 0 && age < readinessInterval {
		return s.readiness.last
	}
	// The result is also for others, so it must not depend on whether this client waits for it.
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), readinessTimeout)
	defer stop()
	begun := time.Now() // not s.now: durations need the monotonic clock
	check := databaseCheck{at: now}
	check.err = s.store.SetState(ctx, "time of the last readiness check", strconv.FormatInt(now.UnixMilli(), 10))
	if check.err == nil {
		check.waiting, check.err = s.store.CountWaitingMessages(ctx)
	}
	if check.err == nil {
		check.latest, check.err = s.store.GetLatestTime(ctx)
	}
	if errors.Is(check.err, store.ErrNotFound) { // no server has stored the time yet
		check.err = nil
	}
	check.took = time.Since(begun)
	if check.err != nil {
		s.readiness.faults.Failed(check.err)
	} else {
		s.readiness.faults.Worked()
	}
	s.readiness.last = check
	return check
}

// readinessDetails returns one line for each thing that the server needs.
func (s *Server) readinessDetails(check databaseCheck) []string {
	var lines []string
	if check.err != nil {
		lines = append(lines, "database: failed: "+strings.Join(strings.Fields(check.err.Error()), " "))
	} else {
		lines = append(lines, fmt.Sprintf("database: ok, written and read in %s", check.took.Round(time.Millisecond)))
	}
	for _, channel := range []struct {
		of   delivery.Channel
		name string
	}{{delivery.Email, "mail server"}, {delivery.SMS, "SMS gateway"}} {
		if s.options.Senders[channel.of] != nil {
			lines = append(lines, channel.name+": "+describeChannel(s.outbox.Status(channel.of)))
		}
	}
	if check.err != nil {
		return lines
	}
	return append(lines, describeWaiting(check), s.describeClock(check))
}

func describeChannel(c outbox.ChannelStatus) string {
	at := func(t time.Time) string {
		if t.IsZero() {
			return "never"
		}
		return t.UTC().Format(time.RFC3339)
	}
	switch {
	case c.SentAt.IsZero() && c.FailedAt.IsZero():
		return "not used since the start"
	case c.FailedAt.After(c.SentAt):
		return fmt.Sprintf("degraded: last failure %s, last success %s; the log has the reason", at(c.FailedAt), at(c.SentAt))
	}
	return fmt.Sprintf("ok: last success %s, last failure %s", at(c.SentAt), at(c.FailedAt))
}

func describeWaiting(check databaseCheck) string {
	if check.waiting.Count == 0 {
		return "messages waiting: 0"
	}
	age := max(0, check.at.Sub(check.waiting.Oldest)).Round(time.Second)
	return fmt.Sprintf("messages waiting: %d, the oldest for %s", check.waiting.Count, age)
}

func (s *Server) describeClock(check databaseCheck) string {
	behind := check.latest.Sub(check.at)
	switch state := clockState(s.clock.Load()); {
	case state == clockWrong:
		return "clock: failed: wrong by more than a minute; the log has the difference"
	case behind > maxClockError:
		return fmt.Sprintf("clock: degraded: %s behind the latest time that a server has seen, so no device is trusted",
			behind.Round(time.Second))
	case state == clockOff:
		return "clock: degraded: wrong by more than 2 seconds; the log has the difference"
	}
	return "clock: ok"
}
