package enroll

import (
	"context"
	"errors"
	"fmt"
	"time"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/store"
)

// EmailSecondStep is whether codes by email are a second step of an account that has another method.
type EmailSecondStep struct {
	UntilAnother bool      // they are none
	BySite       bool      // the site requires that: the person has no choice
	FrozenUntil  time.Time // they are none until the last requested undo takes effect; zero: the account is not frozen
}

// GetEmailSecondStep returns whether codes by email are a second step of the account of a session.
func (e *Enrollments) GetEmailSecondStep(ctx context.Context, who session.Session) (EmailSecondStep, error) {
	a, err := e.Store.GetAccount(ctx, who.Account.ID)
	if err != nil {
		return EmailSecondStep{}, fmt.Errorf("enroll: email as second step: %w", err)
	}
	site := e.Challenges.Email.UntilAnother
	untilAnother := site || a.EmailSecondStep == store.EmailUntilAnother
	return EmailSecondStep{UntilAnother: untilAnother, BySite: site, FrozenUntil: a.FrozenUntil}, nil
}

// SetEmailSecondStep chooses for one account whether codes by email are a second step only until another method is set
// up. A choice cannot allow what the site does not: if the site requires it, only true has an effect. Every other
// session ends; this one continues under the new token that SetEmailSecondStep returns. It returns
// session.ErrStepUpRequired if the session was not authenticated recently, account.ErrFrozen, session.ErrNoSession if the
// session has ended, and an error that wraps ratelimit.ErrLimited after too many changes.
func (e *Enrollments) SetEmailSecondStep(
	ctx context.Context, who session.Session, untilAnother bool, from origin.Origin,
) (token string, err error) {
	a, err := e.account(ctx, who)
	if err != nil {
		return "", err
	}
	choice, template := "", "step.always"
	if untilAnother {
		choice, template = store.EmailUntilAnother, "step.until"
	}
	event := audit.Event{Kind: audit.EmailSecondStepChanged, Reason: choice}
	err = e.Store.Tx(ctx, func(tx *store.DB) error {
		quota := ratelimit.PerHour("second_step_changes_account", a.ID, ratelimit.SecondStepChangesPerHour)
		if err := e.Limits.Spend(ctx, tx, quota); err != nil {
			return err
		}
		if err := tx.SetEmailSecondStep(ctx, a.ID, who.Ref().Epoch, choice); err != nil {
			return err
		}
		if token, err = e.Sessions.EndOthers(ctx, tx, who, from); err != nil {
			return err
		}
		return e.Accounts.NotifyOwner(ctx, tx, account.Notification{Event: event, Template: template, Account: a}, from)
	})
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, session.ErrNoSession) {
		return "", session.ErrNoSession
	}
	if errors.Is(err, ratelimit.ErrLimited) {
		return "", e.Accounts.Refused(ctx, err, audit.Event{Account: a.ID, Reason: "second step"}, from)
	}
	if err != nil {
		return "", fmt.Errorf("enroll: email as second step: %w", err)
	}
	e.Accounts.NotifyOutbox()
	return token, nil
}
