// Package session creates, finds and ends the sessions of signed-in people.
//
// Sessions and sign-in attempts have different tables, cookies and types. A session is created only by
// challenge.Attempt.Verify, and by a sign-in that skips the second step in a trusted browser.
package session

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/device"
	"twostep.example/twostep/internal/fault"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/policy"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

var (
	// ErrNoSession is returned if there is no live session with the token or id.
	ErrNoSession = errors.New("no live session")
	// ErrStepUpRequired is returned if the last full authentication is too old: the person must take both steps again.
	ErrStepUpRequired = errors.New("authentication is too old")
	// ErrMethodRequired is the ErrNoSession of a session that a desk code opened: until the person has set up a
	// method, it exists only for GetForSetup.
	ErrMethodRequired = fmt.Errorf("%w: a verification method must be set up first", ErrNoSession)
)

// SetupTTL is how long a session that a desk code opened may take to set up a method.
const SetupTTL = 30 * time.Minute

// FreshFor is how old the last full authentication may be to change a factor, the address or the password.
const FreshFor = 10 * time.Minute

// Sessions is the service for the sessions of all accounts.
type Sessions struct {
	Store    *store.DB
	Now      func() time.Time
	Accounts *account.Accounts
	Idle     time.Duration // a session ends after this time without a request, or sooner by Rules
	Absolute time.Duration // a session ends after this time in any case, or sooner by Rules
	// Rules shorten sessions of people in some groups. nil: of nobody.
	Rules *policy.Rules
	// StaySignedIn lets the person choose whether the cookie of a session is persistent.
	StaySignedIn bool
	// Faults gets the errors of RecordUses.
	Faults *fault.Log

	uses uses
}

// Session is a sign-in of one person in one browser.
type Session struct {
	ID              string
	Account         Account
	StartedAt       time.Time
	AuthenticatedAt time.Time // when both steps were last taken; zero if trust skipped the second
	LastSeenAt      time.Time // to within UseInterval and RecordInterval
	ExpiresAt       time.Time // at the latest
	Persistent      bool      // the browser keeps the cookie until ExpiresAt, also when it is closed
	AMR             []string  // authentication method references (RFC 8176)
	Address         string
	Browser         trust.Browser
	// TrustVerifiedAt is when the trusted browser took both steps, if it skipped the second step in this
	// session.
	TrustVerifiedAt time.Time
	FactorID        string // the factor that proved the second step last; "" for email and trust
	// MethodRequired says that the person must set up a method before anything else, see GetForSetup.
	MethodRequired bool
	Method         string // of the last second step, or of the trusted browser; "": not known

	longestIdle time.Duration // without a request, since both steps were completed

	deskCodeID string // the desk code that replaced the second step; "" once both steps are completed
	deviceID   string // id of the device it began in
	attemptID  string // id of the sign-in attempt
	epoch      int64
}

// Account is the signed-in person.
type Account struct {
	ID         string
	Email      string
	Name       string
	GivenName  string
	FamilyName string
	Operator   bool   // Role is operator
	Role       string // "", or a role of package store
	Groups     []string
}

// Cookies are the tokens that a sign-in sets as cookies; "" for none.
type Cookies struct {
	Attempt string // of the sign-in attempt, until the second step is done
	Session string // of the session
	Device  string // of the browser
	// MaxAge is how long the browser keeps the cookie of the session; 0: until it is closed.
	MaxAge time.Duration
}

// Ref returns the account and its epoch when the session was read.
func (s Session) Ref() store.AccountRef { return store.AccountRef{ID: s.Account.ID, Epoch: s.epoch} }

// Owner returns the account and the device of the session.
func (s Session) Owner() device.SessionDevice {
	return device.SessionDevice{AccountRef: s.Ref(), DeviceID: s.deviceID, Groups: s.Account.Groups}
}

