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

// ask issues a challenge by a method, in one transaction: challenge, code and message, or none of them. A
// challenge that needs a long code keeps needing one while its method stays the same: the long codes that
// were sent stay valid. It returns store.ErrNotFound or store.ErrConflict if another request issued one
// meanwhile.
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

// askFirst issues the challenge that the method of the new factor has returned from Enroll. If a long code
// is needed, it asks the method again.
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

// budget loads the guess budget of the attempt. It locks it if an email for an account may follow, because
// that is charged to it.
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

// newOrOpen returns the open challenge, or a new one if there is none yet.
func (a *Attempt) newOrOpen() store.Challenge {
	if a.open.ID == "" {
		return store.Challenge{ID: rand.Text(), AttemptID: a.row.ID}
	}
	return a.open
}

// askMethod returns the challenge that the method of f creates.
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

// silence empties the message to a new address if that address belongs to an account. The outbox delivers
// no empty message, and the person who entered the address sees no difference.
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

// askBy returns the request that the method of f gets.
func (a *Attempt) askBy(f Enrolled, long bool) factor.Request {
	settings := a.c.Accounts.Settings
	now := a.c.Now().In(settings.Location)
	_, host, _ := strings.Cut(settings.PublicURL, "://")
	verifyURL := ""
	if a.pending == nil {
		verifyURL = settings.PublicURL + "/signin/verify" + a.LinkQuery
	}
	return factor.Request{
		VerifyURL: verifyURL, Account: factorAccount(a.account), Factor: f.Factor,
		Enrolling: a.pending != nil, LongCode: long,
		Site: settings.Site, Host: host, Language: a.from.Language,
		StartedAt: a.row.StartedAt.In(settings.Location), Now: now, ExpiresAt: now.Add(f.Method.Info().CodeTTL),
		Browser: origin.DescribeBrowser(trust.ParseBrowser(a.row.UserAgent, a.row.ClientHints), a.from.Language),
		Address: origin.DescribeAddress(a.row.Address, a.from.Language),
	}
}

// issue stores a challenge with its code, and adds its message to the outbox.
func (a *Attempt) issue(
	ctx context.Context, tx *store.DB, budget odds.Budget, c store.Challenge, m factor.Method, asked factor.Challenge,
) error {
	now := a.c.Now()
	expiresAt := now.Add(m.Info().CodeTTL)
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
	if err := a.storeCode(ctx, tx, c, asked, expiresAt, isNew); err != nil {
		return err
	}
	if asked.Message != nil {
		if err := a.spendMessage(ctx, tx, budget, c, *asked.Message); err != nil {
			return err
		}
		if err := a.c.Accounts.Enqueue(ctx, tx, *asked.Message, expiresAt); err != nil {
			return err
		}
	}
	if err := a.extend(ctx, tx, expiresAt); err != nil {
		return err
	}
	tx.AfterCommit(func() {
		a.open = c
		if asked.Answer != "" && asked.Message != nil && asked.Message.Channel != "" {
			a.c.observe(c.Method, CodeIssued)
		}
	})
	return nil
}

// extend makes the attempt last until its newest code expires. The guesses and messages of the attempt stay
// counted. It returns store.ErrNotFound if the attempt is over.
func (a *Attempt) extend(ctx context.Context, tx *store.DB, until time.Time) error {
	if !until.After(a.row.ExpiresAt) {
		return nil
	}
	if err := tx.ExtendAttempt(ctx, a.row.ID, until, a.c.Now()); err != nil {
		return err
	}
	tx.AfterCommit(func() { a.row.ExpiresAt, a.ExpiresAt = until, until })
	return nil
}

// storeCode stores the code of a challenge, and revokes or deletes the codes that it replaces.
func (a *Attempt) storeCode(
	ctx context.Context, tx *store.DB, c store.Challenge, asked factor.Challenge, expiresAt time.Time, isNew bool,
) error {
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
		ID: rand.Text(), ChallengeID: c.ID, Method: c.Method, SentAt: c.LastSentAt, ExpiresAt: expiresAt,
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

// errGuessable is returned for a code whose guesses cannot be counted. It means that a verification method
// is wrong.
var errGuessable = errors.New("challenge: the method's code is not a number, or must be a long code, and is too short")

// codeCost returns what one guess at a code that was sent costs; 0 for a code that is too long to guess.
// It returns errGuessable if a code that has other characters than digits, or must be a long code, is
// shorter than seal.LongCodeLength.
func codeCost(answer string, long bool) (odds.Chance, error) {
	isLong := utf8.RuneCountInString(answer) >= seal.LongCodeLength
	switch number := strings.Trim(answer, "0123456789") == ""; {
	case (long || !number) && !isLong:
		return 0, errGuessable
	case long, !number:
		return 0, nil // at least 64 bits: guesses need no limit (NIST SP 800-63B-4 3.1.3.2)
	}
	return odds.Cost(1, len(answer)), nil
}
