package signin

// The kinds of event.
const (
	passwordRight       = "password right"
	signedIn            = "signed in"
	signedOut           = "signed out"
	signedOutEverywhere = "signed out everywhere"
	passwordChanged     = "password changed"
	factorAdded         = "factor added"
	factorRemoved       = "factor removed"
	emailChanged        = "email changed"
	spareUsed           = "spare factor used"
	sessionEnded        = "session ended"
	signedInTrusted     = "signed in, step two skipped by trust"
)
