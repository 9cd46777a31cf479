// Package signin decides who may come in.
//
//	Begin ─▶ Next ─▶ Choose ─▶ Next ─▶ Verify ─▶ Next ─▶ a session
//
// A pending sign-in and a session are different tables, cookies and types; nothing
// turns one into the other but Verify. The package knows no HTTP, no HTML and no SQL.
package signin

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/device"
	"twostep.example/twostep/internal/ledger"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

const (
	// Life is how long a sign-in may take.
	Life = 30 * time.Minute
	// asking is the part of it in which new codes may be asked for: the last one is
	// then still good for all of its own 15 minutes.
	asking = 15 * time.Minute
	// mailboxRest is for how long after a reset by mail the same mailbox does not
	// prove step two as well, if there is another way.
	mailboxRest = 24 * time.Hour
)

// Engine is the house's one way in. It stands on the accounts and
// their browsers.
type Engine struct {
	*account.Registry
	Devices  *device.Devices
	Ledgers  *ledger.Ledgers
	Methods  []factor.Method
	Idle     time.Duration // a session ends after so long without a request
	Absolute time.Duration // and after so long in any case
	Texts    Texts
}

// Step is where somebody is on the way in.
type Step int

// The steps, in their order.
const (
	StepPassword Step = iota // to begin with, or again: this sign-in is over
	StepMethod               // choose a way to prove it is you
	StepVerify               // answer the challenge
	StepIn                   // a session is due
)

// Next is the order of the steps, and the only place that knows it.
func Next(p Pending, now time.Time) Step {
	switch {
	case p.Finished || now.After(p.Ends):
		return StepPassword
	case p.Trusted, p.Proven:
		return StepIn
	case p.Challenge != nil:
		return StepVerify
	default:
		return StepMethod
	}
}

// Pending is somebody on the way in: the password was right, there is no session.
type Pending struct {
	Email     string // masked
	Began     time.Time
	Ends      time.Time
	ReturnTo  string     // a local path; "" if the person came from nowhere
	StepUp    bool       // for somebody who is in already
	Offers    []Offer    // the ways in which this account may prove itself, in the order of Methods
	Challenge *Challenge // the open question; nil before the choice
	Finished  bool       // passed or given up
	Proven    bool       // the challenge was answered
	Trusted   bool       // this browser, from this place, needs no challenge
	Why       Why        // there is one
	Trust     TrustOffer
}

// Offer is one way to prove it is you.
type Offer struct {
	Method string // "email"
	Masked string // where its message goes: "j•••@example.com"
	Spare  bool   // only for when nothing else is at hand
	About  factor.About
}

// Challenge is the open question of a pending sign-in.
type Challenge struct {
	Offer
	Valid     time.Duration // how long one code works; 0: there is no code that is sent
	Delivery  Delivery
	Again     time.Time // from when a new code may be asked for; zero: not in this sign-in any more
	TriesLeft int
	Hard      bool // it takes an answer that nobody can guess
}

// Delivery is what became of the newest message of a challenge.
type Delivery struct {
	State string // "waiting", "sent", "refused", "expired"; "" if nothing travels
	At    time.Time
}

// Credentials are what the first page asks for.
type Credentials struct {
	Email    string
	Password string
	ReturnTo string // an address to go to afterwards, already checked
	Full     bool   // both steps are wanted, whatever is trusted
	Level    Level  // how much must be proven, if it can be
	Current  string // the token of the sign-in this browser is in, or ""
}

// Entry is what a browser is given on the way in, a cookie each; "" for none.
type Entry struct {
	SignIn  string // of the pending sign-in
	Session string // of the session: the person is in
	Device  string // of the browser itself
}

