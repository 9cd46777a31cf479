// Package enroll adds, replaces and removes the factors of an account, and changes its email address.
//
//	Start ─▶ Pending (shown, or a code is sent) ─▶ Confirm ─▶ a factor
//
// A new factor works once it is confirmed; the one that it replaces works until then. Every change to the factors or
// the address ends the person's other sessions, and trust in their other devices.
package enroll

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/store"
)

var (
	// ErrNoPendingFactor says that no new factor of this method waits for confirmation.
	ErrNoPendingFactor = errors.New("no new factor")
	// ErrTooManyFactors says that the account has the maximum number of factors of this method.
	ErrTooManyFactors = errors.New("too many factors")
)

// Enrollments manages the factors of all accounts.
type Enrollments struct {
	Store      *store.DB
	Now        func() time.Time
	Accounts   *account.Accounts
	Limits     *ratelimit.Limiter
	Sessions   *session.Sessions
	Challenges *challenge.Challenges
}

// PendingFactor is a new factor that is not confirmed yet, as its owner may see it.
type PendingFactor struct {
	factor.Info
	Destination string // as it was entered
	Show        factor.Provisioning
	Challenge   *challenge.Challenge // nil if the owner only has to confirm that they have seen it
}

// Start creates a new factor and sends or shows what its owner needs to confirm it. It returns
// session.ErrStepUpRequired if the session was not authenticated recently, challenge.ErrUnknownMethod if
// there is no such method to enroll, ErrTooManyFactors if the account has the maximum, account.ErrFrozen if the
// account is frozen, a *factor.UserError if the input is invalid, and a *ratelimit.LimitedError if a limit is reached.
func (e *Enrollments) Start(
	ctx context.Context, who session.Session, method string, form url.Values, from origin.Origin,
) error {
	m, ok := e.Challenges.Method(method)
	if !ok || m.Info().Path == "" {
		return challenge.ErrUnknownMethod
	}
	a, err := e.accountToEnroll(ctx, who, m)
	if err != nil {
		return err
	}
	if _, err := e.slot(ctx, e.Store, a.ID, m); err != nil {
		return err
	}
	quota := ratelimit.PerHour("pending_factors_account", a.ID, ratelimit.PendingFactorsPerHour)
	err = e.Limits.Spend(ctx, e.Store, quota)
	if errors.Is(err, ratelimit.ErrLimited) {
		return e.Accounts.Refused(ctx, err, audit.Event{Account: a.ID, Reason: "new factors"}, from)
	}
	if err != nil {
		return err
	}
	f, asked, err := m.Enroll(ctx, e.Challenges.AskFor(a, factor.Factor{}, m, from), form)
	if err != nil {
		return err
	}
	return e.Challenges.BeginPending(ctx, who, a, challenge.Enrolled{Factor: f, Method: m}, asked, from)
}

// StartEmailChange sends a code to a new email address; once it is confirmed it becomes the account's. An
// address that belongs to an account gets the same response and no email. It returns account.ErrEmail if
// the address is invalid, session.ErrStepUpRequired if the session was not authenticated recently,
// account.ErrFrozen, and a *ratelimit.LimitedError if a limit is reached.
func (e *Enrollments) StartEmailChange(
	ctx context.Context, who session.Session, email string, from origin.Origin,
) error {
	email, err := e.Accounts.ParseNewEmail(email)
	if err != nil {
		return err
	}
	a, err := e.account(ctx, who)
	if err != nil {
		return err
	}
	methods := e.Challenges.Methods
	i := slices.IndexFunc(methods, func(m factor.Method) bool { return m.Info().Implicit })
	if i < 0 {
		return challenge.ErrUnknownMethod
	}
	m := methods[i]
	f := factor.Factor{Method: m.Info().Method, Destination: email, Masked: account.MaskEmail(email)}
	asked, err := m.Challenge(ctx, e.Challenges.AskFor(a, f, m, from))
	if err != nil {
		return fmt.Errorf("enroll: email: %w", err)
	}
	return e.Challenges.BeginPending(ctx, who, a, challenge.Enrolled{Factor: f, Method: m}, asked, from)
}

