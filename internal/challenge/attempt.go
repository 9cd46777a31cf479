package challenge

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/device"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// Attempt is one attempt at a proof, with all that a request about it needs. It belongs to the
// request that has loaded it.
type Attempt struct {
	State

	c       *Challenges
	from    origin.Origin
	row     store.Attempt
	account store.Account
	open    store.Challenge  // has no ID before something was asked
	codes   []store.SentCode // of the open challenge, the newest first
	factors []Enrolled       // of the account
	pending *Enrolled        // the new factor that is to be proven; nil in a sign-in and a step-up

	browser    device.RequestDevice // the one that asks, as the account knows it; see recognize
	recognized bool
	decision   *device.DecisionRecord // that led to the attempt, where it begins
	trustSaved bool                   // row.Trust is what is stored
}

// Load reads the attempt of a token, over or not (see Next). It returns ErrNoAttempt if there is
// none, or if the account has been through a change that voids it.
func (c *Challenges) Load(ctx context.Context, token string, from origin.Origin) (*Attempt, error) {
	a, err := c.find(ctx, token, from)
	if err != nil {
		return nil, err
	}
	if a.factors, err = c.Factors(ctx, a.account); err != nil {
		return nil, err
	}
	if err := a.loadCodes(ctx); err != nil {
		return nil, err
	}
	if err := a.saveOtherAddress(ctx); err != nil {
		return nil, err
	}
	a.refresh()
	return a, nil
}

// LoadDelivery reads no more of an attempt than what became of its newest message and when
// another may be asked for: for a script that asks often. The state is nil if nothing was asked.
func (c *Challenges) LoadDelivery(ctx context.Context, token string, from origin.Origin) (*Challenge, error) {
	a, err := c.find(ctx, token, from)
	if err != nil || a.open.ID == "" {
		return nil, err
	}
	if err := a.loadCodes(ctx); err != nil {
		return nil, err
	}
	d := a.describe(c.Now())
	if m, ok := c.Method(a.open.Method); ok {
		d.About = m.Info()
	}
	return d, nil
}

func (c *Challenges) find(ctx context.Context, token string, from origin.Origin) (*Attempt, error) {
	if token == "" {
		return nil, ErrNoAttempt
	}
	row, owner, open, err := c.Store.LoadAttempt(ctx, seal.HashToken(token))
	if errors.Is(err, store.ErrNotFound) {
		return nil, ErrNoAttempt
	}
	if err != nil {
		return nil, fmt.Errorf("challenge: load: %w", err)
	}
	return &Attempt{c: c, from: from, row: row, account: owner, open: open, trustSaved: true}, nil
}

// LoadPending reads the attempt at proving a new factor of a method, for the session that enrolls
// it, with the factor's row. It returns ErrNoAttempt if there is none.
func (c *Challenges) LoadPending(ctx context.Context, who session.Session, method string, from origin.Origin) (*Attempt, store.PendingFactor, error) {
	m, ok := c.Method(method)
	if !ok {
		return nil, store.PendingFactor{}, ErrNoAttempt
	}
	row, owner, draft, open, err := c.Store.LoadPendingFactor(ctx, who.ID, method, c.Now())
	if errors.Is(err, store.ErrNotFound) {
		return nil, draft, ErrNoAttempt
	}
	if err != nil {
		return nil, draft, fmt.Errorf("challenge: load: %w", err)
	}
	f, err := c.OpenFactor(store.Factor{ID: row.ID, Method: method, Body: draft.Body})
	if err != nil {
		return nil, draft, err
	}
	a := &Attempt{c: c, from: from, row: row, account: owner, open: open, pending: &Enrolled{Factor: f, Method: m}, trustSaved: true}
	if err := a.loadCodes(ctx); err != nil {
		return nil, draft, err
	}
	a.refresh()
	return a, draft, nil
}

func (a *Attempt) loadCodes(ctx context.Context) (err error) {
	if a.open.ID == "" {
		return nil
	}
	if a.codes, err = a.c.Store.ListCodes(ctx, a.open.ID); err != nil {
		return fmt.Errorf("challenge: codes: %w", err)
	}
	return nil
}

// Account is the account that is to be proven.
func (a *Attempt) Account() store.Account { return a.account }

// Pending is the new factor that is to be proven.
func (a *Attempt) Pending() Enrolled { return *a.pending }

