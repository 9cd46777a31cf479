package account

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/store"
)

const (
	// testMessagesPerHour is how many test messages an operator may send in an hour.
	testMessagesPerHour = 30
	testMessageTTL      = 15 * time.Minute
)

// SendTest sends a test email to an address and returns the id of the message. It returns ErrEmail, or a
// *ratelimit.LimitedError after too many.
func (a *Accounts) SendTest(
	ctx context.Context, to string, actor audit.Actor, from origin.Origin,
) (message string, err error) {
	email, err := a.ParseNewEmail(to)
	if err != nil {
		return "", err
	}
	w := i18n.ForTag(from.Language)
	say := func(part string) string {
		return w.Translate("mail.test."+part, "Site", a.Settings.Site, "When", w.FormatTime(a.Now().In(a.Settings.Location)))
	}
	m := delivery.Message{
		ID: rand.Text(), Channel: delivery.Email, To: email, Language: w.Tag(), Subject: say("subject"), Text: say("text"),
	}
	err = a.Store.Tx(ctx, func(tx *store.DB) error {
		quota := ratelimit.PerHour("test_messages_account", actor.ID, testMessagesPerHour)
		if err := a.Limits.Spend(ctx, tx, quota); err != nil {
			return err
		}
		e := audit.Event{Kind: audit.DeliveryTested, Actor: actor, Target: audit.Target("message", m.ID)}
		if err := a.Event(ctx, tx, e, from); err != nil {
			return err
		}
		return a.Enqueue(ctx, tx, m, a.Now().Add(testMessageTTL))
	})
	if err != nil {
		return "", fmt.Errorf("account: test message: %w", err)
	}
	a.NotifyOutbox()
	return m.ID, nil
}
