package account

import "errors"

var (
	// ErrCredentials means that the email address or the password is wrong. It does not say which.
	ErrCredentials = errors.New("email or password not correct")
	// ErrEmail means that the text is not an accepted email address.
	ErrEmail = errors.New("not an email address")
	// ErrName means that the name is empty, too long or has unprintable characters.
	ErrName = errors.New("not a name")
	// ErrExists means that the address has an account. Show it to operators only.
	ErrExists = errors.New("account exists")
	// ErrUnknown means that the address has no account. Show it to operators only.
	ErrUnknown = errors.New("no such account")
	// ErrLink means that the link is unknown, used or expired. It does not say which.
	ErrLink = errors.New("link unknown, used or expired")
	// ErrSignUpClosed means that creating an account requires an invitation.
	ErrSignUpClosed = errors.New("sign-up is closed")
)
