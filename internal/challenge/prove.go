package challenge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/device"
	"twostep.example/twostep/internal/odds"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// Proof is a right answer that is not used up yet.
type Proof struct {
	By        Enrolled // the factor that it proves, with its new secret
	challenge string
	code      string    // the code that fitted; "" if the method compares with something else
	at        time.Time // when it is used up; zero: now
}

// Unasked is the proof of a new factor that needs none but that the person has seen it.
func (a *Attempt) Unasked() Proof { return Proof{By: *a.pending} }

// Prove reads the answer, spends a guess and compares. Its errors are those of Verify.
func (a *Attempt) Prove(ctx context.Context, form url.Values) (Proof, error) {
	if a.open.ID == "" {
		return Proof{}, ErrNoAttempt // nothing was asked yet
	}
	factors := a.by(a.open.Method)
	if len(factors) == 0 {
		return Proof{}, ErrUnknownMethod // it was removed while it was asked for
	}
	text, err := factors[0].Method.ParseResponse(form, a.open.NeedsLongCode)
	if err != nil {
		return Proof{}, err
	}
	codes := a.liveCodes(a.c.Now())
	g := a.answered(factors[0].Method.Info(), len(factors), codes)
	if err := a.charge(ctx, g); err != nil {
		return Proof{}, a.limited(ctx, "verify code", err)
	}
	p, err := a.compare(ctx, factors, codes, text)
	if errors.Is(err, factor.ErrIncorrect) {
		e := audit.Event{Kind: audit.CodeRejected, Account: a.account.ID, SignIn: a.row.ID, Reason: a.open.Method}
		if failed := a.c.Accounts.Failure(ctx, e, a.from); failed != nil {
			return Proof{}, failed
		}
		if failed := a.c.Budgets.NotifyGuessed(ctx, a.account, g, a.from); failed != nil {
			return Proof{}, failed
		}
	}
	return p, err
}

// guess is an answer to a challenge, without its cost: it is charged to the account, or to the
// address or number of a new factor. Somebody who is signed in counts as an unknown device, or a
// thief of the session would have the guesses of its browser.
func (a *Attempt) guess(c store.Challenge) odds.Guess {
	g := odds.Guess{Budget: odds.AccountBudget(a.account), Challenge: c.ID}
	if a.pending != nil {
		g.Budget = a.c.Budgets.DestinationBudget(a.pending.Destination)
	}
	if a.row.Purpose == store.PurposeSignIn {
		g.Device = a.browser.KnownID()
	}
	return g
}

// reissued is what one guess costs at a challenge that is about to be asked in the usual way.
func (a *Attempt) reissued(c store.Challenge, about factor.Info, factors int) odds.Guess {
	g := a.guess(c)
	g.Cost = odds.Cost(max(about.ValidAnswers*factors, 1), about.Digits)
	return g
}

// answered is what comparing one answer costs: with the codes that it is compared with, and with
// what the factors take beside them.
func (a *Attempt) answered(about factor.Info, factors int, codes []store.SentCode) odds.Guess {
	g := a.guess(a.open)
	g.CostIfReissued = a.reissued(a.open, about, factors).Cost
	for _, code := range codes {
		g.Cost += odds.Chance(code.GuessCost)
	}
	switch {
	case about.ValidAnswers > 0 && a.open.NeedsLongCode:
		g.AppsPaired = int64(factors)
	case about.ValidAnswers > 0:
		g.Cost += odds.Cost(about.ValidAnswers*factors, about.Digits)
	}
	return g
}

