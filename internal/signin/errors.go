package signin

import "errors"

var (
	// ErrNoSignIn says that the token belongs to no sign-in: the person must begin.
	ErrNoSignIn = errors.New("no pending sign-in")
	// ErrNoSession says that the token belongs to no live session.
	ErrNoSession = errors.New("no session")
	// ErrUnknownMethod says that the account cannot prove itself in this way.
	ErrUnknownMethod = errors.New("not a method of this account")
	// ErrTooManyTries says that nothing was compared: the sign-in has no tries left
	// and the person must begin again.
	ErrTooManyTries = errors.New("too many wrong codes")
	// ErrLonger says that nothing was compared: somebody has guessed so often that this kind
	// of answer is not enough any more. The question has been asked anew.
	ErrLonger = errors.New("longer answer needed")
	// ErrStepUp says that the last full proof is too long ago for this: the person must
	// prove again who they are.
	ErrStepUp = errors.New("proof too old")
	// ErrNoDraft says that no new factor of this method waits for its proof.
	ErrNoDraft = errors.New("no new factor")
	// ErrTooMany says that the account has as many factors of the method as it may.
	ErrTooMany = errors.New("too many factors")
)
