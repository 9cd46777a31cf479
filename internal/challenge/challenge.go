// Package challenge is one attempt to prove who somebody is: ask, send, spend, verify, consume.
//
//	Begin ─▶ Choose ─▶ Resend ─▶ Verify ─▶ a session
//
// An attempt is loaded once from the token in a cookie: its row, its account, the open challenge
// with its codes, and the factors of the account. A sign-in, a step-up and the proof of a new
// factor are attempts with a purpose, and use the same verbs. The package knows no HTTP, no HTML
// and no SQL.
package challenge

import (
	"errors"
	"log/slog"
	"time"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/device"
	"twostep.example/twostep/internal/odds"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/store"
)

var (
	// ErrNoAttempt says that the token belongs to no attempt: the person must begin.
	ErrNoAttempt = errors.New("no pending sign-in")
	// ErrUnknownMethod says that the account cannot prove itself in this way.
	ErrUnknownMethod = errors.New("not a method of this account")
	// ErrTooManyGuesses says that nothing was compared: the attempt has no guesses left and the
	// person must begin again.
	ErrTooManyGuesses = errors.New("too many wrong codes")
	// ErrLongCodeNeeded says that nothing was compared: somebody has guessed so often that this
	// kind of answer is not enough any more. The challenge has been asked again.
	ErrLongCodeNeeded = errors.New("longer answer needed")
)

const (
	// TTL is how long an attempt may take.
	TTL = 30 * time.Minute
	// resendWindow is the part of it in which new codes may be asked for: the last one is then
	// still good for all of its own life.
	resendWindow = 15 * time.Minute
	// MaxCodeTTL is the longest that a code may be valid: the last one that is asked for does not outlive its sign-in.
	MaxCodeTTL = TTL - resendWindow
	// mailboxCooldown is for how long after a reset by mail the same mailbox does not prove the
	// second step as well, if there is another way.
	mailboxCooldown = 24 * time.Hour

	// MaxGuesses are the answers that may be compared within one attempt, over all its codes
	// and methods.
	MaxGuesses = 5
	// MaxLiveCodes are the codes of one challenge that are good at the same time, so that a
	// late message does not spoil the one that follows it.
	MaxLiveCodes = 3
	// MaxMessages are the messages that one attempt may cause; and one more, at once, if none
	// of them will do any more and the answer must be longer.
	MaxMessages = 5
)

// ResendDelay is how long to wait for another code after so many were sent: 30, 60, then 120 s.
func ResendDelay(sent int64) time.Duration {
	switch {
	case sent <= 1:
		return 30 * time.Second
	case sent == 2:
		return 60 * time.Second
	default:
		return 120 * time.Second
	}
}

// Challenges are the attempts of all accounts.
type Challenges struct {
	Store    *store.DB
	Keys     *seal.KeyRing
	Now      func() time.Time
	Log      *slog.Logger
	Accounts *account.Accounts
	Limits   *ratelimit.Limiter
	Devices  *device.Devices
	Budgets  *odds.Budgets
	Sessions *session.Sessions
	Methods  []factor.Method
	Texts    TextBudget
}

// Method is the method of this name.
func (c *Challenges) Method(name string) (factor.Method, bool) {
	for _, m := range c.Methods {
		if m.Info().Method == name {
			return m, true
		}
	}
	return nil, false
}
