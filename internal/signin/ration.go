package signin

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"twostep/delivery"
	"twostep/internal/limit"
	"twostep/internal/store"
)

// Texts are what the owner is ready to pay for text messages, in thousandths of the
// unit the gateway bills in.
type Texts struct {
	Price int64 // of one message
	Day   int64 // of all messages of a day (UTC); 0: no cap
}

// ration is how much of something there is in one window of time.
type ration struct {
	name     string // whose, and of what
	window   time.Duration
	n, limit int64 // limit 0: there is no limit
}

// spend takes out of all the rations, in the transaction of what they are for.
// *WaitError if one is used up, until it opens again.
func (e *Engine) spend(ctx context.Context, tx *store.DB, rations ...ration) error {
	for _, r := range rations {
		if r.limit == 0 {
			continue
		}
		ends := e.Now().Truncate(r.window).Add(r.window)
		err := tx.Spend(ctx, fmt.Sprintf("%s %s", r.name, r.window), store.Millis(ends), r.n, r.limit)
		if errors.Is(err, store.ErrNotFound) {
			e.Log.Warn("ration used up", "ration", r.name)
			return &WaitError{Until: ends}
		}
		if err != nil {
			return fmt.Errorf("signin: ration: %w", err)
		}
	}
	return nil
}

const (
	hour = time.Hour
	day  = 24 * time.Hour
)

// perNetwork is the ration of a network; nobody knows one, nobody has one.
func perNetwork(of, network string, limit int64) ration {
	if network == "" {
		limit = 0
	}
	return ration{of + " of network " + network, hour, 1, limit}
}

// ration takes a message out of what it counts against. A text costs money (a call would
// too), and somebody else may be paid for it. A mail to an address that is not the
// account's yet may go to a stranger, also if it is sent to nobody in the end. The mail
// of a sign-in has no ration here.
func (e *Engine) ration(ctx context.Context, tx *store.DB, v visit, m delivery.Message) error {
	to := e.keyed(m.To)
	switch mail := m.Channel == delivery.Email || m.Channel == ""; {
	case mail && v.draft == nil:
		return nil
	case mail:
		return e.spend(ctx, tx,
			ration{"new address " + to, hour, 1, limit.NewMailsHour}, ration{"new address " + to, day, 1, limit.NewMailsDay},
			ration{"new addresses of account " + v.account.ID, day, 1, limit.NewMailsPerAccount},
			perNetwork("new addresses", v.network, limit.TextsPerNetwork))
	}
	block := e.keyed(m.To[:min(len(m.To), limit.BlockDigits+1)])
	return e.spend(ctx, tx,
		ration{"texts to " + to, day, 1, limit.TextsPerNumber},
		ration{"texts to block " + block, hour, 1, limit.TextsPerBlock},
		ration{"texts of account " + v.account.ID, day, 1, limit.TextsPerAccount},
		perNetwork("texts", v.network, limit.TextsPerNetwork),
		ration{"money", day, e.Settings.Texts.Price, e.Settings.Texts.Day})
}

// keyed is an address or a number as it may stand in a table of counts.
func (e *Engine) keyed(to string) string { return hex.EncodeToString(e.Keys.MAC("ration", to)[:16]) }
