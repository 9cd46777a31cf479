package signin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"twostep/delivery"
	"twostep/internal/i18n"
	"twostep/internal/limit"
	"twostep/internal/seal"
	"twostep/internal/store"
)

const (
	inviteLife = 7 * 24 * time.Hour
	linkLife   = 30 * time.Minute // reset and sign-up
)

// The words of a mail with a link: "mail.reset.subject" and so on.
const (
	resetMail  = "reset"
	signUpMail = "signup"
	existsMail = "exists"
	nobody     = "" // written and never sent
)

// mailLink makes the link l and mails it to its address. Beyond the rations of an
// address the mail is not sent, and nobody is told: a stranger who asks would learn
// that the address has an account. *WaitError if the network asks too often.
func (e *Engine) mailLink(ctx context.Context, l store.Link, words string, from From) error {
	now := e.Now()
	token := seal.LinkToken()
	l.Token, l.MadeAt, l.EndsAt = seal.Hash(token), store.Millis(now), store.Millis(now.Add(linkLife))
	err := e.Store.Tx(ctx, func(tx *store.DB) error {
		if err := e.spend(ctx, tx, perNetwork("links", from.network(), limit.LinksPerNetwork)); err != nil {
			return err
		}
		link, words := l, words
		err := e.spendLink(ctx, tx, l.Email, from)
		switch {
		case errors.Is(err, ErrWait):
			link.Purpose, words = store.Decoy, nobody
		case err != nil:
			return err
		}
		if err := tx.AddLink(ctx, link); err != nil {
			return err
		}
		return e.Put(ctx, tx, e.composeLink(link, words, token, from), now.Add(linkLife))
	})
	if errors.Is(err, ErrWait) {
		return err
	}
	if err != nil {
		return fmt.Errorf("signin: link: %w", err)
	}
	e.Wake()
	return nil
}

// spendLink takes a mail out of the rations of an address. Strangers who ask for
// somebody's address use them up, so a network that has had nothing of it today has one
// to itself.
func (e *Engine) spendLink(ctx context.Context, tx *store.DB, email string, from From) error {
	to := "links to " + e.keyed(email)
	own := e.spend(ctx, tx, ration{to + " from " + from.network(), day, 1, 1})
	if own != nil && !errors.Is(own, ErrWait) {
		return own
	}
	err := e.spend(ctx, tx, ration{to, hour, 1, limit.LinksPerHour}, ration{to, day, 1, limit.LinksPerDay})
	if errors.Is(err, ErrWait) && own == nil {
		return e.spend(ctx, tx, ration{to + " beyond", day, 1, limit.LinksBeyond})
	}
	return err
}

// composeLink writes the mail. The token stands in the fragment of the link, which a
// browser keeps to itself: it reaches no log, no proxy and no Referer header. It also
// stands alone, to be pasted where there is no script.
func (e *Engine) composeLink(l store.Link, words string, token string, from From) delivery.Message {
	m := delivery.Message{ID: newID(), To: l.Email}
	if words == nobody {
		return m
	}
	m.Channel = delivery.Email
	w := i18n.For(from.Language)
	say := func(part string) string {
		return w.Say("mail."+words+"."+part, "Site", e.Settings.Site, "URL", e.Settings.PublicURL, "Token", token,
			"Minutes", int(linkLife/time.Minute))
	}
	m.Subject, m.Text = say("subject"), say("text")
	return m
}

// link is the link of this token, if it is good for one of the purposes. ErrLink.
func (e *Engine) link(ctx context.Context, token string, purposes ...string) (store.Link, error) {
	l, err := e.Store.Link(ctx, seal.Hash(strings.TrimSpace(token)), store.Millis(e.Now()))
	if errors.Is(err, store.ErrNotFound) || err == nil && !slices.Contains(purposes, l.Purpose) {
		return l, ErrLink
	}
	if err != nil {
		return l, fmt.Errorf("signin: link: %w", err)
	}
	return l, nil
}
