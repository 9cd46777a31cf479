// Package deskcode issues, approves and cancels the codes that the help desk reads to people who are locked out.
//
//	Ask ─▶ (Approve, by a second operator) ─▶ Reveal ─▶ Use ─▶ the person sets up a method
//	   └▶ Refuse, Withdraw, Cancel
//
// A code replaces the second step of one sign-in, never the password. Every address and number of the account is told
// about a request, with a link to cancel it. Package challenge compares the code, package odds counts the guesses.
package deskcode

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/enroll"
	"twostep.example/twostep/internal/odds"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

var (
	// ErrNone means that the account has no desk code in this state: nobody has requested one, somebody else was
	// faster, or it has expired.
	ErrNone = errors.New("no such desk code")
	// ErrOwnAccount means that the operator is the person to be helped.
	ErrOwnAccount = errors.New("an operator gets no desk code for their own account")
	// ErrSameOperator means that the operator who requested the code wants to approve it.
	ErrSameOperator = errors.New("the operator who requested a desk code cannot approve it")
	// ErrOtherOperator means that another operator has requested the code, and only they may see it.
	ErrOtherOperator = errors.New("another operator requested the desk code")
	// ErrNotAllowed means that the role of the operator does not allow it: the help desk helps nobody who has a role.
	ErrNotAllowed = errors.New("the role of the operator does not allow it")
	// ErrNoPassword means that the account has no password, which a desk code does not replace.
	ErrNoPassword = errors.New("the account has no password")
)

const (
	// TTL is how long a code is valid, how long a request waits for approval, and how long an approved one waits to be
	// shown.
	TTL = 15 * time.Minute
	// cancelTTL is how long the link in a notification cancels a code, also after it was used.
	cancelTTL = 7 * 24 * time.Hour
	// maxWaiting is how many waiting requests are listed.
	maxWaiting = 100
	// expiredAtOnce is how many expired codes EndExpired reads at once.
	expiredAtOnce = 100
)

// DeskCodes manages the desk codes of all accounts.
type DeskCodes struct {
	Store       *store.DB
	Keys        *seal.KeyRing
	Now         func() time.Time
	Accounts    *account.Accounts
	Limits      *ratelimit.Limiter
	Budgets     *odds.Budgets
	Enrollments *enroll.Enrollments
	// SecondOperator requires the approval of a second operator for every code. It is always required for accounts with
	// a role.
	SecondOperator bool
}

// The states of a request that has not ended.
const (
	Waiting  = store.DeskWaiting  // for approval
	Approved = store.DeskApproved // whoever asked may see the code
	Valid    = store.DeskValid    // the code was shown
)

// Request is a desk code that has not ended, without the code.
type Request struct {
	ID        string
	AccountID string
	Email     string
	Name      string
	State     string
	AskedBy   audit.Actor
	AskedName string // of the operator, for people
	AskedAt   time.Time
	ExpiresAt time.Time // of the present state
}

// IsBy reports whether an operator has requested the code.
func (r Request) IsBy(who audit.Actor) bool { return r.AskedBy == who }

// Shown is a code with its request. It is not stored in clear, and never returned again.
type Shown struct {
	Request
	Code string // in groups; "": it was not shown
}

func actorText(a audit.Actor) string { return a.Type + ":" + a.ID }

func parseActor(text string) audit.Actor {
	kind, id, _ := strings.Cut(text, ":")
	return audit.Actor{Type: kind, ID: id}
}

// NeedsApproval reports whether a second operator must approve a code for an account.
func (d *DeskCodes) NeedsApproval(a store.Account) bool { return d.SecondOperator || a.Role != "" }

