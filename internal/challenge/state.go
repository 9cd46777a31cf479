package challenge

import (
	"time"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// Step is the next thing that a sign-in needs.
type Step int

// The steps, in their order.
const (
	StepPassword Step = iota // enter the password: the attempt is over
	StepMethod               // choose a method
	StepVerify               // answer the challenge
	StepSignedIn             // nothing: a session may be opened
)

// Next returns the next step of an attempt. The order of the steps is defined only here.
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

// State is an attempt as the person may see it. The password was right, and there is no session yet.
type State struct {
	Email     string // masked
	StartedAt time.Time
	ExpiresAt time.Time
	StepUp    bool          // the person is signed in already
	Level     session.Level // the level to reach, if the account can
	Offers    []Offer       // the methods to choose from, in the order of Methods, backup methods last
	Challenge *Challenge    // the open challenge; nil if no method was chosen yet
	Finished  bool          // verified or canceled
	Proven    bool          // the challenge was answered
	Trusted   bool          // this device is trusted in this network, so no challenge is needed
	Why       StepReason    // why a challenge is needed
	Trust     TrustOffer
	Frozen    time.Time // until when the account is frozen, see package enroll; zero: it is not
}

// Challenge is the open challenge of an attempt.
type Challenge struct {
	Offer
	AccountID   string
	CodeTTL     time.Duration // how long one code is valid; 0: no code is sent
	Delivery    Delivery
	ResendAt    time.Time // from when a new code may be requested; zero: not in this attempt
	GuessesLeft int
	LongCode    bool // it needs a long code
	// HasAlternative says that the person may choose another method. It is not known for LoadDelivery once the message
	// was sent.
	HasAlternative bool
}

// Delivery is the state of the newest message of a challenge.
type Delivery struct {
	State       string // one of the message states of package store; "" if there is no message
	At          time.Time
	RequestedAt time.Time // when the message was added to the outbox
}

// StepReason is why the second step is required. Whoever has the password can see it, so it does not say
// where the owner has signed in.
type StepReason struct {
	Reason     trust.Reason  // "" if the second step is always required
	VerifiedAt time.Time     // with trust.Expired: when the device was last verified
	TTL        time.Duration // with trust.Expired: how long devices are trusted
	At         time.Time     // when it was decided
}

// Over returns what the age of the verification is longer than: the time for which devices are trusted, or less if the
// person was told less.
func (r StepReason) Over() time.Duration {
	if age := r.At.Sub(r.VerifiedAt); age < r.TTL {
		return age.Truncate(time.Hour)
	}
	return r.TTL
}

// TrustOffer says whether the person may have this device trusted.
type TrustOffer struct {
	For            time.Duration // how long it would be trusted; 0: not offered
	Requested      bool          // the person wants it
	NetworkUnknown bool          // the network of the client is unknown, so it cannot be trusted
}

// refresh computes State from what is loaded.
func (a *Attempt) refresh() {
	now := a.c.Now()
	a.State = State{
		Email: account.MaskEmail(a.account.Email), StartedAt: a.row.StartedAt, ExpiresAt: a.row.ExpiresAt,
		StepUp: a.row.Purpose == store.PurposeStepUp, Level: a.level(), Finished: !a.row.FinishedAt.IsZero(),
		Why: StepReason{
			trust.Reason(a.row.Reason), a.row.DeviceVerifiedAt, a.c.Devices.TrustTime(a.limits()), a.row.StartedAt,
		},
		Frozen: a.account.FrozenUntil,
	}
	if a.pending == nil {
		a.Offers = offers(a.usable())
	}
	if a.open.ID == "" {
		return
	}
	a.Proven = !a.open.PassedAt.IsZero()
	a.Challenge = a.describe(now)
	a.Trust = a.trustOffer(a.Challenge.Backup)
}

// describe returns the open challenge as the person may see it.
func (a *Attempt) describe(now time.Time) *Challenge {
	d := &Challenge{
		Offer: Offer{Method: a.open.Method}, AccountID: a.account.ID, ResendAt: a.resendAt(a.open.LastSentAt, now),
		GuessesLeft: a.guessesLeft(), LongCode: a.open.NeedsLongCode,
	}
	if factors := a.by(a.open.Method); len(factors) > 0 {
		d.About = factors[0].Method.Info()
		d.Masked, d.Backup, d.CodeTTL = factors[0].Masked, d.About.Backup, d.About.CodeTTL
	}
	d.HasAlternative = a.pending == nil && len(offers(a.usable())) > 1
	if code, ok := a.newestCode(a.open.Method); ok {
		d.Delivery = delivered(code)
	}
	return d
}

// delivered returns the delivery state of a code. A message that silence has emptied is shown as sent, so
// that the state does not reveal whether an address has an account.
func delivered(code store.SentCode) Delivery {
	d := Delivery{code.State, code.StateAt, code.SentAt}
	if d.State == store.MessageVoid {
		d.State = store.MessageSent
	}
	return d
}

// trustOffer says whether the person may have this device trusted when they verify with a method. backup is
// whether it is a backup method. Trust by a method that the policy does not allow would skip nothing.
func (a *Attempt) trustOffer(backup bool) TrustOffer {
	if a.row.Purpose != store.PurposeSignIn || backup || !a.limits().Allows(a.open.Method) {
		return TrustOffer{}
	}
	unknown := a.c.Devices.Policy.Network != trust.NetworkIgnored && !a.from.Address.IsValid()
	return TrustOffer{
		For: a.c.Devices.TrustTime(a.limits()), Requested: a.row.TrustRequested && !unknown, NetworkUnknown: unknown,
	}
}

// factorAccount returns what a method gets to know about the account.
func factorAccount(a store.Account) factor.Account {
	return factor.Account{ID: a.ID, Email: a.Email, Name: a.Name}
}

// level returns the level that the attempt must reach, if the account can.
func (a *Attempt) level() session.Level { return session.Level(a.row.RequiredLevel) }