// account returns the account of a session whose methods are to be changed. It returns session.ErrStepUpRequired if the
// session was not authenticated recently, and account.ErrFrozen if the account is frozen.
func (e *Enrollments) account(ctx context.Context, who session.Session) (store.Account, error) {
	if !who.RecentlyAuthenticated(e.Now()) {
		return store.Account{}, session.ErrStepUpRequired
	}
	a, err := e.Store.GetAccount(ctx, who.Account.ID)
	if err != nil {
		return a, fmt.Errorf("enroll: account: %w", err)
	}
	return a, account.Frozen(a)
}

func (e *Enrollments) load(
	ctx context.Context, who session.Session, method string, from origin.Origin,
) (*challenge.Attempt, store.PendingFactor, error) {
	a, row, err := e.Challenges.LoadPending(ctx, who, method, from)
	if errors.Is(err, challenge.ErrNoAttempt) {
		err = ErrNoPendingFactor
	}
	return a, row, err
}

// Pending returns the new factor of a method that waits for confirmation. It returns
// session.ErrStepUpRequired if the session was not authenticated recently, because it may show a secret,
// and ErrNoPendingFactor if there is none.
func (e *Enrollments) Pending(
	ctx context.Context, who session.Session, method string, from origin.Origin,
) (PendingFactor, error) {
	if !who.MayEnroll(e.Now()) {
		return PendingFactor{}, session.ErrStepUpRequired
	}
	a, row, err := e.load(ctx, who, method, from)
	if err != nil {
		return PendingFactor{}, err
	}
	p := PendingFactor{Info: a.Pending().Method.Info(), Destination: a.Destination(), Show: a.Show()}
	if !row.ShownOnly {
		p.Challenge = a.Challenge
	}
	return p, nil
}

// Resend sends a new code for the pending factor of a method. It returns ErrNoPendingFactor if there is
// none, and the errors of challenge.Attempt.Resend.
func (e *Enrollments) Resend(ctx context.Context, who session.Session, method string, from origin.Origin) error {
	a, _, err := e.load(ctx, who, method, from)
	if err != nil {
		return err
	}
	return a.Resend(ctx)
}

// Cancel deletes the pending factor of a method, if there is one.
func (e *Enrollments) Cancel(ctx context.Context, who session.Session, method string) error {
	if err := e.Store.DeletePendingFactor(ctx, who.ID, method); err != nil {
		return fmt.Errorf("enroll: cancel: %w", err)
	}
	return nil
}

// Confirm checks the answer for a pending factor and enrolls it. Every other session ends; this one
// continues under the new token that Confirm returns. It returns session.ErrStepUpRequired if the session
// was not authenticated recently, ErrNoPendingFactor if there is none, ErrTooManyFactors if the account
// has the maximum meanwhile, account.ErrFrozen, session.ErrNoSession if the session has ended, and the errors of
// challenge.Attempt.Verify.
func (e *Enrollments) Confirm(
	ctx context.Context, who session.Session, method string, form url.Values, from origin.Origin,
) (token string, err error) {
	if !who.MayEnroll(e.Now()) {
		return "", session.ErrStepUpRequired
	}
	a, row, err := e.load(ctx, who, method, from)
	if err != nil {
		return "", err
	}
	if err := account.Frozen(a.Account()); err != nil {
		return "", err
	}
	proof := a.Unasked()
	if !row.ShownOnly {
		if proof, err = a.Prove(ctx, form); err != nil {
			return "", err
		}
	}
	err = e.Store.Tx(ctx, func(tx *store.DB) error {
		if err := a.Consume(ctx, tx, proof); err != nil {
			return err
		}
		if err := e.save(ctx, tx, a.Account(), proof.By, from); err != nil {
			return err
		}
		if err := tx.DeletePendingFactor(ctx, who.ID, method); err != nil {
			return err // its body may hold what Finalize removes, such as recovery codes in clear
		}
		if who.MethodRequired {
			token, err = e.Sessions.CompleteSetup(ctx, tx, who, from)
		} else {
			token, err = e.Sessions.EndOthers(ctx, tx, who, from)
		}
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrConflict):
		return "", factor.ErrIncorrect // another request was faster
	case errors.Is(err, ErrTooManyFactors), errors.Is(err, session.ErrNoSession):
		return "", err
	case err != nil:
		return "", fmt.Errorf("enroll: confirm: %w", err)
	}
	e.Accounts.NotifyOutbox()
	return token, nil
}

