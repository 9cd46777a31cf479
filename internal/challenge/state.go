package challenge

import (
	"time"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// Step is where somebody is on the way in.
type Step int

// The steps, in their order.
const (
	StepPassword Step = iota // to begin with, or again: this attempt is over
	StepMethod               // choose a way to prove it is you
	StepVerify               // answer the challenge
	StepSignedIn             // a session is due
)

// Next is the order of the steps, and the only place that knows it.
func Next(s State, now time.Time) Step {
	switch {
	case s.Finished || now.After(s.ExpiresAt):
		return StepPassword
	case s.Trusted, s.Proven:
		return StepSignedIn
	case s.Challenge != nil:
		return StepVerify
	default:
		return StepMethod
	}
}

// State is an attempt as its person may see it: the password was right, there is no session.
type State struct {
	Email     string // masked
	StartedAt time.Time
	ExpiresAt time.Time
	ReturnTo  string     // a local path; "" if the person came from nowhere
	StepUp    bool       // for somebody who is signed in already
	Offers    []Offer    // the ways in which this account may prove itself, in the order of Methods
	Challenge *Challenge // the open challenge; nil before the choice
	Finished  bool       // passed or given up
	Proven    bool       // the challenge was answered
	Trusted   bool       // this browser, from this network, needs no challenge
	Why       StepReason // there is one
	Trust     TrustOffer
}

// Challenge is the open question of an attempt.
type Challenge struct {
	Offer
	CodeTTL     time.Duration // how long one code works; 0: no code is sent
	Delivery    Delivery
	ResendAt    time.Time // from when a new code may be asked for; zero: not in this attempt any more
	GuessesLeft int
	LongCode    bool // it takes an answer that nobody can guess
}

// Delivery is what became of the newest message of a challenge.
type Delivery struct {
	State string // one of the message states of package store; "" if nothing travels
	At    time.Time
}

// StepReason is why the second step is asked for, for somebody who has given the right password:
// it says nothing about where its owner has been.
type StepReason struct {
	Reason     trust.Reason // "": it always is
	VerifiedAt time.Time    // when the browser was last verified, if that was too long ago
}

// TrustOffer is whether the person may have this browser trusted.
type TrustOffer struct {
	Days           int  // 0: it is not offered here
	Requested      bool // the person wants it
	NetworkUnknown bool // nobody knows where the request comes from, so there is no network to trust
}

// refresh computes the state from what is loaded.
func (a *Attempt) refresh() {
	now := a.c.Now()
	a.State = State{
		Email: account.MaskEmail(a.account.Email), StartedAt: a.row.StartedAt, ExpiresAt: a.row.ExpiresAt,
		ReturnTo: a.row.ReturnTo, StepUp: a.row.Purpose == store.PurposeStepUp, Finished: !a.row.FinishedAt.IsZero(),
		Why: StepReason{trust.Reason(a.row.Reason), a.row.DeviceVerifiedAt},
	}
	if a.pending == nil {
		a.Offers = offers(a.usable())
	}
	if a.open.ID == "" {
		return
	}
	a.Proven = !a.open.PassedAt.IsZero()
	a.Challenge = a.describe(now)
	a.Trust = a.trustOffer(a.Challenge.Spare)
}

// describe is the open challenge as the person may see it.
func (a *Attempt) describe(now time.Time) *Challenge {
	d := &Challenge{LongCode: a.open.NeedsLongCode, ResendAt: a.resendAt(a.open.LastSentAt, now), GuessesLeft: a.guessesLeft()}
	d.Method = a.open.Method
	if factors := a.by(a.open.Method); len(factors) > 0 {
		d.About = factors[0].Method.Info()
		d.Masked, d.Spare, d.CodeTTL = factors[0].Masked, d.About.Backup, d.About.CodeTTL
	}
	if code, ok := a.newestCode(a.open.Method); ok {
		d.Delivery = delivered(code)
	}
	return d
}

// delivered is what became of the message of a code. One that was never to be sent looks sent,
// as it would to anybody.
func delivered(code store.SentCode) Delivery {
	d := Delivery{code.State, code.StateAt}
	if d.State == store.MessageVoid {
		d.State = store.MessageSent
	}
	return d
}

// trustOffer says whether a proof by a method may make this browser trusted.
func (a *Attempt) trustOffer(spare bool) TrustOffer {
	if a.row.Purpose != store.PurposeSignIn || spare {
		return TrustOffer{}
	}
	unknown := a.c.Devices.Policy.Network != trust.NetworkIgnored && !a.from.Address.IsValid()
	return TrustOffer{Days: a.c.Devices.TrustDays(), Requested: a.row.TrustRequested && !unknown, NetworkUnknown: unknown}
}

// factorAccount is what a method is told of the account.
func factorAccount(a store.Account) factor.Account {
	return factor.Account{ID: a.ID, Email: a.Email, Name: a.Name}
}

// level is how much the attempt must prove, if it can be.
func (a *Attempt) level() session.Level { return session.Level(a.row.RequiredLevel) }
