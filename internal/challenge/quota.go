package challenge

import (
	"context"
	"errors"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/odds"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/store"
)

// TextBudget is what the owner is ready to pay for text messages, in thousandths of the unit the
// gateway bills in.
type TextBudget struct {
	PricePerMessage int64
	PerDay          int64 // of all messages of a day (UTC); 0: no cap
}

func (t TextBudget) quota() ratelimit.Quota {
	return ratelimit.Quota{Kind: "text_budget", Window: 24 * time.Hour, Amount: t.PricePerMessage, Limit: t.PerDay}
}

// SpendText pays for a text message that is never refused: who loses a number is told.
func (c *Challenges) SpendText(ctx context.Context, tx *store.DB) error {
	if err := c.Limits.Spend(ctx, tx, c.Texts.quota()); err != nil && !errors.Is(err, ratelimit.ErrLimited) {
		return err
	}
	return nil
}

// spendMessage takes a message from the quotas it counts against. A text costs money (a call would
// too), and somebody else may be paid for it. A mail to an address that is not the account's yet may
// go to a stranger, also if it is sent to nobody in the end.
func (a *Attempt) spendMessage(ctx context.Context, tx *store.DB, budget odds.Budget, c store.Challenge, m delivery.Message) error {
	limits := a.c.Limits
	to, network := a.c.Keys.Pseudonym(m.To), a.from.Network()
	switch mail := m.Channel == delivery.Email || m.Channel == ""; {
	case mail && a.pending == nil:
		g := odds.Guess{Budget: budget.Name, Challenge: c.ID, Device: a.browser.KnownID()}
		return a.c.Budgets.SpendMail(ctx, tx, budget, g, a.from)
	case mail:
		return limits.Spend(ctx, tx,
			ratelimit.PerHour("new_address", to, ratelimit.NewAddressMailsPerHour),
			ratelimit.PerDay("new_address", to, ratelimit.NewAddressMailsPerDay),
			ratelimit.PerDay("new_addresses_account", a.account.ID, ratelimit.NewAddressMailsPerAccountDay),
			ratelimit.PerNetwork("new_addresses_network", network, ratelimit.TextsPerNetworkHour))
	}
	return limits.Spend(ctx, tx, append(a.textQuotas(m.To), a.c.Texts.quota())...)
}

// textQuotas are the quotas of a text message, but for the money. A browser that the account knows
// has its own, which nobody else can use up; all of an account share one more, or new browsers would
// be new messages. A number that is to be proven has its own too: anybody may type it.
func (a *Attempt) textQuotas(number string) []ratelimit.Quota {
	of := a.account.ID
	if known := a.browser.KnownID(); known != "" && a.pending == nil {
		its := known + " " + of
		return []ratelimit.Quota{
			ratelimit.PerHour("texts_device", its, ratelimit.KnownMailsPerHour), ratelimit.PerDay("texts_device", its, ratelimit.KnownMailsPerDay),
			ratelimit.PerDay("texts_devices_account", of, ratelimit.TextsPerAccountDay),
		}
	}
	to := a.c.Keys.Pseudonym(number)
	block := a.c.Keys.Pseudonym(number[:min(len(number), ratelimit.BlockDigits+1)])
	all := []ratelimit.Quota{
		ratelimit.PerDay("texts_number", to, ratelimit.TextsPerNumberDay),
		ratelimit.PerHour("texts_block", block, ratelimit.TextsPerBlockHour),
	}
	if a.pending != nil {
		all = []ratelimit.Quota{
			ratelimit.PerDay("new_texts_number", to, ratelimit.NewNumberTextsPerDay),
			ratelimit.PerHour("new_texts_block", block, ratelimit.TextsPerBlockHour),
		}
	}
	return append(all,
		ratelimit.PerDay("texts_account", of, ratelimit.TextsPerAccountDay),
		ratelimit.PerNetwork("texts_network", a.from.Network(), ratelimit.TextsPerNetworkHour))
}

// spendAttempt takes a sign-in from those that a network may begin for an account: who has the
// password cannot fill the tables with them.
func (a *Attempt) spendAttempt(ctx context.Context, tx *store.DB) error {
	if a.row.Purpose != store.PurposeSignIn || a.browser.KnownID() != "" {
		return nil
	}
	q := ratelimit.PerNetwork("sign_ins_account_network", a.from.Network(), ratelimit.SignInsPerNetworkHour)
	q.Subject = a.account.ID + " " + q.Subject
	return a.c.Limits.Spend(ctx, tx, q)
}