// Begin checks the password. Where this browser is trusted from this place, that opens a
// session; everywhere else it opens a sign-in. If the browser is in the middle of a sign-in
// of the same account, that one goes on under a new token, and no second message is sent.
// account.ErrCredentials, *account.WaitError, seal.ErrBusy.
func (e *Engine) Begin(ctx context.Context, c Credentials, from account.From) (Entry, error) {
	known, err := e.Devices.Known(ctx, c.Email, from)
	if err != nil {
		return Entry{}, err
	}
	a, err := e.CheckPassword(ctx, c.Email, c.Password, account.Guesser{Network: from.Network(), Device: known, From: from})
	if err != nil {
		return Entry{}, err
	}
	b, d, err := e.Devices.Look(ctx, a, from)
	if err != nil {
		return Entry{}, err
	}
	now := e.Now()
	if Next(Pending{Ends: now.Add(Life), Trusted: d.Reason == trust.Trusted && !c.Full}, now) == StepIn {
		entry, err := e.enterTrusted(ctx, a, b, d, from)
		if !errors.Is(err, store.ErrNotFound) {
			return entry, err
		}
		if b, d, err = e.Devices.Look(ctx, a, from); err != nil { // it ended this very moment
			return Entry{}, err
		}
	}
	if b.Copied {
		if err := e.Devices.Betrayed(ctx, b, from); err != nil {
			return Entry{}, err
		}
	}
	token, err := e.pend(ctx, visit{account: a, why: &d, browser: b}, c, from)
	return Entry{SignIn: token}, err
}

// pend opens a sign-in after the right password, or goes on with the one this browser is in.
func (e *Engine) pend(ctx context.Context, v visit, c Credentials, from account.From) (token string, err error) {
	v.SignIn = store.SignIn{Purpose: store.ForSession, ReturnTo: c.ReturnTo, Reason: string(v.why.Reason), Device: v.why.Device, Level: int64(c.Level)}
	if old, ok := v.why.Old(); ok && v.why.Reason == trust.Expired {
		v.VerifiedAt = store.Millis(old.Verified)
	}
	current, err := e.Store.SignIn(ctx, seal.Hash(c.Current))
	if err == nil && current.Account == v.account.ID && current.Purpose == store.ForSession && current.Level == v.Level {
		if token, err = e.resume(ctx, v, current); err == nil {
			return token, nil
		}
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return "", fmt.Errorf("signin: resume: %w", err)
	}
	return e.begin(ctx, v, from)
}

// resume goes on with a sign-in whose password was typed again. store.ErrNotFound: there
// is nothing left of it.
func (e *Engine) resume(ctx context.Context, v visit, s store.SignIn) (string, error) {
	challenge, err := e.Store.Challenge(ctx, s.ID)
	if err == nil && triesLeft(challenge) == 0 {
		return "", store.ErrNotFound
	}
	token := seal.Token()
	v.ID, v.Token = s.ID, seal.Hash(token)
	err = e.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.RetokenSignIn(ctx, s.Token, v.SignIn, store.Millis(e.Now())); err != nil {
			return err
		}
		return e.Devices.Remember(ctx, tx, v.account, *v.why)
	})
	if err == nil {
		e.Devices.LogDecision(v.account, *v.why)
	}
	return token, err
}

// begin opens the sign-in that is drawn up in v so far.
func (e *Engine) begin(ctx context.Context, v visit, from account.From) (string, error) {
	token := e.drawSignIn(&v.SignIn, v.account, from)
	v.from = from
	first, err := e.firstQuestion(ctx, v, from)
	if err != nil {
		return "", err
	}
	err = e.addSignIn(ctx, v, first, from)
	if errors.Is(err, account.ErrWait) { // no message now; the page offers what else there is
		err = e.addSignIn(ctx, v, nil, from)
	}
	if err != nil {
		return "", fmt.Errorf("signin: begin: %w", err)
	}
	if v.why != nil {
		e.Devices.LogDecision(v.account, *v.why)
	}
	e.Wake()
	return token, nil
}

// addSignIn saves a sign-in with its first question, if there is one.
func (e *Engine) addSignIn(ctx context.Context, v visit, first *question, from account.From) error {
	return e.Store.Tx(ctx, func(tx *store.DB) error {
		if err := e.spendSignIn(ctx, tx, v, from); err != nil {
			return err
		}
		if err := tx.AddSignIn(ctx, v.SignIn); err != nil {
			return err
		}
		if first != nil {
			if err := e.open(ctx, tx, v, *first); err != nil {
				return err
			}
		}
		if v.why != nil {
			if err := e.Devices.Remember(ctx, tx, v.account, *v.why); err != nil {
				return err
			}
		}
		return e.Event(ctx, tx, audit.Event{Kind: audit.PasswordAccepted, Account: v.account.ID, SignIn: v.ID}, from)
	})
}

