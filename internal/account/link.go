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
	// LinkTTL is how long a link to reset a password, to sign up, or to confirm an address works.
	LinkTTL = 30 * time.Minute
)

// Templates of emails with a link: "reset" has the messages "mail.reset.subject" and "mail.reset.text".
const (
	resetMail  = "reset"
	signUpMail = "signup"
	existsMail = "exists"
	noMail     = "" // not sent
)

// linkMail is a link to send, the template of its email, and the event to record.
type linkMail struct {
	link     store.EmailLink
	query    string // of the link, with the ? before it
	template string
	event    audit.Event
	who      string // the operator who sends it, with the templates that say so
}

// LinkTarget returns how events name a link: enough to recognize it, not enough to use it.
func LinkTarget(l store.EmailLink) string {
	return audit.Target("link", hex.EncodeToString(l.TokenHash[:8]))
}

// sendLink creates a link and sends it to its address. Beyond the limits of an address the email is not sent and the
// caller is not told, which would reveal that the address has an account. It returns an error that wraps
// ratelimit.ErrLimited if the network requests too many links.
func (a *Accounts) sendLink(ctx context.Context, m linkMail, from origin.Origin) error {
	now := a.Now()
	token := seal.NewLinkToken()
	l := m.link
	l.TokenHash, l.CreatedAt, l.ExpiresAt = seal.HashToken(token), now, now.Add(LinkTTL)
	err := a.Store.Tx(ctx, func(tx *store.DB) error {
		perNetwork := ratelimit.PerNetwork("email_links_network", from.Networks(), time.Hour, ratelimit.LinksPerNetworkHour)
		if err := a.Limits.Spend(ctx, tx, perNetwork...); err != nil {
			return err
		}
		link, template, event := l, m.template, m.event
		if event.Target == "" {
			event.Target = LinkTarget(l)
		}
		err := a.spendLinkQuota(ctx, tx, l.Email, from)
		switch {
		case errors.Is(err, ratelimit.ErrLimited):
			link.Purpose, template = store.LinkDecoy, noMail
			event.Result, event.Reason = audit.Failure, "too many links to this address"
		case err != nil:
			return err
		}
		if err := tx.CreateEmailLink(ctx, link); err != nil {
			return err
		}
		message := a.composeLink(linkMail{link: link, query: m.query, template: template, event: event}, token, from)
		if err := a.Enqueue(ctx, tx, message, now.Add(LinkTTL)); err != nil {
			return err
		}
		return a.Event(ctx, tx, event, from)
	})
	if errors.Is(err, ratelimit.ErrLimited) {
		e := audit.Event{Account: m.event.Account, Actor: audit.Anonymous(), Reason: "links"}
		return a.Refused(ctx, err, e, from)
	}
	if err != nil {
		return fmt.Errorf("account: link: %w", err)
	}
	a.NotifyOutbox()
	return nil
}

// spendLinkQuota takes one email out of the limits of an address. Other people who request links for the address can
// use up its limits. So a network that has had none for this address today may have one more, from a limit of its own.
// It returns an error that wraps ratelimit.ErrLimited if nothing is left.
func (a *Accounts) spendLinkQuota(ctx context.Context, tx *store.DB, email string, from origin.Origin) error {
	to := a.Keys.Pseudonym(email)
	own := a.Limits.Spend(ctx, tx, ratelimit.PerDay("email_links_address_network", to+" "+from.Networks().Largest(), 1))
	if own != nil && !errors.Is(own, ratelimit.ErrLimited) {
		return own
	}
	err := a.Limits.Spend(ctx, tx, ratelimit.PerHour("email_links_address", to, ratelimit.LinksPerAddressHour),
		ratelimit.PerDay("email_links_address", to, ratelimit.LinksPerAddressDay))
	if errors.Is(err, ratelimit.ErrLimited) && own == nil {
		return a.Limits.Spend(ctx, tx,
			ratelimit.PerDay("email_links_address_beyond", to, ratelimit.LinksNewNetworksPerDay))
	}
	return err
}

