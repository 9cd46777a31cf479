package account

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"strings"
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

// ErrNumber means that a phone number is not in international form.
var ErrNumber = errors.New("not a phone number in international form, like +4915112345678")

// internationalNumber matches a phone number in international form (E.164), without what separates its digits.
var internationalNumber = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)

// parseNumber returns a phone number without what separates its digits. It returns ErrNumber.
func parseNumber(text string) (string, error) {
	number := strings.NewReplacer(" ", "", "-", "", "/", "", "(", "", ")", "").Replace(text)
	if !internationalNumber.MatchString(number) {
		return "", ErrNumber
	}
	return number, nil
}

// SendTest sends a test email to an address and returns the id of the message. It returns ErrEmail, or a
// *ratelimit.LimitedError after too many.
func (a *Accounts) SendTest(
	ctx context.Context, to string, actor audit.Actor, from origin.Origin,
) (message string, err error) {
	email, err := a.ParseNewEmail(to)
	if err != nil {
		return "", err
	}
	return a.sendTest(ctx, delivery.Email, email, actor, from, func(*store.DB) error { return nil })
}

// SendTestText sends a test text message to a number and returns the id of the message. pay counts its price in the same
// transaction. It returns ErrNumber, or a *ratelimit.LimitedError after too many.
func (a *Accounts) SendTestText(ctx context.Context, to string, actor audit.Actor, from origin.Origin,
	pay func(tx *store.DB) error) (message string, err error) {
	number, err := parseNumber(to)
	if err != nil {
		return "", err
	}
	return a.sendTest(ctx, delivery.SMS, number, actor, from, pay)
}

func (a *Accounts) sendTest(ctx context.Context, channel delivery.Channel, to string, actor audit.Actor,
	from origin.Origin, pay func(tx *store.DB) error) (message string, err error) {
	w := i18n.ForTag(from.Language)
	say := func(part string) string {
		return w.Translate("mail.test."+part, "Site", a.Settings.Site, "When", w.FormatTime(a.Now().In(a.Settings.Location)))
	}
	m := delivery.Message{
		ID: rand.Text(), Channel: channel, To: to, Language: w.Tag(), Subject: say("subject"), Text: say("text"),
	}
	if channel == delivery.SMS {
		m.Subject, m.Text = "", say("sms")
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
		if err := pay(tx); err != nil {
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
