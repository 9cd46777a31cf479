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

// TextBudget are what the owner is ready to pay for text messages, in thousandths of the
// unit the gateway bills in.
type TextBudget struct {
	PricePerMessage int64 // of one message
	PerDay          int64 // of all messages of a day (UTC); 0: no cap
}

func (t TextBudget) ration() account.Quota {
	return account.Quota{Name: "money", Window: 24 * time.Hour, Amount: t.PricePerMessage, Limit: t.PerDay}
}

// ration takes a message out of what it counts against. A text costs money (a call would
// too), and somebody else may be paid for it. A mail to an address that is not the
// account's yet may go to a stranger, also if it is sent to nobody in the end.
func (e *Engine) ration(ctx context.Context, tx *store.DB, v visit, q question) error {
	m := *q.message
	to, network := e.Pseudonym(m.To), v.from.Network()
	switch mail := m.Channel == delivery.Email || m.Channel == ""; {
	case mail && v.draft == nil:
		return e.Ledgers.SpendMail(ctx, tx, ledger.Guess{Budget: ledger.AccountBudget(v.account), Challenge: q.challenge.ID, Device: v.browser.Knows()}, v.from)
	case mail:
		return e.SpendQuotas(ctx, tx,
			account.PerHour("new address "+to, limit.NewAddressMailsPerHour), account.PerDay("new address "+to, limit.NewAddressMailsPerDay),
			account.PerDay("new addresses of account "+v.account.ID, limit.NewAddressMailsPerAccountDay),
			account.PerNetwork("new addresses", network, limit.TextsPerNetworkHour))
	}
	return e.SpendQuotas(ctx, tx, append(e.texts(v, m.To), e.Texts.ration())...)
}

// texts are the rations of a text message, but for the money. A browser that the account knows
// has its own, which no stranger can use up; all of an account have one together, or new browsers
// would be new messages. A number that is to be proven has its own too: anybody may type it.
func (e *Engine) texts(v visit, number string) []account.Quota {
	of := "account " + v.account.ID
	if known := v.browser.Knows(); known != "" && v.draft == nil {
		its := "texts of device " + known + " of " + of
		return []account.Quota{
			account.PerHour(its, limit.KnownMailsPerHour), account.PerDay(its, limit.KnownMailsPerDay),
			account.PerDay("texts of devices of "+of, limit.TextsPerAccountDay),
		}
	}
	to, block := e.Pseudonym(number), e.Pseudonym(number[:min(len(number), limit.BlockDigits+1)])
	all := []account.Quota{
		account.PerDay("texts to "+to, limit.TextsPerNumberDay),
		account.PerHour("texts to block "+block, limit.TextsPerBlockHour),
	}
	if v.draft != nil {
		all = []account.Quota{
			account.PerDay("new texts to "+to, limit.NewNumberTextsPerDay),
			account.PerHour("new texts to block "+block, limit.TextsPerBlockHour),
		}
	}
	return append(all,
		account.PerDay("texts of "+of, limit.TextsPerAccountDay),
		account.PerNetwork("texts", v.from.Network(), limit.TextsPerNetworkHour))
}

// spendSignIn takes a sign-in out of those that a network may begin of an account: whoever has the
// password cannot fill the tables with them.
func (e *Engine) spendSignIn(ctx context.Context, tx *store.DB, v visit, from account.Origin) error {
	if v.Purpose != store.ForSession || v.browser.Knows() != "" {
		return nil
	}
	return e.SpendQuotas(ctx, tx, account.PerNetwork("sign-ins of account "+v.account.ID, from.Network(), limit.SignInsPerNetworkHour))
}
