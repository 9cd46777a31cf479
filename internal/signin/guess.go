package signin

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/ledger"
	"twostep.example/twostep/internal/limit"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store"
)

// guess is an answer in a visit, without its cost: it counts against the account, or
// against the place where a new factor is. Somebody who is in is a stranger here, or a
// thief of the session would have the tries of its browser.
func (e *Engine) guess(v visit, c store.Challenge) ledger.Guess {
	g := ledger.Guess{Budget: ledger.AccountBudget(v.account), Challenge: c.ID}
	if v.draft != nil {
		g.Budget = e.Ledgers.DestinationBudget(v.draft.Destination)
	}
	if v.Purpose == store.ForSession {
		g.Device = v.browser.Knows()
	}
	return g
}

// nextGuess is what one guess will cost at a question that is about to be asked in the
// usual way.
func (e *Engine) nextGuess(v visit, c store.Challenge, about factor.About, factors int) ledger.Guess {
	g := e.guess(v, c)
	g.Cost = limit.Cost(max(about.Right*factors, 1), about.Digits)
	return g
}

// answer is what comparing one answer costs: with the codes that it is compared with, and
// with what the factors take beside them.
func (e *Engine) answer(v visit, c store.Challenge, about factor.About, factors int, codes []store.Code) ledger.Guess {
	g := e.guess(v, c)
	g.CostIfReissued = e.nextGuess(v, c, about, factors).Cost
	for _, code := range codes {
		g.Cost += limit.Odds(code.Cost)
	}
	switch {
	case about.Right > 0 && c.Hard:
		g.AppsPaired = int64(factors)
	case about.Right > 0:
		g.Cost += limit.Cost(about.Right*factors, about.Digits)
	}
	return g
}

// drawCode is the row of the answer to a question. errShort.
func (e *Engine) drawCode(q question, answer string) (*store.Code, error) {
	c := q.challenge
	cost, err := costOf(answer, c.Hard)
	code := &store.Code{
		ID: rand.Text(), Challenge: c.ID, Method: c.Method, SentAt: c.SentAt, EndsAt: store.Millis(q.until),
		MAC: e.Keys.MAC("code", c.ID, c.Method, answer), Cost: int64(cost),
	}
	if q.message != nil {
		code.Message = q.message.ID
	}
	return code, err
}

// errShort says that a method asks for what nobody can count guesses at: it is a fault of ours.
var errShort = errors.New("signin: an answer that is no number, or is to be a long one, is shorter than a long one")

// costOf is what one guess at an answer that was sent costs. errShort.
func costOf(answer string, hard bool) (limit.Odds, error) {
	long := utf8.RuneCountInString(answer) >= seal.LongSize
	switch number := strings.Trim(answer, "0123456789") == ""; {
	case (hard || !number) && !long:
		return 0, errShort
	case hard, !number:
		return 0, nil // it has more than ten signs to guess from, and 65 bits
	}
	return limit.Cost(1, len(answer)), nil
}

// debit spends a try and what it costs, in a transaction of its own, before anything is
// compared: what is counted cannot be rolled back with a failed sign-in, and guesses that
// arrive together are counted one by one. ErrTooManyTries, ErrLonger, *account.WaitError.
func (e *Engine) debit(ctx context.Context, v visit, c store.Challenge, g ledger.Guess, from account.Origin) error {
	for {
		now := e.Now()
		last := store.Time(c.TriedAt)
		again := last.Add(limit.GuessDelay(c.Tries))
		if !g.Free() && g.Device == "" && c.TriedAt != 0 && now.Before(again) && !last.After(now) && c.PassedAt == 0 && triesLeft(c) > 0 {
			return &account.LimitedError{RetryAt: again}
		}
		err := e.Store.Tx(ctx, func(tx *store.DB) error {
			if err := tx.Try(ctx, c, limit.MaxGuesses, store.Millis(now)); err != nil {
				return err
			}
			return e.Ledgers.Charge(ctx, tx, g, from)
		})
		switch {
		case errors.Is(err, ledger.ErrExhausted):
			return e.lengthen(ctx, v, c, g, from)
		case err == nil || errors.Is(err, account.ErrLimited):
			return err
		case !errors.Is(err, store.ErrNotFound):
			return fmt.Errorf("signin: debit: %w", err)
		}
		before := c.Tries
		if c, err = e.Store.Challenge(ctx, c.SignIn); err != nil {
			return fmt.Errorf("signin: debit: %w", err)
		}
		switch {
		case c.PassedAt == 0 && triesLeft(c) == 0:
			return ErrTooManyGuesses
		case c.Tries == before:
			return factor.ErrIncorrect // the sign-in is over
		}
	}
}

// lengthen asks the open question anew so that nobody can guess the answer, and tells the
// owner why. It is hard whatever one guess will cost then: several codes that were good at a
// time cost more, and a right one would be refused again and again. ErrLonger, *account.WaitError.
func (e *Engine) lengthen(ctx context.Context, v visit, c store.Challenge, g ledger.Guess, from account.Origin) error {
	if err := e.Ledgers.NotifyExhausted(ctx, v.account, g, from); err != nil {
		return err
	}
	c.Hard = true
	if err := e.send(ctx, v, c, c.Method, from); err != nil {
		return err
	}
	return ErrLongCodeNeeded
}

// settled gives back what the proof cost, and lets the ledger of somebody begin anew who has
// proven both steps since the mailbox set a new password.
func (e *Engine) settled(ctx context.Context, tx *store.DB, v visit, challenge string, from account.Origin) error {
	if v.account.MailedAt != 0 && v.draft == nil {
		if err := e.Ledgers.Renew(ctx, tx, v.account, store.Time(v.account.MailedAt)); err != nil {
			return err
		}
	}
	return e.Ledgers.Refund(ctx, tx, e.guess(v, store.Challenge{ID: challenge}), v.draft == nil, from)
}
