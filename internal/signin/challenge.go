package signin

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/limit"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// question is a challenge that is drawn up and not yet saved.
type question struct {
	challenge store.Challenge
	code      *store.Code
	message   *delivery.Message
	until     time.Time
	fault     error // why it must not be asked
}

// ask draws up a question by one method. What was hard stays so: the long codes that were sent
// are good until their time is over.
func (e *Engine) ask(ctx context.Context, v visit, c store.Challenge, method string, from account.From) (question, error) {
	factors, err := e.proofs(ctx, v, method)
	if err != nil {
		return question{}, err
	}
	if len(factors) == 0 {
		return question{}, ErrUnknownMethod
	}
	if c.Hard = c.Hard && c.Method == method; !c.Hard {
		if c.Hard, err = e.Ledgers.Longer(ctx, e.nextGuess(v, c, factors[0].method.About(), len(factors))); err != nil {
			return question{}, err
		}
	}
	c.Method = method
	asked, err := e.drawChallenge(ctx, v, c, factors[0], from)
	if err != nil {
		return question{}, err
	}
	q := e.draw(c, factors[0].method, asked)
	return q, q.fault
}

// drawChallenge is what the method of f asks.
func (e *Engine) drawChallenge(ctx context.Context, v visit, c store.Challenge, f enrolled, from account.From) (factor.Challenge, error) {
	about := e.about(v, f.Factor, f.method, from)
	about.Hard = c.Hard
	asked, err := f.method.Challenge(ctx, about)
	if err != nil {
		return asked, fmt.Errorf("signin: ask by %s: %w", c.Method, err)
	}
	if v.draft != nil && f.method.About().Given {
		err = e.hush(ctx, v.draft.Destination, &asked)
	}
	return asked, err
}

// about is what a method is told of the visit.
func (e *Engine) about(v visit, f factor.Factor, m factor.Method, from account.From) factor.Ask {
	now := e.Now().In(e.Settings.Location)
	_, host, _ := strings.Cut(e.Settings.PublicURL, "://")
	page := ""
	if v.draft == nil {
		page = e.Settings.PublicURL + "/signin/verify"
	}
	return factor.Ask{
		Page: page, Account: factor.Account{ID: v.account.ID, Email: v.account.Email, Name: v.account.Name},
		Factor: f, New: v.draft != nil, Site: e.Settings.Site, Host: host, Language: from.Language,
		Began: store.Time(v.BeganAt).In(e.Settings.Location), Now: now, Until: now.Add(m.About().Valid),
		Browser: account.Browser(trust.ReadBrowser(v.Browser, v.Hints), from.Language), Address: account.Address(v.Address, from.Language),
	}
}

// draw turns what a method asks into rows.
func (e *Engine) draw(c store.Challenge, m factor.Method, asked factor.Challenge) question {
	now := e.Now()
	until := now.Add(m.About().Valid)
	c.SentAt, c.Version = store.Millis(now), c.Version+1
	if asked.Message != nil {
		c.Sends++
	}
	c.State = e.Keys.Seal("challenge "+c.ID, asked.State)
	q := question{challenge: c, message: asked.Message, until: until}
	if q.message != nil {
		q.message.ID = rand.Text()
	}
	if asked.Answer != "" {
		q.code, q.fault = e.drawCode(q, asked.Answer)
	}
	return q
}

// newChallenge is the challenge of a visit that was asked nothing yet.
func newChallenge(v visit) store.Challenge {
	return store.Challenge{ID: rand.Text(), SignIn: v.ID}
}

// open saves a new challenge with its code and its message: all three or none.
func (e *Engine) open(ctx context.Context, tx *store.DB, v visit, q question) error {
	if err := tx.AddChallenge(ctx, q.challenge); err != nil {
		return err
	}
	return e.enclose(ctx, tx, v, q)
}

// enclose saves what travels with a challenge.
func (e *Engine) enclose(ctx context.Context, tx *store.DB, v visit, q question) error {
	if q.fault != nil {
		return q.fault
	}
	if q.challenge.Hard {
		if err := tx.DropShort(ctx, q.challenge.ID, q.challenge.SentAt); err != nil {
			return err
		}
	}
	if q.code != nil {
		if err := tx.AddCode(ctx, *q.code); err != nil {
			return err
		}
		if err := tx.KeepNewest(ctx, q.challenge.ID, limit.LiveCodes, q.challenge.SentAt); err != nil {
			return err
		}
	}
	if q.message == nil {
		return nil
	}
	if err := e.ration(ctx, tx, v, q); err != nil {
		return err
	}
	return e.Put(ctx, tx, *q.message, q.until)
}

