package signin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"twostep/delivery"
	"twostep/internal/i18n"
	"twostep/internal/seal"
	"twostep/internal/store"
)

// noticeLife is for how long a notice is worth delivering.
const noticeLife = 24 * time.Hour

// notice is what the owner of an account is told after something about it changed.
type notice struct {
	kind    string // of the event
	words   string // "mail.<words>.subject" and ".text"
	account store.Account
	to      string // "": the address of the account
	what    string // which factor, which address
	left    int    // how many of them are left
	undo    string // token of the link that takes the change back; "" if there is none
}

// tell writes the event down and tells the owner what, when and where.
func (e *Engine) tell(ctx context.Context, tx *store.DB, n notice, from From) error {
	if err := e.event(ctx, tx, store.Event{Kind: n.kind, Account: n.account.ID}, from); err != nil {
		return err
	}
	return e.mail(ctx, tx, n, from)
}

// mail tells the owner.
func (e *Engine) mail(ctx context.Context, tx *store.DB, n notice, from From) error {
	now := e.Now()
	w := i18n.For(from.Language)
	say := func(part string) string {
		return w.Say("mail."+n.words+"."+part, "Site", e.Settings.Site, "URL", e.Settings.PublicURL, "Token", n.undo, "What", n.what, "Count", n.left,
			"When", now.In(e.Settings.Location).Format("2006-01-02, 15:04 MST"),
			"Address", Address(from.address(), from.Language), "Browser", Browser(from.UserAgent, from.Language))
	}
	m := delivery.Message{ID: newID(), Channel: delivery.Email, To: n.to, Subject: say("subject"), Text: say("text")}
	if m.To == "" {
		m.To = n.account.Email
	}
	return e.Put(ctx, tx, m, now.Add(noticeLife))
}

// undoLife is for how long a change can be taken back by a link.
const undoLife = 7 * 24 * time.Hour

// undoLink makes the link that takes a change back: removes the factor, or brings the
// account's present address back if factor is "". It goes to the present address.
func (e *Engine) undoLink(ctx context.Context, tx *store.DB, a store.Account, factor string) (token string, err error) {
	now := e.Now()
	token = seal.LinkToken()
	return token, tx.AddLink(ctx, store.Link{
		Token: seal.Hash(token), Purpose: store.Undo, Email: a.Email, Account: a.ID, Factor: factor,
		MadeAt: store.Millis(now), EndsAt: store.Millis(now.Add(undoLife)),
	})
}

// Undo takes a change back by the link in its notice: whoever made it had the password,
// so that is void too, with every session and sign-in. The owner then chooses a new one
// by Forgot, at the address that counts again. ErrLink.
func (e *Engine) Undo(ctx context.Context, token string, from From) error {
	l, err := e.link(ctx, token, store.Undo)
	if err != nil {
		return err
	}
	err = e.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.UseLink(ctx, l.Token, store.Millis(e.Now())); err != nil {
			return err
		}
		a, err := tx.Account(ctx, l.Account)
		if err != nil {
			return err
		}
		if l.Factor == "" {
			err = tx.SetEmail(ctx, a.ID, a.Epoch, l.Email)
		} else if err = tx.RemoveFactor(ctx, a.ID, l.Factor); errors.Is(err, store.ErrNotFound) {
			err = nil // it is gone already
		}
		if err != nil {
			return err
		}
		if err := tx.SetPassword(ctx, a.ID, a.Epoch, []byte{}, a.MailedAt); err != nil {
			return err
		}
		return e.event(ctx, tx, store.Event{Kind: changeUndone, Account: a.ID}, from)
	})
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrConflict) {
		return ErrLink
	}
	if err != nil {
		return fmt.Errorf("signin: undo: %w", err)
	}
	return nil
}

// tellUsed tells the owner that a factor for emergencies was used, and how much of it
// is left.
func (e *Engine) tellUsed(ctx context.Context, tx *store.DB, a store.Account, by enrolled, from From) error {
	about := by.method.About()
	if !about.Spare {
		return nil
	}
	return e.tell(ctx, tx, notice{kind: spareUsed, words: "used", account: a, left: by.left()}, from)
}
