package signin

import (
	"errors"
	"time"
)

var (
	// ErrCredentials says that the email or the password is not correct, and not which.
	ErrCredentials = errors.New("email or password not correct")
	// ErrNoSignIn says that the token belongs to no sign-in: the person must begin.
	ErrNoSignIn = errors.New("no pending sign-in")
	// ErrNoSession says that the token belongs to no live session.
	ErrNoSession = errors.New("no session")
	// ErrUnknownMethod says that the account cannot prove itself in this way.
	ErrUnknownMethod = errors.New("not a method of this account")
	// ErrTooManyTries says that nothing was compared: the sign-in has no tries left
	// and the person must begin again.
	ErrTooManyTries = errors.New("too many wrong codes")
	// ErrWait says that it was asked too early or too often; a *WaitError says until when.
	ErrWait = errors.New("too early")
	// ErrEmail says that the text is not an address that we accept.
	ErrEmail = errors.New("not an email address")
	// ErrName says that the text is empty, too long or holds characters nobody can see.
	ErrName = errors.New("not a name")
	// ErrExists says that the address has an account. Only operators are told.
	ErrExists = errors.New("account exists")
	// ErrLink says that the link is unknown, used or expired, and not which.
	ErrLink = errors.New("link unknown, used or expired")
	// ErrStepUp says that the last full proof is too long ago for this: the person must
	// prove again who they are.
	ErrStepUp = errors.New("proof too old")
	// ErrNoDraft says that no new factor of this method waits for its proof.
	ErrNoDraft = errors.New("no new factor")
	// ErrTooMany says that the account has as many factors of the method as it may.
	ErrTooMany = errors.New("too many factors")
	// ErrSignUpClosed says that nobody can make an account without an invitation.
	ErrSignUpClosed = errors.New("sign-up is closed")
)

// WaitError is an ErrWait that knows when to come back.
type WaitError struct{ Until time.Time }

func (e *WaitError) Error() string { return ErrWait.Error() }
func (e *WaitError) Unwrap() error { return ErrWait }