// Choose asks for proof by one of the offered methods. Choosing the one that is asked
// for already changes nothing and sends nothing. ErrNoSignIn, ErrUnknownMethod, *account.WaitError.
func (e *Engine) Choose(ctx context.Context, token, method string, from account.From) error {
	v, err := e.openVisit(ctx, token)
	if err != nil {
		return err
	}
	factors, err := e.proofs(ctx, v, method)
	if err != nil || len(factors) == 0 {
		return cmp.Or(err, ErrUnknownMethod)
	}
	if v.browser, err = e.Devices.Recognise(ctx, v.account, from); err != nil {
		return err
	}
	c, err := e.Store.Challenge(ctx, v.ID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		c = newChallenge(v)
	case err != nil:
		return fmt.Errorf("signin: choose: %w", err)
	case c.Method == method:
		return nil
	case triesLeft(c) == 0:
		return ErrTooManyTries
	}
	if err := e.mayAsk(ctx, v, c, factors[0].method.About()); err != nil {
		return err
	}
	return e.send(ctx, v, c, method, from)
}

// mayAsk says whether a message of this method may be sent now: not too many in one
// sign-in, not too soon after the last one of the same method, and not so late that the
// code would outlive the sign-in. *account.WaitError.
func (e *Engine) mayAsk(ctx context.Context, v visit, c store.Challenge, about factor.About) error {
	if about.Valid == 0 {
		return nil // nothing is sent
	}
	last, err := e.Store.NewestCode(ctx, c.ID, about.Method)
	switch {
	case errors.Is(err, store.ErrNotFound):
		c.SentAt = 0
	case err != nil:
		return fmt.Errorf("signin: choose: %w", err)
	default:
		c.SentAt = last.SentAt
	}
	now := e.Now()
	switch again := nextSend(v.SignIn, c, now); {
	case again.IsZero():
		return &account.WaitError{Until: store.Time(v.EndsAt)}
	case now.Before(again):
		return &account.WaitError{Until: again}
	}
	return nil
}

// Resend sends a new code for the open challenge. The codes sent before stay good,
// each for its own time; at most limit.LiveCodes of them. ErrNoSignIn, *account.WaitError.
func (e *Engine) Resend(ctx context.Context, token string, from account.From) error {
	v, err := e.openVisit(ctx, token)
	if err != nil {
		return err
	}
	if v.browser, err = e.Devices.Recognise(ctx, v.account, from); err != nil {
		return err
	}
	return e.resend(ctx, v, from)
}

func (e *Engine) resend(ctx context.Context, v visit, from account.From) error {
	c, err := e.Store.Challenge(ctx, v.ID)
	if errors.Is(err, store.ErrNotFound) {
		return ErrNoSignIn
	}
	if err != nil {
		return fmt.Errorf("signin: resend: %w", err)
	}
	if triesLeft(c) == 0 {
		return ErrTooManyTries
	}
	now := e.Now()
	switch again := nextSend(v.SignIn, c, now); {
	case again.IsZero():
		return &account.WaitError{Until: store.Time(v.EndsAt)}
	case now.Before(again):
		return &account.WaitError{Until: again}
	}
	return e.send(ctx, v, c, c.Method, from)
}

// nextSend is from when another code may be asked for; zero if not in this sign-in.
func nextSend(s store.SignIn, c store.Challenge, now time.Time) time.Time {
	again := now
	if c.SentAt != 0 {
		again = store.Time(c.SentAt).Add(limit.ResendWait(c.Sends))
	}
	last := store.Time(s.BeganAt).Add(asking)
	if c.Sends >= limit.Sends || again.After(last) || now.After(last) {
		return time.Time{}
	}
	return again
}

func (e *Engine) send(ctx context.Context, v visit, c store.Challenge, method string, from account.From) error {
	v.from = from
	q, err := e.ask(ctx, v, c, method, from)
	if err != nil {
		return err
	}
	err = e.Store.Tx(ctx, func(tx *store.DB) error {
		if c.Version == 0 {
			return e.open(ctx, tx, v, q)
		}
		if err := tx.AskAgain(ctx, q.challenge); err != nil {
			return err
		}
		return e.enclose(ctx, tx, v, q)
	})
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrConflict):
		// Another tab asked at the same moment; its code is on the way.
		return &account.WaitError{Until: e.Now().Add(limit.ResendWait(c.Sends + 1))}
	case err != nil:
		return fmt.Errorf("signin: send: %w", err)
	}
	e.Wake()
	return nil
}

