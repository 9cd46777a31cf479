package account

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// NotificationTTL is how long a notification may wait in the outbox.
const NotificationTTL = 24 * time.Hour

// Notification is an email to the account holder about an event (ASVS 6.3.7).
type Notification struct {
	Event     audit.Event // its Account is set by NotifyOwner
	Template  string      // the messages are "mail.<template>.subject" and ".text"
	Account   store.Account
	To        string // "": the email address of the account
	Detail    string // which factor, address or device it is about
	Remaining int    // how many recovery codes are left
	UndoToken string // token of the link that undoes the change; "" if there is none
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
			"Token", n.UndoToken, "What", n.Detail, "Count", n.Remaining,
			"When", w.FormatTime(now.In(a.Settings.Location)),
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
	return a.Enqueue(ctx, tx, m, now.Add(NotificationTTL))
}

// undoTTL is how long a change can be undone with the link in its notification.
const undoTTL = 7 * 24 * time.Hour

// CreateUndoLink creates the link that undoes a change: it removes the factor, or restores the present email address of
// the account if factor is "". Send it to the present address. It returns the token of the link.
func (a *Accounts) CreateUndoLink(ctx context.Context, tx *store.DB, account store.Account,
	factor string) (token string, err error) {
	now := a.Now()
	token = seal.NewLinkToken()
	return token, tx.CreateEmailLink(ctx, store.EmailLink{
		TokenHash: seal.HashToken(token), Purpose: store.LinkUndo, Email: account.Email,
		AccountID: account.ID, FactorID: factor, CreatedAt: now, ExpiresAt: now.Add(undoTTL),
	})
}

// UndoChange undoes a change with the link in its notification. The change was made by someone with the password, so
// UndoChange also removes the password and ends every attempt, session and trust. The account holder then chooses a new
// password with RequestPasswordReset. UndoChange returns ErrLink if the link is not valid or the address has another
// account now.
func (a *Accounts) UndoChange(ctx context.Context, token string, from origin.Origin) error {
	l, err := a.findLink(ctx, token, store.LinkUndo)
	if err != nil {
		return err
	}
	err = a.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.UseEmailLink(ctx, l.TokenHash, a.Now()); err != nil {
			return err
		}
		account, err := tx.GetAccount(ctx, l.AccountID)
		if err != nil {
			return err
		}
		if l.FactorID == "" {
			err = tx.SetEmail(ctx, account.ID, account.Epoch, l.Email)
		} else if err = tx.DeleteFactor(ctx, account.ID, l.FactorID); errors.Is(err, store.ErrNotFound) {
			err = nil // it was removed before
		}
		if err != nil {
			return err
		}
		if err := tx.SetPassword(ctx, account.ID, account.Epoch, []byte{}, account.PasswordSetByMailAt); err != nil {
			return err
		}
		if err := a.EndTrust(ctx, tx, account.Ref(), trust.RevokedPasswordChanged, ""); err != nil {
			return err
		}
		target := "email"
		if l.FactorID != "" {
			target = audit.Target("factor", l.FactorID)
		}
		return a.Event(ctx, tx, audit.Event{Kind: audit.ChangeUndone, Account: account.ID, Target: target}, from)
	})
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrConflict) {
		return ErrLink
	}
	if err != nil {
		return fmt.Errorf("account: undo: %w", err)
	}
	return nil
}
