package account

import (
	"errors"
	"fmt"
	"time"

	"twostep.example/twostep/internal/store"
)

var (
	// ErrCredentials means that the email address or the password is wrong. It does not say which.
	ErrCredentials = errors.New("email or password not correct")
	// ErrEmail means that the text is not an accepted email address.
	ErrEmail = errors.New("not an email address")
	// ErrName means that the name is empty, too long or has unprintable characters.
	ErrName = errors.New("not a name")
	// ErrGivenName and ErrFamilyName are ErrName for these names, except that they may be empty.
	ErrGivenName  = fmt.Errorf("given name: %w", ErrName)
	ErrFamilyName = fmt.Errorf("family name: %w", ErrName)
	// ErrRole means that the role is not one of "", operator, helpdesk and auditor.
	ErrRole = errors.New("not a role, want operator, helpdesk or auditor")
	// ErrExists means that the address has an account. Show it to operators only.
	ErrExists = errors.New("account exists")
	// ErrUnknown means that the address has no account. Show it to operators only.
	ErrUnknown = errors.New("no such account")
	// ErrLink means that the link is unknown, used or expired. It does not say which.
	ErrLink = errors.New("link unknown, used or expired")
	// ErrSignUpClosed means that creating an account requires an invitation.
	ErrSignUpClosed = errors.New("sign-up is closed")
	// ErrDisabled means that the account is disabled, and ErrEnabled that it is not. Show them to operators only.
	ErrDisabled = errors.New("account disabled")
	ErrEnabled  = errors.New("account not disabled")
	// ErrNotFrozen means that the account is not frozen, or that the requested undo is taking effect now.
	ErrNotFrozen = errors.New("account not frozen")
	// ErrLastOperator means that the account is the last active one with the mark of an operator.
	ErrLastOperator = errors.New("last operator")
	// ErrNoInvitation means that there is no invitation of this address that was not used. Show it to operators only.
	ErrNoInvitation = errors.New("no invitation")
	// ErrChanged means that something else changed the account at the same time. The caller may try again.
	ErrChanged = errors.New("account changed at the same time")
	// ErrFrozen means that the account is frozen until a requested undo takes effect or is objected to: nothing that
	// proves who the person is can be changed. See package enroll.
	ErrFrozen = errors.New("account frozen")
)

// FrozenError is an ErrFrozen with the end of the freeze.
type FrozenError struct{ Until time.Time }

func (e *FrozenError) Error() string { return fmt.Sprintf("%s until %s", ErrFrozen, e.Until) }

func (e *FrozenError) Unwrap() error { return ErrFrozen }

// Frozen returns a *FrozenError if the account is frozen, and nil otherwise. A freeze does not end with the clock, but
// when the undo has taken effect.
func Frozen(a store.Account) error {
	if a.FrozenUntil.IsZero() {
		return nil
	}
	return &FrozenError{a.FrozenUntil}
}