// RecentlyAuthenticated reports whether the person took both steps within FreshFor, so that they may change a
// factor, the address or the password. A desk code is no second step.
func (s Session) RecentlyAuthenticated(now time.Time) bool {
	return s.deskCodeID == "" && now.Sub(s.AuthenticatedAt) <= FreshFor
}

// MayEnroll reports whether the person may add a method now: after both steps, or because a desk code lets them set up
// one.
func (s Session) MayEnroll(now time.Time) bool {
	return s.MethodRequired || s.RecentlyAuthenticated(now)
}

// OperatorFreshFor returns how old the last full authentication may be on the operators' pages.
func (s *Sessions) OperatorFreshFor(who Session) time.Duration {
	return cmp.Or(s.Rules.For(who.Account.Groups, "").Reauthentication.For, policy.DefaultReauthenticate)
}

// Fits reports whether a session would have got as far under these limits: it is not too old, was never without a
// request for too long, and skipped the second step only where they allow it. A session in which both steps were
// completed again is as old as that.
func (s Session) Fits(l policy.Limits, now time.Time) bool {
	return s.lasts(l, now) && s.trustFits(l)
}

// lasts reports whether a session is not too old, and was never without a request for too long.
func (s Session) lasts(l policy.Limits, now time.Time) bool {
	return !l.Absolute.Exceeded(now.Sub(s.Began())) && !l.Idle.Exceeded(s.longestIdle)
}

// EndsBy returns when the session ends at the latest, if the limits count from began.
func (s Session) EndsBy(began time.Time, l policy.Limits) time.Time {
	if end := began.Add(l.Absolute.For); l.Absolute.For > 0 && end.Before(s.ExpiresAt) {
		return end
	}
	return s.ExpiresAt
}

// Began returns when both steps were last completed in the session, or else when it started.
func (s Session) Began() time.Time {
	if s.AuthenticatedAt.After(s.StartedAt) {
		return s.AuthenticatedAt
	}
	return s.StartedAt
}

// trustFits reports whether the second step may have been skipped, if it was.
func (s Session) trustFits(l policy.Limits) bool {
	return !s.AuthenticatedAt.IsZero() || s.StartedAt.Sub(s.TrustVerifiedAt) <= l.TrustTime()
}

// Allows reports whether the limits allow the method of the second step.
func (s Session) Allows(l policy.Limits) bool { return l.Allows(s.Method) }

// AuthenticatedAs reports whether the person took both steps within the time d and reached the level by them. A step
// that trust has skipped does not count.
func (s Session) AuthenticatedAs(level Level, d time.Duration, now time.Time) bool {
	if s.deskCodeID != "" {
		return false
	}
	return !s.AuthenticatedAt.IsZero() && now.Sub(s.AuthenticatedAt) <= d && s.Level() >= level
}

// AuthTime returns when both steps were last taken, in this session or when the trusted browser was verified. A
// skipped step does not count (OpenID Connect Core 2, auth_time).
func (s Session) AuthTime() time.Time {
	if s.AuthenticatedAt.After(s.TrustVerifiedAt) {
		return s.AuthenticatedAt
	}
	return s.TrustVerifiedAt
}

// maxBriefSession is the longest session whose cookie is deleted when the browser is closed, unless the person chooses.
const maxBriefSession = 24 * time.Hour

// Persistent reports whether the browser keeps the cookie of a new session when it is closed: if the person chose to
// stay signed in, or, where nobody is asked, if sessions last longer than 24 hours.
func (s *Sessions) Persistent(staySignedIn bool) bool {
	if s.StaySignedIn {
		return staySignedIn
	}
	return s.Absolute > maxBriefSession
}

// CookieMaxAge returns how long the browser keeps the cookie of a session, 0 for until it is closed.
func CookieMaxAge(row store.Session, now time.Time) time.Duration {
	return sessionFromRow(row).CookieMaxAge(now)
}

// CookieMaxAge returns how long the browser keeps the cookie of the session, 0 for until it is closed.
func (s Session) CookieMaxAge(now time.Time) time.Duration {
	if !s.Persistent {
		return 0
	}
	return max(s.ExpiresAt.Sub(now), time.Second)
}