// drawSignIn fills row in for somebody who begins now, and makes its token.
func (e *Engine) drawSignIn(row *store.SignIn, a store.Account, from account.From) (token string) {
	now := e.Now()
	token = seal.Token()
	row.ID, row.Token, row.Account, row.Epoch = rand.Text(), seal.Hash(token), a.ID, a.Epoch
	row.Address, row.Browser, row.Hints = from.AddressText(), from.UserAgent, from.Hints
	row.BeganAt, row.EndsAt = store.Millis(now), store.Millis(now.Add(Life))
	return token
}

// firstQuestion is asked at once where there is nothing to choose; otherwise nothing
// is sent before the choice, and it is nil.
func (e *Engine) firstQuestion(ctx context.Context, v visit, from account.From) (*question, error) {
	all, err := e.factors(ctx, v.account)
	if err != nil {
		return nil, err
	}
	everyday := slices.DeleteFunc(offers(v.ways(all, e.Now())), func(o Offer) bool { return o.Spare })
	if len(everyday) != 1 {
		return nil, nil
	}
	q, err := e.ask(ctx, v, newChallenge(v), everyday[0].Method, from)
	return &q, err
}

// visit is a sign-in with its account and, if it is there to prove one, its draft.
type visit struct {
	store.SignIn
	account store.Account
	draft   *enrolled
	who     Session          // whose draft it is
	why     *device.Decision // that led to it
	from    account.From     // that asks now
	browser device.Browser   // the same, as the account knows it
}

// visit finds the sign-in of a token, over or not. ErrNoSignIn.
func (e *Engine) visit(ctx context.Context, token string) (visit, error) {
	row, err := e.Store.SignIn(ctx, seal.Hash(token))
	if errors.Is(err, store.ErrNotFound) {
		return visit{}, ErrNoSignIn
	}
	if err != nil {
		return visit{}, fmt.Errorf("signin: find: %w", err)
	}
	a, err := e.Store.Account(ctx, row.Account)
	if err != nil {
		return visit{}, fmt.Errorf("signin: find account: %w", err)
	}
	return visit{SignIn: row, account: a}, nil
}

// Pending is the sign-in of this token, over or not: ask Next. ErrNoSignIn.
func (e *Engine) Pending(ctx context.Context, token string, from account.From) (Pending, error) {
	v, err := e.visit(ctx, token)
	if err != nil {
		return Pending{}, err
	}
	if err := e.see(ctx, &v, from); err != nil {
		return Pending{}, err
	}
	p, err := e.pending(ctx, v)
	if err != nil {
		return Pending{}, err
	}
	row, err := e.Store.Challenge(ctx, v.ID)
	if errors.Is(err, store.ErrNotFound) {
		return p, nil
	}
	if err != nil {
		return Pending{}, fmt.Errorf("signin: find challenge: %w", err)
	}
	p.Proven = row.PassedAt != 0
	p.Challenge, err = e.describe(ctx, v, row)
	if err == nil {
		p.Trust = e.offerTrust(v, p.Challenge.Spare, from)
	}
	return p, err
}

func (e *Engine) pending(ctx context.Context, v visit) (Pending, error) {
	all, err := e.factors(ctx, v.account)
	return Pending{
		Email: account.MaskEmail(v.account.Email), Began: store.Time(v.BeganAt), Ends: store.Time(v.EndsAt),
		ReturnTo: v.ReturnTo, StepUp: v.Purpose == store.ForStepUp, Finished: v.FinishedAt != 0,
		Offers: offers(v.ways(all, e.Now())), Why: Why{trust.Reason(v.Reason), store.Time(v.VerifiedAt)},
	}, err
}

// Cancel gives the sign-in up. A sign-in that is over or unknown is no error.
func (e *Engine) Cancel(ctx context.Context, token string) error {
	v, err := e.visit(ctx, token)
	if errors.Is(err, ErrNoSignIn) {
		return nil
	}
	if err != nil {
		return err
	}
	err = e.Store.FinishSignIn(ctx, v.ID, store.Millis(e.Now()))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("signin: cancel: %w", err)
	}
	return nil
}
