package outbox

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store"
)

// A database that fails for ten minutes makes a line a minute and one when it works again, however often it is tried.
func TestFailuresAreLoggedOnceAMinute(t *testing.T) {
	var text bytes.Buffer
	log := slog.New(slog.NewTextHandler(&text, nil))
	var f failureLog
	now := time.Unix(1000, 0)
	for range 600 {
		for range 4 {
			f.failed(log, now, errors.New("disk full"))
		}
		now = now.Add(time.Second)
	}
	if got := strings.Count(text.String(), "disk full"); got != 10 || !strings.Contains(text.String(), "failures=240") {
		t.Errorf("%d lines, want 10 with the number of failures:\n%s", got, text.String())
	}
	text.Reset()
	f.worked(log)
	f.worked(log)
	if got := strings.Count(text.String(), "\n"); got != 1 || !strings.Contains(text.String(), "delivered again") {
		t.Errorf("%q, want one line that messages are delivered again", text.String())
	}
	f.failed(log, now, errors.New("disk full"))
	if !strings.Contains(text.String(), "disk full") {
		t.Error("the next failure is not logged")
	}
}

// While the database fails, the workers pause between their tries: 1, 2, 4 and then 5 seconds.
func TestWorkersPauseWhileTheDatabaseFails(t *testing.T) {
	keys, err := seal.ParseKeyRing(seal.NewKeyLine())
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		var tries int
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		now := func() time.Time { tries++; return time.Now() } // DeliverNext and the log ask once each
		o := New(db, keys, nil, now, slog.New(slog.DiscardHandler))
		o.runWorker(ctx)
		if tries > 2*16 {
			t.Errorf("%d tries in a minute, want at most 16", tries/2)
		}
	})
}