// Ask requests a code for the account of an email address or with an ID. A request that has not ended is replaced. If
// no approval is needed, the code is returned. Every address and number of the account is notified. Ask returns
// account.ErrUnknown, account.ErrDisabled, account.ErrFrozen, ErrNoPassword, ErrOwnAccount, ErrNotAllowed, ErrNone if
// another operator requests one at the same time, and a *ratelimit.LimitedError after too many requests.
func (d *DeskCodes) Ask(ctx context.Context, by account.By, who string) (shown Shown, err error) {
	a, err := d.Accounts.Lookup(ctx, who)
	if err != nil {
		return Shown{}, err
	}
	err = d.Store.Tx(ctx, func(tx *store.DB) error {
		if a, err = d.mayHelp(ctx, tx, by, a.ID); err != nil {
			return err
		}
		if len(a.PasswordHash) == 0 {
			return ErrNoPassword
		}
		if err := d.Budgets.ReserveDeskCode(ctx, tx, a); err != nil {
			return err
		}
		quota := ratelimit.PerDay("desk_codes_account", a.ID, ratelimit.DeskCodesPerDay)
		if err := d.Limits.Spend(ctx, tx, quota); err != nil {
			return err
		}
		if err := d.endOpen(ctx, tx, by, a); err != nil {
			return err
		}
		now := d.Now()
		code := store.DeskCode{
			ID: rand.Text(), AccountID: a.ID, Epoch: a.Epoch, State: Waiting, AskedBy: actorText(by.Actor),
			AskedAt: now, ExpiresAt: now.Add(TTL),
		}
		if !d.NeedsApproval(a) {
			code.State = Approved
		}
		if err := tx.CreateDeskCode(ctx, code); err != nil {
			return err
		}
		if err := d.notifyRequested(ctx, tx, by, a, code); err != nil {
			return err
		}
		shown = Shown{Request: d.request(code, a, by.Name)}
		if code.State == Approved {
			shown, err = d.reveal(ctx, tx, by, a, code)
		}
		return err
	})
	if errors.Is(err, ratelimit.ErrLimited) {
		e := audit.Event{Account: a.ID, Actor: by.Actor, Reason: "desk codes"}
		return Shown{}, d.Accounts.Refused(ctx, err, e, by.From)
	}
	if err := d.done("ask", err); err != nil {
		return Shown{}, d.refused(ctx, err, audit.DeskCodeRequested, by, a.ID)
	}
	return shown, nil
}

// refused records that an operator tried what they may not do, and returns err.
func (d *DeskCodes) refused(ctx context.Context, err error, kind audit.Kind, by account.By, id string) error {
	for _, one := range []error{ErrOwnAccount, ErrSameOperator, ErrNotAllowed} {
		if errors.Is(err, one) {
			e := audit.Event{Kind: kind, Account: id, Actor: by.Actor, Reason: one.Error()}
			if failed := d.Accounts.Failure(ctx, e, by.From); failed != nil {
				return failed
			}
			return err
		}
	}
	return err
}

// endOpen ends the request of an account that has not ended.
func (d *DeskCodes) endOpen(ctx context.Context, tx *store.DB, by account.By, a store.Account) error {
	old, err := tx.FindDeskCode(ctx, a.ID)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if d.expired(old) {
		return d.expire(ctx, tx, old)
	}
	if err := tx.EndDeskCode(ctx, old.ID, store.DeskReplaced, d.Now()); err != nil {
		return err
	}
	e := event(audit.DeskCodeCancelled, by.Actor, old)
	e.Reason = "replaced"
	return d.Accounts.Event(ctx, tx, e, by.From)
}

// notifyRequested tells every address and number of an account about a request, with a link to cancel it.
func (d *DeskCodes) notifyRequested(
	ctx context.Context, tx *store.DB, by account.By, a store.Account, code store.DeskCode,
) error {
	n := account.Notification{
		Event: event(audit.DeskCodeRequested, by.Actor, code), Template: "desk.requested", Account: a, Who: by.Who(),
	}
	var err error
	if n.UndoToken, err = d.createLink(ctx, tx, a, code); err != nil {
		return err
	}
	return d.Enrollments.NotifyEverywhere(ctx, tx, n, factor.NoticeDeskCode, by.From)
}

// createLink creates a link that cancels a code, and returns its token.
func (d *DeskCodes) createLink(
	ctx context.Context, tx *store.DB, a store.Account, code store.DeskCode,
) (token string, err error) {
	now := d.Now()
	token = seal.NewLinkToken()
	return token, tx.CreateEmailLink(ctx, store.EmailLink{
		TokenHash: seal.HashToken(token), Purpose: store.LinkDeskCode, Email: a.Email, AccountID: a.ID, FactorID: code.ID,
		CreatedAt: now, ExpiresAt: now.Add(cancelTTL),
	})
}

// Approve approves the waiting request of an account, as a second operator. It returns ErrNone, ErrSameOperator,
// ErrOwnAccount, ErrNotAllowed, account.ErrUnknown, account.ErrDisabled and account.ErrFrozen.
func (d *DeskCodes) Approve(ctx context.Context, by account.By, who string) error {
	return d.change(ctx, by, who, audit.DeskCodeApproved, "desk.approved", func(tx *store.DB, code store.DeskCode) error {
		if parseActor(code.AskedBy) == by.Actor {
			return ErrSameOperator
		}
		now := d.Now()
		return tx.ApproveDeskCode(ctx, code.ID, actorText(by.Actor), now.Add(TTL), now)
	})
}