// openVisit finds a sign-in that is not over. ErrNoSignIn.
func (e *Engine) openVisit(ctx context.Context, token string) (visit, error) {
	v, err := e.visit(ctx, token)
	if err != nil {
		return visit{}, err
	}
	p, err := e.pending(ctx, v)
	if err == nil && Next(p, e.Now()) == StepPassword {
		return visit{}, ErrNoSignIn
	}
	return v, err
}

// Verify checks the answer to the open challenge and, if it is right, opens a session.
// ErrNoSignIn, factor.ErrMalformed, ErrTooManyTries, ErrLonger, *account.WaitError, and
// factor.ErrIncorrect alike for a wrong, expired, used or superseded code and for a sign-in that is over.
func (e *Engine) Verify(ctx context.Context, token string, form url.Values, from account.From) (Entry, error) {
	v, err := e.visit(ctx, token)
	if err != nil {
		return Entry{}, err
	}
	if err := e.see(ctx, &v, from); err != nil {
		return Entry{}, err
	}
	v.account.Epoch = v.Epoch // if it was raised since, whatever comes of this is void
	if v.browser, err = e.Devices.Recognise(ctx, v.account, from); err != nil {
		return Entry{}, err
	}
	proven, err := e.prove(ctx, v, form, from)
	if err != nil {
		return Entry{}, err
	}
	return e.accept(ctx, v, proven, from)
}

// prove reads the answer, spends a try and compares.
func (e *Engine) prove(ctx context.Context, v visit, form url.Values, from account.From) (proof, error) {
	c, err := e.Store.Challenge(ctx, v.ID)
	if errors.Is(err, store.ErrNotFound) {
		return proof{}, ErrNoSignIn // nothing was asked yet
	}
	if err != nil {
		return proof{}, fmt.Errorf("signin: verify: %w", err)
	}
	factors, err := e.proofs(ctx, v, c.Method)
	if err != nil {
		return proof{}, err
	}
	if len(factors) == 0 {
		return proof{}, ErrUnknownMethod // it was removed while it was asked for
	}
	text, err := factors[0].method.Read(form, c.Hard)
	if err != nil {
		return proof{}, err
	}
	codes, err := e.Store.LiveCodes(ctx, c.ID, c.Method, store.Millis(e.Now()))
	if err != nil {
		return proof{}, fmt.Errorf("signin: codes: %w", err)
	}
	g := e.answer(v, c, factors[0].method.About(), len(factors), codes)
	if err := e.debit(ctx, v, c, g, from); err != nil {
		return proof{}, err
	}
	proven, err := e.compare(ctx, c, factors, codes, text)
	if errors.Is(err, factor.ErrIncorrect) {
		e.Log.Info("verification code incorrect", "account", v.account.ID, "signin", v.ID)
		if err := e.Ledgers.Guessed(ctx, v.account, g, from); err != nil {
			return proof{}, err
		}
	}
	return proven, err
}

func triesLeft(c store.Challenge) int { return int(max(limit.Tries-c.Tries, 0)) }

// proof is a right answer that is not used up yet.
type proof struct {
	challenge string
	code      string   // the code that fitted; "" if the method compares with something else
	by        enrolled // the factor that fitted, with its new secret
}

// use uses the proof up. store.ErrNotFound: somebody else was faster.
func (e *Engine) use(ctx context.Context, tx *store.DB, p proof, now int64) error {
	if p.code != "" {
		if err := tx.UseCode(ctx, p.code, now); err != nil {
			return err
		}
	}
	if row := p.by.row; row.ID != "" {
		body, err := e.sealFactor(row.ID, p.by.Factor)
		if err != nil {
			return err
		}
		row.Body = body
		if err := tx.UseFactor(ctx, row, now); err != nil {
			return err
		}
	}
	if p.challenge == "" {
		return nil // nothing was asked
	}
	return tx.PassChallenge(ctx, p.challenge, now)
}

