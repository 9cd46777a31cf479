package signin

import "errors"

var (
	// ErrNoAttempt says that the token belongs to no sign-in: the person must begin.
	ErrNoAttempt = errors.New("no pending sign-in")
	// ErrNoSession says that the token belongs to no live session.
	ErrNoSession = errors.New("no session")
	// ErrUnknownMethod says that the account cannot prove itself in this way.
	ErrUnknownMethod = errors.New("not a method of this account")
	// ErrTooManyGuesses says that nothing was compared: the sign-in has no tries left
	// and the person must begin again.
	ErrTooManyGuesses = errors.New("too many wrong codes")
	// ErrLongCodeNeeded says that nothing was compared: somebody has guessed so often that this kind
	// of answer is not enough any more. The question has been asked anew.
	ErrLongCodeNeeded = errors.New("longer answer needed")
	// ErrStepUpRequired says that the last full proof is too long ago for this: the person must
	// prove again who they are.
	ErrStepUpRequired = errors.New("proof too old")
	// ErrNoPendingFactor says that no new factor of this method waits for its proof.
	ErrNoPendingFactor = errors.New("no new factor")
	// ErrTooManyFactors says that the account has as many factors of the method as it may.
	ErrTooManyFactors = errors.New("too many factors")
)