// Refuse ends the waiting request of another operator. Its errors are those of Approve.
func (d *DeskCodes) Refuse(ctx context.Context, by account.By, who string) error {
	return d.change(ctx, by, who, audit.DeskCodeRefused, "desk.refused", func(tx *store.DB, code store.DeskCode) error {
		switch {
		case parseActor(code.AskedBy) == by.Actor:
			return ErrSameOperator
		case code.State != Waiting:
			return ErrNone
		}
		return tx.EndDeskCode(ctx, code.ID, store.DeskRefused, d.Now())
	})
}

// Withdraw ends the request or the valid code of an account, for an operator. It returns ErrNone, ErrOwnAccount,
// ErrNotAllowed, account.ErrUnknown, account.ErrDisabled and account.ErrFrozen.
func (d *DeskCodes) Withdraw(ctx context.Context, by account.By, who string) error {
	end := func(tx *store.DB, code store.DeskCode) error {
		return tx.EndDeskCode(ctx, code.ID, store.DeskCancelled, d.Now())
	}
	return d.change(ctx, by, who, audit.DeskCodeCancelled, "desk.withdrawn", end)
}

// change changes the request of an account that has not ended, in one transaction with its event and an email to the
// owner.
func (d *DeskCodes) change(ctx context.Context, by account.By, who string, kind audit.Kind, template string,
	change func(*store.DB, store.DeskCode) error) error {
	a, err := d.Accounts.Lookup(ctx, who)
	if err != nil {
		return err
	}
	err = d.Store.Tx(ctx, func(tx *store.DB) error {
		a, err := d.mayHelp(ctx, tx, by, a.ID)
		if err != nil {
			return err
		}
		code, err := d.open(ctx, tx, a)
		if err != nil {
			return err
		}
		if err := change(tx, code); err != nil {
			return err
		}
		n := account.Notification{Event: event(kind, by.Actor, code), Template: template, Account: a, Who: by.Who()}
		return d.Accounts.NotifyOwner(ctx, tx, n, by.From)
	})
	return d.refused(ctx, d.done("change", err), kind, by, a.ID)
}

// Reveal creates the code of an approved request, for the operator who asked, and returns it. It works once. Reveal
// returns ErrNone, ErrOtherOperator, ErrOwnAccount, ErrNotAllowed, account.ErrUnknown, account.ErrDisabled and
// account.ErrFrozen.
func (d *DeskCodes) Reveal(ctx context.Context, by account.By, who string) (shown Shown, err error) {
	a, err := d.Accounts.Lookup(ctx, who)
	if err != nil {
		return Shown{}, err
	}
	err = d.Store.Tx(ctx, func(tx *store.DB) error {
		a, err := d.mayHelp(ctx, tx, by, a.ID)
		if err != nil {
			return err
		}
		code, err := d.open(ctx, tx, a)
		if err != nil {
			return err
		}
		if parseActor(code.AskedBy) != by.Actor {
			return ErrOtherOperator
		}
		if code.ApprovedBy == "" && d.NeedsApproval(a) {
			return ErrNone // the account got a role after the request
		}
		shown, err = d.reveal(ctx, tx, by, a, code)
		return err
	})
	if err := d.done("show", err); err != nil {
		return Shown{}, err
	}
	return shown, nil
}

// reveal makes an approved code valid and returns it.
func (d *DeskCodes) reveal(
	ctx context.Context, tx *store.DB, by account.By, a store.Account, code store.DeskCode,
) (Shown, error) {
	now := d.Now()
	text := seal.NewDeskCode()
	code.State, code.ExpiresAt = Valid, now.Add(TTL)
	mac := challenge.DeskCodeMAC(d.Keys, code.ID, text)
	if err := tx.ShowDeskCode(ctx, code.ID, mac, code.ExpiresAt, now); err != nil {
		return Shown{}, err
	}
	if err := d.Accounts.Event(ctx, tx, event(audit.DeskCodeShown, by.Actor, code), by.From); err != nil {
		return Shown{}, err
	}
	return Shown{d.request(code, a, by.Name), seal.FormatDeskCode(text)}, nil
}