// charge spends a guess and what it costs, in a transaction of its own, before anything is
// compared: what is counted cannot be rolled back with a failed sign-in, and guesses that arrive
// together are counted one by one. It returns ErrTooManyGuesses, ErrLongCodeNeeded,
// factor.ErrIncorrect for an attempt that is over, or a *ratelimit.LimitedError.
func (a *Attempt) charge(ctx context.Context, g odds.Guess) error {
	for {
		now := a.c.Now()
		last := a.open.GuessedAt
		again := last.Add(odds.GuessDelay(a.open.Guesses))
		counted := !g.Free() && g.Device == "" && !a.open.GuessedAt.IsZero() && a.open.PassedAt.IsZero() && a.guessesLeft() > 0
		if counted && now.Before(again) && !last.After(now) {
			return &ratelimit.LimitedError{RetryAt: again}
		}
		err := a.c.Store.Tx(ctx, func(tx *store.DB) error {
			if err := tx.SpendGuess(ctx, a.open, MaxGuesses, now); err != nil {
				return err
			}
			return a.c.Budgets.Charge(ctx, tx, g, a.from)
		})
		switch {
		case errors.Is(err, odds.ErrExhausted):
			return a.lengthen(ctx, g)
		case err == nil || errors.Is(err, ratelimit.ErrLimited):
			return err
		case !errors.Is(err, store.ErrNotFound):
			return fmt.Errorf("challenge: charge: %w", err)
		}
		before := a.open.Guesses
		if a.open, err = a.c.Store.FindChallenge(ctx, a.row.ID); err != nil {
			return fmt.Errorf("challenge: charge: %w", err)
		}
		switch {
		case a.open.PassedAt.IsZero() && a.guessesLeft() == 0:
			return ErrTooManyGuesses
		case a.open.Guesses == before:
			return factor.ErrIncorrect // the attempt is over
		}
	}
}

// lengthen asks the open challenge again so that nobody can guess the answer, and tells the owner
// why. It is long whatever one guess will cost then: several codes that were live at a time cost
// more, and a right one would be refused again and again. It returns ErrLongCodeNeeded or a
// *ratelimit.LimitedError.
func (a *Attempt) lengthen(ctx context.Context, g odds.Guess) error {
	if err := a.c.Budgets.NotifyExhausted(ctx, a.account, g, a.from); err != nil {
		return err
	}
	a.open.NeedsLongCode = true
	if err := a.send(ctx, a.open.Method); err != nil {
		return err
	}
	return ErrLongCodeNeeded
}

// compare asks the method of the open challenge whether text answers it for one of its factors, or
// is one of the codes that were charged. It is one guess, whichever of them it fits.
func (a *Attempt) compare(ctx context.Context, factors []Enrolled, codes []store.SentCode, text string) (Proof, error) {
	state, err := a.c.Keys.Open("challenge "+a.open.ID, a.open.State)
	if err != nil {
		return Proof{}, fmt.Errorf("challenge: state: %w", err)
	}
	p := Proof{challenge: a.open.ID}
	answer := factor.Response{
		Text: text, State: state, Now: a.c.Now(), LongCode: a.open.NeedsLongCode,
		Matches: func(candidate string) bool {
			for _, code := range codes { // all of them, so that the time does not tell which
				if a.c.Keys.VerifyMAC(code.MAC, "code", a.open.ID, a.open.Method, candidate) {
					p.code = code.ID
				}
			}
			return p.code != ""
		},
	}
	wrong := factor.ErrIncorrect
	for _, f := range factors {
		err := f.Method.Verify(ctx, &f.Factor, answer)
		if !errors.Is(err, factor.ErrIncorrect) {
			p.By = f
			return p, err
		}
		if said := (*factor.UserError)(nil); errors.As(err, &said) {
			wrong = err // it says more
		}
	}
	return Proof{}, wrong
}

// Consume uses a proof up and ends the attempt, in the transaction of what is proven, and gives
// back what its guesses cost. It returns store.ErrNotFound if another request was faster.
func (a *Attempt) Consume(ctx context.Context, tx *store.DB, p Proof) error {
	now := cmp.Or(p.at, a.c.Now())
	if p.code != "" {
		if err := tx.UseCode(ctx, p.code, now); err != nil {
			return err
		}
	}
	if row := p.By.Row; row.ID != "" {
		body, err := a.c.SealFactor(row.ID, p.By.Factor)
		if err != nil {
			return err
		}
		row.Body = body
		if err := tx.UseFactor(ctx, row, now); err != nil {
			return err
		}
	}
	if p.challenge != "" {
		if err := tx.PassChallenge(ctx, p.challenge, now); err != nil {
			return err
		}
	}
	if err := a.refund(ctx, tx, p); err != nil {
		return err
	}
	return tx.FinishAttempt(ctx, a.row.ID, now)
}

// refund gives back what a proof cost, and renews the budget of somebody who has taken both steps
// since the mailbox set a new password.
func (a *Attempt) refund(ctx context.Context, tx *store.DB, p Proof) error {
	if !a.account.PasswordSetByMailAt.IsZero() && a.pending == nil {
		if err := a.c.Budgets.Renew(ctx, tx, a.account, a.account.PasswordSetByMailAt); err != nil {
			return err
		}
	}
	return a.c.Budgets.Refund(ctx, tx, a.guess(store.Challenge{ID: p.challenge}), a.pending == nil, a.from)
}