// usable are the factors by which the attempt may prove as much as it must.
func (a *Attempt) usable() []Enrolled {
	return atLeast(usable(a.factors, a.account, a.c.Now()), a.level())
}

// by are the factors of one method by which the attempt may be passed; none if the account has
// none or may not use them now.
func (a *Attempt) by(method string) []Enrolled {
	if a.pending != nil {
		return []Enrolled{*a.pending}
	}
	return slices.DeleteFunc(a.usable(), func(f Enrolled) bool { return f.Method.Info().Method != method })
}

// liveCodes are the codes that the open challenge accepts now for its method, the newest first.
func (a *Attempt) liveCodes(now time.Time) (live []store.SentCode) {
	for _, code := range a.codes {
		if code.Method == a.open.Method && code.UsedAt.IsZero() && !code.ExpiresAt.Before(now.Truncate(time.Millisecond)) {
			live = append(live, code)
		}
	}
	return live
}

// newestCode is the code that was sent last for a method, good or not.
func (a *Attempt) newestCode(method string) (store.SentCode, bool) {
	for _, code := range a.codes {
		if code.Method == method {
			return code, true
		}
	}
	return store.SentCode{}, false
}

// guessesLeft are the answers that may still be compared.
func (a *Attempt) guessesLeft() int { return int(max(MaxGuesses-a.open.Guesses, 0)) }

// resendAt is from when another code may be asked for, if the last one was sent at a time (zero:
// none was); zero if not in this attempt any more.
func (a *Attempt) resendAt(lastSent time.Time, now time.Time) time.Time {
	again := now
	if !lastSent.IsZero() {
		again = lastSent.Add(ResendDelay(a.open.MessagesSent))
	}
	last := a.row.StartedAt.Add(resendWindow)
	if a.open.MessagesSent >= MaxMessages || again.After(last) || now.After(last) {
		return time.Time{}
	}
	return again
}

// recognize finds the browser that asks, once. Somebody who is signed in is not asked again
// whether the browser is known: see guess.
func (a *Attempt) recognize(ctx context.Context) (err error) {
	if !a.recognized && a.pending == nil {
		a.browser, err = a.c.Devices.FindDevice(ctx, a.account.Ref(), a.from)
		a.recognized = err == nil
	}
	return err
}

// running returns ErrNoAttempt if the attempt is over.
func (a *Attempt) running() error {
	if a.pending == nil && Next(a.State, a.c.Now()) == StepPassword {
		return ErrNoAttempt
	}
	return nil
}

// Choose asks for proof by one of the offered methods. Choosing the one that is asked for already
// changes nothing and sends nothing. It returns ErrNoAttempt, ErrUnknownMethod,
// ErrTooManyGuesses or a *ratelimit.LimitedError.
func (a *Attempt) Choose(ctx context.Context, method string) error {
	if err := a.running(); err != nil {
		return err
	}
	factors := a.by(method)
	switch {
	case len(factors) == 0:
		return ErrUnknownMethod
	case a.open.ID != "" && a.open.Method == method:
		return nil
	case a.open.ID != "" && a.guessesLeft() == 0:
		return ErrTooManyGuesses
	}
	if factors[0].Method.Info().CodeTTL > 0 {
		last, _ := a.newestCode(method)
		if err := a.mayResend(last.SentAt); err != nil {
			return a.limited(ctx, "send code", err)
		}
	}
	return a.limited(ctx, "send code", a.send(ctx, method))
}

// Resend sends a new code for the open challenge. The codes sent before stay good, each for its
// own life; at most MaxLiveCodes of them. It returns ErrNoAttempt, ErrTooManyGuesses or a
// *ratelimit.LimitedError.
func (a *Attempt) Resend(ctx context.Context) error {
	if err := a.running(); err != nil {
		return err
	}
	if a.open.ID == "" {
		return ErrNoAttempt
	}
	if a.guessesLeft() == 0 {
		return ErrTooManyGuesses
	}
	if err := a.saveTrust(ctx); err != nil {
		return err
	}
	if err := a.mayResend(a.open.LastSentAt); err != nil {
		return a.limited(ctx, "send code", err)
	}
	return a.limited(ctx, "send code", a.send(ctx, a.open.Method))
}