// mayHelp returns an account if the operator may request and approve codes for it. Both accounts stay as they are until
// the transaction ends. An operator who has an account needs the role; the help desk helps nobody who has a role. The user
// of a command has no account.
func (d *DeskCodes) mayHelp(ctx context.Context, tx *store.DB, by account.By, id string) (store.Account, error) {
	if err := tx.LockAccounts(ctx, id, by.Actor.ID); err != nil {
		return store.Account{}, err
	}
	a, err := tx.GetAccount(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return a, account.ErrUnknown
	}
	if err != nil {
		return a, err
	}
	if by.Actor.ID == a.ID {
		return a, ErrOwnAccount
	}
	operator, err := tx.GetAccount(ctx, by.Actor.ID)
	switch {
	case errors.Is(err, store.ErrNotFound) && by.Account == "": // a command, or a program that vouches for the operator
	case errors.Is(err, store.ErrNotFound):
		return a, ErrNotAllowed // the account was deleted
	case err != nil:
		return a, err
	case !operator.DisabledAt.IsZero(), operator.Role != account.RoleOperator && operator.Role != account.RoleHelpdesk,
		operator.Role == account.RoleHelpdesk && a.Role != "":
		return a, ErrNotAllowed
	}
	if !a.DisabledAt.IsZero() {
		return a, account.ErrDisabled
	}
	return a, account.Frozen(a)
}

// open returns the desk code of an account that has not ended, or ErrNone.
func (d *DeskCodes) open(ctx context.Context, db *store.DB, a store.Account) (store.DeskCode, error) {
	code, err := db.FindDeskCode(ctx, a.ID)
	if errors.Is(err, store.ErrNotFound) || err == nil && (d.expired(code) || code.Epoch != a.Epoch) {
		return code, ErrNone
	}
	return code, err
}

func (d *DeskCodes) expired(code store.DeskCode) bool { return d.Now().After(code.ExpiresAt) }

func (d *DeskCodes) request(code store.DeskCode, a store.Account, askedName string) Request {
	r := Request{
		ID: code.ID, AccountID: a.ID, Email: a.Email, Name: a.Name, State: code.State, AskedBy: parseActor(code.AskedBy),
		AskedName: askedName, AskedAt: code.AskedAt, ExpiresAt: code.ExpiresAt,
	}
	if r.AskedName == "" {
		r.AskedName = r.AskedBy.ID
	}
	return r
}

// Find returns the request of an account that has not ended. It returns ErrNone if there is none, and
// account.ErrUnknown.
func (d *DeskCodes) Find(ctx context.Context, who string) (Request, error) {
	a, err := d.Accounts.Lookup(ctx, who)
	if err != nil {
		return Request{}, err
	}
	code, err := d.open(ctx, d.Store, a)
	if errors.Is(err, ErrNone) {
		return Request{}, err
	}
	if err != nil {
		return Request{}, fmt.Errorf("deskcode: find: %w", err)
	}
	name, err := d.operatorName(ctx, code)
	return d.request(code, a, name), err
}

// List lists the requests that wait for approval, those that expire first at the start.
func (d *DeskCodes) List(ctx context.Context) ([]Request, error) {
	rows, err := d.Store.ListWaitingDeskCodes(ctx, d.Now(), maxWaiting)
	if err != nil {
		return nil, fmt.Errorf("deskcode: list: %w", err)
	}
	list := make([]Request, 0, len(rows))
	for _, row := range rows {
		name, err := d.operatorName(ctx, row.DeskCode)
		if err != nil {
			return nil, err
		}
		a := store.Account{ID: row.AccountID, Email: row.Email, Name: row.Name, Role: row.Role}
		list = append(list, d.request(row.DeskCode, a, name))
	}
	return list, nil
}

// operatorName returns the name of the operator who requested a code; the ID if the operator has no account.
func (d *DeskCodes) operatorName(ctx context.Context, code store.DeskCode) (string, error) {
	by := parseActor(code.AskedBy)
	a, err := d.Store.GetAccount(ctx, by.ID)
	if errors.Is(err, store.ErrNotFound) {
		return by.ID, nil
	}
	if err != nil {
		return "", fmt.Errorf("deskcode: operator: %w", err)
	}
	return a.Name, nil
}

// Use checks a desk code in place of the second step, see challenge.Attempt.VerifyDeskCode, whose errors it returns.
// The owner is notified, with a link to cancel.
func (d *DeskCodes) Use(
	ctx context.Context, attempt *challenge.Attempt, form url.Values, from origin.Origin,
) (session.Cookies, error) {
	return attempt.VerifyDeskCode(ctx, form, func(tx *store.DB, code store.DeskCode) error {
		a := attempt.Account()
		n := account.Notification{Event: event(audit.DeskCodeUsed, audit.Actor{}, code), Template: "desk.used", Account: a}
		var err error
		if n.UndoToken, err = d.createLink(ctx, tx, a, code); err != nil {
			return err
		}
		return d.Accounts.NotifyOwner(ctx, tx, n, from)
	})
}

