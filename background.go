package twostep

import (
	"context"
	"sync"
	"time"

	"twostep.example/twostep/internal/fault"
)

// job is work that a server repeats in the background.
type job struct {
	name     string
	interval time.Duration // from the end of one run to the start of the next
	retry    time.Duration // the same after a failure, or if soon returns true; 0: interval
	timeout  time.Duration // of one run
	// run does the work. It returns how many rows or messages it has handled.
	run  func(context.Context) (int64, error)
	soon func() bool // nil: no
	// failing and working are the log lines of the first failure in a row, and of the end of the failures; "": run logs
	// its failures.
	failing, working string

	mu    sync.Mutex
	stats JobStats
}

// JobStats says what a job in the background has done since the start of the server.
type JobStats struct {
	Name     string        // docs/operating.md#background-work lists the jobs
	Runs     int64         // that have ended
	Failures int64         // runs that ended with an error
	Rows     int64         // rows that were deleted or changed, or messages that were sent, in all runs
	Last     time.Duration // how long the last run took
	Longest  time.Duration // how long the longest run took
	Total    time.Duration // how long all runs took together
	EndedAt  time.Time     // when the last run ended; zero: none has
}

// Jobs returns what the background work of this server has done, for metrics.
func (s *Server) Jobs() []JobStats {
	list := make([]JobStats, len(s.jobs))
	for i, j := range s.jobs {
		j.mu.Lock()
		list[i] = j.stats
		list[i].Name = j.name
		j.mu.Unlock()
	}
	return list
}

// PasswordHashes returns how many password hashes this server has computed since its start, for metrics. They take most
// of its CPU time.
func (s *Server) PasswordHashes() int64 { return s.services.Accounts.Passwords.Computed() }

// repeat runs a job until ctx ends.
func (s *Server) repeat(ctx context.Context, j *job) {
	failures := &fault.Log{Logger: s.log, Now: s.now, Failing: j.failing, Working: j.working}
	for {
		err := j.runOnce(ctx)
		switch {
		case j.failing == "" || ctx.Err() != nil:
		case err == nil:
			failures.Worked()
		default:
			failures.Failed(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(j.pause(err)):
		}
	}
}

// pause returns how long to wait for the next run. It varies by a tenth with the time, so that jobs, and those of several
// servers, do not run in step.
func (j *job) pause(err error) time.Duration {
	pause := j.interval
	if j.retry > 0 && (err != nil || j.soon != nil && j.soon()) {
		pause = j.retry
	}
	return pause - pause/10 + time.Duration(time.Now().UnixNano())%(pause/5)
}

// runOnce runs the job and records how long it took.
func (j *job) runOnce(ctx context.Context) error {
	limited, stop := context.WithTimeout(ctx, j.timeout)
	defer stop()
	began := time.Now() // not the clock of the options: durations need the monotonic clock
	rows, err := j.run(limited)
	took := time.Since(began)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.stats.Runs++
	j.stats.Rows += rows
	j.stats.Last, j.stats.Longest, j.stats.EndedAt = took, max(j.stats.Longest, took), began.Add(took)
	j.stats.Total += took
	if err != nil {
		j.stats.Failures++
	}
	return err
}
