package challenge

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/odds"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/store"
)

// TextBudget is what the operator is willing to pay for text messages, in thousandths of the unit that the
// gateway charges in.
type TextBudget struct {
	PricePerMessage int64
	PerDay          int64 // limit for all messages of a day (UTC); 0: no limit
}

// textBudgetWindow is the window of a TextBudget.
const textBudgetWindow = 24 * time.Hour

// TextCosts returns what the text messages of today and of this month (UTC) have cost, in the unit of TextBudget.
func (c *Challenges) TextCosts(ctx context.Context) (today, month int64, err error) {
	now := c.Now().UTC()
	first := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	windows, err := c.Store.ListCounterWindows(ctx,
		store.Counter{Kind: "text_budget", Window: textBudgetWindow.Milliseconds()}, first)
	if err != nil {
		return 0, 0, fmt.Errorf("challenge: text costs: %w", err)
	}
	for _, w := range windows {
		if month += w.Used; w.EndsAt.After(now) {
			today += w.Used
		}
	}
	return today, month, nil
}

// textsPerParty is how many text messages of the budget an account has at least, if a tenth of it is less.
const textsPerParty = 3

// quotas returns the quotas of one message.
func (t TextBudget) quotas(who ratelimit.Standing, account string) []ratelimit.Quota {
	shared := ratelimit.Shared{
		Kind: "text_budget", Window: textBudgetWindow, Limit: t.PerDay,
		PartyLimit: max(t.PerDay/10, textsPerParty*t.PricePerMessage),
	}
	if t.PerDay == 0 && t.PricePerMessage > 0 { // counted for the operators
		shared.Limit, shared.PartyLimit, who = math.MaxInt64, 0, ratelimit.Proven
	}
	return shared.For(who, account, t.PricePerMessage)
}

// SpendText counts the price of a text message that is sent whether the budget allows it or not: the
// notice to a number that was replaced.
func (c *Challenges) SpendText(ctx context.Context, tx *store.DB, account string) error {
	err := c.Limits.Spend(ctx, tx, c.Texts.quotas(ratelimit.Proven, account)...)
	if err != nil && !errors.Is(err, ratelimit.ErrLimited) {
		return err
	}
	return nil
}

// TextPayment returns a function that calls SpendText in a transaction.
func (c *Challenges) TextPayment(ctx context.Context, account string) func(tx *store.DB) error {
	return func(tx *store.DB) error { return c.SpendText(ctx, tx, account) }
}

// spendMessage counts a message. It returns a *ratelimit.LimitedError if it may not be sent now. Text
// messages and calls cost money, and a fraudster who owns the number can earn part of it. An email to a
// new address may reach somebody who has nothing to do with the account. It counts even if it is not sent
// because the address has an account (see silence).
func (a *Attempt) spendMessage(
	ctx context.Context, tx *store.DB, budget odds.Budget, c store.Challenge, m delivery.Message,
) error {
	limits := a.c.Limits
	to := a.c.Keys.Pseudonym(m.To)
	switch email := m.Channel == delivery.Email || m.Channel == ""; {
	case email && a.pending == nil:
		g := odds.Guess{Budget: budget.Name, Challenge: c.ID, Device: a.browser.KnownID()}
		return a.c.Budgets.SpendMail(ctx, tx, budget, g, a.from)
	case email:
		return limits.Spend(ctx, tx, append(
			ratelimit.PerNetwork("new_addresses_network", a.from.Networks(), time.Hour, ratelimit.TextsPerNetworkHour),
			ratelimit.PerHour("new_address", to, ratelimit.NewAddressMailsPerHour),
			ratelimit.PerDay("new_address", to, ratelimit.NewAddressMailsPerDay),
			ratelimit.PerDay("new_addresses_account", a.account.ID, ratelimit.NewAddressMailsPerAccountDay))...)
	}
	return limits.Spend(ctx, tx, append(a.textQuotas(m.To), a.c.Texts.quotas(a.standing(), a.account.ID)...)...)
}

// standing returns what part of the shared budgets the attempt may use. A new account may have been created by somebody
// who wants to use them up, and so may a number that is being confirmed.
func (a *Attempt) standing() ratelimit.Standing {
	switch {
	case a.account.CreatedAt.After(a.c.Now().Add(-odds.EstablishedAge)):
		return ratelimit.Newcomer
	case a.pending == nil && a.browser.KnownID() != "":
		return ratelimit.Proven
	}
	return ratelimit.Stranger
}

// textQuotas returns the quotas of a text message, except for its price. A known device has its own, which
// nobody else can use up; all known devices of an account share one more, so that a new device does not
// add messages. A number that is being confirmed has its own too, since anybody can enter it.
func (a *Attempt) textQuotas(number string) []ratelimit.Quota {
	account := a.account.ID
	if known := a.browser.KnownID(); known != "" && a.pending == nil {
		device := known + " " + account
		return []ratelimit.Quota{
			ratelimit.PerHour("texts_device", device, ratelimit.KnownMailsPerHour),
			ratelimit.PerDay("texts_device", device, ratelimit.KnownMailsPerDay),
			ratelimit.PerDay("texts_devices_account", account, ratelimit.TextsPerAccountDay),
		}
	}
	to := a.c.Keys.Pseudonym(number)
	block := a.c.Keys.Pseudonym(number[:min(len(number), ratelimit.BlockDigits+1)]) // numbers with the same prefix
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
	all = append(all, ratelimit.PerDay("texts_account", account, ratelimit.TextsPerAccountDay))
	return append(all, ratelimit.PerNetwork("texts_network", a.from.Networks(), time.Hour, ratelimit.TextsPerNetworkHour)...)
}
