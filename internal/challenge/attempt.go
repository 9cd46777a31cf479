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
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/device"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/policy"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// Attempt is one attempt, with everything that a request about it needs. It belongs to the request that
// has loaded it and is not safe for concurrent use.
type Attempt struct {
	State
	// LinkQuery is the query of links to the page that asks, with the ? before it. It belongs to that page and is not
	// stored. Set it before a message is sent.
	LinkQuery string

	app     string // client ID of the app that the person comes from, see SetApp
	c       *Challenges
	from    origin.Origin
	row     store.Attempt
	account store.Account
	open    store.Challenge  // the open challenge; its ID is "" if there is none
	codes   []store.SentCode // of the open challenge, the newest first
	factors []Enrolled       // of the account
	pending *Enrolled        // the new factor that is being confirmed; nil in a sign-in and a step-up

	browser    device.RequestDevice   // the device that sends the request; see recognize
	recognized bool                   // browser is set
	decision   *device.DecisionRecord // why the attempt was started; nil unless it starts in this request
	trustSaved bool                   // row.TrustRequested is stored
}

// Load reads the attempt of a token, whether it is still running or not (see Next). It returns
// ErrNoAttempt if there is none, or if the account was changed since in a way that ends attempts.
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

// LoadDelivery reads only the delivery state of the newest message of an attempt and when another code may
// be requested, for a script that polls. It reads the factors too while the message waits, see
// Challenge.HasAlternative. It returns nil if nothing was sent yet, and ErrNoAttempt like Load.
func (c *Challenges) LoadDelivery(ctx context.Context, token string, from origin.Origin) (*Challenge, error) {
	a, err := c.find(ctx, token, from)
	if err != nil || a.open.ID == "" {
		return nil, err
	}
	if err := a.loadCodes(ctx); err != nil {
		return nil, err
	}
	if code, ok := a.newestCode(a.open.Method); ok && code.State == store.MessageWaiting {
		if a.factors, err = c.Factors(ctx, a.account); err != nil {
			return nil, err
		}
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

// LoadPending reads the attempt that confirms a new factor, for the session that enrolls it, with the row
// of the pending factor. It returns ErrNoAttempt if there is none.
func (c *Challenges) LoadPending(
	ctx context.Context, who session.Session, method string, from origin.Origin,
) (*Attempt, store.PendingFactor, error) {
	m, ok := c.Method(method)
	if !ok {
		return nil, store.PendingFactor{}, ErrNoAttempt
	}
	row, owner, pending, open, err := c.Store.LoadPendingFactor(ctx, who.ID, method, c.Now())
	if errors.Is(err, store.ErrNotFound) {
		return nil, pending, ErrNoAttempt
	}
	if err != nil {
		return nil, pending, fmt.Errorf("challenge: load: %w", err)
	}
	f, err := c.OpenFactor(store.Factor{ID: row.ID, Method: method, Body: pending.Body})
	if err != nil {
		return nil, pending, err
	}
	a := &Attempt{
		c: c, from: from, row: row, account: owner, open: open, trustSaved: true,
		pending: &Enrolled{Factor: f, Method: m},
	}
	if err := a.loadCodes(ctx); err != nil {
		return nil, pending, err
	}
	a.refresh()
	return a, pending, nil
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

// Account returns the account that the attempt belongs to.
func (a *Attempt) Account() store.Account { return a.account }

// Pending returns the new factor that is being confirmed. Call it only on an attempt from LoadPending.
func (a *Attempt) Pending() Enrolled { return *a.pending }

// usable returns the factors that can be used now and reach the required level.
func (a *Attempt) usable() []Enrolled {
	return atLeast(allowed(a.c.usable(a.factors, a.account), a.limits()), a.level())
}

// by returns the factors of one method that the attempt may be verified with; none if the account has none
// or may not use them now.
func (a *Attempt) by(method string) []Enrolled {
	if a.pending != nil {
		return []Enrolled{*a.pending}
	}
	return slices.DeleteFunc(a.usable(), func(f Enrolled) bool { return f.Method.Info().Method != method })
}

// liveCodes returns the codes that the open challenge accepts now, the newest first.
func (a *Attempt) liveCodes(now time.Time) (live []store.SentCode) {
	now = now.Truncate(time.Millisecond) // the store keeps milliseconds
	for _, code := range a.codes {
		if code.Method == a.open.Method && code.UsedAt.IsZero() && !code.ExpiresAt.Before(now) {
			live = append(live, code)
		}
	}
	return live
}

// newestCode returns the code that was sent last for a method, valid or not.
func (a *Attempt) newestCode(method string) (store.SentCode, bool) {
	for _, code := range a.codes {
		if code.Method == method {
			return code, true
		}
	}
	return store.SentCode{}, false
}

// guessesLeft returns how many more answers may be compared.
func (a *Attempt) guessesLeft() int { return int(max(MaxGuesses-a.open.Guesses, 0)) }

// resendAt returns when another code may be requested, given when the last one was sent (zero: none was).
// It returns zero if no more codes may be requested in this attempt.
func (a *Attempt) resendAt(lastSent time.Time, now time.Time) time.Time {
	next := now
	if !lastSent.IsZero() {
		next = lastSent.Add(ResendDelay(a.open.MessagesSent))
	}
	windowEnd := a.row.StartedAt.Add(TTL)
	if a.open.MessagesSent >= MaxMessages || next.After(windowEnd) || now.After(windowEnd) {
		return time.Time{}
	}
	return next
}

// recognize finds the device that sends the request, once. Attempts of a signed-in person do not need it,
// see guess.
func (a *Attempt) recognize(ctx context.Context) (err error) {
	if !a.recognized && a.pending == nil {
		a.browser, err = a.c.Devices.FindDevice(ctx, a.account.Ref(), a.from)
		a.recognized = err == nil
	}
	return err
}

// limits returns what holds for the person in the app that they come from.
func (a *Attempt) limits() policy.Limits {
	return a.c.Devices.Limits(account.SplitGroups(a.account.Groups), a.app)
}

// SetApp sets the app to which the page leads. It belongs to that page and is not stored: the app checks the session
// itself. Set it before the state is read.
func (a *Attempt) SetApp(id string) {
	if id != a.app {
		a.app = id
		a.refresh()
	}
}

// running returns ErrNoAttempt if the attempt has expired or is finished.
func (a *Attempt) running() error {
	if a.pending == nil && Next(a.State, a.c.Now()) == StepPassword {
		return ErrNoAttempt
	}
	return nil
}

// Choose issues a challenge by one of the offered methods. It does nothing if the open challenge is by
// that method already. It returns ErrNoAttempt if the attempt is over, ErrUnknownMethod if the method is
// not offered, ErrTooManyGuesses if no guesses are left, and a *ratelimit.LimitedError if no code may be
// sent now, with ErrNoMoreCodes if none may be sent in this attempt any more.
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

// Resend sends a new code for the open challenge. The last MaxLiveCodes codes stay valid, each for its own
// CodeTTL. It returns ErrNoAttempt if the attempt is over or has no open challenge, ErrTooManyGuesses if
// no guesses are left, and a *ratelimit.LimitedError if no code may be sent now, with ErrNoMoreCodes if none
// may be sent in this attempt any more.
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

// mayResend returns a *ratelimit.LimitedError if no message may be sent now, because the last one of the same
// method was sent too recently, and also ErrNoMoreCodes after MaxMessages and after TTL.
func (a *Attempt) mayResend(lastSent time.Time) error {
	now := a.c.Now()
	switch retryAt := a.resendAt(lastSent, now); {
	case retryAt.IsZero():
		return errors.Join(ErrNoMoreCodes, &ratelimit.LimitedError{RetryAt: a.row.ExpiresAt})
	case now.Before(retryAt):
		return &ratelimit.LimitedError{RetryAt: retryAt}
	}
	return nil
}

// send issues a challenge by a method in a transaction of its own.
func (a *Attempt) send(ctx context.Context, method string) error {
	if err := a.recognize(ctx); err != nil {
		return err
	}
	sent := a.open.MessagesSent
	err := a.c.Store.Tx(ctx, func(tx *store.DB) error { return a.ask(ctx, tx, method) })
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrConflict):
		// Another request issued a challenge at the same time, so a code is being sent.
		return &ratelimit.LimitedError{RetryAt: a.c.Now().Add(ResendDelay(sent + 1))}
	case err != nil:
		return fmt.Errorf("challenge: send: %w", err)
	}
	a.c.Accounts.NotifyOutbox()
	return nil
}

// limited records that a limit was reached if err says so, and returns err.
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

// SetTrust sets whether the person wants this device to be trusted. The next operation on the attempt
// stores it, or Save.
func (a *Attempt) SetTrust(requested bool) {
	if a.row.TrustRequested == requested {
		return
	}
	a.row.TrustRequested, a.trustSaved = requested, false
	if a.Challenge != nil {
		a.Trust = a.trustOffer(a.Challenge.Backup)
	}
}

// Save stores what SetTrust set. It does nothing if the attempt is over.
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

// network returns the network that the attempt was verified from. If the attempt was also seen from an
// address of the other family (IPv4 or IPv6), both belong to that network.
func (a *Attempt) network() trust.ClientNetwork {
	now := trust.CanonicalAddr(a.from.Address)
	for _, text := range []string{a.row.Address, a.row.OtherAddress} {
		if addr, err := netip.ParseAddr(text); err == nil && addr.Is4() != now.Is4() {
			return trust.NetworkOf(addr, now)
		}
	}
	return trust.NetworkOf(now)
}

// saveOtherAddress stores the address of a request if it is of the other family than the address that the
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

// Cancel ends the attempt of a token. It is no error if there is none, or if it is over.
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

// Beginning is what a new attempt starts from.
type Beginning struct {
	Account   store.Account
	Purpose   string        // store.PurposeSignIn or store.PurposeStepUp
	Session   string        // with store.PurposeStepUp: the ID of the session that is authenticated again
	LinkQuery string        // see Attempt
	Level     session.Level // the level to reach, if the account can
	Browser   device.RequestDevice
	Decision  *device.DecisionRecord // why the second step is required; nil: it always is
	// StaySignedIn makes the cookie of the session persistent, if the site lets people choose.
	StaySignedIn bool
	App          string // client ID of the app that the person comes from; "": none
	// Password is the password that was right, which Begin and Resume settle; nil: there is nothing to settle.
	Password *account.CorrectPassword
}

// Begin starts an attempt after the password was right, and returns its token. If the account has only one
// method that is not a backup, Begin issues the challenge; otherwise nothing is sent before the person
// chooses. It returns a *ratelimit.LimitedError if too many attempts were started, and account.ErrFrozen if the account
// is frozen and has no factor that may be used.
func (c *Challenges) Begin(ctx context.Context, b Beginning, from origin.Origin) (token string, err error) {
	a := &Attempt{
		c: c, from: from, account: b.Account, browser: b.Browser, recognized: true, decision: b.Decision, trustSaved: true,
		LinkQuery: b.LinkQuery, app: b.App,
	}
	a.row = store.Attempt{
		Purpose: b.Purpose, SessionID: b.Session, RequiredLevel: int64(b.Level),
		StaySignedIn: b.StaySignedIn,
	}
	a.explain(b.Decision)
	token = a.start(TTL)
	if a.factors, err = c.Factors(ctx, a.account); err != nil {
		return "", err
	}
	if len(a.usable()) == 0 {
		return "", account.Frozen(a.account)
	}
	first := ""
	primary := slices.DeleteFunc(offers(a.usable()), func(o Offer) bool { return o.Backup })
	if len(primary) == 1 {
		first = primary[0].Method
	}
	err = a.create(ctx, first, b.Password)
	if errors.Is(err, ratelimit.ErrLimited) && first != "" { // no message may be sent now; the page offers the methods
		err = a.create(ctx, "", b.Password)
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

// explain stores in the row why the second step is required.
func (a *Attempt) explain(by *device.DecisionRecord) {
	if by == nil {
		return
	}
	a.row.Reason, a.row.DeviceID = string(by.Reason), by.Device
	if old, ok := by.NearestRecord(); ok && by.Reason == trust.Expired {
		a.row.DeviceVerifiedAt = old.VerifiedAt
	}
}

// start fills in the row of an attempt that starts now, and returns its new token.
func (a *Attempt) start(ttl time.Duration) (token string) {
	now := a.c.Now()
	token = seal.NewToken()
	a.row.ID, a.row.TokenHash = rand.Text(), seal.HashToken(token)
	a.row.AccountID, a.row.Epoch = a.account.ID, a.account.Epoch
	a.row.Address, a.row.UserAgent, a.row.ClientHints = a.from.AddressString(), a.from.UserAgent, a.from.ClientHints
	a.row.StartedAt, a.row.ExpiresAt = now, now.Add(ttl)
	return token
}

// create stores the attempt with its first challenge, by a method ("": none).
func (a *Attempt) create(ctx context.Context, method string, password *account.CorrectPassword) error {
	return a.c.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.CreateAttempt(ctx, a.row); err != nil {
			return err
		}
		if method != "" {
			if err := a.ask(ctx, tx, method); err != nil {
				return err
			}
		}
		return a.acceptPassword(ctx, tx, password, a.decision)
	})
}

// acceptPassword records that the password was right, and why the second step is required; by is nil if it always is.
func (a *Attempt) acceptPassword(ctx context.Context, tx *store.DB, password *account.CorrectPassword,
	by *device.DecisionRecord) error {
	e := audit.Event{Kind: audit.PasswordAccepted, Account: a.account.ID, Email: a.account.Email, SignIn: a.row.ID}
	if by != nil {
		e.Trace = by.Trace
		if err := a.c.Devices.RecordDecision(ctx, tx, a.account.Ref(), *by); err != nil {
			return err
		}
	}
	if err := a.c.Accounts.Event(ctx, tx, e, a.from); err != nil || password == nil {
		return err
	}
	return password.Settle(ctx, tx)
}

// Resume continues the attempt of a token after the password was entered again, under a new token; the old
// token stops working. It must reach the higher of the two levels then. ok is false if that attempt cannot be
// continued: it is over, has no guesses left, is of another account, purpose or session, or its challenge does
// not reach the level.
func (c *Challenges) Resume(
	ctx context.Context, token string, b Beginning, from origin.Origin,
) (next string, ok bool, err error) {
	a, err := c.find(ctx, token, from)
	if errors.Is(err, ErrNoAttempt) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	same := a.account.ID == b.Account.ID && a.row.Purpose == b.Purpose && a.row.SessionID == b.Session
	if !same || a.open.ID != "" && a.guessesLeft() == 0 {
		return "", false, nil
	}
	a.app = b.App
	if b.Level > a.level() || a.open.ID != "" && !a.limits().Allows(a.open.Method) {
		if a.factors, err = c.Factors(ctx, a.account); err != nil {
			return "", false, err
		}
		if a.row.RequiredLevel = int64(max(b.Level, a.level())); a.open.ID != "" && len(a.by(a.open.Method)) == 0 {
			return "", false, nil
		}
	}
	next = seal.NewToken()
	old := a.row.TokenHash
	a.row.TokenHash, a.row.StaySignedIn = seal.HashToken(next), b.StaySignedIn
	a.row.DeviceID, a.row.Reason, a.row.DeviceVerifiedAt = "", "", time.Time{}
	a.explain(b.Decision)
	err = c.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.RotateAttemptToken(ctx, old, a.row, c.Now()); err != nil {
			return err
		}
		return a.acceptPassword(ctx, tx, b.Password, b.Decision)
	})
	if errors.Is(err, store.ErrNotFound) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("challenge: resume: %w", err)
	}
	if b.Decision != nil {
		c.Devices.LogDecision(b.Account.Ref(), *b.Decision)
	}
	return next, true, nil
}

