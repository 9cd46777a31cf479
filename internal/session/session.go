// Package session creates, finds and ends the sessions of people who are signed in.
//
// A session and a sign-in attempt are different tables, cookies and types: nothing turns one
// into the other but challenge.Attempt.Verify, and a sign-in that trust lets skip the second step.
package session

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/device"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

var (
	// ErrNoSession says that the token belongs to no live session.
	ErrNoSession = errors.New("no session")
	// ErrStepUpRequired says that the last full proof is too long ago for this: the person must
	// take both steps again.
	ErrStepUpRequired = errors.New("proof too old")
)

const (
	// touchInterval is how exactly the last use of a session is stored; a write on every
	// request would cost more than it tells.
	touchInterval = time.Minute
	// FreshFor is how old the last full proof may be for changing what proves the person.
	FreshFor = 10 * time.Minute
)

// Sessions are the sessions of all accounts.
type Sessions struct {
	Store    *store.DB
	Now      func() time.Time
	Accounts *account.Accounts
	Idle     time.Duration // a session ends after so long without a request
	Absolute time.Duration // and after so long in any case
}

// Session is one browser in which a person is signed in.
type Session struct {
	ID              string
	Account         Account
	StartedAt       time.Time
	AuthenticatedAt time.Time // when both steps were last taken; zero if trust skipped the second
	LastSeenAt      time.Time // to the minute
	ExpiresAt       time.Time // in any case
	AMR             []string  // authentication method references (RFC 8176)
	Address         string
	Browser         trust.Browser
	// TrustVerifiedAt is when the browser was verified, if trust in it skipped the second step.
	TrustVerifiedAt time.Time

	device  string // the browser it began in
	attempt string // the sign-in it came from
	epoch   int64
}

// Account is the person who is signed in.
type Account struct {
	ID       string
	Email    string
	Name     string
	Operator bool
	Groups   []string
}

// Cookies are what a browser is given on the way in, one cookie each; "" for none.
type Cookies struct {
	Attempt string // the token of the sign-in that waits for its second step
	Session string // the token of the session: the person is signed in
	Device  string // the token of the browser itself
}

// Ref is the account as it was when the session was read.
func (s Session) Ref() store.AccountRef { return store.AccountRef{ID: s.Account.ID, Epoch: s.epoch} }

// Owner is the person, for what is stored about their browsers.
func (s Session) Owner() device.SessionDevice {
	return device.SessionDevice{AccountRef: s.Ref(), DeviceID: s.device}
}

// RecentlyAuthenticated reports whether the person has taken both steps so lately that they
// may change a factor, the address or the password.
func (s Session) RecentlyAuthenticated(now time.Time) bool {
	return now.Sub(s.AuthenticatedAt) <= FreshFor
}

// AuthTime is when both steps were last taken: in this session, or in the one in which the
// browser was verified. It is never the time of a skipped step (OpenID Connect Core 2, auth_time).
func (s Session) AuthTime() time.Time {
	if s.AuthenticatedAt.After(s.TrustVerifiedAt) {
		return s.AuthenticatedAt
	}
	return s.TrustVerifiedAt
}

// New draws up a session of an account that begins now, and its token. Store.AddSession makes
// it a session.
func (s *Sessions) New(a store.AccountRef, from origin.Origin) (token string, row store.Session) {
	now := s.Now()
	token = seal.NewToken()
	return token, store.Session{
		ID: rand.Text(), TokenHash: seal.HashToken(token), AccountID: a.ID, Epoch: a.Epoch,
		Address: from.AddressString(), UserAgent: from.UserAgent, ClientHints: from.ClientHints,
		StartedAt: now, LastSeenAt: now, ExpiresAt: now.Add(s.Absolute),
	}
}

// Replace puts a new session with the same proof, browser and end in the place of who's, at the
// epoch that follows who's: all other sessions are void by then. It returns ErrNoSession if who's
// was ended meanwhile.
func (s *Sessions) Replace(ctx context.Context, tx *store.DB, who Session, from origin.Origin) (token string, err error) {
	if err := tx.DeleteSession(ctx, who.Account.ID, who.ID); err != nil {
		return "", endedMeanwhile(err)
	}
	token, row := s.New(store.AccountRef{ID: who.Account.ID, Epoch: who.epoch + 1}, from)
	row.StartedAt, row.AuthenticatedAt, row.ExpiresAt = who.StartedAt, who.AuthenticatedAt, who.ExpiresAt
	row.AMR, row.AttemptID, row.DeviceID, row.TrustVerifiedAt = strings.Join(who.AMR, " "), who.attempt, who.device, who.TrustVerifiedAt
	return token, tx.CreateSession(ctx, row)
}

