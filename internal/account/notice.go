package account

import (
	"context"
	"crypto/rand"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/store"
)

// NotificationTTL is how long a notification may wait in the outbox.
const NotificationTTL = 24 * time.Hour

// Notification is an email to the account holder about an event (ASVS 6.3.7).
type Notification struct {
	Event     audit.Event // its Account is set by NotifyOwner
	Template  string      // the messages are "mail.<template>.subject" and ".text"
	Account   store.Account
	To        string    // "": the email address of the account
	Detail    string    // which factor, address or device it is about
	Remaining int       // how many recovery codes are left
	Until     time.Time // how long the account is frozen, with the templates that say so
	UndoToken string    // token of the link that undoes the change; "" if there is none
	Who       string    // the operator who made the change, with the templates that say so
	SendUntil time.Time // when it is no longer of use; zero: after NotificationTTL
	More      string    // more about the change, with the templates that say so
}

// NotifyOwner records the event of n and sends the notification.
func (a *Accounts) NotifyOwner(ctx context.Context, tx *store.DB, n Notification, from origin.Origin) error {
	n.Event.Account = n.Account.ID
	if err := a.Event(ctx, tx, n.Event, from); err != nil {
		return err
	}
	return a.SendNotification(ctx, tx, n, from)
}

// SendNotification enqueues the notification: what happened, when, from which address and in which browser.
func (a *Accounts) SendNotification(ctx context.Context, tx *store.DB, n Notification, from origin.Origin) error {
	now := a.Now()
	w := i18n.ForTag(from.Language)
	say := func(part string) string {
		return w.Translate("mail."+n.Template+"."+part, "Site", a.Settings.Site, "URL", a.Settings.PublicURL,
			"Token", n.UndoToken, "What", n.Detail, "More", n.More, "Who", n.Who, "Count", n.Remaining,
			"When", w.FormatTime(now.In(a.Settings.Location)),
			"Until", w.FormatTime(n.Until.In(a.Settings.Location)),
			"Address", origin.DescribeAddress(from.AddressString(), from.Language),
			"Browser", origin.DescribeBrowser(from.TrustRequest().Browser, from.Language))
	}
	m := delivery.Message{
		ID: rand.Text(), Channel: delivery.Email, To: n.To, Language: w.Tag(),
		Subject: say("subject"), Text: say("text"),
	}
	if m.To == "" {
		m.To = n.Account.Email
	}
	if n.SendUntil.IsZero() {
		n.SendUntil = now.Add(NotificationTTL)
	}
	return a.Enqueue(ctx, tx, m, n.SendUntil)
}

// NotifyOperators records the event of n, a change of the site that concerns no other account, and sends the notification
// to all active operators: whoever has got hold of the session of one cannot make the change in silence.
func (a *Accounts) NotifyOperators(ctx context.Context, tx *store.DB, by By, n Notification) error {
	n.Event.Actor, n.Who = by.Actor, by.Who()
	if err := a.Event(ctx, tx, n.Event, by.From); err != nil {
		return err
	}
	emails, err := tx.ListOperatorEmails(ctx)
	if err != nil {
		return err
	}
	for _, n.To = range emails {
		if err := a.SendNotification(ctx, tx, n, by.From); err != nil {
			return err
		}
	}
	return nil
}