// BeginPending starts an attempt that confirms a new factor of a signed-in person. asked is the challenge
// that the method's Enroll returned. If another request has started one for the same method, that one is
// kept. It returns a *ratelimit.LimitedError if no code may be sent now.
func (c *Challenges) BeginPending(
	ctx context.Context, who session.Session, owner store.Account, f Enrolled, asked factor.Challenge, from origin.Origin,
) error {
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
		row := store.PendingFactor{
			AttemptID: a.row.ID, SessionID: who.ID, Method: about.Method, ShownOnly: asked.AcknowledgeOnly, Body: body,
		}
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

// pendingTTL is how long a new factor waits for confirmation if nothing was sent for it.
const pendingTTL = 15 * time.Minute

// AskFor returns the request that a method gets when a new factor of an account is created.
func (c *Challenges) AskFor(owner store.Account, f factor.Factor, m factor.Method, from origin.Origin) factor.Request {
	a := &Attempt{c: c, from: from, account: owner, pending: &Enrolled{}}
	return a.askBy(Enrolled{Factor: f, Method: m}, false)
}

// Show returns what the page for a new factor shows, such as the key of an authenticator app.
func (a *Attempt) Show() (shown factor.Provisioning) {
	if s, ok := a.pending.Method.(factor.Provisioner); ok {
		shown = s.Provision(a.askBy(*a.pending, false), a.pending.Factor)
	}
	return shown
}

// Destination returns the address or number of the new factor as it was entered.
func (a *Attempt) Destination() string { return cmp.Or(a.pending.Display, a.pending.Destination) }

// Verify checks the answer to the open challenge. If it is right, Verify opens a session or, in a step-up,
// marks the session as authenticated now. It returns factor.ErrIncorrect if the code is wrong, expired,
// used or superseded, or if the attempt is over: the caller cannot tell these apart. It returns
// factor.ErrMalformed if the answer cannot be a code, ErrTooManyGuesses if no guesses are left,
// ErrLongCodeNeeded if a long code is needed now, a *ratelimit.LimitedError if the guess comes too early,
// ErrNoAttempt if there is no open challenge, ErrUnknownMethod if the factor was removed meanwhile, and
// session.ErrNoSession if the session of a step-up has ended.
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
