package outbox

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store"
)

// While the database fails, a worker pauses between its tries, for half a second at most.
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
		o.runWorker(ctx, true)
		if tries < 2*110 || tries > 2*125 {
			t.Errorf("%d tries in a minute, want about 120", tries/2)
		}
	})
}
