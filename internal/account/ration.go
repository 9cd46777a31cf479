package account

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"twostep.example/twostep/internal/limit"
	"twostep.example/twostep/internal/store"
)

// Ration is how much of something there is in one window of time.
type Ration struct {
	Kind     string // of what
	Subject  string // whose: an id or a keyed hash; "" for the whole site
	Window   time.Duration
	N, Limit int64 // Limit 0: there is no limit
}

// Spend takes out of all the rations, in the transaction of what they are for.
// *WaitError if one is used up, until it opens again.
func (r *Registry) Spend(ctx context.Context, tx *store.DB, rations ...Ration) error {
	for _, one := range rations {
		if one.Limit == 0 {
			continue
		}
		ends := r.Now().Truncate(one.Window).Add(one.Window)
		err := tx.Spend(ctx, counter(one.Kind, one.Subject, one.Window), store.Millis(ends), one.N, one.Limit)
		if errors.Is(err, store.ErrNotFound) {
			r.Log.Warn("ration used up", "ration", one.Kind, "of", one.Subject)
			return &WaitError{Until: ends}
		}
		if err != nil {
			return fmt.Errorf("account: ration: %w", err)
		}
	}
	return nil
}

func counter(kind, subject string, window time.Duration) store.Counter {
	return store.Counter{Kind: kind, Subject: subject, Window: window.Milliseconds()}
}

// PerHour is a ration of which one is taken, of limit in an hour.
func PerHour(kind, subject string, limit int64) Ration {
	return Ration{kind, subject, time.Hour, 1, limit}
}

// PerDay is a ration of which one is taken, of limit in a day (UTC).
func PerDay(kind, subject string, limit int64) Ration {
	return Ration{kind, subject, 24 * time.Hour, 1, limit}
}

// PerNetwork is the ration of a network. All whose network nobody knows share one, which
// is as large as that of limit.Unknown networks.
func PerNetwork(kind, network string, most int64) Ration {
	if network == "" {
		most *= limit.Unknown
	}
	return PerHour(kind, network, most)
}

// Keyed is an address or a number as it may stand in a table of counts.
func (r *Registry) Keyed(to string) string { return hex.EncodeToString(r.Keys.MAC("ration", to)[:16]) }
