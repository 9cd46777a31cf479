package twostep

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"twostep.example/twostep/internal/render"
)

const (
	// maxClockError is how far the clock may be wrong. Beyond it, this server would end sessions, codes and trust too
	// early or too late.
	maxClockError = time.Minute
	// clockWarning is how far the clock may be wrong without a warning in the log.
	clockWarning = 2 * time.Second
	// clockInterval is how often the clock is compared, and clockRetry is how often while it is wrong.
	clockInterval, clockRetry = time.Minute, 2 * time.Second
)

// clockState is the result of the last comparison of the clock.
type clockState int32

const (
	clockRight clockState = iota
	clockOff              // by more than clockWarning
	clockWrong            // by more than maxClockError
)

// clockError says that the clock of this machine is wrong.
type clockError struct {
	ahead    time.Duration
	noServer bool // SQLite: the clock is compared with the latest time
}

func (e *clockError) Error() string {
	than, side := "that of the database", "ahead of"
	if e.noServer {
		than = "the latest time in the database"
	}
	if e.ahead < 0 {
		side = "behind"
	}
	text := fmt.Sprintf("the clock of this machine is %s %s %s: set the wrong clock, for example with "+
		"`timedatectl set-ntp true`", e.ahead.Abs().Round(time.Second), side, than)
	if e.noServer {
		text += "; if it is right now and was ahead before, run `twostep restored`"
	}
	return text
}

// compareClock compares the clock now with that of the database, and records the time. It returns a clockError if the
// clock is wrong by more than maxClockError. If the database does not answer, the result of the last comparison stays.
func (s *Server) compareClock(ctx context.Context, now func() time.Time) error {
	ahead, err := s.store.ClockAhead(ctx, now)
	if err != nil {
		return fmt.Errorf("compare the clock: %w", err)
	}
	state, failed := clockRight, &clockError{ahead, s.store.Exclusive()}
	switch {
	case ahead.Abs() > maxClockError:
		state = clockWrong
	case ahead.Abs() > clockWarning:
		state = clockOff
	}
	before := clockState(s.clock.Swap(int32(state)))
	switch {
	case state == clockWrong:
		return failed
	case state == clockOff && before != clockOff:
		s.log.Warn(failed.Error())
	case state == clockRight && before != clockRight:
		s.log.Info("the clock is right again")
	}
	return s.store.AdvanceLatestTime(ctx, now())
}

// watchDatabase records the latest time until ctx ends, compares the clock if it is that of the machine, and looks for
// changes that PostgreSQL has lost.
func (s *Server) watchDatabase(ctx context.Context) {
	for {
		interval := clockInterval
		if s.clockIsWrong() {
			interval = clockRetry
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(interval):
			s.checkClock(ctx, s.now)
			s.checkLost(ctx)
		}
	}
}

// checkLost logs an error if the database has lost changes that it had committed.
func (s *Server) checkLost(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	lost, err := s.store.LostEvents(ctx)
	if err != nil {
		s.log.Error("looking for lost changes failed", "error", err)
	} else if lost > 0 {
		s.log.Error("the database has lost changes that it had committed: a replica without them has taken over. Used "+
			"codes and ended sessions may be valid again: run `twostep restored`", "events", lost)
	}
}

// checkClock records the latest time, and compares the clock if it is that of the machine.
func (s *Server) checkClock(ctx context.Context, now func() time.Time) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	wasWrong, err := s.clockIsWrong(), error(nil)
	if s.options.machineClock {
		err = s.compareClock(ctx, now)
	} else {
		err = s.store.AdvanceLatestTime(ctx, now())
	}
	switch {
	case errors.As(err, new(*clockError)):
		if !wasWrong {
			s.log.Error("nobody can sign in: " + err.Error())
		}
	case err != nil:
		s.log.Error("recording the latest time failed", "error", err)
	}
}

func (s *Server) clockIsWrong() bool { return clockState(s.clock.Load()) == clockWrong }

// whileClockIsRight returns a handler that refuses every request while the clock is wrong (503), except that of a load
// balancer for the state of the server.
func (s *Server) whileClockIsRight(next http.Handler) http.Handler {
	refuse := s.pages.Middleware(s.pages.ErrorHandler(render.ErrClock))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.clockIsWrong() && r.URL.Path != "/healthz" && r.URL.Path != "/readyz" {
			refuse.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}
