package account

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store"
)

// Invite creates an invitation for an address without an account and returns the token of the link. Only operators may
// call it. The name is optional. An invitation of the address that was not used stops working. It returns ErrEmail,
// ErrName, ErrGivenName, ErrFamilyName, ErrExists, ErrNotPermitted, ErrInvited or an error of ValidateGroup.
func (a *Accounts) Invite(ctx context.Context, by By, n NewAccount) (token string, err error) {
	token = seal.NewLinkToken()
	return token, a.inviteAll(ctx, by, []NewAccount{n}, func(*store.DB, store.EmailLink, string) error { return nil }, token)
}

// MaxInvitations is how many people a list on the operators' pages may have.
const MaxInvitations = 500

// SendInvitations invites people as Invite does, and sends each of them the link. It does all or nothing, in one
// transaction: if somebody cannot be invited, it returns an InvitationErrors. It returns ErrTooMany, and a
// *ratelimit.LimitedError if the operator has invited too many people today.
func (a *Accounts) SendInvitations(ctx context.Context, by By, people []NewAccount) error {
	err := a.inviteAll(ctx, by, people, func(tx *store.DB, l store.EmailLink, token string) error {
		return a.sendInvitation(ctx, tx, by, l, token)
	}, "")
	if err == nil {
		a.NotifyOutbox()
	}
	return err
}

// InvitationErrors says who cannot be invited, by the index in the list.
type InvitationErrors map[int]error

func (e InvitationErrors) Error() string {
	return fmt.Sprintf("%d of the people cannot be invited", len(e))
}

// Unwrap returns the error of the only person who cannot be invited, so that errors.Is finds it.
func (e InvitationErrors) Unwrap() []error {
	var all []error
	for _, err := range e {
		all = append(all, err)
	}
	return all
}

// CheckInvitations returns an InvitationErrors if somebody cannot be invited: ErrEmail, ErrName, ErrGivenName,
// ErrFamilyName, an error of ValidateGroup, ErrExists, ErrTwice, ErrNotPermitted or ErrInvited. It returns ErrTooMany.
func (a *Accounts) CheckInvitations(ctx context.Context, by By, people []NewAccount) error {
	_, err := a.invitationLinks(ctx, a.Store, by, people)
	return err
}

// ErrTwice means that an address is in a list of people to invite more than once.
var ErrTwice = errors.New("address is in the list twice")

// invitationLinks returns the links of the invitations, without tokens. Its errors are those of CheckInvitations.
func (a *Accounts) invitationLinks(
	ctx context.Context, db *store.DB, by By, people []NewAccount,
) ([]store.EmailLink, error) {
	if by.Account != "" && len(people) > MaxInvitations {
		return nil, ErrTooMany
	}
	inviter, err := a.inviterRole(ctx, db, by)
	if err != nil {
		return nil, err
	}
	links, wrong, seen := make([]store.EmailLink, len(people)), InvitationErrors{}, map[string]bool{}
	for i, n := range people {
		l, err := a.invitationLink(n)
		if err == nil && seen[l.Email] {
			err = ErrTwice
		}
		if err == nil {
			_, err = db.FindAccountByEmail(ctx, l.Email)
			switch {
			case err == nil:
				err = ErrExists
			case errors.Is(err, store.ErrNotFound):
				err = nil
			default:
				return nil, fmt.Errorf("account: invite: %w", err)
			}
		}
		if err == nil && inviter == RoleHelpdesk {
			err = permitHelpdesk(ctx, db, l)
			if err != nil && !errors.Is(err, ErrNotPermitted) && !errors.Is(err, ErrInvited) {
				return nil, fmt.Errorf("account: invite: %w", err)
			}
		}
		if err != nil {
			wrong[i] = err
		}
		links[i], seen[l.Email] = l, true
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	return links, nil
}

// inviterRole returns the role of an operator who invites people: that of a command is RoleOperator. It returns
// ErrNotPermitted if the account has none that permits it.
func (a *Accounts) inviterRole(ctx context.Context, db *store.DB, by By) (string, error) {
	if by.Account == "" {
		return RoleOperator, nil
	}
	actor, err := db.GetAccount(ctx, by.Account)
	if errors.Is(err, store.ErrNotFound) || err == nil && (!actor.DisabledAt.IsZero() ||
		actor.Role != RoleOperator && actor.Role != RoleHelpdesk) {
		return "", ErrNotPermitted
	}
	return actor.Role, err
}

// permitHelpdesk returns ErrNotPermitted if an invitation gives a role or groups, and ErrInvited if it would replace one
// that does.
func permitHelpdesk(ctx context.Context, db *store.DB, l store.EmailLink) error {
	if l.Role != "" || l.Groups != "" {
		return ErrNotPermitted
	}
	old, err := db.FindInvitation(ctx, l.Email)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err == nil && (old.Role != "" || old.Groups != ""):
		return ErrInvited
	}
	return err
}

