// Package challenge runs one attempt to prove who somebody is: ask for a code, send it, and verify the answer.
//
//	Begin ─▶ Choose ─▶ Resend ─▶ Verify ─▶ a session
//
// An attempt is loaded once from the token in a cookie: its row, its account, the open challenge with its codes, and
// the factors of the account. A sign-in, a step-up and the confirmation of a new factor are attempts with different
// purposes, and use the same methods. Callers handle HTTP and HTML; package store has the SQL.
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
	// ErrNoAttempt says that the token belongs to no running attempt: the person must start again.
	ErrNoAttempt = errors.New("no pending sign-in")
	// ErrUnknownMethod says that the account has no factor of this method that it can use in this attempt.
	ErrUnknownMethod = errors.New("not a method of this account")
	// ErrTooManyGuesses says that the answer was not compared because the attempt has had MaxGuesses already: the
	// person must start again.
	ErrTooManyGuesses = errors.New("too many wrong codes")
	// ErrNoMoreCodes says that this attempt may cause no more messages, because it has caused MaxMessages or was started
	// more than TTL ago: the person must start again.
	ErrNoMoreCodes = errors.New("no more codes in this sign-in")
	// ErrLongCodeNeeded says that the answer was not compared because the guess budget is used up, see package odds.
	// The challenge has been reissued and now needs a long code.
	ErrLongCodeNeeded = errors.New("longer answer needed")
)

const (
	// TTL is how long an attempt may take, and how long new codes may be requested in it. A code that is sent late
	// extends the attempt until that code expires: a requested one by at most MaxCodeTTL, and a long code that replaces
	// it, once the guess budget is used up, by at most MaxCodeTTL more.
	TTL = 30 * time.Minute
	// MaxCodeTTL is the longest CodeTTL of a method.
	MaxCodeTTL = 15 * time.Minute
	// EmailPauseAfterReset is the default of EmailPolicy.PauseAfterReset.
	EmailPauseAfterReset = 24 * time.Hour

	// MaxGuesses is how many answers may be compared in one attempt, over all its codes and methods.
	MaxGuesses = 5
	// MaxLiveCodes is how many codes of one challenge are valid at the same time, so that a delayed message still
	// works after a new code was requested.
	MaxLiveCodes = 3
	// MaxMessages is how many messages one attempt may cause. One more is sent if the challenge is reissued with a long
	// code.
	MaxMessages = 5
)

// ResendDelay returns how long to wait before requesting another code after so many messages were sent:
// 30, 60, then 120 seconds.
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

// Challenges manages the attempts of all accounts.
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
	Email    EmailPolicy
	// Observe is called with what happened to a code of a method. nil: nothing is.
	Observe func(method string, e CodeEvent)
}

// CodeEvent is what happened to a code.
type CodeEvent string

// The code events.
const (
	CodeIssued   CodeEvent = "issued"   // a message with it was enqueued
	CodeAccepted CodeEvent = "accepted" // it was entered and is right
	CodeRejected CodeEvent = "rejected" // what was entered is not right
	CodeExpired  CodeEvent = "expired"  // something was entered when no code that was sent was valid any more
)

// CodeEvents returns every CodeEvent.
func CodeEvents() []CodeEvent {
	return []CodeEvent{CodeIssued, CodeAccepted, CodeRejected, CodeExpired}
}

func (c *Challenges) observe(method string, e CodeEvent) {
	if c.Observe != nil {
		c.Observe(method, e)
	}
}

// EmailPolicy says when codes by email are a second step of an account that has another method. The mailbox also resets
// the password, so it is the weaker one.
type EmailPolicy struct {
	// UntilAnother says that they are none: email is a second step only until another method is set up. A person can
	// choose this for their account, see enroll.Enrollments.SetEmailSecondStep.
	UntilAnother bool
	// PauseAfterReset is how long after a password reset by email they are none. Otherwise access to the mailbox alone would
	// be enough to sign in at once.
	PauseAfterReset time.Duration
}

// Method returns the method of this name, and whether there is one.
func (c *Challenges) Method(name string) (factor.Method, bool) {
	for _, m := range c.Methods {
		if m.Info().Method == name {
			return m, true
		}
	}
	return nil, false
}
