package account

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store"
)

const (
	inviteTTL = 7 * 24 * time.Hour
	linkTTL   = 30 * time.Minute // reset and sign-up
)

// The words of a mail with a link: "mail.reset.subject" and so on.
const (
	resetMail  = "reset"
	signUpMail = "signup"
	existsMail = "exists"
	noMail     = "" // written and never sent
)

// linkMail is a link to be mailed, with the words of the mail and the event that it is.
type linkMail struct {
	link  store.EmailLink
	words string
	event audit.Event
}

// linkTarget is how events name a link: enough to know it again, and not enough to use it.
func linkTarget(l store.EmailLink) string {
	return audit.Target("link", hex.EncodeToString(l.TokenHash[:8]))
}

// sendLink makes a link and mails it to its address. Beyond the rations of an
// address the mail is not sent, and nobody is told: a stranger who asks would learn
// that the address has an account. *WaitError if the network asks too often.
func (a *Accounts) sendLink(ctx context.Context, m linkMail, from origin.Origin) error {
	now := a.Now()
	token := seal.NewLinkToken()
	l := m.link
	l.TokenHash, l.CreatedAt, l.ExpiresAt = seal.HashToken(token), now, now.Add(linkTTL)
	err := a.Store.Tx(ctx, func(tx *store.DB) error {
		if err := a.Limits.Spend(ctx, tx, ratelimit.PerNetwork("email_links_network", from.Network(),
			ratelimit.LinksPerNetworkHour)); err != nil {
			return err
		}
		link, words, event := l, m.words, m.event
		if event.Target == "" {
			event.Target = linkTarget(l)
		}
		err := a.spendLinkQuota(ctx, tx, l.Email, from)
		switch {
		case errors.Is(err, ratelimit.ErrLimited):
			link.Purpose, words = store.LinkDecoy, noMail
			event.Result, event.Reason = audit.Failure, "too many links to this address"
		case err != nil:
			return err
		}
		if err := tx.CreateEmailLink(ctx, link); err != nil {
			return err
		}
		if err := a.Enqueue(ctx, tx, a.composeLink(link, words, token, from), now.Add(linkTTL)); err != nil {
			return err
		}
		return a.Event(ctx, tx, event, from)
	})
	if errors.Is(err, ratelimit.ErrLimited) {
		return a.Refused(ctx, err, audit.Event{Account: m.event.Account, Actor: audit.Anonymous(), Reason: "links"},
			from)
	}
	if err != nil {
		return fmt.Errorf("account: link: %w", err)
	}
	a.NotifyOutbox()
	return nil
}

// spendLinkQuota takes a mail out of the rations of an address. Strangers who ask for
// somebody's address use them up, so a network that has had nothing of it today has one
// to itself.
func (a *Accounts) spendLinkQuota(ctx context.Context, tx *store.DB, email string, from origin.Origin) error {
	to := a.Keys.Pseudonym(email)
	own := a.Limits.Spend(ctx, tx, ratelimit.PerDay("email_links_address_network", to+" "+from.Network(), 1))
	if own != nil && !errors.Is(own, ratelimit.ErrLimited) {
		return own
	}
	err := a.Limits.Spend(ctx, tx, ratelimit.PerHour("email_links_address", to, ratelimit.LinksPerAddressHour),
		ratelimit.PerDay("email_links_address", to, ratelimit.LinksPerAddressDay))
	if errors.Is(err, ratelimit.ErrLimited) && own == nil {
		return a.Limits.Spend(ctx, tx, ratelimit.PerDay("email_links_address_beyond", to,
			ratelimit.LinksNewNetworksPerDay))
	}
	return err
}

// composeLink writes the mail. The token stands in the fragment of the link, which a
// browser keeps to itself: it reaches no log, no proxy and no Referer header. It also
// stands alone, to be pasted where there is no script.
func (a *Accounts) composeLink(l store.EmailLink, words string, token string, from origin.Origin) delivery.Message {
	m := delivery.Message{ID: rand.Text(), To: l.Email}
	if words == noMail {
		return m
	}
	m.Channel = delivery.Email
	w := i18n.ForTag(from.Language)
	say := func(part string) string {
		return w.Translate("mail."+words+"."+part, "Site", a.Settings.Site, "URL", a.Settings.PublicURL, "Token", token,
			"Minutes", int(linkTTL/time.Minute))
	}
	m.Subject, m.Text = say("subject"), say("text")
	return m
}

// findLink is the link of this token, if it is good for one of the purposes. ErrLink.
func (a *Accounts) findLink(ctx context.Context, token string, purposes ...string) (store.EmailLink, error) {
	l, err := a.Store.FindEmailLink(ctx, seal.HashToken(strings.TrimSpace(token)), a.Now())
	if errors.Is(err, store.ErrNotFound) || err == nil && !slices.Contains(purposes, l.Purpose) {
		return l, ErrLink
	}
	if err != nil {
		return l, fmt.Errorf("account: link: %w", err)
	}
	return l, nil
}