// Cancel cancels a desk code with the link in a notification. A code that was used has shown that somebody else knows
// the password: then Cancel also removes the password, ends every session, attempt and trust of the account, and undoes
// what was changed since: methods that were set up are removed, and those that were removed are back. It returns account.ErrLink if the link is not valid, or the account is disabled.
func (d *DeskCodes) Cancel(ctx context.Context, token string, from origin.Origin) (used bool, err error) {
	l, err := d.Accounts.FindDeskCodeLink(ctx, token)
	if err != nil {
		return false, err
	}
	err = d.Store.Tx(ctx, func(tx *store.DB) error {
		now := d.Now()
		if err := tx.UseEmailLink(ctx, l.TokenHash, now); err != nil {
			return err
		}
		if err := tx.LockAccounts(ctx, l.AccountID, ""); err != nil {
			return err
		}
		a, err := tx.GetAccount(ctx, l.AccountID)
		if err != nil {
			return err
		}
		if !a.DisabledAt.IsZero() {
			return account.ErrLink
		}
		code, err := tx.GetDeskCode(ctx, l.FactorID)
		if err != nil {
			return err
		}
		if used, err = tx.CancelDeskCode(ctx, code.ID, now); err != nil {
			return err
		}
		n := account.Notification{
			Event: event(audit.DeskCodeCancelled, audit.Actor{}, code), Template: "desk.cancelled", Account: a,
		}
		if used {
			n.Template = "desk.ended"
			if err := d.removePassword(ctx, tx, a); err != nil {
				return err
			}
			if err := d.Accounts.EndTrust(ctx, tx, a.Ref(), trust.RevokedPasswordChanged, ""); err != nil {
				return err
			}
			// What the intruder has set up would keep the owner out, and what they have removed is missing.
			if err := d.Enrollments.UndoSince(ctx, tx, a.ID, code.UsedAt, from); err != nil {
				return err
			}
		}
		return d.Accounts.NotifyOwner(ctx, tx, n, from)
	})
	if errors.Is(err, store.ErrNotFound) {
		return false, account.ErrLink
	}
	return used, d.done("cancel", err)
}

// removePassword removes the password of an account, which ends every session and attempt. A frozen account keeps it,
// because nobody could choose another; the sessions and attempts end too.
func (d *DeskCodes) removePassword(ctx context.Context, tx *store.DB, a store.Account) error {
	if account.Frozen(a) != nil {
		return tx.IncrementEpoch(ctx, a.ID, a.Epoch)
	}
	return tx.SetPassword(ctx, a.ID, a.Epoch, []byte{}, a.PasswordSetByMailAt, d.Now())
}

// EndExpired ends the codes that have expired, and records that they have. Call it often. Servers that share a database
// may call it at the same time.
func (d *DeskCodes) EndExpired(ctx context.Context) (ended int64, err error) {
	rows, err := d.Store.ListExpiredDeskCodes(ctx, d.Now(), expiredAtOnce)
	if err != nil {
		return 0, fmt.Errorf("deskcode: expired: %w", err)
	}
	for _, code := range rows {
		err := d.Store.Tx(ctx, func(tx *store.DB) error { return d.expire(ctx, tx, code) })
		if errors.Is(err, store.ErrNotFound) {
			continue // another server was faster
		}
		if err != nil {
			return ended, fmt.Errorf("deskcode: expired: %w", err)
		}
		ended++
	}
	return ended, nil
}

func (d *DeskCodes) expire(ctx context.Context, tx *store.DB, code store.DeskCode) error {
	if err := tx.EndDeskCode(ctx, code.ID, store.DeskExpired, d.Now()); err != nil {
		return err
	}
	return d.Accounts.Event(ctx, tx, event(audit.DeskCodeExpired, audit.System(), code), origin.Origin{})
}

func event(kind audit.Kind, by audit.Actor, code store.DeskCode) audit.Event {
	return audit.Event{Kind: kind, Account: code.AccountID, Actor: by, Target: audit.Target("desk_code", code.ID)}
}

// done returns the error of a transaction, and wakes the outbox after one that was committed.
func (d *DeskCodes) done(what string, err error) error {
	switch {
	case err == nil:
		d.Accounts.NotifyOutbox()
		return nil
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrConflict):
		return ErrNone
	}
	for _, one := range []error{
		ErrNone, ErrOwnAccount, ErrSameOperator, ErrOtherOperator, ErrNotAllowed, ErrNoPassword, account.ErrUnknown,
		account.ErrDisabled, account.ErrFrozen, account.ErrLink,
	} {
		if errors.Is(err, one) {
			return err
		}
	}
	return fmt.Errorf("deskcode: %s: %w", what, err)
}
