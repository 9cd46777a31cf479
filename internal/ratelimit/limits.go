package ratelimit

const (
	// LinksPerAddressHour and LinksPerAddressDay are the links by mail (reset, sign-up) to one
	// address. Beyond them each network that has asked for none today gets one, in all
	// LinksNewNetworksPerDay.
	LinksPerAddressHour, LinksPerAddressDay, LinksNewNetworksPerDay = 3, 10, 20
	// LinksPerNetworkHour are the links that one network may ask for in an hour.
	LinksPerNetworkHour = 30

	// TextsPerNumberDay are the text messages to one number.
	TextsPerNumberDay = 20
	// TextsPerBlockHour are the text messages to all numbers that share their first BlockDigits
	// digits, and so to one number too.
	TextsPerBlockHour = 10
	// TextsPerAccountDay are the text messages of one account.
	TextsPerAccountDay = 20
	// TextsPerNetworkHour are the text messages that one network may cause.
	TextsPerNetworkHour = 20
	// NewNumberTextsPerDay are the text messages that prove a number, which anybody may ask
	// for. They count against the block too. A browser that the account knows has its own
	// quota (KnownMailsPerHour, KnownMailsPerDay), within TextsPerAccountDay.
	NewNumberTextsPerDay = 10
	// BlockDigits are the leading digits that numbers of a block have in common.
	BlockDigits = 7

	// SignInsPerNetworkHour are the sign-ins that one network may begin for one account, in
	// browsers that the account does not know.
	SignInsPerNetworkHour = 60
	// SessionPasswordsPerHour are the passwords that a signed-in person may try in an hour.
	SessionPasswordsPerHour = 20
	// NewAddressMailsPerHour and NewAddressMailsPerDay are the mails to an address that is not
	// the account's yet; NewAddressMailsPerAccountDay are those of one account.
	NewAddressMailsPerHour, NewAddressMailsPerDay, NewAddressMailsPerAccountDay = 10, 20, 10
	// PendingFactorsPerHour are the new factors that one account may begin to set up.
	PendingFactorsPerHour = 100

	// UnknownNetworkFactor is how many networks all requests from unknown networks count as.
	UnknownNetworkFactor = 20
)
