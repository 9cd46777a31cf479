package ratelimit

const (
	// LinksPerAddressHour and LinksPerAddressDay limit the emails with a link (reset, sign-up) to one address. Beyond
	// them, each network that has requested none today gets one, up to LinksNewNetworksPerDay in total.
	LinksPerAddressHour, LinksPerAddressDay, LinksNewNetworksPerDay = 3, 10, 20
	// LinksPerNetworkHour limits the links that one network may request.
	LinksPerNetworkHour = 30

	// TextsPerNumberDay limits the text messages to one number.
	TextsPerNumberDay = 20
	// TextsPerBlockHour limits the text messages to all numbers with the same first BlockDigits digits, and so also to
	// one number.
	TextsPerBlockHour = 10
	// TextsPerAccountDay limits the text messages of one account.
	TextsPerAccountDay = 20
	// TextsPerNetworkHour limits the text messages that one network may request.
	TextsPerNetworkHour = 20
	// NewNumberTextsPerDay limits the text messages that verify a new number, which anyone can enter. They count
	// against the block too. A browser that the account knows has its own quota (KnownMailsPerHour,
	// KnownMailsPerDay) within TextsPerAccountDay.
	NewNumberTextsPerDay = 10
	// BlockDigits is the number of leading digits that the numbers of a block share.
	BlockDigits = 7

	// SignInsPerNetworkHour limits the sign-ins that one network may start for one account, in browsers that the
	// account does not know.
	SignInsPerNetworkHour = 60
	// SessionPasswordsPerHour limits the passwords that a signed-in person may try.
	SessionPasswordsPerHour = 20
	// NameChangesPerHour limits how often a person may change their name. Each change is a security event, and many would
	// hide the others in the history of the account.
	NameChangesPerHour = 20
	// SecondStepChangesPerHour limits how often a person may choose whether codes by email are a second step. Each change is
	// a security event and an email, and many would delay the emails of others.
	SecondStepChangesPerHour = 20
	// NewAddressMailsPerHour and NewAddressMailsPerDay limit the emails to an address that does not belong to the
	// account yet; NewAddressMailsPerAccountDay limits those of one account.
	NewAddressMailsPerHour, NewAddressMailsPerDay, NewAddressMailsPerAccountDay = 10, 20, 10
	// OperatorChangesPerHour limits what one operator changes of accounts on the operators' pages, and
	// OperatorChangesPerAccountHour what all of them change of one account: each change is an email to the person.
	OperatorChangesPerHour, OperatorChangesPerAccountHour = 300, 30
	// OperatorMailsPerHour and OperatorMailsPerDay limit the emails with a link that operators send from their pages to one
	// address.
	OperatorMailsPerHour, OperatorMailsPerDay = 10, 20
	// InvitationsPerDay limits the people whom one operator invites on the operators' pages.
	InvitationsPerDay = 2000
	// DeskCodesPerDay limits the desk codes that operators may request for one account. Each is told at every address and
	// number of the account.
	DeskCodesPerDay = 10
	// PendingFactorsPerHour limits the factors that one account may start to set up.
	PendingFactorsPerHour = 100

	// UnknownNetworkFactor is the number of networks that all requests from unknown networks count as together.
	UnknownNetworkFactor = 20
)