// New returns a new session of an account and its token. The caller stores it with store.DB.CreateSession.
func (s *Sessions) New(
	a store.AccountRef, groups []string, from origin.Origin,
) (token string, row store.Session) {
	now := s.Now()
	limits := s.Rules.For(groups, "")
	token = seal.NewToken()
	return token, store.Session{
		ID:          rand.Text(),
		TokenHash:   seal.HashToken(token),
		AccountID:   a.ID,
		Epoch:       a.Epoch,
		Address:     from.AddressString(),
		UserAgent:   from.UserAgent,
		ClientHints: from.ClientHints,
		StartedAt:   now,
		LastSeenAt:  now,
		ExpiresAt:   now.Add(limits.Absolute.Within(s.Absolute)),
		Persistent:  s.Persistent(false),
	}
}

// Replace replaces the session who by a new one with the same authentication, device and expiry, at the next
// epoch of the account, which ends all other sessions. It returns ErrNoSession if the session has ended.
func (s *Sessions) Replace(
	ctx context.Context, tx *store.DB, who Session, from origin.Origin,
) (token string, err error) {
	if err := tx.DeleteSession(ctx, who.Account.ID, who.ID); err != nil {
		return "", endedMeanwhile(err)
	}
	token, row := s.New(store.AccountRef{ID: who.Account.ID, Epoch: who.epoch + 1}, who.Account.Groups, from)
	row.StartedAt, row.AuthenticatedAt, row.ExpiresAt = who.StartedAt, who.AuthenticatedAt, who.ExpiresAt
	row.AMR, row.TrustVerifiedAt = strings.Join(who.AMR, " "), who.TrustVerifiedAt
	row.AttemptID, row.DeviceID, row.FactorID = who.attemptID, who.deviceID, who.FactorID
	row.Persistent = who.Persistent
	row.DeskCodeID, row.MethodRequired = who.deskCodeID, who.MethodRequired
	row.Method, row.LongestIdle = who.Method, who.longestIdle
	return token, tx.CreateSession(ctx, row)
}

// CompleteSetup is EndOthers for a session in which the person has set up the method that was required. The session
// then lasts as long as others do. Its authentication stays that of the desk code.
func (s *Sessions) CompleteSetup(
	ctx context.Context, tx *store.DB, who Session, from origin.Origin,
) (token string, err error) {
	who.MethodRequired, who.ExpiresAt = false, who.StartedAt.Add(s.Absolute)
	return s.EndOthers(ctx, tx, who, from)
}

// EndOthers ends all other sessions and all sign-in attempts of the person after a factor was changed, and
// trust in their other browsers. It returns the new token of the current session. It returns ErrNoSession if
// the session has ended.
func (s *Sessions) EndOthers(
	ctx context.Context, tx *store.DB, who Session, from origin.Origin,
) (token string, err error) {
	if err := tx.IncrementEpoch(ctx, who.Account.ID, who.epoch); err != nil {
		return "", endedMeanwhile(err)
	}
	if err := s.Accounts.EndTrust(ctx, tx, who.Ref(), trust.RevokedFactorChanged, who.deviceID); err != nil {
		return "", err
	}
	return s.Replace(ctx, tx, who, from)
}

func endedMeanwhile(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return ErrNoSession
	}
	return err
}

// Reauthenticate updates the session with row's ID to row's token and authentication, and sets its expiry in row. It
// returns ErrNoSession if the session has ended.
func (s *Sessions) Reauthenticate(ctx context.Context, tx *store.DB, row *store.Session) error {
	now := s.Now()
	return endedMeanwhile(tx.ReauthenticateSession(ctx, row, now.Add(-s.Idle), now))
}

// Get returns the live session with this token and records its use. It returns ErrNoSession if there is none, and
// ErrMethodRequired if a method must be set up in it first.
func (s *Sessions) Get(ctx context.Context, token string) (Session, error) {
	found, err := s.GetForSetup(ctx, token)
	return complete(found, err)
}