// accept consumes the proof and opens the session, all in one transaction: of two right answers at
// the same moment one wins, and the other is incorrect.
func (a *Attempt) accept(ctx context.Context, p Proof) (cookies session.Cookies, err error) {
	over := State{ExpiresAt: a.ExpiresAt, Finished: a.Finished, Proven: true}
	if Next(over, a.c.Now()) != StepSignedIn {
		return session.Cookies{}, factor.ErrIncorrect
	}
	about := p.By.Method.Info()
	p.at = a.c.Now()
	token, row := a.c.Sessions.New(a.account.Ref(), a.from)
	row.AttemptID, row.AuthenticatedAt = a.row.ID, p.at
	row.AMR = strings.Join(append([]string{"pwd"}, about.AMR...), " ")
	err = a.c.Store.Tx(ctx, func(tx *store.DB) error {
		cookies = session.Cookies{Session: token}
		if err := a.Consume(ctx, tx, p); err != nil {
			return err
		}
		if row.DeviceID, cookies.Device, err = a.registerDevice(ctx, tx, about.Backup); err != nil {
			return err
		}
		if err := a.saveSession(ctx, tx, &row); err != nil {
			return err
		}
		if err := a.notifySpareUsed(ctx, tx, p.By); err != nil {
			return err
		}
		kind := audit.SessionCreated
		if a.row.Purpose == store.PurposeStepUp {
			kind = audit.SessionUpgraded
		}
		e := audit.Event{Kind: kind, Account: a.account.ID, SignIn: a.row.ID, Target: audit.Target("session", row.ID), Reason: a.open.Method}
		return a.c.Accounts.Event(ctx, tx, e, a.from)
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return session.Cookies{}, factor.ErrIncorrect
	case errors.Is(err, session.ErrNoSession):
		return session.Cookies{}, err
	case err != nil:
		return session.Cookies{}, fmt.Errorf("challenge: accept: %w", err)
	}
	a.c.Accounts.NotifyOutbox()
	return cookies, nil
}

// saveSession stores the session that was proven, or proves the one of a step-up again.
func (a *Attempt) saveSession(ctx context.Context, tx *store.DB, row *store.Session) error {
	if a.row.Purpose != store.PurposeStepUp {
		return tx.CreateSession(ctx, *row)
	}
	row.ID = a.row.SessionID
	return a.c.Sessions.Reauthenticate(ctx, tx, *row)
}

// registerDevice is what a full proof does about the browser it was given in: the account knows it
// from now on, and trusts it from here if the person wants that. The token is "" if the browser
// keeps the one it has.
func (a *Attempt) registerDevice(ctx context.Context, tx *store.DB, spare bool) (id, token string, err error) {
	if a.row.Purpose != store.PurposeSignIn {
		return "", "", nil // the session that is proven again has one
	}
	if id, token, err = a.c.Devices.RegisterDevice(ctx, tx, a.account.Ref(), a.browser); err != nil {
		return "", "", err
	}
	if offer := a.trustOffer(spare); offer.Days == 0 || !offer.Requested {
		return id, token, nil
	}
	verified := device.VerifiedSignIn{Account: a.account, SignIn: a.row.ID, Device: id, NewDevice: id != a.browser.ID, Network: a.network()}
	return id, token, a.c.Devices.AddTrustedNetwork(ctx, tx, verified, a.from)
}

// notifySpareUsed tells the owner that a factor for emergencies was used, and how much of it is
// left. Whatever was lost may have been a trusted browser, so trust ends.
func (a *Attempt) notifySpareUsed(ctx context.Context, tx *store.DB, by Enrolled) error {
	if !by.Method.Info().Backup {
		return nil
	}
	if err := a.c.Accounts.EndTrust(ctx, tx, a.account.Ref(), trust.RevokedRecoveryCodeUsed, ""); err != nil {
		return err
	}
	e := audit.Event{Kind: audit.RecoveryCodeUsed, SignIn: a.row.ID, Target: audit.Target("factor", by.ID)}
	n := account.Notification{Event: e, Template: "used", Account: a.account, Remaining: by.UsesLeft()}
	return a.c.Accounts.NotifyOwner(ctx, tx, n, a.from)
}