// mayResend says whether a message may be sent now: not too many in one attempt, not too soon
// after the last one of the same method, and not so late that the code would outlive the attempt.
func (a *Attempt) mayResend(lastSent time.Time) error {
	now := a.c.Now()
	switch again := a.resendAt(lastSent, now); {
	case again.IsZero():
		return &ratelimit.LimitedError{RetryAt: a.row.ExpiresAt}
	case now.Before(again):
		return &ratelimit.LimitedError{RetryAt: again}
	}
	return nil
}

// send asks by a method, and commits that by itself.
func (a *Attempt) send(ctx context.Context, method string) error {
	if err := a.recognize(ctx); err != nil {
		return err
	}
	sent := a.open.MessagesSent
	err := a.c.Store.Tx(ctx, func(tx *store.DB) error { return a.ask(ctx, tx, method) })
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrConflict):
		// Another tab asked at the same moment; its code is on the way.
		return &ratelimit.LimitedError{RetryAt: a.c.Now().Add(ResendDelay(sent + 1))}
	case err != nil:
		return fmt.Errorf("challenge: send: %w", err)
	}
	a.c.Accounts.NotifyOutbox()
	return nil
}

// limited records a refusal by a limit, and returns err.
func (a *Attempt) limited(ctx context.Context, what string, err error) error {
	if !errors.Is(err, ratelimit.ErrLimited) {
		return err
	}
	e := audit.Event{Kind: audit.LimitReached, Account: a.account.ID, SignIn: a.row.ID, Reason: what}
	if failed := a.c.Accounts.Failure(ctx, e, a.from); failed != nil {
		return failed
	}
	return err
}

// SetTrust notes whether the person wants this browser to be trusted. It is stored by whatever the
// attempt does next, or by Save.
func (a *Attempt) SetTrust(requested bool) {
	if a.row.TrustRequested == requested {
		return
	}
	a.row.TrustRequested, a.trustSaved = requested, false
	if a.Challenge != nil {
		a.Trust = a.trustOffer(a.Challenge.Spare)
	}
}

// Save stores what SetTrust noted. An attempt that is over stays as it is.
func (a *Attempt) Save(ctx context.Context) error {
	if a.running() != nil {
		return nil
	}
	return a.saveTrust(ctx)
}

func (a *Attempt) saveTrust(ctx context.Context) error {
	if a.trustSaved {
		return nil
	}
	if err := a.c.Store.SetTrustRequested(ctx, a.row.ID, a.row.TrustRequested); err != nil {
		return fmt.Errorf("challenge: trust: %w", err)
	}
	a.trustSaved = true
	return nil
}

// network is where the attempt was verified from: the address of the answer, and the one of the
// other family (IPv4, IPv6) that it was seen from too. Both are then one place.
func (a *Attempt) network() trust.ClientNetwork {
	now := trust.CanonicalAddr(a.from.Address)
	for _, text := range []string{a.row.Address, a.row.OtherAddress} {
		if addr, err := netip.ParseAddr(text); err == nil && addr.Is4() != now.Is4() {
			return trust.NetworkOf(addr, now)
		}
	}
	return trust.NetworkOf(now)
}

// saveOtherAddress stores the address of a request if it is of the other family than the one the
// attempt began from.
func (a *Attempt) saveOtherAddress(ctx context.Context) error {
	began, err := netip.ParseAddr(a.row.Address)
	now := trust.CanonicalAddr(a.from.Address)
	if err != nil || !now.IsValid() || began.Is4() == now.Is4() || a.row.OtherAddress == now.String() {
		return nil
	}
	a.row.OtherAddress = now.String()
	if err := a.c.Store.SetOtherAddress(ctx, a.row.ID, a.row.OtherAddress); err != nil {
		return fmt.Errorf("challenge: address: %w", err)
	}
	return nil
}

// Cancel gives the attempt of a token up. One that is over or unknown is no error.
func (c *Challenges) Cancel(ctx context.Context, token string) error {
	a, err := c.find(ctx, token, origin.Origin{})
	if errors.Is(err, ErrNoAttempt) {
		return nil
	}
	if err != nil {
		return err
	}
	err = c.Store.FinishAttempt(ctx, a.row.ID, c.Now())
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("challenge: cancel: %w", err)
	}
	return nil
}

