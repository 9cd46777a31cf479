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

// Proof is a right answer that is not consumed yet.
type Proof struct {
	By        Enrolled  // the factor that was used, with its new secret
	challenge string    // ID of the challenge; "" if there was none
	code      string    // ID of the sent code that matched; "" if the method compares with something else
	at        time.Time // when it is consumed; zero: now
}

// Unasked returns the proof of a new factor that only has to be shown, such as a set of recovery codes.
func (a *Attempt) Unasked() Proof { return Proof{By: *a.pending} }

// Prove reads the answer, charges a guess and compares the answer. Its errors are those of Verify.
func (a *Attempt) Prove(ctx context.Context, form url.Values) (Proof, error) {
	if a.open.ID == "" {
		return Proof{}, ErrNoAttempt
	}
	factors := a.by(a.open.Method)
	if len(factors) == 0 {
		return Proof{}, ErrUnknownMethod // the factor was removed meanwhile
	}
	text, err := factors[0].Method.ParseResponse(form, a.open.NeedsLongCode)
	if err != nil {
		return Proof{}, err
	}
	codes := a.liveCodes(a.c.Now())
	g := a.answered(factors[0].Method.Info(), len(factors), codes)
	if err := a.countGuess(ctx, g); err != nil {
		return Proof{}, a.limited(ctx, "verify code", err)
	}
	p, err := a.compare(ctx, factors, codes, text)
	switch {
	case err == nil:
		a.c.observe(a.open.Method, CodeAccepted)
	case errors.Is(err, factor.ErrIncorrect) && len(codes) == 0 && factors[0].Method.Info().CodeTTL > 0:
		a.c.observe(a.open.Method, CodeExpired)
	case errors.Is(err, factor.ErrIncorrect):
		a.c.observe(a.open.Method, CodeRejected)
	}
	if errors.Is(err, factor.ErrIncorrect) {
		e := audit.Event{Kind: audit.CodeRejected, Account: a.account.ID, Email: a.account.Email, SignIn: a.row.ID,
			Reason: a.open.Method}
		if failed := a.c.Accounts.Failure(ctx, e, a.from); failed != nil {
			return Proof{}, failed
		}
		if failed := a.c.Budgets.NotifyGuessed(ctx, a.account, g, a.from); failed != nil {
			return Proof{}, failed
		}
	}
	return p, err
}

// guess returns a guess at a challenge, without its cost. It is charged to the account, or to the address
// or number of a new factor. A signed-in person counts as an unknown device: otherwise somebody who has
// stolen the session could use the guesses of its device.
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

// reissued returns the guess at a challenge that is about to be issued with a short code.
func (a *Attempt) reissued(c store.Challenge, about factor.Info, factors int) odds.Guess {
	g := a.guess(c)
	g.Cost = odds.Cost(max(about.ValidAnswers*factors, 1), about.Digits)
	return g
}

// answered returns the guess that comparing one answer is: with codes, and with the codes that the factors
// accept besides, such as those of an authenticator app.
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

// countGuess counts a guess and charges its cost, in a transaction of its own before anything is compared. So
// a failed sign-in does not roll it back, and guesses that arrive together are counted one by one. It
// returns ErrTooManyGuesses if no guesses are left, ErrLongCodeNeeded if the guess budget is used up,
// factor.ErrIncorrect if the attempt is over, and a *ratelimit.LimitedError if the guess comes too early.
func (a *Attempt) countGuess(ctx context.Context, g odds.Guess) error {
	for {
		now := a.c.Now()
		last := a.open.GuessedAt
		retryAt := last.Add(odds.GuessDelay(a.open.Guesses))
		unknownDevice := !g.Free() && g.Device == ""
		guessable := a.open.PassedAt.IsZero() && a.guessesLeft() > 0
		delayed := !last.IsZero() && !last.After(now) && now.Before(retryAt) // a last guess in the future delays nothing
		if unknownDevice && guessable && delayed {
			return &ratelimit.LimitedError{RetryAt: retryAt}
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
			return fmt.Errorf("challenge: count guess: %w", err)
		}
		before := a.open.Guesses
		if a.open, err = a.c.Store.FindChallenge(ctx, a.row.ID); err != nil {
			return fmt.Errorf("challenge: count guess: %w", err)
		}
		switch {
		case a.open.PassedAt.IsZero() && a.guessesLeft() == 0:
			return ErrTooManyGuesses
		case a.open.Guesses == before:
			return factor.ErrIncorrect // the attempt is over
		}
	}
}

// lengthen reissues the open challenge with a long code, and notifies the owner of the account. The code
// is long whatever a guess costs after that: several live codes cost more than one, and a right code would
// otherwise be refused again and again. It returns ErrLongCodeNeeded, or a *ratelimit.LimitedError if no
// message may be sent now.
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

