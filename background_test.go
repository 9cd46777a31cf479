package twostep

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"twostep.example/twostep/internal/store/storetest"
)

// A job counts its runs, failures and rows.
func TestJobStats(t *testing.T) {
	failed := errors.New("it fails")
	results := []error{nil, failed, nil}
	j := &job{name: "x", timeout: time.Minute}
	j.run = func(ctx context.Context) (int64, error) {
		if _, limited := ctx.Deadline(); !limited {
			t.Error("no time limit")
		}
		err := results[0]
		results = results[1:]
		return 5, err
	}
	for len(results) > 0 {
		want := results[0]
		if err := j.runOnce(t.Context()); err != want {
			t.Errorf("%v, want %v", err, want)
		}
	}
	s := Server{jobs: []*job{j}}
	if got := s.Jobs(); len(got) != 1 || got[0].Name != "x" || got[0].Runs != 3 || got[0].Failures != 1 ||
		got[0].Rows != 15 || got[0].Last <= 0 || got[0].Longest < got[0].Last || got[0].EndedAt.IsZero() {
		t.Errorf("%+v", got)
	}
}

// Pauses differ by a tenth, and are shorter after a failure or if there is more to do.
func TestJobsDoNotRunInStep(t *testing.T) {
	hurry := false
	j := &job{interval: 10 * time.Minute, retry: time.Minute, soon: func() bool { return hurry }}
	for _, row := range []struct {
		err   error
		hurry bool
		want  time.Duration
	}{{nil, false, 10 * time.Minute}, {errors.New("x"), false, time.Minute}, {nil, true, time.Minute}} {
		hurry = row.hurry
		var pauses []time.Duration
		for range 100 {
			pauses = append(pauses, j.pause(row.err))
		}
		if slices.Min(pauses) < row.want*9/10 || slices.Max(pauses) > row.want*11/10 || slices.Min(pauses) == slices.Max(pauses) {
			t.Errorf("%+v: pauses from %s to %s", row, slices.Min(pauses), slices.Max(pauses))
		}
	}
}

// Each job of a server runs without an error on an empty database.
func TestJobsOfAServer(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, database string) {
		o := options(t)
		o.Database, o.NoBackgroundWork = database, true
		s, err := New(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if len(s.Jobs()) != 0 {
			t.Error("background work that was not wanted")
		}
		for _, j := range s.backgroundJobs() {
			if err := j.runOnce(t.Context()); err != nil || j.stats.Runs != 1 {
				t.Errorf("%s: %+v, %v", j.name, j.stats, err)
			}
		}
	})
}