// Beginning is what an attempt begins with.
type Beginning struct {
	Account  store.Account
	Purpose  string // store.ForSession or store.ForStepUp
	Session  string // store.ForStepUp: the session that is to be proven again
	ReturnTo string // a local path, checked
	Level    session.Level
	Browser  device.RequestDevice
	Decision *device.DecisionRecord // why the second step is asked for; nil: it always is
}

// Begin opens an attempt after the right password. Where there is only one way to prove it is
// you, it is asked at once; otherwise nothing is sent before the choice.
func (c *Challenges) Begin(ctx context.Context, b Beginning, from origin.Origin) (token string, err error) {
	a := &Attempt{c: c, from: from, account: b.Account, browser: b.Browser, recognized: true, decision: b.Decision, trustSaved: true}
	a.row = store.Attempt{Purpose: b.Purpose, SessionID: b.Session, ReturnTo: b.ReturnTo, RequiredLevel: int64(b.Level)}
	a.explain(b.Decision)
	token = a.start(TTL)
	if a.factors, err = c.Factors(ctx, a.account); err != nil {
		return "", err
	}
	first := ""
	everyday := slices.DeleteFunc(offers(a.usable()), func(o Offer) bool { return o.Spare })
	if len(everyday) == 1 {
		first = everyday[0].Method
	}
	err = a.create(ctx, first)
	if errors.Is(err, ratelimit.ErrLimited) && first != "" { // no message now; the page offers what else there is
		err = a.create(ctx, "")
	}
	if err != nil {
		return "", fmt.Errorf("challenge: begin: %w", a.limited(ctx, "sign-ins", err))
	}
	if b.Decision != nil {
		c.Devices.LogDecision(a.account.Ref(), *b.Decision)
	}
	c.Accounts.NotifyOutbox()
	return token, nil
}

// explain stores in the row why the second step is asked for.
func (a *Attempt) explain(by *device.DecisionRecord) {
	if by == nil {
		return
	}
	a.row.Reason, a.row.DeviceID = string(by.Reason), by.Device
	if old, ok := by.NearestRecord(); ok && by.Reason == trust.Expired {
		a.row.DeviceVerifiedAt = old.VerifiedAt
	}
}

// start fills the row in for an attempt that begins now, and makes its token.
func (a *Attempt) start(ttl time.Duration) (token string) {
	now := a.c.Now()
	token = seal.NewToken()
	a.row.ID, a.row.TokenHash, a.row.AccountID, a.row.Epoch = rand.Text(), seal.HashToken(token), a.account.ID, a.account.Epoch
	a.row.Address, a.row.UserAgent, a.row.ClientHints = a.from.AddressString(), a.from.UserAgent, a.from.ClientHints
	a.row.StartedAt, a.row.ExpiresAt = now, now.Add(ttl)
	return token
}

// create stores the attempt with its first challenge, by a method ("": none).
func (a *Attempt) create(ctx context.Context, method string) error {
	return a.c.Store.Tx(ctx, func(tx *store.DB) error {
		if err := a.spendAttempt(ctx, tx); err != nil {
			return err
		}
		if err := tx.CreateAttempt(ctx, a.row); err != nil {
			return err
		}
		if method != "" {
			if err := a.ask(ctx, tx, method); err != nil {
				return err
			}
		}
		trace := ""
		if a.decision != nil {
			trace = a.decision.Trace
			if err := a.c.Devices.RecordDecision(ctx, tx, a.account.Ref(), *a.decision); err != nil {
				return err
			}
		}
		e := audit.Event{Kind: audit.PasswordAccepted, Account: a.account.ID, SignIn: a.row.ID, Trace: trace}
		return a.c.Accounts.Event(ctx, tx, e, a.from)
	})
}

