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

// Quota is how much of something there is in one window of time.
type Quota struct {
	Name          string // whose, and of what
	Window        time.Duration
	Amount, Limit int64 // Limit 0: there is no limit
}

// SpendQuotas takes out of all the rations, in the transaction of what they are for.
// *WaitError if one is used up, until it opens again.
func (r *Accounts) SpendQuotas(ctx context.Context, tx *store.DB, rations ...Quota) error {
	for _, one := range rations {
		if one.Limit == 0 {
			continue
		}
		ends := r.Now().Truncate(one.Window).Add(one.Window)
		err := tx.Spend(ctx, rationName(one.Name, one.Window), store.Millis(ends), one.Amount, one.Limit)
		if errors.Is(err, store.ErrNotFound) {
			r.Log.Warn("ration used up", "ration", one.Name)
			return &LimitedError{RetryAt: ends}
		}
		if err != nil {
			return fmt.Errorf("account: ration: %w", err)
		}
	}
	return nil
}

func rationName(name string, window time.Duration) string { return fmt.Sprintf("%s %s", name, window) }

// PerHour is a ration of which one is taken, of limit in an hour.
func PerHour(name string, limit int64) Quota { return Quota{name, time.Hour, 1, limit} }

// PerDay is a ration of which one is taken, of limit in a day (UTC).
func PerDay(name string, limit int64) Quota { return Quota{name, 24 * time.Hour, 1, limit} }

// PerNetwork is the ration of a network. All whose network nobody knows share one, which
// is as large as that of limit.Unknown networks.
func PerNetwork(of, network string, most int64) Quota {
	if network == "" {
		most *= limit.UnknownNetworkFactor
	}
	return PerHour(of+" of network "+network, most)
}

// Pseudonym is an address or a number as it may stand in a table of counts.
func (r *Accounts) Pseudonym(to string) string {
	return hex.EncodeToString(r.Keys.MAC("ration", to)[:16])
}