// save adds the confirmed factor to the account and notifies the owner.
func (e *Enrollments) save(
	ctx context.Context, tx *store.DB, a store.Account, by challenge.Enrolled, from origin.Origin,
) error {
	about := by.Method.Info()
	if about.Implicit {
		return e.saveEmail(ctx, tx, a, by.Destination, audit.Event{Kind: audit.EmailChanged}, from)
	}
	slot, err := e.slot(ctx, tx, a.ID, by.Method)
	if err != nil {
		return err
	}
	final := by.Factor
	if p, ok := by.Method.(factor.Provisioner); ok {
		if final, err = p.Finalize(final); err != nil {
			return err
		}
	}
	row := store.Factor{ID: rand.Text(), AccountID: a.ID, Method: about.Method, Slot: slot, CreatedAt: e.Now()}
	if row.Body, err = e.Challenges.SealFactor(row.ID, final); err != nil {
		return err
	}
	kind := audit.FactorAdded
	var replaced *store.Factor
	if about.MaxPerAccount == 1 {
		if replaced, err = e.replace(ctx, tx, a, by.Method, from); err != nil {
			return err
		}
		if replaced != nil {
			kind = audit.FactorReplaced
		} else {
			replaced = &store.Factor{Method: about.Method, Slot: slot}
		}
	}
	if err := tx.CreateFactor(ctx, row); err != nil {
		return err
	}
	event := audit.Event{Kind: kind, Target: audit.Target("factor", row.ID), Reason: about.Method}
	n := account.Notification{Event: event, Template: "added", Account: a, Detail: about.WordsIn(from.Language).Name}
	if n.UndoToken, err = e.createUndoLink(ctx, tx, a, row.ID, replaced, row.CreatedAt); err != nil {
		return err
	}
	return e.Accounts.NotifyOwner(ctx, tx, n, from)
}

// slot returns the number of the first free slot for a factor of a method; 0 if there is only one, whose
// factor is then replaced. It returns ErrTooManyFactors if none is free.
func (e *Enrollments) slot(ctx context.Context, db *store.DB, account string, m factor.Method) (int64, error) {
	rows, err := db.ListFactors(ctx, account)
	if err != nil {
		return 0, fmt.Errorf("enroll: slot: %w", err)
	}
	about := m.Info()
	for slot := range int64(about.MaxPerAccount) {
		taken := slices.ContainsFunc(rows, func(f store.Factor) bool { return f.Method == about.Method && f.Slot == slot })
		if !taken || about.MaxPerAccount == 1 {
			return slot, nil
		}
	}
	return 0, ErrTooManyFactors
}

// replace deletes the only factor of a method before a new one takes its slot, and notifies the address or number of
// the old one. It returns the old factor; nil if there is none.
func (e *Enrollments) replace(
	ctx context.Context, tx *store.DB, a store.Account, m factor.Method, from origin.Origin,
) (replaced *store.Factor, err error) {
	rows, err := tx.ListFactors(ctx, a.ID)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(rows, func(f store.Factor) bool { return f.Method == m.Info().Method })
	if i < 0 {
		return nil, nil
	}
	old, err := e.Challenges.OpenFactor(rows[i])
	if err != nil {
		return nil, err
	}
	if err := tx.DeleteFactor(ctx, a.ID, old.ID); err != nil {
		return nil, err
	}
	return &rows[i], e.notifyFactor(ctx, tx, a.ID, challenge.Enrolled{Factor: old, Method: m}, factor.NoticeReplaced, "", from)
}

