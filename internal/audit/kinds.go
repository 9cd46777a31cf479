package audit

// Kind is the stable id of a kind of event. An id never changes and is never reused: logs, filters and rules outside
// this program depend on it.
type Kind string

// Kinds of event. Describe says when each is recorded, and docs/audit.md has the same table.
const (
	PasswordAccepted       Kind = "password.accepted"
	PasswordRejected       Kind = "password.rejected"
	PasswordChanged        Kind = "password.changed"
	PasswordReset          Kind = "password.reset"
	PasswordResetRequested Kind = "password.reset_requested"

	CodeRejected     Kind = "code.rejected"
	RecoveryCodeUsed Kind = "recovery_code.used"

	DeskCodeRequested Kind = "desk_code.requested"
	DeskCodeApproved  Kind = "desk_code.approved"
	DeskCodeRefused   Kind = "desk_code.refused"
	DeskCodeShown     Kind = "desk_code.shown"
	DeskCodeUsed      Kind = "desk_code.used"
	DeskCodeRejected  Kind = "desk_code.rejected"
	DeskCodeCancelled Kind = "desk_code.cancelled"
	DeskCodeExpired   Kind = "desk_code.expired"

	SessionCreated  Kind = "session.created"
	SessionUpgraded Kind = "session.upgraded"
	SessionEnded    Kind = "session.ended"
	SessionsEnded   Kind = "sessions.ended"

	FactorAdded    Kind = "factor.added"
	FactorReplaced Kind = "factor.replaced"
	FactorRemoved  Kind = "factor.removed"
	EmailChanged   Kind = "email.changed"
	NameChanged    Kind = "name.changed"
	ChangeUndone   Kind = "change.undone"
	AccountFrozen  Kind = "account.frozen"
	UndoRejected   Kind = "undo.rejected"

	EmailSecondStepChanged Kind = "email.second_step_changed"

	TrustDenied        Kind = "trust.denied"
	DeviceTrusted      Kind = "device.trusted"
	DeviceForgotten    Kind = "device.forgotten"
	DevicesForgotten   Kind = "devices.forgotten"
	DeviceSecretReused Kind = "device.secret_reused"

	SignUpRequested Kind = "signup.requested"
	AccountInvited  Kind = "account.invited"
	AccountCreated  Kind = "account.created"
	AccountDisabled Kind = "account.disabled"
	AccountEnabled  Kind = "account.enabled"
	GroupsChanged   Kind = "account.groups_changed"
	RoleChanged     Kind = "account.role_changed"
	AccountDeleted  Kind = "account.deleted"
	AccountExported Kind = "account.exported"
	PeopleExported  Kind = "people.exported"
	EventsExported  Kind = "events.exported"

	InvitationRevoked   Kind = "invitation.revoked"
	EmailChangeProposed Kind = "email.change_proposed"

	GuessingReported     Kind = "guessing.reported"
	GuessBudgetExhausted Kind = "guess_budget.exhausted"
	SiteAlarmRaised      Kind = "site_alarm.raised"
	SiteAlarmCleared     Kind = "site_alarm.cleared"
	LimitReached         Kind = "limit.reached"

	ClientCreated       Kind = "client.created"
	ClientUpdated       Kind = "client.updated"
	ClientSecretRotated Kind = "client.secret_rotated"
	ClientDeleted       Kind = "client.deleted"
	ClientRejected      Kind = "client.rejected"

	RegistrationTokenCreated Kind = "registration_token.created"
	RegistrationTokensEnded  Kind = "registration_tokens.ended"

	ConsentGiven     Kind = "consent.given"
	ConsentDenied    Kind = "consent.denied"
	ConsentWithdrawn Kind = "consent.withdrawn"
	AccessDenied     Kind = "access.denied"
	GrantCreated     Kind = "grant.created"
	GrantEnded       Kind = "grant.ended"
	CodeReused       Kind = "authorization_code.reused"
	UserCodeRejected Kind = "user_code.rejected"
	TokenReused      Kind = "refresh_token.reused"

	SigningKeyCreated Kind = "signing_key.created"
	DeliveryTested    Kind = "delivery.tested"
	WebhookTested     Kind = "webhook.tested"
	WebhookReplayed   Kind = "webhook.replayed"
	WebhookFailed     Kind = "webhook.failed"
	BackupRestored    Kind = "backup.restored"
	EventsOmitted     Kind = "events.omitted"
)

// Description says what a kind of event means.
type Description struct {
	Kind Kind
	When string // without a full stop: "a person signed in"
	// Bounded says that the event can be repeated at will and changes nothing. Record limits how many are recorded
	// in an hour.
	Bounded bool
}

