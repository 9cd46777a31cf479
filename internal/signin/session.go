package signin

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
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// seenEvery is how exactly the last use of a session is kept; a write on every
// request would cost more than it tells.
const seenEvery = time.Minute

// Session is somebody who is in.
type Session struct {
	ID      string
	Account Account
	Began   time.Time
	Proved  time.Time // when step two was last proven
	Seen    time.Time // last use, to the minute
	Ends    time.Time // in any case
	AMR     []string  // how it was proven (RFC 8176)
	Address string
	Browser trust.Browser
	// Trusted is when the browser was verified, if trust in it skipped step two.
	Trusted time.Time
	device  string // the browser it began in
	epoch   int64
	signIn  string // the sign-in it came from
}

// Account is the person who is in.
type Account struct {
	ID       string
	Email    string
	Name     string
	Operator bool
	Groups   []string
}

// newSession draws up a session that begins now, and its token.
func (e *Engine) newSession(a store.Account, from account.From) (token string, row store.Session) {
	now := e.Now()
	token = seal.Token()
	return token, store.Session{
		ID: rand.Text(), Token: seal.Hash(token), Account: a.ID, Epoch: a.Epoch,
		Address: from.AddressText(), Browser: from.UserAgent, Hints: from.Hints,
		BeganAt: store.Millis(now), SeenAt: store.Millis(now), EndsAt: store.Millis(now.Add(e.Absolute)),
	}
}

// carriedOn draws up the session in which who goes on after everything before was
// made void, and its token: the same proof and the same end.
func (e *Engine) carriedOn(who Session, from account.From) (token string, row store.Session) {
	token, row = e.newSession(store.Account{ID: who.Account.ID, Epoch: who.epoch + 1}, from)
	row.BeganAt, row.ProvedAt, row.EndsAt = store.Millis(who.Began), store.Millis(who.Proved), store.Millis(who.Ends)
	row.AMR, row.SignIn, row.Device, row.TrustedAt = strings.Join(who.AMR, " "), who.signIn, who.device, store.Millis(who.Trusted)
	return token, row
}

// rekey voids every sign-in and session of the person after a factor was changed, ends
// trust in their other browsers, and opens the session in which who goes on.
// ErrNoSession: it was ended meanwhile.
func (e *Engine) rekey(ctx context.Context, tx *store.DB, who Session, from account.From) (token string, err error) {
	if err := tx.RaiseEpoch(ctx, who.Account.ID, who.epoch); err != nil {
		return "", endedMeanwhile(err)
	}
	if err := e.EndTrust(ctx, tx, who.row(), trust.EndedFactor, who.device); err != nil {
		return "", err
	}
	return e.carryOn(ctx, tx, who, from)
}

// Owner is the person, for what is kept of their browsers.
func (s Session) Owner() device.Owner {
	return device.Owner{Account: s.Account.ID, Epoch: s.epoch, Device: s.device}
}

// row is the account as it was when the session was read.
func (s Session) row() store.Account { return store.Account{ID: s.Account.ID, Epoch: s.epoch} }

// carryOn puts the session in which who goes on in the place of the one they were in.
// If that one was ended meanwhile it stays ended, and whatever the transaction did with it.
func (e *Engine) carryOn(ctx context.Context, tx *store.DB, who Session, from account.From) (token string, err error) {
	if err := tx.EndOneSession(ctx, who.Account.ID, who.ID); err != nil {
		return "", endedMeanwhile(err)
	}
	token, row := e.carriedOn(who, from)
	return token, tx.AddSession(ctx, row)
}

func endedMeanwhile(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return ErrNoSession
	}
	return err
}

// Session is the live session of this token. ErrNoSession.
func (e *Engine) Session(ctx context.Context, token string) (Session, error) {
	if token == "" {
		return Session{}, ErrNoSession
	}
	now := e.Now()
	row, a, err := e.Store.Session(ctx, seal.Hash(token), store.Millis(now.Add(-e.Idle)), store.Millis(now))
	return e.seen(ctx, row, a, err)
}

