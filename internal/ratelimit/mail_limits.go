package ratelimit

const (
	// MailsPerNetworkHour limits the emails with a code that one network may request for an account; MailsPerDay limits
	// those of all networks that the account does not know together. Beyond it, each network without one gets one, up
	// to MailsNewNetworksPerDay in total.
	MailsPerNetworkHour, MailsPerDay, MailsNewNetworksPerDay = 5, 10, 30
	// KnownMailsPerHour and KnownMailsPerDay limit those of a browser or network in which the account has taken both
	// steps. Nobody else can use up this quota.
	KnownMailsPerHour, KnownMailsPerDay = 6, 15
)