// Describe returns the description of every kind, in the order of docs/audit.md.
func Describe() []Description {
	return []Description{
		{PasswordAccepted, "the password was correct, and a verification code is needed too", false},
		{PasswordRejected, "a wrong password was entered, or the account is unknown or disabled", true},
		{PasswordChanged, "a signed-in person chose a new password", false},
		{PasswordReset, "a new password was chosen with a link from an email", false},
		{PasswordResetRequested, "a link to choose a new password was requested", true},
		{CodeRejected, "a wrong, used or expired verification code was entered", true},
		{RecoveryCodeUsed, "a recovery code was used as the second step", false},
		{DeskCodeRequested, "an operator requested a desk code for a person who is locked out", false},
		{DeskCodeApproved, "a second operator approved a desk code", false},
		{DeskCodeRefused, "a second operator refused a desk code", false},
		{DeskCodeShown, "a desk code was shown to the operator who requested it", false},
		{DeskCodeUsed, "a desk code was used in place of the second step", false},
		{DeskCodeRejected, "a wrong, used or expired desk code was entered", true},
		{DeskCodeCancelled, "a desk code was cancelled by the person or an operator, or replaced by another one", false},
		{DeskCodeExpired, "a desk code expired before it was used", false},
		{SessionCreated, "a person signed in", false},
		{SessionUpgraded, "a signed-in person proved more than before", false},
		{SessionEnded, "a session was ended", false},
		{SessionsEnded, "all sessions of an account were ended at once", false},
		{FactorAdded, "a verification method was added", false},
		{FactorReplaced, "a verification method was replaced", false},
		{FactorRemoved, "a verification method was removed", false},
		{EmailChanged, "the email address of an account was changed", false},
		{EmailChangeProposed, "an operator proposed another email address, and the new address got a link", false},
		{NameChanged, "the name of a person was changed", false},
		{ChangeUndone, "a change was undone with the link in its notification", false},
		{AccountFrozen, "an undo was requested: the account is frozen for 72 hours", false},
		{UndoRejected, "a signed-in person or an operator kept the change, so the undo and the freeze have ended", false},
		{EmailSecondStepChanged, "a person chose whether codes by email are a second step beside another method", false},
		{TrustDenied, "a trusted device was still asked for a code", false},
		{DeviceTrusted, "a device was trusted", false},
		{DeviceForgotten, "trust in one device was ended", false},
		{DevicesForgotten, "trust in all devices of an account was ended", false},
		{DeviceSecretReused, "a copy of a device cookie was used, so trust in the device was ended", false},
		{SignUpRequested, "a link to create an account was requested", true},
		{AccountInvited, "an invitation was created", false},
		{InvitationRevoked, "an invitation was revoked", false},
		{AccountCreated, "an account was created", false},
		{AccountDisabled, "an account was disabled", false},
		{AccountEnabled, "a disabled account was enabled", false},
		{GroupsChanged, "the groups of an account were replaced", false},
		{RoleChanged, "the role of an account on the operators' pages was changed", false},
		{AccountExported, "all data of an account was exported", false},
		{PeopleExported, "an operator or auditor downloaded a list of people", false},
		{EventsExported, "an operator or auditor downloaded security events", false},
		{AccountDeleted, "an account was deleted", false},
		{GuessingReported, "the owner got an email: someone with the password enters wrong codes", false},
		{GuessBudgetExhausted, "new devices of an account need a longer code from now on", false},
		{SiteAlarmRaised, "new devices of every account need a longer code for now", false},
		{SiteAlarmCleared, "the site-wide guessing alarm was reset", false},
		{LimitReached, "a request was refused because of a rate limit", true},
		{ClientCreated, "an app was registered", false},
		{ClientUpdated, "the registration of an app was changed", false},
		{ClientSecretRotated, "an app got a new secret", false},
		{ClientDeleted, "an app was removed", false},
		{ClientRejected, "an app failed to authenticate", true},
		{RegistrationTokenCreated, "a token was created with which apps can register themselves", false},
		{RegistrationTokensEnded, "all tokens with which apps can register themselves were ended", false},
		{ConsentGiven, "a person allowed an app to sign them in", false},
		{ConsentDenied, "a person declined an app", true},
		{ConsentWithdrawn, "a person removed the access of an app", false},
		{AccessDenied, "a signed-in person is not allowed to use an app", true},
		{GrantCreated, "an app was allowed to act for a person", false},
		{GrantEnded, "an app ended what it was allowed, by revoking a token", false},
		{CodeReused, "an authorization code was used twice, so its grant was ended", false},
		{UserCodeRejected, "a signed-in person entered a code that no waiting device shows", true},
		{TokenReused, "a refresh token was used twice, so its grant was ended", false},
		{SigningKeyCreated, "a new signing key was created", false},
		{DeliveryTested, "an operator sent a test message", false},
		{WebhookTested, "an operator sent a test event to a webhook", false},
		{WebhookReplayed, "an operator let events be sent to a webhook again", false},
		{WebhookFailed, "events to a webhook are given up, or its receiver wants no more (410 Gone)", false},
		{BackupRestored, "everything valid before was made invalid after a restore", false},
		{EventsOmitted, "more of the same in this hour are counted here, and not recorded one by one", false},
	}
}

// Known reports whether k is a kind of event.
func (k Kind) Known() bool {
	_, ok := find(k)
	return ok
}

func find(k Kind) (Description, bool) {
	for _, d := range Describe() {
		if d.Kind == k {
			return d, true
		}
	}
	return Description{}, false
}