// SessionOf is the live session with this id, which somebody goes on with behind a proxy: it
// is used as if its browser had come here. ErrNoSession.
func (e *Engine) SessionOf(ctx context.Context, id string) (Session, error) {
	now := e.Now()
	row, a, err := e.Store.SessionOf(ctx, id, store.Millis(now.Add(-e.Idle)), store.Millis(now))
	return e.seen(ctx, row, a, err)
}

// seen is a session that was found, and used now.
func (e *Engine) seen(ctx context.Context, row store.Session, a store.Account, err error) (Session, error) {
	now := e.Now()
	if errors.Is(err, store.ErrNotFound) {
		return Session{}, ErrNoSession
	}
	if err != nil {
		return Session{}, fmt.Errorf("signin: session: %w", err)
	}
	if now.Sub(store.Time(row.SeenAt)) >= min(seenEvery, e.Idle/2) {
		if err := e.Store.SeeSession(ctx, row.ID, store.Millis(now)); err != nil {
			return Session{}, fmt.Errorf("signin: session: %w", err)
		}
	}
	s := described(row)
	s.Account = Account{ID: a.ID, Email: a.Email, Name: a.Name, Operator: a.Operator, Groups: strings.Fields(a.Groups)}
	s.epoch = a.Epoch
	return s, nil
}

func described(row store.Session) Session {
	return Session{
		ID: row.ID, Began: store.Time(row.BeganAt), Proved: store.Time(row.ProvedAt), Seen: store.Time(row.SeenAt),
		Ends: store.Time(row.EndsAt), AMR: strings.Fields(row.AMR), Address: row.Address, Browser: trust.ReadBrowser(row.Browser, row.Hints),
		Trusted: store.Time(row.TrustedAt), device: row.Device, signIn: row.SignIn,
	}
}

// Sessions are the live sessions of the person, the last used first.
func (e *Engine) Sessions(ctx context.Context, who Session) ([]Session, error) {
	now := e.Now()
	rows, err := e.Store.Sessions(ctx, who.Account.ID, store.Millis(now.Add(-e.Idle)), store.Millis(now))
	if err != nil {
		return nil, fmt.Errorf("signin: sessions: %w", err)
	}
	list := make([]Session, len(rows))
	for i, row := range rows {
		list[i] = described(row)
		list[i].Account = who.Account
	}
	return list, nil
}

// SignOut ends the session of this token, also one that nobody has used for long: its apps must
// hear of it. One that is over is no error.
func (e *Engine) SignOut(ctx context.Context, token string, from account.From) error {
	who, _, err := e.Store.Session(ctx, seal.Hash(token), 0, store.Millis(e.Now()))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("signin: sign out: %w", err)
	}
	err = e.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.EndSession(ctx, seal.Hash(token)); err != nil {
			return err
		}
		return e.Event(ctx, tx, audit.Event{Kind: audit.SessionEnded, Account: who.Account}, from)
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("signin: sign out: %w", err)
	}
	return nil
}

// EndSession ends another session of the person by its id. One that is over is no error.
func (e *Engine) EndSession(ctx context.Context, who Session, id string, from account.From) error {
	err := e.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.EndOneSession(ctx, who.Account.ID, id); err != nil {
			return err
		}
		return e.Event(ctx, tx, audit.Event{Kind: audit.SessionEnded, Account: who.Account.ID}, from)
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("signin: end session: %w", err)
	}
	return nil
}

// SignOutEverywhere ends every session and every pending sign-in of the person, this
// one too, and trust in all their browsers.
func (e *Engine) SignOutEverywhere(ctx context.Context, who Session, from account.From) error {
	err := e.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.RaiseEpoch(ctx, who.Account.ID, who.epoch); err != nil {
			return err
		}
		if err := e.EndTrust(ctx, tx, who.row(), trust.EndedEverywhere, ""); err != nil {
			return err
		}
		return e.Event(ctx, tx, audit.Event{Kind: audit.SessionsEnded, Account: who.Account.ID}, from)
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) { // somebody else ended them all
		return fmt.Errorf("signin: sign out everywhere: %w", err)
	}
	return nil
}
