// Package limit is the arithmetic of odds, budgets and waits. It is pure: it keeps
// no state and knows no clock.
package limit

import "time"

const (
	// MaxGuesses are the answers that may be compared within one sign-in, over all its
	// codes and methods.
	MaxGuesses = 5
	// MaxLiveCodes are the codes of one challenge that are good at the same time, so
	// that a late message does not spoil the one that follows it.
	MaxLiveCodes = 3
	// MaxMessages are the messages that one sign-in may cause; and one more, at once, if none of
	// them will do any more and the answer must be longer.
	MaxMessages = 5
	// LinksPerAddressHour and LinksPerDay are the links by mail (reset, sign-up) for one address;
	// beyond them each network has one more a day, in all LinksBeyond.
	LinksPerAddressHour, LinksPerAddressDay, LinksNewNetworksPerDay = 3, 10, 20
	// TextsPer… are the text messages for one number, for the numbers that begin with
	// the same digits, of one account and from one network.
	TextsPerNumberDay   = 20 // in a day
	TextsPerBlockHour   = 10 // in an hour, and so for one number too
	TextsPerAccountDay  = 20 // in a day
	TextsPerNetworkHour = 20 // in an hour
	// NewNumberTextsPerDay are those that prove a number, which anybody may ask for; they have a
	// ration of the block too. A browser that the account knows has its own (KnownSends…), and all
	// of an account together TextsPerAccount besides.
	NewNumberTextsPerDay = 10 // in a day
	// SignInsPerNetworkHour are the sign-ins of one account, in browsers that it does not know, that
	// one network may begin in an hour.
	SignInsPerNetworkHour = 60
	// SessionPasswordsPerHour are the passwords that may be tried in an hour by somebody who is in.
	SessionPasswordsPerHour = 20
	// NewMails… are the mails to an address that is not the account's yet, and of one account.
	NewAddressMailsPerHour, NewAddressMailsPerDay, NewAddressMailsPerAccountDay = 10, 20, 10
	// PendingFactorsPerHour are the new factors that may be drawn up in an hour.
	PendingFactorsPerHour = 100
	// BlockDigits are the leading digits that numbers of a block have in common.
	BlockDigits = 7
	// LinksPerNetworkHour are those that one network may ask for in an hour.
	LinksPerNetworkHour = 30
	// UnknownNetworkFactor is how many networks those are taken for whose network nobody knows.
	UnknownNetworkFactor = 20
)

// ResendDelay is how long to wait for another code after so many were sent: 30, 60,
// then 120 s.
func ResendDelay(sends int64) time.Duration {
	switch {
	case sends <= 1:
		return 30 * time.Second
	case sends == 2:
		return 60 * time.Second
	default:
		return 120 * time.Second
	}
}

// DeliveryBackoff is how long the outbox waits after so many failed attempts: 1, 2, 4 … 60 s.
func DeliveryBackoff(tries int64) time.Duration {
	if tries > 6 {
		return time.Minute
	}
	return time.Second << max(tries-1, 0)
}