// composeLink returns the message. The token is in the fragment of the link, which browsers do not send: it reaches no
// log, no proxy and no Referer header (RFC 9110 7.1 and 10.1.3). The text also has the token alone, to paste it where
// scripts are disabled.
func (a *Accounts) composeLink(l linkMail, token string, from origin.Origin) delivery.Message {
	m := delivery.Message{ID: rand.Text(), To: l.link.Email}
	if l.template == noMail {
		return m
	}
	m.Channel = delivery.Email
	w := i18n.ForTag(from.Language)
	say := func(part string) string {
		return w.Translate("mail."+l.template+"."+part, "Site", a.Settings.Site, "URL", a.Settings.PublicURL,
			"Query", l.query, "Token", token, "Valid", w.Translate("mail.minutes", "Count", int(LinkTTL/time.Minute)),
			"Who", l.who, "When", w.FormatTime(a.Now().In(a.Settings.Location)),
			"Until", w.FormatTime(l.link.ExpiresAt.In(a.Settings.Location)))
	}
	m.Subject, m.Text, m.Language = say("subject"), say("text"), w.Tag()
	return m
}

// findLink returns the link of a token. It returns ErrLink if the link is not valid or has none of the purposes.
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

// PendingAccount is the account that a link of an invitation or a sign-up creates.
type PendingAccount struct {
	Email string
	Name  string // as the operator or the person gave it; "": none
}

// FindInvitation returns what the link of an invitation or a sign-up is for, without using it up. Whoever has the token
// may create this account, so it may be shown to them. It returns ErrLink.
func (a *Accounts) FindInvitation(ctx context.Context, token string) (PendingAccount, error) {
	l, err := a.findLink(ctx, token, store.LinkInvite, store.LinkSignUp)
	if err != nil {
		return PendingAccount{}, err
	}
	return PendingAccount{l.Email, l.Name}, nil
}

// FindUndo returns the link of a notification that undoes the change. It returns ErrLink if it is not valid.
func (a *Accounts) FindUndo(ctx context.Context, token string) (store.EmailLink, error) {
	return a.findLink(ctx, token, store.LinkUndo)
}

// FindReset returns the email address of the account that a link of RequestPasswordReset is for, without using it up.
// It returns ErrLink or ErrFrozen.
func (a *Accounts) FindReset(ctx context.Context, token string) (email string, err error) {
	_, account, err := a.findReset(ctx, token)
	return account.Email, err
}

// findReset returns a link of RequestPasswordReset and its account, as findAccountLink does.
func (a *Accounts) findReset(ctx context.Context, token string) (store.EmailLink, store.Account, error) {
	return a.findAccountLink(ctx, token, store.LinkReset)
}

// findAccountLink returns a link to an account with this purpose, and the account. It returns ErrLink if the link is
// not valid, or the account was changed since or is disabled, and ErrFrozen if the account is frozen.
func (a *Accounts) findAccountLink(
	ctx context.Context, token, purpose string,
) (store.EmailLink, store.Account, error) {
	l, err := a.findLink(ctx, token, purpose)
	if err != nil {
		return l, store.Account{}, err
	}
	account, err := a.Store.GetAccount(ctx, l.AccountID)
	if errors.Is(err, store.ErrNotFound) || err == nil && (account.Epoch != l.Epoch || !account.DisabledAt.IsZero()) {
		return l, store.Account{}, ErrLink
	}
	if err != nil {
		return l, store.Account{}, fmt.Errorf("account: %s: %w", purpose, err)
	}
	return l, account, Frozen(account)
}

// FindDeskCodeLink returns the link that cancels a desk code. It returns ErrLink if it is not valid.
func (a *Accounts) FindDeskCodeLink(ctx context.Context, token string) (store.EmailLink, error) {
	return a.findLink(ctx, token, store.LinkDeskCode)
}
