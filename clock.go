package twostep

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"twostep.example/twostep/internal/forwardauth"
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

// watchDatabase records the latest time, compares the clock and looks for changes that PostgreSQL has lost. It returns
// how many are lost.
func (s *Server) watchDatabase(ctx context.Context) (lost int64, err error) {
	err = s.checkClock(ctx, s.now)
	lost, failed := s.checkLost(ctx)
	return lost, errors.Join(err, failed)
}

// checkLost logs an error if the database has lost changes that it had committed, and returns their number. It returns
// an error if the database cannot be used.
func (s *Server) checkLost(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	lost, err := s.store.LostEvents(ctx)
	if lost > 0 {
		s.log.Error("the database has lost changes that it had committed: a replica without them has taken over. Used "+
			"codes and ended sessions may be valid again: run `twostep restored`", "events", lost)
	}
	return int64(lost), err
}

// checkClock records the latest time, and compares the clock if it is that of the machine. It logs an error when the
// clock becomes wrong, and returns one if the database cannot be used.
func (s *Server) checkClock(ctx context.Context, now func() time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	if !s.options.machineClock {
		return s.store.AdvanceLatestTime(ctx, now())
	}
	wasWrong := s.clockIsWrong()
	err := s.compareClock(ctx, now)
	wrong, ok := errors.AsType[*clockError](err)
	if ok && !wasWrong {
		s.log.Error("nobody can sign in: " + wrong.Error())
	}
	if ok {
		return nil
	}
	return err
}

func (s *Server) clockIsWrong() bool { return clockState(s.clock.Load()) == clockWrong }

// whileClockIsRight returns a handler that refuses every request while the clock is wrong (503), except that of a load
// balancer for the state of the server. A proxy that asks about a request gets a line of text.
func (s *Server) whileClockIsRight(next http.Handler) http.Handler {
	page := s.pages.ErrorHandler(render.ErrClock)
	line := s.pages.Handle(func(w http.ResponseWriter, r *http.Request) error {
		return s.hosts.WriteUnavailable(w, r, "fault.clock")
	})
	refuse := s.pages.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if forwardauth.IsAuthCheck(r) {
			line.ServeHTTP(w, r)
			return
		}
		page.ServeHTTP(w, r)
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.clockIsWrong() && r.URL.Path != "/healthz" && r.URL.Path != "/readyz" {
			refuse.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}
