package challenge

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/odds"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// Reasons of a DeskCodeRejected. The person cannot tell them apart.
const (
	deskNone  = "no code is valid"
	deskOther = "the code belongs to another browser, or had too many guesses"
	deskWrong = "wrong code"
)

// DeskCodeMAC returns the keyed hash by which a desk code is stored.
func DeskCodeMAC(keys *seal.KeyRing, id, code string) []byte { return keys.MAC("desk code", id, code) }

// AcceptsDeskCode reports whether a desk code may replace the second step: in a sign-in, never in a step-up.
func (a *Attempt) AcceptsDeskCode() bool { return a.row.Purpose == store.PurposeSignIn }

// VerifyDeskCode checks a desk code in place of the second step. If it is right, VerifyDeskCode opens a session in
// which the person can only set up a method, ends all trust of the account, and calls then in the same transaction.
// The device is not trusted, and not known. The attempt in which a code is entered first is the only one that may use
// it.
//
// VerifyDeskCode returns factor.ErrIncorrect if the code is wrong, expired, used or cancelled, belongs to another
// attempt or had odds.DeskGuessesPerCode guesses: the caller cannot tell these apart. It returns factor.ErrMalformed
// if the answer cannot be a desk code, ErrNoAttempt if the attempt is over, ErrUnknownMethod in a step-up, and
// account.ErrFrozen.
func (a *Attempt) VerifyDeskCode(
	ctx context.Context, form url.Values, then func(tx *store.DB, used store.DeskCode) error,
) (session.Cookies, error) {
	if err := a.running(); err != nil {
		return session.Cookies{}, err
	}
	if !a.AcceptsDeskCode() {
		return session.Cookies{}, ErrUnknownMethod
	}
	if err := account.Frozen(a.account); err != nil {
		return session.Cookies{}, err
	}
	typed, ok := seal.ParseDeskCode(form.Get("code"))
	if !ok {
		return session.Cookies{}, factor.ErrMalformed
	}
	code, why, err := a.guessDeskCode(ctx)
	if err != nil {
		return session.Cookies{}, err
	}
	if why == "" && !a.c.Keys.VerifyMAC(code.MAC, "desk code", code.ID, typed) {
		why = deskWrong
	}
	if why != "" {
		e := audit.Event{Kind: audit.DeskCodeRejected, Account: a.account.ID, Email: a.account.Email, SignIn: a.row.ID,
			Reason: why}
		if code.ID != "" {
			e.Target = audit.Target("desk_code", code.ID)
		}
		if err := a.c.Accounts.Failure(ctx, e, a.from); err != nil {
			return session.Cookies{}, err
		}
		return session.Cookies{}, factor.ErrIncorrect
	}
	return a.acceptDeskCode(ctx, code, then)
}

// guessDeskCode counts a guess at the desk code of the account and charges it, in a transaction of its own before
// anything is compared. why says why the answer is not compared; "" if it is.
func (a *Attempt) guessDeskCode(ctx context.Context) (code store.DeskCode, why string, err error) {
	code, err = a.c.Store.FindDeskCode(ctx, a.account.ID)
	if errors.Is(err, store.ErrNotFound) {
		return store.DeskCode{}, deskNone, nil
	}
	if err != nil {
		return store.DeskCode{}, "", fmt.Errorf("challenge: desk code: %w", err)
	}
	now := a.c.Now()
	if code.State != store.DeskValid || now.After(code.ExpiresAt) {
		return code, deskNone, nil
	}
	err = a.c.Store.Tx(ctx, func(tx *store.DB) error {
		if err := a.c.Budgets.ChargeDeskGuess(ctx, tx, a.account, a.from); err != nil {
			return err
		}
		return tx.SpendDeskGuess(ctx, code.ID, a.row.ID, odds.DeskGuessesPerCode, now)
	})
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, odds.ErrExhausted):
		return code, deskOther, nil
	case err != nil:
		return code, "", fmt.Errorf("challenge: count guess at desk code: %w", err)
	}
	return code, "", nil
}

// acceptDeskCode uses up the code and opens the session in one transaction. Of two right answers at the same time one
// opens a session, and the other gets factor.ErrIncorrect.
func (a *Attempt) acceptDeskCode(
	ctx context.Context, code store.DeskCode, then func(tx *store.DB, used store.DeskCode) error,
) (session.Cookies, error) {
	now := a.c.Now()
	token, row := a.c.Sessions.New(a.account.Ref(), account.SplitGroups(a.account.Groups), a.from)
	row.AttemptID, row.AMR = a.row.ID, "pwd" // AuthenticatedAt stays zero: both steps were not taken
	row.DeskCodeID, row.MethodRequired = code.ID, true
	row.ExpiresAt, row.Persistent = now.Add(session.SetupTTL), false
	err := a.c.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.UseDeskCode(ctx, code.ID, a.row.ID, now); err != nil {
			return err
		}
		if err := tx.FinishAttempt(ctx, a.row.ID, now); err != nil {
			return err
		}
		if err := a.c.Accounts.EndTrust(ctx, tx, a.account.Ref(), trust.RevokedDeskCodeUsed, ""); err != nil {
			return err
		}
		if err := tx.CreateSession(ctx, row); err != nil {
			return err
		}
		e := audit.Event{
			Kind: audit.SessionCreated, Account: a.account.ID, Email: a.account.Email, SignIn: a.row.ID,
			Target: audit.Target("session", row.ID), Reason: audit.DeskCode,
		}
		if err := a.c.Accounts.Event(ctx, tx, e, a.from); err != nil {
			return err
		}
		return then(tx, code)
	})
	if errors.Is(err, store.ErrNotFound) {
		return session.Cookies{}, factor.ErrIncorrect
	}
	if err != nil {
		return session.Cookies{}, fmt.Errorf("challenge: accept desk code: %w", err)
	}
	a.c.Accounts.NotifyOutbox()
	return session.Cookies{Session: token, MaxAge: session.CookieMaxAge(row, now)}, nil
}