// compare checks text with the method of the open challenge, for each of factors, and with the codes that
// were charged. All of that is one guess.
func (a *Attempt) compare(ctx context.Context, factors []Enrolled, codes []store.SentCode, text string) (Proof, error) {
	state, err := a.c.Keys.Open("challenge "+a.open.ID, a.open.State)
	if err != nil {
		return Proof{}, fmt.Errorf("challenge: state: %w", err)
	}
	p := Proof{challenge: a.open.ID}
	answer := factor.Response{
		Text: text, State: state, Now: a.c.Now(), LongCode: a.open.NeedsLongCode,
		Matches: func(candidate string) bool {
			for _, code := range codes { // compare all of them, so that the time does not depend on which one matches
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
		if detail := (*factor.UserError)(nil); errors.As(err, &detail) {
			wrong = err // it has a message for the person
		}
	}
	return Proof{}, wrong
}

// Consume marks a proof as used and ends the attempt, in the transaction that uses it, and refunds what
// its challenge cost. It returns store.ErrNotFound if another request has consumed it already.
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

// refund gives back what the challenge of a proof cost. It also renews the guess budget in the first
// sign-in or step-up after a password reset by email.
func (a *Attempt) refund(ctx context.Context, tx *store.DB, p Proof) error {
	if !a.account.PasswordSetByMailAt.IsZero() && a.pending == nil {
		if err := a.c.Budgets.Renew(ctx, tx, a.account, a.account.PasswordSetByMailAt); err != nil {
			return err
		}
	}
	return a.c.Budgets.Refund(ctx, tx, a.guess(store.Challenge{ID: p.challenge}), a.pending == nil, a.from)
}

// accept consumes the proof and opens the session in one transaction. Of two right answers at the same
// time one opens a session, and the other gets factor.ErrIncorrect.
func (a *Attempt) accept(ctx context.Context, p Proof) (cookies session.Cookies, err error) {
	proven := State{ExpiresAt: a.ExpiresAt, Finished: a.Finished, Proven: true}
	if Next(proven, a.c.Now()) != StepSignedIn {
		return session.Cookies{}, factor.ErrIncorrect
	}
	about := p.By.Method.Info()
	p.at = a.c.Now()
	token, row := a.c.Sessions.New(a.account.Ref(), account.SplitGroups(a.account.Groups), a.from)
	row.AttemptID, row.AuthenticatedAt, row.FactorID = a.row.ID, p.at, p.By.Row.ID
	row.Persistent, row.Method = a.c.Sessions.Persistent(a.row.StaySignedIn), about.Method
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
		if err := a.notifyBackupUsed(ctx, tx, p.By); err != nil {
			return err
		}
		kind := audit.SessionCreated
		if a.row.Purpose == store.PurposeStepUp {
			kind = audit.SessionUpgraded
		}
		e := audit.Event{
			Kind: kind, Account: a.account.ID, Email: a.account.Email, SignIn: a.row.ID,
			Target: audit.Target("session", row.ID), Reason: a.open.Method,
		}
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
	cookies.MaxAge = session.CookieMaxAge(row, p.at)
	return cookies, nil
}

// saveSession stores the new session, or marks that of a step-up as authenticated now.
func (a *Attempt) saveSession(ctx context.Context, tx *store.DB, row *store.Session) error {
	if a.row.Purpose != store.PurposeStepUp {
		return tx.CreateSession(ctx, *row)
	}
	row.ID = a.row.SessionID
	return a.c.Sessions.Reauthenticate(ctx, tx, row)
}

// registerDevice makes the device of a completed sign-in known to the account, and trusts it in this
// network if the person wants that. It returns the ID of the device and its new token; the token is "" if
// the device keeps its token.
func (a *Attempt) registerDevice(ctx context.Context, tx *store.DB, backup bool) (id, token string, err error) {
	if a.row.Purpose != store.PurposeSignIn {
		return "", "", nil // the session of a step-up has a device already
	}
	if id, token, err = a.c.Devices.RegisterDevice(ctx, tx, a.account.Ref(), a.browser); err != nil {
		return "", "", err
	}
	offer := a.trustOffer(backup)
	if offer.For == 0 || !offer.Requested {
		return id, token, nil
	}
	verified := device.VerifiedSignIn{
		Account: a.account, SignIn: a.row.ID, Device: id, NewDevice: id != a.browser.ID, Network: a.network(),
		Method: a.open.Method, TTL: offer.For,
	}
	return id, token, a.c.Devices.AddTrustedNetwork(ctx, tx, verified, a.from)
}

// notifyBackupUsed notifies the owner that a backup factor was used and how many uses are left, and ends
// all trust: the person may have lost a trusted device.
func (a *Attempt) notifyBackupUsed(ctx context.Context, tx *store.DB, by Enrolled) error {
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
