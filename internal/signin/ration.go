package signin

import (
	"context"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/ledger"
	"twostep.example/twostep/internal/limit"
	"twostep.example/twostep/internal/store"
)

// Texts are what the owner is ready to pay for text messages, in thousandths of the
// unit the gateway bills in.
type Texts struct {
	Price int64 // of one message
	Day   int64 // of all messages of a day (UTC); 0: no cap
}

func (t Texts) ration() account.Ration {
	return account.Ration{Kind: "text_budget", Window: 24 * time.Hour, N: t.Price, Limit: t.Day}
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
			account.PerHour("new_address", to, limit.NewMailsHour), account.PerDay("new_address", to, limit.NewMailsDay),
			account.PerDay("new_addresses_account", v.account.ID, limit.NewMailsPerAccount),
			account.PerNetwork("new_addresses_network", network, limit.TextsPerNetwork))
	}
	return e.Spend(ctx, tx, append(e.texts(v, m.To), e.Texts.ration())...)
}

// texts are the rations of a text message, but for the money. A browser that the account knows
// has its own, which no stranger can use up; all of an account have one together, or new browsers
// would be new messages. A number that is to be proven has its own too: anybody may type it.
func (e *Engine) texts(v visit, number string) []account.Ration {
	of := v.account.ID
	if known := v.browser.Knows(); known != "" && v.draft == nil {
		its := known + " " + of
		return []account.Ration{
			account.PerHour("texts_device", its, limit.KnownSendsHour), account.PerDay("texts_device", its, limit.KnownSendsDay),
			account.PerDay("texts_devices_account", of, limit.TextsPerAccount),
		}
	}
	to, block := e.Keyed(number), e.Keyed(number[:min(len(number), limit.BlockDigits+1)])
	all := []account.Ration{
		account.PerDay("texts_number", to, limit.TextsPerNumber),
		account.PerHour("texts_block", block, limit.TextsPerBlock),
	}
	if v.draft != nil {
		all = []account.Ration{
			account.PerDay("new_texts_number", to, limit.NewTextsPerNumber),
			account.PerHour("new_texts_block", block, limit.TextsPerBlock),
		}
	}
	return append(all,
		account.PerDay("texts_account", of, limit.TextsPerAccount),
		account.PerNetwork("texts_network", v.from.Network(), limit.TextsPerNetwork))
}

// spendSignIn takes a sign-in out of those that a network may begin of an account: whoever has the
// password cannot fill the tables with them.
func (e *Engine) spendSignIn(ctx context.Context, tx *store.DB, v visit, from account.From) error {
	if v.Purpose != store.ForSession || v.browser.Knows() != "" {
		return nil
	}
	most := account.PerNetwork("sign_ins_account_network", from.Network(), limit.SignInsPerNetwork)
	most.Subject = v.account.ID + " " + most.Subject
	return e.Spend(ctx, tx, most)
}