func (a *Accounts) invitationLink(n NewAccount) (store.EmailLink, error) {
	email, err := a.ParseNewEmail(n.Email)
	if err != nil {
		return store.EmailLink{}, err
	}
	names, err := validateParts(store.Names{}, n.names())
	err = cmp.Or(err, ValidateRole(n.role()))
	if err == nil && n.Name != "" {
		names.Name, err = validateName(n.Name)
	}
	if err != nil {
		return store.EmailLink{}, err
	}
	groups, err := joinGroups(n.Groups)
	return store.EmailLink{Purpose: store.LinkInvite, Email: email, Names: names, Role: n.role(), Groups: groups,
		Language: n.Language}, err
}

// inviteAll creates the links of people, and calls then for each, in one transaction. A token that is not "" is the one
// of the only person.
func (a *Accounts) inviteAll(ctx context.Context, by By, people []NewAccount,
	then func(tx *store.DB, l store.EmailLink, token string) error, token string) error {
	err := a.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.LockAccounts(ctx, by.Account, ""); err != nil {
			return err
		}
		links, err := a.invitationLinks(ctx, tx, by, people)
		if err != nil {
			return err
		}
		if by.Account != "" {
			perDay := ratelimit.PerDay("operator_invitations", by.Account, ratelimit.InvitationsPerDay)
			perDay.Amount = int64(len(people))
			if err := a.Limits.Spend(ctx, tx, perDay); err != nil {
				return err
			}
		}
		for i, l := range links {
			err := a.createInvitation(ctx, tx, by, l, "", token, then)
			if errors.Is(err, ratelimit.ErrLimited) {
				return InvitationErrors{i: err}
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if one := (InvitationErrors{}); errors.As(err, &one) && token != "" {
		return one[0]
	}
	if err != nil && !errors.As(err, &InvitationErrors{}) {
		return fmt.Errorf("account: invite: %w", err)
	}
	return err
}

// createInvitation replaces the invitations of an address by a new one, and calls then. If token is "" it creates one.
func (a *Accounts) createInvitation(ctx context.Context, tx *store.DB, by By, l store.EmailLink, reason, token string,
	then func(tx *store.DB, l store.EmailLink, token string) error) error {
	if err := a.spendMailBy(ctx, tx, by, l.Email); err != nil {
		return err
	}
	old, err := tx.FindInvitation(ctx, l.Email)
	if err == nil && reason == "" {
		e := audit.Event{
			Kind: audit.InvitationRevoked, Actor: by.Actor, Target: LinkTarget(old.EmailLink), Reason: "replaced",
		}
		err = a.Event(ctx, tx, e, by.From)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if _, err := tx.DeleteInvitations(ctx, l.Email); err != nil {
		return err
	}
	if token == "" {
		token = seal.NewLinkToken()
	}
	l.TokenHash, l.CreatedAt, l.ExpiresAt = seal.HashToken(token), a.Now(), a.Now().Add(inviteTTL)
	if err := tx.CreateEmailLink(ctx, l); err != nil {
		return err
	}
	e := audit.Event{
		Kind: audit.AccountInvited, Actor: by.Actor, Target: LinkTarget(l), Reason: cmp.Or(reason, rights(l.Role, l.Groups)),
	}
	if err := a.Event(ctx, tx, e, by.From); err != nil {
		return err
	}
	return then(tx, l, token)
}

// sendInvitation puts the mail with the link into the outbox.
func (a *Accounts) sendInvitation(ctx context.Context, tx *store.DB, by By, l store.EmailLink, token string) error {
	from := origin.Origin{Language: l.Language}
	m := a.composeLink(linkMail{link: l, template: "invited", who: by.Who()}, token, from)
	return a.Enqueue(ctx, tx, m, l.ExpiresAt)
}

// Invitation is an invitation as operators see it.
type Invitation struct {
	Email     string
	Name      string // "": the operator gave none
	Groups    []string
	Role      string
	InvitedAt time.Time
	ExpiresAt time.Time
	JoinedAt  time.Time // when the person created the account; zero: not yet
}

// InvitationState is what became of an invitation.
type InvitationState string

// States of an invitation.
const (
	InvitationPending InvitationState = "pending"
	InvitationExpired InvitationState = "expired"
	InvitationJoined  InvitationState = "joined"
)

// State returns the state of the invitation at the time now.
func (i Invitation) State(now time.Time) InvitationState {
	switch {
	case !i.JoinedAt.IsZero():
		return InvitationJoined
	case now.After(i.ExpiresAt):
		return InvitationExpired
	}
	return InvitationPending
}

// InvitationCursor is the position of an invitation in the list.
type InvitationCursor = store.InvitationCursor

// Cursor returns the position of the invitation in the list.
func (i Invitation) Cursor() InvitationCursor {
	return InvitationCursor{At: i.InvitedAt, Email: i.Email}
}

// ParseInvitationCursor parses the result of InvitationCursor.String. It reports false if text is not valid.
func ParseInvitationCursor(text string) (c InvitationCursor, ok bool) {
	return store.ParseInvitationCursor(text)
}

// OpenInvitation returns the invitation of an address that was not used, for operators. It returns ErrNoInvitation or
// ErrNotPermitted.
func (a *Accounts) OpenInvitation(ctx context.Context, by By, email string) (Invitation, error) {
	l, err := a.findInvitation(ctx, a.Store, by, email)
	if err != nil {
		return Invitation{}, fmt.Errorf("account: invitation: %w", err)
	}
	return Invitation{l.Email, l.Name, SplitGroups(l.Groups), l.Role, l.CreatedAt, l.ExpiresAt, time.Time{}}, nil
}

// ListInvitations lists up to limit invitations after a position, newest first. Those that were used or have expired
// are in it for another day.
func (a *Accounts) ListInvitations(ctx context.Context, after InvitationCursor, limit int) ([]Invitation, error) {
	rows, err := a.Store.ListInvitations(ctx, after, limit)
	if err != nil {
		return nil, fmt.Errorf("account: list invitations: %w", err)
	}
	list := make([]Invitation, len(rows))
	for i, row := range rows {
		list[i] = Invitation{row.Email, row.Name, SplitGroups(row.Groups), row.Role, row.CreatedAt, row.ExpiresAt,
			row.UsedAt}
	}
	return list, nil
}

// ResendInvitation sends a new link to an invited address; the old one stops working. It returns ErrNoInvitation,
// ErrExists if the address has an account, ErrNotPermitted, or a *ratelimit.LimitedError.
func (a *Accounts) ResendInvitation(ctx context.Context, by By, email string) error {
	err := a.withInvitation(ctx, by, email, func(tx *store.DB, l store.EmailLink) error {
		switch _, err := tx.FindAccountByEmail(ctx, l.Email); {
		case err == nil:
			return ErrExists
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		return a.createInvitation(ctx, tx, by, l, "again", "", func(tx *store.DB, l store.EmailLink, token string) error {
			return a.sendInvitation(ctx, tx, by, l, token)
		})
	})
	if err == nil {
		a.NotifyOutbox()
	}
	return err
}

// RevokeInvitation ends the invitation of an address. Nothing is sent. It returns ErrNoInvitation or ErrNotPermitted: the
// help desk may send an invitation with groups again, but not end it.
func (a *Accounts) RevokeInvitation(ctx context.Context, by By, email string) error {
	return a.withInvitation(ctx, by, email, func(tx *store.DB, l store.EmailLink) error {
		if inviter, err := a.inviterRole(ctx, tx, by); err != nil || inviter == RoleHelpdesk && l.Groups != "" {
			return cmp.Or(err, ErrNotPermitted)
		}
		if _, err := tx.DeleteInvitations(ctx, l.Email); err != nil {
			return err
		}
		e := audit.Event{Kind: audit.InvitationRevoked, Actor: by.Actor, Target: LinkTarget(l)}
		return a.Event(ctx, tx, e, by.From)
	})
}

// withInvitation calls f with the invitation of findInvitation, in a transaction in which the role of the operator stays.
func (a *Accounts) withInvitation(ctx context.Context, by By, email string,
	f func(tx *store.DB, l store.EmailLink) error) error {
	err := a.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.LockAccounts(ctx, by.Account, ""); err != nil {
			return err
		}
		l, err := a.findInvitation(ctx, tx, by, email)
		if err != nil {
			return err
		}
		return f(tx, l)
	})
	if err != nil {
		return fmt.Errorf("account: invitation: %w", err)
	}
	return nil
}

// findInvitation returns the link of the invitation of an address that was not used. It returns ErrNoInvitation, and
// ErrNotPermitted if the invitation gives a role and the operator is of the help desk.
func (a *Accounts) findInvitation(ctx context.Context, db *store.DB, by By, email string) (store.EmailLink, error) {
	address, err := ParseEmail(email)
	if err != nil {
		return store.EmailLink{}, ErrNoInvitation
	}
	inviter, err := a.inviterRole(ctx, db, by)
	if err != nil {
		return store.EmailLink{}, err
	}
	i, err := db.FindInvitation(ctx, address)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return store.EmailLink{}, ErrNoInvitation
	case err == nil && i.Role != "" && inviter == RoleHelpdesk:
		return store.EmailLink{}, ErrNotPermitted
	}
	return i.EmailLink, err
}
