package challenge

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/odds"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// ask asks by a method, in a transaction: challenge, code and message, or none of them. A code
// that had to be long stays so: the long codes that were sent are good until their time is over.
// It returns store.ErrNotFound or store.ErrConflict if another request has asked meanwhile.
func (a *Attempt) ask(ctx context.Context, tx *store.DB, method string) error {
	factors := a.by(method)
	if len(factors) == 0 {
		return ErrUnknownMethod
	}
	about := factors[0].Method.Info()
	budget, err := a.budget(ctx, tx, about)
	if err != nil {
		return err
	}
	c := a.newOrOpen()
	if c.NeedsLongCode = c.NeedsLongCode && c.Method == method; !c.NeedsLongCode {
		if c.NeedsLongCode, err = budget.NeedsLongCode(a.reissued(c, about, len(factors))); err != nil {
			return err
		}
	}
	c.Method = method
	asked, err := a.askMethod(ctx, tx, factors[0], c.NeedsLongCode)
	if err != nil {
		return err
	}
	return a.issue(ctx, tx, budget, c, factors[0].Method, asked)
}

// askFirst is ask for a new factor, by what its method has asked already, unless the code must be
// long.
func (a *Attempt) askFirst(ctx context.Context, tx *store.DB, asked factor.Challenge) error {
	about := a.pending.Method.Info()
	budget, err := a.budget(ctx, tx, about)
	if err != nil {
		return err
	}
	c := a.newOrOpen()
	c.Method = about.Method
	if c.NeedsLongCode, err = budget.NeedsLongCode(a.reissued(c, about, 1)); err != nil {
		return err
	}
	if c.NeedsLongCode {
		asked, err = a.askMethod(ctx, tx, *a.pending, true)
	} else if about.Implicit {
		err = a.silence(ctx, tx, &asked)
	}
	if err != nil {
		return err
	}
	return a.issue(ctx, tx, budget, c, a.pending.Method, asked)
}

// budget is that of what may be guessed at; locked where a message is to be sent for an account.
func (a *Attempt) budget(ctx context.Context, tx *store.DB, about factor.Info) (odds.Budget, error) {
	name := a.guess(a.open).Budget
	if name == "" {
		return odds.Budget{}, nil
	}
	if a.pending == nil && about.CodeTTL > 0 {
		return a.c.Budgets.Lock(ctx, tx, name)
	}
	return a.c.Budgets.Load(ctx, tx, name)
}

// newOrOpen is the open challenge, or a new one where nothing was asked yet.
func (a *Attempt) newOrOpen() store.Challenge {
	if a.open.ID == "" {
		return store.Challenge{ID: rand.Text(), AttemptID: a.row.ID}
	}
	return a.open
}

// askMethod is what the method of f asks.
func (a *Attempt) askMethod(ctx context.Context, tx *store.DB, f Enrolled, long bool) (factor.Challenge, error) {
	asked, err := f.Method.Challenge(ctx, a.askBy(f, long))
	if err != nil {
		return asked, fmt.Errorf("challenge: ask by %s: %w", f.Method.Info().Method, err)
	}
	if a.pending != nil && f.Method.Info().Implicit {
		err = a.silence(ctx, tx, &asked)
	}
	return asked, err
}

// silence sends what was to go to a new address to nobody, if somebody has an account there. The
// person who typed it sees no difference.
func (a *Attempt) silence(ctx context.Context, tx *store.DB, asked *factor.Challenge) error {
	_, err := tx.FindAccountByEmail(ctx, a.pending.Destination)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("challenge: new address: %w", err)
	}
	asked.Message = &delivery.Message{To: a.pending.Destination}
	return nil
}

