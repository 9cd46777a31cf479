package limit

const (
	// MailsPerNetworkHour are the mails with a code that one network may cause for an account in
	// an hour, and SendsPerDay those of all strangers together in a day. Beyond them each
	// network that has had none has one more, up to SendsBeyond.
	MailsPerNetworkHour, MailsPerDay, MailsNewNetworksPerDay = MaxMessages, 10, 30
	// KnownSends… are those of a browser or a network in which the account has taken both
	// steps: nobody else can use them up.
	KnownMailsPerHour, KnownMailsPerDay = 6, 15
)
