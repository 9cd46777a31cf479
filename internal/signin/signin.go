// Package signin takes a person from the password to a session: password, trusted device, second step.
//
//	Start ─▶ (trusted device) ─▶ a session
//	      └▶ challenge.Attempt ─▶ Choose ─▶ Verify ─▶ a session
package signin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/device"
	"twostep.example/twostep/internal/enroll"
	"twostep.example/twostep/internal/odds"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// SignIns starts sign-ins and step-ups, and changes passwords.
type SignIns struct {
	Store       *store.DB
	Now         func() time.Time
	Accounts    *account.Accounts
	Limits      *ratelimit.Limiter
	Devices     *device.Devices
	Budgets     *odds.Budgets
	Sessions    *session.Sessions
	Challenges  *challenge.Challenges
	Enrollments *enroll.Enrollments
}

// Credentials is what the first page of a sign-in asks for.
type Credentials struct {
	Email        string
	Password     string
	LinkQuery    string        // see challenge.Attempt
	SkipTrust    bool          // require the second step even on a trusted device
	Level        session.Level // the level to reach, if the account can
	AttemptToken string        // token of the attempt this browser is in; "" if there is none
	StaySignedIn bool          // the person ticked the box
	App          string        // client ID of the app that the person comes from; "": none
}

// Start checks the password. If the device is trusted in this network, Start opens a session; otherwise it
// starts an attempt. An attempt of the same account that this browser is in continues under a new token,
// without a second message. Start returns account.ErrCredentials if the email address or the password is
// wrong, a *ratelimit.LimitedError if a limit is reached, fairqueue.ErrFull if the server cannot hash the password
// now, and account.ErrFrozen if the account is frozen and has no method that may be used.
func (s *SignIns) Start(
	ctx context.Context, c Credentials, from origin.Origin,
) (cookies session.Cookies, err error) {
	known, err := s.Devices.FindKnownDevice(ctx, c.Email, from)
	if err != nil {
		return session.Cookies{}, err
	}
	source := ratelimit.PasswordSource{Networks: from.Networks(), Device: known}
	password, err := s.Accounts.VerifyPassword(ctx, c.Email, c.Password, source, from)
	if err != nil {
		return session.Cookies{}, err
	}
	defer func() {
		if failed := password.Release(ctx); failed != nil {
			err = errors.Join(err, failed)
		}
	}()
	return s.continueWith(ctx, password, c, from)
}

// continueWith takes the next step after a correct password.
func (s *SignIns) continueWith(
	ctx context.Context, password *account.CorrectPassword, c Credentials, from origin.Origin,
) (session.Cookies, error) {
	a := password.Account
	if !a.FrozenUntil.IsZero() && !s.Now().Before(a.FrozenUntil) { // the undo is due, and removes this password
		return session.Cookies{}, s.applyDueUndo(ctx, a)
	}
	circumstances := device.Circumstances{
		App: c.App, Groups: account.SplitGroups(a.Groups), SecondStep: c.SkipTrust || account.Frozen(a) != nil,
	}
	browser, decision, err := s.Devices.FindAndDecide(ctx, a.Ref(), circumstances, from)
	if err != nil {
		return session.Cookies{}, err
	}
	now := s.Now()
	state := challenge.State{
		ExpiresAt: now.Add(challenge.TTL),
		Trusted:   decision.Skips(),
	}
	if challenge.Next(state, now) == challenge.StepSignedIn {
		cookies, err := s.enterTrusted(ctx, password, c, browser, decision, from)
		if !errors.Is(err, store.ErrNotFound) {
			return cookies, err
		}
		// Trust has ended since the decision.
		if browser, decision, err = s.Devices.FindAndDecide(ctx, a.Ref(), circumstances, from); err != nil {
			return session.Cookies{}, err
		}
	}
	if browser.TokenReused {
		if err := s.Devices.RevokeCopiedDevice(ctx, browser, from); err != nil {
			return session.Cookies{}, err
		}
	}
	token, err := s.begin(ctx, c.AttemptToken, challenge.Beginning{
		Account: a, Purpose: store.PurposeSignIn, LinkQuery: c.LinkQuery, Level: c.Level, Browser: browser,
		Decision: &decision, StaySignedIn: c.StaySignedIn, Password: password, App: c.App,
	}, from)
	return session.Cookies{Attempt: token}, err
}