// complete refuses a session in which a method must be set up first.
func complete(found Session, err error) (Session, error) {
	if err == nil && found.MethodRequired {
		return Session{}, ErrMethodRequired
	}
	return found, err
}

// GetForSetup is Get for the pages on which a method is set up: it also returns a session in which that is all that the
// person may do.
func (s *Sessions) GetForSetup(ctx context.Context, token string) (Session, error) {
	if token == "" {
		return Session{}, ErrNoSession
	}
	return s.findLive(ctx, func(idle, now time.Time) (store.Session, store.Account, error) {
		return s.Store.FindSession(ctx, seal.HashToken(token), idle, now)
	})
}

// GetByID returns the live session with this id and records its use. It returns ErrNoSession if there is none.
func (s *Sessions) GetByID(ctx context.Context, id string) (Session, error) {
	return s.FindBy(ctx, func(idle, now time.Time) (store.Session, store.Account, error) {
		return s.Store.GetSession(ctx, id, idle, now)
	})
}

// FindBy returns the session that read finds, and records its use. read returns a session that is live at now and was
// last seen at idle or later. FindBy returns ErrNoSession if read returns store.ErrNotFound, and ErrMethodRequired if a
// method must be set up in the session first.
func (s *Sessions) FindBy(
	ctx context.Context, read func(idle, now time.Time) (store.Session, store.Account, error),
) (Session, error) {
	found, err := s.findLive(ctx, read)
	return complete(found, err)
}

func (s *Sessions) findLive(
	ctx context.Context, read func(idle, now time.Time) (store.Session, store.Account, error),
) (Session, error) {
	s.recordOverdueUses(ctx)
	now := s.Now()
	row, a, err := read(now.Add(-s.Idle), now)
	if errors.Is(err, store.ErrNotFound) {
		return Session{}, ErrNoSession
	}
	if err != nil {
		return Session{}, fmt.Errorf("session: get: %w", err)
	}
	groups := account.SplitGroups(a.Groups)
	row.LongestIdle = max(row.LongestIdle, now.Sub(row.LastSeenAt))
	found, limits := sessionFromRow(row), s.Rules.For(groups, "")
	if !s.live(found, limits, now) {
		return Session{}, ErrNoSession
	}
	found.ExpiresAt = found.EndsBy(found.StartedAt, limits)
	if now.Sub(row.LastSeenAt) >= s.UseInterval() {
		s.uses.add(row.ID, now)
		found.LastSeenAt = now
	}
	found.Account = Account{
		ID:         a.ID,
		Email:      a.Email,
		Name:       a.Name,
		Operator:   a.Role == store.RoleOperator,
		Role:       a.Role,
		Groups:     groups,
		GivenName:  a.GivenName,
		FamilyName: a.FamilyName,
	}
	found.epoch = a.Epoch
	return found, nil
}

// live reports whether the limits of its person let a session go on.
func (s *Sessions) live(found Session, l policy.Limits, now time.Time) bool {
	if found.deskCodeID != "" { // it skipped the second step by no trust, and opens no app
		return found.lasts(l, now)
	}
	return !l.Absolute.Exceeded(now.Sub(found.StartedAt)) && found.Fits(l, now)
}

func sessionFromRow(row store.Session) Session {
	return Session{
		ID:              row.ID,
		StartedAt:       row.StartedAt,
		AuthenticatedAt: row.AuthenticatedAt,
		LastSeenAt:      row.LastSeenAt,
		ExpiresAt:       row.ExpiresAt,
		Persistent:      row.Persistent,
		AMR:             strings.Fields(row.AMR),
		Address:         row.Address,
		Browser:         trust.ParseBrowser(row.UserAgent, row.ClientHints),
		TrustVerifiedAt: row.TrustVerifiedAt,
		FactorID:        row.FactorID,
		MethodRequired:  row.MethodRequired,
		deskCodeID:      row.DeskCodeID,
		Method:          row.Method,
		longestIdle:     row.LongestIdle,
		deviceID:        row.DeviceID,
		attemptID:       row.AttemptID,
	}
}