// compare asks the method of the challenge c whether text answers it for one of its
// factors, or is one of the codes that were debited. It is one try, whichever of them it fits.
func (e *Engine) compare(ctx context.Context, c store.Challenge, factors []enrolled, codes []store.Code, text string) (proof, error) {
	state, err := e.Keys.Open("challenge "+c.ID, c.State)
	if err != nil {
		return proof{}, fmt.Errorf("signin: challenge state: %w", err)
	}
	p := proof{challenge: c.ID}
	answer := factor.Answer{
		Text: text, State: state, Now: e.Now(), Hard: c.Hard,
		Matches: func(candidate string) bool {
			for _, code := range codes { // all of them, so that the time does not tell which
				if e.Keys.SameMAC(code.MAC, "code", c.ID, c.Method, candidate) {
					p.code = code.ID
				}
			}
			return p.code != ""
		},
	}
	wrong := factor.ErrIncorrect
	for _, f := range factors {
		err := f.method.Verify(ctx, &f.Factor, answer)
		if !errors.Is(err, factor.ErrIncorrect) {
			p.by = f
			return p, err
		}
		if said := (*factor.Refusal)(nil); errors.As(err, &said) {
			wrong = err // it says more
		}
	}
	return proof{}, wrong
}

// accept uses the proof up and opens the session, all in one transaction: of two
// right answers at the same moment one wins, and the other is incorrect.
func (e *Engine) accept(ctx context.Context, v visit, proven proof, from account.From) (entry Entry, err error) {
	p := Pending{Ends: store.Time(v.EndsAt), Finished: v.FinishedAt != 0, Proven: true}
	if Next(p, e.Now()) != StepIn {
		return Entry{}, factor.ErrIncorrect
	}
	now := store.Millis(e.Now())
	token, row := e.newSession(v.account, from)
	row.SignIn, row.ProvedAt = v.ID, now
	row.AMR = strings.Join(append([]string{"pwd"}, proven.by.method.About().AMR...), " ")
	err = e.Store.Tx(ctx, func(tx *store.DB) error {
		entry = Entry{Session: token}
		if err := e.use(ctx, tx, proven, now); err != nil {
			return err
		}
		if err := e.settled(ctx, tx, v, proven.challenge, from); err != nil {
			return err
		}
		if err := tx.FinishSignIn(ctx, v.ID, now); err != nil {
			return err
		}
		if row.Device, entry.Device, err = e.meet(ctx, tx, v, proven.by.method.About().Spare, from); err != nil {
			return err
		}
		if err := e.enter(ctx, tx, v, row); err != nil {
			return err
		}
		if err := e.tellUsed(ctx, tx, v.account, proven.by, from); err != nil {
			return err
		}
		return e.Event(ctx, tx, audit.Event{Kind: audit.SessionCreated, Account: v.account.ID, SignIn: v.ID}, from)
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return Entry{}, factor.ErrIncorrect
	case errors.Is(err, ErrNoSession):
		return Entry{}, err
	case err != nil:
		return Entry{}, fmt.Errorf("signin: accept: %w", err)
	}
	e.Wake()
	return entry, nil
}

// enter opens the session of a visit, or proves the one it is there for anew.
func (e *Engine) enter(ctx context.Context, tx *store.DB, v visit, row store.Session) error {
	if v.Purpose != store.ForStepUp {
		return tx.AddSession(ctx, row)
	}
	row.ID = v.Session
	now := e.Now()
	err := tx.ProveSession(ctx, row, store.Millis(now.Add(-e.Idle)), store.Millis(now))
	if errors.Is(err, store.ErrNotFound) {
		return ErrNoSession // it ended while its person was proving themselves
	}
	return err
}

// describe is the open challenge as the person may see it.
func (e *Engine) describe(ctx context.Context, v visit, c store.Challenge) (*Challenge, error) {
	d := &Challenge{Hard: c.Hard, Again: nextSend(v.SignIn, c, e.Now()), TriesLeft: triesLeft(c)}
	d.Method = c.Method
	factors, err := e.proofs(ctx, v, c.Method)
	if err != nil {
		return nil, err
	}
	if len(factors) > 0 {
		d.About = factors[0].method.About()
		d.Masked, d.Spare, d.Valid = factors[0].Masked, d.About.Spare, d.About.Valid
	}
	code, err := e.Store.NewestCode(ctx, c.ID, c.Method)
	if errors.Is(err, store.ErrNotFound) {
		return d, nil
	}
	if err == nil {
		var at int64
		d.Delivery.State, at, err = e.Store.MessageState(ctx, code.Message)
		d.Delivery.At = store.Time(at)
		if d.Delivery.State == store.Void {
			d.Delivery.State = store.Sent // as it would look to anybody
		}
	}
	if err != nil {
		return nil, fmt.Errorf("signin: delivery: %w", err)
	}
	return d, nil
}