// askBy is what a method is told.
func (a *Attempt) askBy(f Enrolled, long bool) factor.Request {
	settings := a.c.Accounts.Settings
	now := a.c.Now().In(settings.Location)
	_, host, _ := strings.Cut(settings.PublicURL, "://")
	page := ""
	if a.pending == nil {
		page = settings.PublicURL + "/signin/verify"
	}
	return factor.Request{
		VerifyURL: page, Account: factorAccount(a.account), Factor: f.Factor, Enrolling: a.pending != nil, LongCode: long,
		Site: settings.Site, Host: host, Language: a.from.Language,
		StartedAt: a.row.StartedAt.In(settings.Location), Now: now, ExpiresAt: now.Add(f.Method.Info().CodeTTL),
		Browser: origin.DescribeBrowser(trust.ParseBrowser(a.row.UserAgent, a.row.ClientHints), a.from.Language),
		Address: origin.DescribeAddress(a.row.Address, a.from.Language),
	}
}

// issue stores a challenge that is asked now, with its code and its message.
func (a *Attempt) issue(ctx context.Context, tx *store.DB, budget odds.Budget, c store.Challenge, m factor.Method, asked factor.Challenge) error {
	now := a.c.Now()
	until := now.Add(m.Info().CodeTTL)
	isNew := c.Version == 0
	c.LastSentAt, c.Version = now, c.Version+1
	if asked.Message != nil {
		asked.Message.ID = rand.Text()
		c.MessagesSent++
	}
	c.State = a.c.Keys.Seal("challenge "+c.ID, asked.State)
	save := tx.ReissueChallenge
	if isNew {
		save = tx.CreateChallenge
	}
	if err := save(ctx, c); err != nil {
		return err
	}
	if err := a.storeCode(ctx, tx, c, asked, until, isNew); err != nil {
		return err
	}
	if asked.Message != nil {
		if err := a.spendMessage(ctx, tx, budget, c, *asked.Message); err != nil {
			return err
		}
		if err := a.c.Accounts.Enqueue(ctx, tx, *asked.Message, until); err != nil {
			return err
		}
	}
	tx.AfterCommit(func() { a.open = c })
	return nil
}

// storeCode stores the code of a challenge, and lets go of those that it replaces.
func (a *Attempt) storeCode(ctx context.Context, tx *store.DB, c store.Challenge, asked factor.Challenge, until time.Time, isNew bool) error {
	if c.NeedsLongCode && !isNew {
		if err := tx.RevokeShortCodes(ctx, c.ID, c.LastSentAt); err != nil {
			return err
		}
	}
	if asked.Answer == "" {
		return nil
	}
	cost, err := codeCost(asked.Answer, c.NeedsLongCode)
	if err != nil {
		return err
	}
	code := store.OneTimeCode{
		ID: rand.Text(), ChallengeID: c.ID, Method: c.Method, SentAt: c.LastSentAt, ExpiresAt: until,
		MAC: a.c.Keys.MAC("code", c.ID, c.Method, asked.Answer), GuessCost: int64(cost),
	}
	if asked.Message != nil {
		code.MessageID = asked.Message.ID
	}
	if err := tx.CreateCode(ctx, code); err != nil || isNew {
		return err
	}
	return tx.PruneCodes(ctx, c.ID, MaxLiveCodes, c.LastSentAt)
}

// errGuessable says that a method asks for what nobody can count guesses at: it is a fault of ours.
var errGuessable = errors.New("challenge: an answer that is no number, or is to be a long one, is shorter than a long one")

// codeCost is what one guess at a code that was sent costs. It returns errGuessable for one that
// is not a number, or must be long, and is too short for that.
func codeCost(answer string, long bool) (odds.Chance, error) {
	isLong := utf8.RuneCountInString(answer) >= seal.LongCodeLength
	switch number := strings.Trim(answer, "0123456789") == ""; {
	case (long || !number) && !isLong:
		return 0, errGuessable
	case long, !number:
		return 0, nil // it has more than ten signs to guess from, and 65 bits
	}
	return odds.Cost(1, len(answer)), nil
}