// EndOthers ends every other session and every sign-in attempt of the person after a factor was
// changed, and trust in their other browsers; theirs goes on under the token it returns. It
// returns ErrNoSession if it was ended meanwhile.
func (s *Sessions) EndOthers(ctx context.Context, tx *store.DB, who Session, from origin.Origin) (token string, err error) {
	if err := tx.IncrementEpoch(ctx, who.Account.ID, who.epoch); err != nil {
		return "", endedMeanwhile(err)
	}
	if err := s.Accounts.EndTrust(ctx, tx, who.Ref(), trust.RevokedFactorChanged, who.device); err != nil {
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

// Reauthenticate gives the session with row's ID row's token and proof. It returns ErrNoSession
// if the session ended while its person took the steps.
func (s *Sessions) Reauthenticate(ctx context.Context, tx *store.DB, row store.Session) error {
	now := s.Now()
	return endedMeanwhile(tx.ReauthenticateSession(ctx, row, now.Add(-s.Idle), now))
}

// Get returns the live session of a token, and notes that it was used. It returns ErrNoSession
// if there is none.
func (s *Sessions) Get(ctx context.Context, token string) (Session, error) {
	if token == "" {
		return Session{}, ErrNoSession
	}
	now := s.Now()
	row, a, err := s.Store.FindSession(ctx, seal.HashToken(token), now.Add(-s.Idle), now)
	return s.used(ctx, row, a, err)
}

// GetByID returns the live session with this id, which a person goes on with behind a reverse
// proxy: it is used as if its browser had come here. It returns ErrNoSession if there is none.
func (s *Sessions) GetByID(ctx context.Context, id string) (Session, error) {
	now := s.Now()
	row, a, err := s.Store.GetSession(ctx, id, now.Add(-s.Idle), now)
	return s.used(ctx, row, a, err)
}

// used notes that a session that was found is used now.
func (s *Sessions) used(ctx context.Context, row store.Session, a store.Account, err error) (Session, error) {
	now := s.Now()
	if errors.Is(err, store.ErrNotFound) {
		return Session{}, ErrNoSession
	}
	if err != nil {
		return Session{}, fmt.Errorf("session: get: %w", err)
	}
	if now.Sub(row.LastSeenAt) >= min(touchInterval, s.Idle/2) {
		if err := s.Store.TouchSession(ctx, row.ID, now); err != nil {
			return Session{}, fmt.Errorf("session: touch: %w", err)
		}
	}
	found := read(row)
	found.Account = Account{ID: a.ID, Email: a.Email, Name: a.Name, Operator: a.Operator, Groups: strings.Fields(a.Groups)}
	found.epoch = a.Epoch
	return found, nil
}

func read(row store.Session) Session {
	return Session{
		ID: row.ID, StartedAt: row.StartedAt, AuthenticatedAt: row.AuthenticatedAt, LastSeenAt: row.LastSeenAt,
		ExpiresAt: row.ExpiresAt, AMR: strings.Fields(row.AMR), Address: row.Address,
		Browser:         trust.ParseBrowser(row.UserAgent, row.ClientHints),
		TrustVerifiedAt: row.TrustVerifiedAt, device: row.DeviceID, attempt: row.AttemptID,
	}
}

// List lists the live sessions of the person, the last used first.
func (s *Sessions) List(ctx context.Context, who Session) ([]Session, error) {
	now := s.Now()
	rows, err := s.Store.ListSessions(ctx, who.Account.ID, now.Add(-s.Idle), now)
	if err != nil {
		return nil, fmt.Errorf("session: list: %w", err)
	}
	list := make([]Session, len(rows))
	for i, row := range rows {
		list[i] = read(row)
		list[i].Account = who.Account
	}
	return list, nil
}

// SignOut ends the session of a token, also one that has been idle for too long: its apps are
// told. A token without a session is no error.
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

// End ends another session of the person by its id. One that has ended is no error.
func (s *Sessions) End(ctx context.Context, who Session, id string, from origin.Origin) error {
	return s.end(ctx, who.Account.ID, id, "ended from another session", from)
}

func (s *Sessions) end(ctx context.Context, account, id, why string, from origin.Origin) error {
	err := s.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.DeleteSession(ctx, account, id); err != nil {
			return err
		}
		e := audit.Event{Kind: audit.SessionEnded, Account: account, Target: audit.Target("session", id), Reason: why}
		return s.Accounts.Event(ctx, tx, e, from)
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("session: end: %w", err)
	}
	return nil
}

// EndAll ends every session and every sign-in attempt of the person, this one too, and trust
// in all their browsers.
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
	if err != nil && !errors.Is(err, store.ErrNotFound) { // another request ended them all
		return fmt.Errorf("session: end all: %w", err)
	}
	return nil
}
