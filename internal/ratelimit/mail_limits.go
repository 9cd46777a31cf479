package ratelimit

const (
	// MailsPerNetworkHour are the mails with a code that one network may cause for an account
	// in an hour; MailsPerDay are those of all unknown networks together in a day. Beyond them
	// each network that has had none gets one more, up to MailsNewNetworksPerDay.
	MailsPerNetworkHour, MailsPerDay, MailsNewNetworksPerDay = 5, 10, 30
	// KnownMailsPerHour and KnownMailsPerDay are those of a browser or network in which the
	// account has taken both steps: nobody else can use them up.
	KnownMailsPerHour, KnownMailsPerDay = 6, 15
)
