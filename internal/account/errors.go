package account

import (
	"errors"
)

var (
	// ErrCredentials says that the email or the password is not correct, and not which.
	ErrCredentials = errors.New("email or password not correct")
	// ErrEmail says that the text is not an address that we accept.
	ErrEmail = errors.New("not an email address")
	// ErrName says that the text is empty, too long or holds characters nobody can see.
	ErrName = errors.New("not a name")
	// ErrExists says that the address has an account. Only operators are told.
	ErrExists = errors.New("account exists")
	// ErrUnknown says that the address has no account. Only operators are told.
	ErrUnknown = errors.New("no such account")
	// ErrLink says that the link is unknown, used or expired, and not which.
	ErrLink = errors.New("link unknown, used or expired")
	// ErrSignUpClosed says that nobody can make an account without an invitation.
	ErrSignUpClosed = errors.New("sign-up is closed")
)
