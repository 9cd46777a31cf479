package ratelimit_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/store/storetest"
)

// hangUp is a log in which every line makes the client hang up.
type hangUp struct {
	slog.Handler
	client context.CancelFunc
}

func (h hangUp) Handle(context.Context, slog.Record) error {
	h.client()
	return nil
}

// A client beyond its own limit hangs up at the moment when it is refused. That takes nothing from what it shares with
// everybody.
func TestRefusedClientThatHangsUpTakesNothing(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		now := time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC)
		ctx, cancel := context.WithCancel(t.Context())
		l := &ratelimit.Limiter{
			Store: storetest.Open(t, url), Now: func() time.Time { return now },
			Log: slog.New(hangUp{slog.Default().Handler(), cancel}),
		}
		own, shared := ratelimit.PerHour("own", "somebody", 1), ratelimit.PerHour("shared", "", 2)
		if err := l.Spend(ctx, l.Store, own, shared); err != nil {
			t.Fatal(err)
		}
		if err := l.Spend(ctx, l.Store, own, shared); !errors.Is(err, ratelimit.ErrLimited) {
			t.Errorf("beyond the own limit: %v", err)
		}
		if err := l.Spend(t.Context(), l.Store, shared); err != nil {
			t.Errorf("what everybody shares: %v", err)
		}
	})
}