// Resume goes on with the attempt of a token, whose password was typed again, under a new token;
// the old one is dead. ok is false if there is nothing left of it.
func (c *Challenges) Resume(ctx context.Context, token string, b Beginning, from origin.Origin) (next string, ok bool, err error) {
	a, err := c.find(ctx, token, from)
	if errors.Is(err, ErrNoAttempt) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	same := a.account.ID == b.Account.ID && a.row.Purpose == b.Purpose && a.level() == b.Level
	if !same || a.open.ID != "" && a.guessesLeft() == 0 {
		return "", false, nil
	}
	next = seal.NewToken()
	old := a.row.TokenHash
	a.row.TokenHash, a.row.ReturnTo, a.row.DeviceID, a.row.Reason, a.row.DeviceVerifiedAt = seal.HashToken(next), b.ReturnTo, "", "", time.Time{}
	a.explain(b.Decision)
	err = c.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.RotateAttemptToken(ctx, old, a.row, c.Now()); err != nil {
			return err
		}
		if err := c.Devices.RecordDecision(ctx, tx, b.Account.Ref(), *b.Decision); err != nil {
			return err
		}
		e := audit.Event{Kind: audit.PasswordAccepted, Account: a.account.ID, SignIn: a.row.ID, Trace: b.Decision.Trace}
		return c.Accounts.Event(ctx, tx, e, from)
	})
	if errors.Is(err, store.ErrNotFound) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("challenge: resume: %w", err)
	}
	c.Devices.LogDecision(b.Account.Ref(), *b.Decision)
	return next, true, nil
}

// BeginPending opens an attempt at proving a new factor of somebody who is signed in. If another
// tab was faster, its factor is the one that waits. about is what the methods say of themselves;
// asked is what Enroll asked.
func (c *Challenges) BeginPending(ctx context.Context, who session.Session, owner store.Account, f Enrolled, asked factor.Challenge, from origin.Origin) error {
	a := &Attempt{c: c, from: from, account: owner, pending: &f, recognized: true, trustSaved: true}
	a.row = store.Attempt{Purpose: store.PurposeFactor, SessionID: who.ID}
	about := f.Method.Info()
	ttl := TTL
	if about.CodeTTL == 0 {
		ttl = pendingTTL
	}
	a.start(ttl)
	body, err := c.SealFactor(a.row.ID, f.Factor)
	if err != nil {
		return err
	}
	err = c.Store.Tx(ctx, func(tx *store.DB) error {
		row := store.PendingFactor{AttemptID: a.row.ID, SessionID: who.ID, Method: about.Method, ShownOnly: asked.AcknowledgeOnly, Body: body}
		if err := tx.CreatePendingFactor(ctx, a.row, row); err != nil {
			return err
		}
		return a.askFirst(ctx, tx, asked)
	})
	switch {
	case errors.Is(err, store.ErrConflict):
		return nil
	case errors.Is(err, ratelimit.ErrLimited):
		return a.limited(ctx, "send code", err)
	case err != nil:
		return fmt.Errorf("challenge: begin: %w", err)
	}
	c.Accounts.NotifyOutbox()
	return nil
}

// pendingTTL is how long a new factor that nothing was sent for waits for its proof.
const pendingTTL = 15 * time.Minute

// AskFor is what a method is told when a new factor of an account is drawn up.
func (c *Challenges) AskFor(owner store.Account, f factor.Factor, m factor.Method, from origin.Origin) factor.Request {
	a := &Attempt{c: c, from: from, account: owner, pending: &Enrolled{}}
	return a.askBy(Enrolled{Factor: f, Method: m}, false)
}

// Show is what the page of a new factor shows.
func (a *Attempt) Show() (shown factor.Provisioning) {
	if s, ok := a.pending.Method.(factor.Provisioner); ok {
		shown = s.Provision(a.askBy(*a.pending, false), a.pending.Factor)
	}
	return shown
}

// Destination is the address or number of the new factor, as it was typed.
func (a *Attempt) Destination() string { return cmp.Or(a.pending.Display, a.pending.Destination) }

// Verify checks the answer to the open challenge and, if it is right, opens a session or proves
// the one of the step-up again. It returns ErrNoAttempt, factor.ErrMalformed, ErrTooManyGuesses,
// ErrLongCodeNeeded, session.ErrNoSession or a *ratelimit.LimitedError; and factor.ErrIncorrect
// alike for a wrong, expired, used or superseded code and for an attempt that is over.
func (a *Attempt) Verify(ctx context.Context, form url.Values) (session.Cookies, error) {
	if err := a.recognize(ctx); err != nil {
		return session.Cookies{}, err
	}
	p, err := a.Prove(ctx, form)
	if err != nil {
		if saved := a.saveTrust(ctx); saved != nil {
			return session.Cookies{}, saved
		}
		return session.Cookies{}, err
	}
	return a.accept(ctx, p)
}