// Cursor is the position of a session in the list.
type Cursor = store.Cursor

// ParseCursor parses the result of Cursor.String. It reports false if text is not valid.
func ParseCursor(text string) (Cursor, bool) { return store.ParseCursor(text) }

// Cursor returns the position of s in the list.
func (s Session) Cursor() Cursor { return Cursor{At: s.StartedAt, ID: s.ID} }

// ListOthers returns up to limit live sessions of the person other than who, the most recently started first. To read
// the next page, set before to the Cursor of the last session of this one.
func (s *Sessions) ListOthers(ctx context.Context, who Session, before Cursor, limit int) ([]Session, error) {
	now := s.Now()
	rows, err := s.Store.ListSessions(ctx, store.SessionFilter{
		Account: who.Account.ID, Except: who.ID, LastSeen: now.Add(-s.idleOf(who.Account.Groups)), Expires: now, Before: before, Limit: limit,
	})
	if err != nil {
		return nil, fmt.Errorf("session: list: %w", err)
	}
	list := s.listed(rows, who.Account.Groups, now)
	for i := range list {
		list[i].Account = who.Account
	}
	return list, nil
}

// idleOf returns after which time without a request a session of a person with these groups ends.
func (s *Sessions) idleOf(groups []string) time.Duration {
	return s.Rules.For(groups, "").Idle.Within(s.Idle)
}

// listed returns the sessions of a person with these groups that their limits let go on.
func (s *Sessions) listed(rows []store.Session, groups []string, now time.Time) []Session {
	list, limits := make([]Session, 0, len(rows)), s.Rules.For(groups, "")
	for _, row := range rows {
		row.LongestIdle = max(row.LongestIdle, now.Sub(row.LastSeenAt))
		if found := sessionFromRow(row); s.live(found, limits, now) {
			list = append(list, found)
		}
	}
	return list
}

// SignOut ends the session with this token, also one that has been idle for too long, so that its clients get a
// logout token. It returns nil if there is no such session.
func (s *Sessions) SignOut(ctx context.Context, token string, from origin.Origin) error {
	if token == "" {
		return nil
	}
	row, _, err := s.Store.FindSession(ctx, seal.HashToken(token), time.Time{}, s.Now())
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("session: sign out: %w", err)
	}
	return s.end(ctx, row.AccountID, row.ID, "signed out", from)
}

// End ends one of the person's sessions by its id. It returns nil if it has ended already.
func (s *Sessions) End(ctx context.Context, who Session, id string, from origin.Origin) error {
	return s.end(ctx, who.Account.ID, id, "ended from another session", from)
}

func (s *Sessions) end(ctx context.Context, account, id, reason string, from origin.Origin) error {
	err := s.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.DeleteSession(ctx, account, id); err != nil {
			return err
		}
		e := audit.Event{
			Kind:    audit.SessionEnded,
			Account: account,
			Target:  audit.Target("session", id),
			Reason:  reason,
		}
		return s.Accounts.Event(ctx, tx, e, from)
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("session: end: %w", err)
	}
	return nil
}

// EndAll ends all sessions and sign-in attempts of the person, this session too, and trust in all their
// browsers.
func (s *Sessions) EndAll(ctx context.Context, who Session, from origin.Origin) error {
	err := s.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.IncrementEpoch(ctx, who.Account.ID, who.epoch); err != nil {
			return err
		}
		if err := s.Accounts.EndTrust(ctx, tx, who.Ref(), trust.RevokedSignOutEverywhere, ""); err != nil {
			return err
		}
		return s.Accounts.Event(ctx, tx, audit.Event{Kind: audit.SessionsEnded, Account: who.Account.ID}, from)
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) { // another request has ended them
		return fmt.Errorf("session: end all: %w", err)
	}
	return nil
}
