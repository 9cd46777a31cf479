package signin

import (
	"context"
	"time"

	"twostep/delivery"
	"twostep/internal/account"
	"twostep/internal/ledger"
	"twostep/internal/limit"
	"twostep/internal/store"
)

// Texts are what the owner is ready to pay for text messages, in thousandths of the
// unit the gateway bills in.
type Texts struct {
	Price int64 // of one message
	Day   int64 // of all messages of a day (UTC); 0: no cap
}

func (t Texts) ration() account.Ration {
	return account.Ration{Name: "money", Window: 24 * time.Hour, N: t.Price, Limit: t.Day}
}

// ration takes a message out of what it counts against. A text costs money (a call would
// too), and somebody else may be paid for it. A mail to an address that is not the
// account's yet may go to a stranger, also if it is sent to nobody in the end.
func (e *Engine) ration(ctx context.Context, tx *store.DB, v visit, q question) error {
	m := *q.message
	to, network := e.Keyed(m.To), v.from.Network()
	switch mail := m.Channel == delivery.Email || m.Channel == ""; {
	case mail && v.draft == nil:
		return e.Ledgers.Send(ctx, tx, ledger.Guess{Ledger: ledger.Of(v.account), Challenge: q.challenge.ID, Device: v.browser.Knows()}, v.from)
	case mail:
		return e.Spend(ctx, tx,
			account.PerHour("new address "+to, limit.NewMailsHour), account.PerDay("new address "+to, limit.NewMailsDay),
			account.PerDay("new addresses of account "+v.account.ID, limit.NewMailsPerAccount),
			account.PerNetwork("new addresses", network, limit.TextsPerNetwork))
	}
	block := e.Keyed(m.To[:min(len(m.To), limit.BlockDigits+1)])
	return e.Spend(ctx, tx,
		account.PerDay("texts to "+to, limit.TextsPerNumber),
		account.PerHour("texts to block "+block, limit.TextsPerBlock),
		account.PerDay("texts of account "+v.account.ID, limit.TextsPerAccount),
		account.PerNetwork("texts", network, limit.TextsPerNetwork),
		e.Texts.ration())
}
