package fault_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/internal/fault"
)

func TestTemporary(t *testing.T) {
	for _, err := range []error{fault.ErrUnavailable, context.DeadlineExceeded} {
		if !fault.Temporary(fmt.Errorf("find session: %w", err)) {
			t.Errorf("%v is not temporary", err)
		}
	}
	for _, err := range []error{nil, context.Canceled, errors.New("no such column")} {
		if fault.Temporary(err) {
			t.Errorf("%v is temporary", err)
		}
	}
}

// A database that fails for ten minutes makes a line a minute and one when it works again, however often it is tried.
func TestFailuresAreLoggedOnceAMinute(t *testing.T) {
	var text bytes.Buffer
	now := time.Unix(1000, 0)
	log := &fault.Log{
		Logger: slog.New(slog.NewTextHandler(&text, nil)), Now: func() time.Time { return now },
		Failing: "it fails", Working: "it works again",
	}
	for range 600 {
		for range 4 {
			log.Failed(errors.New("disk full"))
		}
		now = now.Add(time.Second)
	}
	if got := strings.Count(text.String(), "disk full"); got != 10 || !strings.Contains(text.String(), "failures=240") {
		t.Errorf("%d lines, want 10 with the number of failures:\n%s", got, text.String())
	}
	text.Reset()
	log.Worked()
	log.Worked()
	if got := strings.Count(text.String(), "\n"); got != 1 || !strings.Contains(text.String(), "it works again") {
		t.Errorf("%q, want one line that it works again", text.String())
	}
	log.Failed(errors.New("disk full"))
	if !strings.Contains(text.String(), "disk full") {
		t.Error("the next failure is not logged")
	}
}

func TestThrottle(t *testing.T) {
	var once fault.Throttle
	start := time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC)
	for _, row := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {0, false}, {59 * time.Second, false}, {time.Minute, true}, {90 * time.Second, false}, {0, true}} {
		if got := once.Allow(start.Add(row.after)); got != row.want {
			t.Errorf("after %v: got %v", row.after, got)
		}
	}
}