// applyDueUndo lets the due undo of an account take effect, which removes its password. It returns
// account.ErrCredentials then, and another error if the undo could not take effect.
func (s *SignIns) applyDueUndo(ctx context.Context, a store.Account) error {
	_, failed := s.Enrollments.ApplyDueUndos(ctx) // those of other accounts may fail
	now, err := s.Store.GetAccount(ctx, a.ID)
	if err != nil {
		return fmt.Errorf("signin: due undo: %w", err)
	}
	if frozen := account.Frozen(now); frozen != nil {
		return cmp.Or(failed, frozen)
	}
	return account.ErrCredentials
}

// begin continues the attempt that this browser is in, or starts one.
func (s *SignIns) begin(
	ctx context.Context, attemptToken string, b challenge.Beginning, from origin.Origin,
) (token string, err error) {
	token, ok, err := s.Challenges.Resume(ctx, attemptToken, b, from)
	if err != nil || ok {
		return token, err
	}
	return s.Challenges.Begin(ctx, b, from)
}

// enterTrusted opens a session without the second step, for a device that is trusted in this network. It
// returns store.ErrNotFound if trust has ended since the decision.
func (s *SignIns) enterTrusted(
	ctx context.Context, password *account.CorrectPassword, c Credentials, b device.RequestDevice,
	by device.DecisionRecord, from origin.Origin,
) (cookies session.Cookies, err error) {
	a := password.Account
	record, _ := by.NearestRecord()
	token, row := s.Sessions.New(a.Ref(), account.SplitGroups(a.Groups), from)
	row.Method = record.Method
	row.AMR, row.DeviceID, row.TrustVerifiedAt = "pwd", b.ID, record.VerifiedAt
	row.Persistent = s.Sessions.Persistent(c.StaySignedIn)
	err = s.Store.Tx(ctx, func(tx *store.DB) (err error) {
		cookies = session.Cookies{Session: token, MaxAge: session.CookieMaxAge(row, row.StartedAt)}
		if cookies.Device, err = s.Devices.UseTrust(ctx, tx, a.Ref(), b, by); err != nil {
			return err
		}
		if err := tx.CreateSession(ctx, row); err != nil {
			return err
		}
		e := audit.Event{
			Kind: audit.SessionCreated, Account: a.ID, Email: a.Email, Target: audit.Target("session", row.ID),
			Reason: audit.TrustedDevice, Trace: by.Trace,
		}
		if err := s.Accounts.Event(ctx, tx, e, from); err != nil {
			return err
		}
		return password.Settle(ctx, tx)
	})
	if err != nil {
		return session.Cookies{}, fmt.Errorf("signin: trusted: %w", err)
	}
	s.Devices.LogDecision(a.Ref(), by)
	return cookies, nil
}

// StepUpRequest is what a signed-in person enters to authenticate again.
type StepUpRequest struct {
	Password     string
	LinkQuery    string        // see challenge.Attempt
	Level        session.Level // the level to reach, if the account can
	AttemptToken string        // token of the attempt this browser is in; "" if there is none
	App          string        // client ID of the app that requires it; "": none
}

// StepUp starts an attempt by which a signed-in person completes both steps again, and returns its token for the
// browser; a step-up of the same session that the browser is in continues. Attempt.Verify then marks the session as
// authenticated now, and gives it a new token. StepUp returns account.ErrCredentials if the password is wrong, a
// *ratelimit.LimitedError if a limit is reached, and fairqueue.ErrFull if the server cannot hash the password now.
func (s *SignIns) StepUp(
	ctx context.Context, who session.Session, r StepUpRequest, from origin.Origin,
) (token string, err error) {
	a, err := s.verifyPassword(ctx, who, r.Password, from)
	if err != nil {
		return "", err
	}
	return s.begin(ctx, r.AttemptToken, challenge.Beginning{
		Account: a, Purpose: store.PurposeStepUp, Session: who.ID, LinkQuery: r.LinkQuery, Level: r.Level,
		App: r.App,
	}, from)
}