// saveEmail sets the new address of the account, records the event and notifies both addresses. It returns store.ErrConflict
// if the address belongs to another account.
func (e *Enrollments) saveEmail(
	ctx context.Context, tx *store.DB, a store.Account, email string, event audit.Event, from origin.Origin,
) error {
	if err := tx.SetEmail(ctx, a.ID, a.Epoch, email, e.Now()); err != nil {
		return err
	}
	undo, err := e.createUndoLink(ctx, tx, a, "", nil, e.Now())
	if err != nil {
		return err
	}
	n := account.Notification{
		Event: event, Template: "email", Account: a, Detail: account.MaskEmail(email), UndoToken: undo,
	}
	if err := e.Accounts.NotifyOwner(ctx, tx, n, from); err != nil {
		return err
	}
	n.Template, n.To, n.Detail, n.UndoToken = "welcome", email, email, ""
	return e.Accounts.SendNotification(ctx, tx, n, from)
}

// Remove removes a factor. Every other session ends; this one continues under the new token that Remove
// returns. The mailbox cannot be removed, so the account always has a second step. It returns
// session.ErrStepUpRequired if the session was not authenticated recently, challenge.ErrUnknownMethod if
// the account has no such factor, account.ErrFrozen, and session.ErrNoSession if the session has ended.
func (e *Enrollments) Remove(
	ctx context.Context, who session.Session, id string, from origin.Origin,
) (token string, err error) {
	a, err := e.account(ctx, who)
	if err != nil {
		return "", err
	}
	all, err := e.Challenges.Factors(ctx, a)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(all, func(f challenge.Enrolled) bool { return f.Row.ID != "" && f.ID == id })
	if i < 0 {
		return "", challenge.ErrUnknownMethod
	}
	about, row := all[i].Method.Info(), all[i].Row
	event := audit.Event{Kind: audit.FactorRemoved, Target: audit.Target("factor", id), Reason: about.Method}
	// The email names the method. It never contains the name that somebody gave the factor.
	n := account.Notification{Event: event, Template: "removed", Account: a, Detail: about.WordsIn(from.Language).Name}
	if e.Challenges.EmailReturns(a, all, id) {
		n.Template = "removed.email"
	}
	err = e.Store.Tx(ctx, func(tx *store.DB) error {
		if n.UndoToken, err = e.createUndoLink(ctx, tx, a, "", &row, e.Now()); err != nil {
			return err
		}
		if err := tx.DeleteFactor(ctx, who.Account.ID, id); err != nil {
			return err
		}
		if token, err = e.Sessions.EndOthers(ctx, tx, who, from); err != nil {
			return err
		}
		return e.Accounts.NotifyOwner(ctx, tx, n, from)
	})
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, session.ErrNoSession) {
		return "", session.ErrNoSession
	}
	if err != nil {
		return "", fmt.Errorf("enroll: remove: %w", err)
	}
	e.Accounts.NotifyOutbox()
	return token, nil
}

// Enrolled is one verification method with the factors that an account has of it.
type Enrolled struct {
	factor.Info
	Factors []EnrolledFactor
}

// EnrolledFactor is one factor as its owner may see it.
type EnrolledFactor struct {
	ID          string // "" if it cannot be removed
	Name        string
	Destination string
	AddedAt     time.Time
	LastUsedAt  time.Time
	UsesLeft    int // number of codes left; -1 if it can be used any number of times
}

// List returns all methods in the order of challenge.Challenges.Methods, with the factors of the account.
func (e *Enrollments) List(ctx context.Context, who session.Session) ([]Enrolled, error) {
	a, err := e.Store.GetAccount(ctx, who.Account.ID)
	if err != nil {
		return nil, fmt.Errorf("enroll: list: %w", err)
	}
	all, err := e.Challenges.Factors(ctx, a)
	if err != nil {
		return nil, err
	}
	var list []Enrolled
	for _, m := range e.Challenges.Methods {
		one := Enrolled{Info: m.Info()}
		for _, f := range all {
			if f.Factor.Method != one.Method {
				continue
			}
			one.Factors = append(one.Factors, EnrolledFactor{
				ID: f.Row.ID, Name: f.Name, Destination: cmp.Or(f.Display, f.Destination),
				AddedAt: f.Row.CreatedAt, LastUsedAt: f.Row.LastUsedAt, UsesLeft: f.UsesLeft(),
			})
		}
		list = append(list, one)
	}
	return list, nil
}
