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

// NotificationTTL is for how long a notice is worth delivering.
const NotificationTTL = 24 * time.Hour

// Notification is what the owner of an account is told after something about it changed.
type Notification struct {
	Event     audit.Event // its Account is set by NotifyOwner
	Template  string      // "mail.<words>.subject" and ".text"
	Account   store.Account
	To        string // "": the address of the account
	Detail    string // which factor, which address
	Remaining int    // how many of them are left
	UndoToken string // token of the link that takes the change back; "" if there is none
}

// NotifyOwner writes the event down and tells the owner what, when and where.
func (a *Accounts) NotifyOwner(ctx context.Context, tx *store.DB, n Notification, from origin.Origin) error {
	n.Event.Account = n.Account.ID
	if err := a.Event(ctx, tx, n.Event, from); err != nil {
		return err
	}
	return a.SendNotification(ctx, tx, n, from)
}

// SendNotification tells the owner.
func (a *Accounts) SendNotification(ctx context.Context, tx *store.DB, n Notification, from origin.Origin) error {
	now := a.Now()
	w := i18n.ForTag(from.Language)
	say := func(part string) string {
		return w.Translate("mail."+n.Template+"."+part, "Site", a.Settings.Site, "URL", a.Settings.PublicURL, "Token",
			n.UndoToken, "What", n.Detail, "Count", n.Remaining,
			"When", now.In(a.Settings.Location).Format("2006-01-02, 15:04 MST"),
			"Address", origin.DescribeAddress(from.AddressString(), from.Language), "Browser",
			origin.DescribeBrowser(from.TrustRequest().Browser, from.Language))
	}
	m := delivery.Message{ID: rand.Text(), Channel: delivery.Email, To: n.To, Subject: say("subject"),
		Text: say("text")}
	if m.To == "" {
		m.To = n.Account.Email
	}
	return a.Enqueue(ctx, tx, m, now.Add(NotificationTTL))
}

// undoTTL is for how long a change can be taken back by a link.
const undoTTL = 7 * 24 * time.Hour

// CreateUndoLink makes the link that takes a change back: removes the factor, or brings the
// account's present address back if factor is "". It goes to the present address.
func (a *Accounts) CreateUndoLink(ctx context.Context, tx *store.DB, account store.Account,
	factor string) (token string, err error) {
	now := a.Now()
	token = seal.NewLinkToken()
	return token, tx.CreateEmailLink(ctx, store.EmailLink{
		TokenHash: seal.HashToken(token), Purpose: store.LinkUndo, Email: account.Email, AccountID: account.ID, FactorID: factor,
		CreatedAt: now, ExpiresAt: now.Add(undoTTL),
	})
}

// UndoChange takes a change back by the link in its notice: whoever made it had the password,
// so that is void too, with every session and sign-in. The owner then chooses a new one
// by Forgot, at the address that counts again. ErrLink.
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
			err = nil // it is gone already
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