// verifyPassword checks the password of a signed-in person. It counts against a quota for all sessions of
// the account, so that somebody who has stolen a session cannot find the password by guessing. Only
// signed-in persons can use that quota up. Its errors are those of StepUp.
func (s *SignIns) verifyPassword(
	ctx context.Context, who session.Session, password string, from origin.Origin,
) (store.Account, error) {
	a, err := s.Store.GetAccount(ctx, who.Account.ID)
	if err != nil {
		return a, fmt.Errorf("signin: account: %w", err)
	}
	quota := ratelimit.PerHour("session_passwords_account", a.ID, ratelimit.SessionPasswordsPerHour)
	if err := s.Limits.Spend(ctx, s.Store, quota); err != nil {
		if errors.Is(err, ratelimit.ErrLimited) {
			e := audit.Event{Kind: audit.LimitReached, Account: a.ID, Reason: "password"}
			err = errors.Join(s.Accounts.Failure(ctx, e, from), err)
		}
		return a, err
	}
	same, _, err := s.Accounts.ComparePassword(ctx, a, password)
	if err != nil {
		return a, err
	}
	if !same {
		e := audit.Event{Kind: audit.PasswordRejected, Account: a.ID, Email: a.Email, Actor: audit.Person(a.ID),
			Reason: "signed in"}
		if err := s.Accounts.Failure(ctx, e, from); err != nil {
			return a, err
		}
		return a, account.ErrCredentials
	}
	return a, nil
}

// ChangePassword sets a new password for a signed-in person who knows the current one. Every other session
// ends; this one continues under the new token that ChangePassword returns. It returns
// session.ErrStepUpRequired if the session was not authenticated recently, account.ErrCredentials if the
// current password is wrong, a *ratelimit.LimitedError if a limit is reached, session.ErrNoSession if the
// session has ended, account.ErrFrozen, and an error of seal.CheckNewPassword if the new password is not allowed.
func (s *SignIns) ChangePassword(
	ctx context.Context, who session.Session, current, password string, from origin.Origin,
) (token string, err error) {
	if !who.RecentlyAuthenticated(s.Now()) {
		return "", session.ErrStepUpRequired
	}
	a, err := s.verifyPassword(ctx, who, current, from)
	if err == nil {
		err = account.Frozen(a)
	}
	if err != nil {
		return "", err
	}
	sealed, err := s.Accounts.HashPassword(ctx, a, password)
	if err != nil {
		return "", err
	}
	err = s.Store.Tx(ctx, func(tx *store.DB) error {
		ref := who.Ref()
		if err := tx.SetPassword(ctx, ref.ID, ref.Epoch, sealed, time.Time{}, s.Now()); err != nil {
			return err
		}
		if err := s.Accounts.EndTrust(ctx, tx, ref, trust.RevokedPasswordChanged, who.Owner().DeviceID); err != nil {
			return err
		}
		if token, err = s.Sessions.Replace(ctx, tx, who, from); err != nil {
			return err
		}
		if err := s.Budgets.Renew(ctx, tx, a, s.Now()); err != nil { // both steps were completed recently
			return err
		}
		n := account.Notification{Event: audit.Event{Kind: audit.PasswordChanged}, Template: "changed", Account: a}
		return s.Accounts.NotifyOwner(ctx, tx, n, from)
	})
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, session.ErrNoSession):
		return "", session.ErrNoSession
	case err != nil:
		return "", fmt.Errorf("signin: change password: %w", err)
	}
	s.Accounts.NotifyOutbox()
	return token, nil
}
