package store_test

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/store/storetest"
)

// fullReads are the statements that may read a whole table, by method and table, and why.
var fullReads = map[string]string{
	"ListClients clients":             "the operator's list: there are as many rows as registered clients",
	"ListWebhookEvents audit_terms":   "the kinds of events: as many rows as there are kinds",
	"CountWebhookEvents audit_terms":  "likewise",
	"ListSigningKeys signing_keys":    "a handful of rows: one more each 90 days",
	"CountAccounts accounts":          "only after unknown devices have used up a year's budget of guesses",
	"RenewAllGuessBudgets accounts":   "once after a restore, for every account",
	"RevokeAll accounts":              "once after a restore, for every row",
	"RevokeAll device_authorizations": "once after a restore, for every row",
	"RevokeAll registration_tokens":   "once after a restore, for every row",
	"RevokeAll devices":               "once after a restore, for every row",
	"RevokeAll email_links":           "once after a restore, for every row",
	"RevokeAll grants":                "once after a restore, for every row",
	"RevokeAll known_devices":         "once after a restore, for every row",
	"RevokeAll trusted_networks":      "once after a restore, for every row",
}

// smallIndexes are partial indexes that contain only pending work, or that ListAccounts reads only while few accounts are
// in them. A statement may read all of one.
var smallIndexes = []string{
	"grants_logout_pending", "outbox_messages_due", "outbox_messages_unknown", "outbox_messages_waiting_expires",
	"outbox_messages_failed", "outbox_messages_urgent", "outbox_messages_others", "outbox_messages_claimed", "accounts_disabled",
	"accounts_frozen", "accounts_role", "webhook_deliveries_failed", "desk_codes_due",
}

// noTables are names in SQLite's plans that are not tables.
var noTables = []string{"CONSTANT", "due", "always", "2-ROW", "few", "span", "granted", "allowed", "either", "people"}

// withoutSQL are the exported methods that run no statement of their own that reads a table.
var withoutSQL = []string{"Name", "IsServed", "PollChanges", "AfterCommit", "Exclusive", "Changed", "Close", "Observe", "Tx", "Unchecked", "Version"}

// calls runs every exported method on a database in which each table has rows whose ids, texts and hashes are x1, x2
// and so on. Each must succeed: a method that returns early does not run all of its statements.
func calls(ctx context.Context) map[string]func(db *store.DB) error {
	type db = store.DB
	x := []byte("x1")
	c := store.Counter{Kind: "x1", Subject: "x1", Window: 1}
	attempt := store.Attempt{ID: "x1", TokenHash: x, AccountID: "x1", Epoch: 1}
	pending := store.PendingFactor{AttemptID: "y", SessionID: "x1", Method: "x1", Body: x}
	no := func(_ any, err error) error { return err }
	return map[string]func(*db) error{
		"GetAccount":         func(d *db) error { return no(d.GetAccount(ctx, "x1")) },
		"FindAccountByEmail": func(d *db) error { return no(d.FindAccountByEmail(ctx, "x1")) },
		"SetSettingsShown":   func(d *db) error { return d.SetSettingsShown(ctx, x) },
		"CreateAccount": func(d *db) error {
			return d.CreateAccount(ctx, store.Account{ID: "y", Email: "y", PasswordHash: x})
		},
		"CreateClient": func(d *db) error { return d.CreateClient(ctx, store.Client{ID: "y"}) },
		"CreateChallenge": func(d *db) error {
			return d.CreateChallenge(ctx, store.Challenge{ID: "y", AttemptID: "x1000", State: x})
		},
		"CreateCode": func(d *db) error {
			return d.CreateCode(ctx, store.OneTimeCode{ID: "y", ChallengeID: "x1", MAC: x})
		},
		"CreateBudgetEntry": func(d *db) error { return d.CreateBudgetEntry(ctx, store.BudgetEntry{ID: "y"}) },
		"CreateTrustDecision": func(d *db) error {
			return no(d.CreateTrustDecision(ctx, store.TrustDecision{ID: "y", AccountID: "x1", Body: x}, 1))
		},
		"CreateDevice": func(d *db) error {
			return d.CreateDevice(ctx, store.Device{ID: "y", Series: []byte("y"), Secret: x})
		},
		"CreatePendingFactor": func(d *db) error {
			s := attempt
			s.ID, s.TokenHash = "y", []byte("y")
			return d.CreatePendingFactor(ctx, s, pending)
		},
		"CreateFactor": func(d *db) error {
			return d.CreateFactor(ctx, store.Factor{ID: "y", AccountID: "x1", Body: x})
		},
		"CreateGrant": func(d *db) error {
			return d.CreateGrant(ctx, store.Grant{ID: "y", CodeHash: []byte("y")})
		},
		"CreateEmailLink": func(d *db) error { return d.CreateEmailLink(ctx, store.EmailLink{TokenHash: []byte("y")}) },
		"EnqueueMessage":  func(d *db) error { return d.EnqueueMessage(ctx, store.OutboxMessage{ID: "y", Body: x}) },
		"CreateTrustedNetwork": func(d *db) error {
			return d.CreateTrustedNetwork(ctx, store.TrustedNetwork{ID: "y", DeviceID: "x1", AccountID: "x1", Body: x})
		},
		"CreateAuthorizationRequest": func(d *db) error {
			return d.CreateAuthorizationRequest(ctx, store.AuthorizationRequest{ID: []byte("y")})
		},
		"CreateSession": func(d *db) error {
			return d.CreateSession(ctx, store.Session{ID: "y", TokenHash: []byte("y"), AccountID: "x1"})
		},
		"CreateAttempt": func(d *db) error {
			s := attempt
			s.ID, s.TokenHash = "y", []byte("y")
			return d.CreateAttempt(ctx, s)
		},
		"CreateSigningKey": func(d *db) error {
			return d.CreateSigningKey(ctx, store.SigningKey{ID: "y", Body: x})
		},
		"CreateToken": func(d *db) error {
			return d.CreateToken(ctx, store.Token{Hash: []byte("y"), GrantID: "x1"})
		},
		"CountFailedPassword": func(d *db) error { return d.CountFailedPassword(ctx, "x1", at(1), at(2), []time.Time{at(0), at(1)}) },
		"LostEvents": func(d *db) error {
			_, err := d.CreateAuditEvent(ctx, store.AuditEvent{Kind: "x1", ActorType: "x1"}, at(2000))
			return errors.Join(err, no(d.LostEvents(ctx)))
		},
		"ListAccounts": func(d *db) error {
			var failed error
			since := at(1)
			for _, sort := range []store.AccountSort{store.SortEmail, store.SortCreated, store.SortLastSignIn} {
				for _, f := range []store.AccountFilter{
					{}, {ID: "x1"}, {Text: "x"}, {Text: "x1", Active: true}, {Group: "x1"}, {Disabled: true, OnlyEmail: true},
					{Frozen: true}, {OtherMethod: true}, {SignedInSince: since, SignedInBefore: at(2000)},
				} {
					f.Sort, f.Limit = sort, 5
					_, _, err := d.ListAccounts(ctx, f)
					failed = errors.Join(failed, err)
				}
			}
			return failed
		},
		"GetLastSignIn": func(d *db) error { return no(d.GetLastSignIn(ctx, "x1")) },
		"TouchAccounts": func(d *db) error {
			e := store.AuditEvent{Kind: "session.created", ActorType: "person", Account: "x1"}
			return errors.Join(no(d.CreateAuditEvent(ctx, e, at(5000))), no(d.TouchAccounts(ctx, at(6000))))
		},
		"LockAccounts":    func(d *db) error { return d.LockAccounts(ctx, "a1", "a2") },
		"LockOperators":   func(d *db) error { return no(d.LockOperators(ctx)) },
		"DeleteAccount":   func(d *db) error { return d.DeleteAccount(ctx, store.Account{ID: "x1", Email: "x1", Epoch: 1}, at(1)) },
		"ListInvitations": func(d *db) error { return no(d.ListInvitations(ctx, store.InvitationCursor{}, 5)) },
		"ListInvited": func(d *db) error {
			_, _, byEmail := d.ListInvited(ctx, store.AccountFilter{Sort: store.SortEmail, Limit: 5})
			_, _, byTime := d.ListInvited(ctx, store.AccountFilter{Sort: store.SortCreated, Text: "x", Limit: 5})
			return errors.Join(byEmail, byTime)
		},
		"GetClient":          func(d *db) error { return no(d.GetClient(ctx, "x1")) },
		"TouchClient":        func(d *db) error { return d.TouchClient(ctx, "x1", at(9)) },
		"GetClientUse":       func(d *db) error { return no(d.GetClientUse(ctx, "x1")) },
		"ListClientPeople":   func(d *db) error { return no(d.ListClientPeople(ctx, "x1", "", 5)) },
		"CountClientPeople":  func(d *db) error { return no(d.CountClientPeople(ctx, "x1", 5)) },
		"ListOperatorEmails": func(d *db) error { return no(d.ListOperatorEmails(ctx)) },
		"FindInvitation": func(d *db) error {
			l := store.EmailLink{TokenHash: []byte("invited"), Purpose: store.LinkInvite, Email: "y"}
			return errors.Join(d.CreateEmailLink(ctx, l), no(d.FindInvitation(ctx, "y")))
		},
		"DeleteEmailLinks":  func(d *db) error { return d.DeleteEmailLinks(ctx, "a1", "address") },
		"DeleteInvitations": func(d *db) error { return no(d.DeleteInvitations(ctx, "x1")) },
		"ClockAhead":        func(d *db) error { return no(d.ClockAhead(ctx, time.Now)) },
		"ListClients":       func(d *db) error { return no(d.ListClients(ctx)) },
		"ListAuditEvents": func(d *db) error {
			var err error
			for _, f := range []store.AuditFilter{
				{Account: "x1"}, {Account: "x1", Kinds: []string{"x1", "x2"}}, {Kinds: []string{"x1"}}, {Address: "x1"},
				{Since: at(1), Until: at(2), Before: 5},
			} {
				f.Limit = 5
				err = errors.Join(err, no(d.ListAuditEvents(ctx, f)))
			}
			return err
		},
		"CountAuditEvents": func(d *db) error { return no(d.CountAuditEvents(ctx, "x1", at(1), at(2))) },
		"CreateWebhook":    func(d *db) error { return d.CreateWebhook(ctx, "y", 1) },
		"GetWebhook":       func(d *db) error { return no(d.GetWebhook(ctx, "x1")) },
		"ClaimWebhook":     func(d *db) error { return d.ClaimWebhook(ctx, "x1", "x1", "y") },
		"ListWebhookEvents": func(d *db) error {
			return no(d.ListWebhookEvents(ctx, store.WebhookEvents{Webhook: "x1", From: 1, Until: 9, Kinds: "x1,x2", Limit: 9}))
		},
		"CountWebhookEvents": func(d *db) error {
			return no(d.CountWebhookEvents(ctx, store.WebhookEvents{Webhook: "x1", From: 1, Until: 9, Kinds: "x1,x2", Limit: 9}))
		},
		"ListDeferredEvents": func(d *db) error { return no(d.ListDeferredEvents(ctx, "x1", at(9), 9)) },
		"CountDeferredEvents": func(d *db) error {
			_, _, err := d.CountDeferredEvents(ctx, "x1")
			return err
		},
		"MoveWebhook": func(d *db) error {
			return d.MoveWebhook(ctx, store.Webhook{Name: "x1", Lease: "x1", Position: 1}, 9)
		},
		"FinishDelivery": func(d *db) error { return d.FinishDelivery(ctx, "x1", "x1", 9, at(1)) },
		"FailWebhook":    func(d *db) error { return d.FailWebhook(ctx, "x1", "x1", "why", true, at(1), at(2)) },
		"DeferDelivery":  func(d *db) error { return d.DeferDelivery(ctx, "x1", "x1", 9, at(1), at(2)) },
		"LoseEvents": func(d *db) error {
			return d.LoseEvents(ctx, store.Webhook{Name: "x1", Lease: "x1", Position: 1}, 9, 3, at(1))
		},
		"LoseDeferred":        func(d *db) error { return d.LoseDeferred(ctx, "x1", "x1", 1, at(1)) },
		"ResumeWebhook":       func(d *db) error { return d.ResumeWebhook(ctx, "x1") },
		"ReplayWebhook":       func(d *db) error { return d.ReplayWebhook(ctx, "x1", 1) },
		"GetAuditEvent":       func(d *db) error { return no(d.GetAuditEvent(ctx, 1)) },
		"SetMessageFailure":   func(d *db) error { return d.SetMessageFailure(ctx, "x1", x) },
		"ListWaitingMessages": func(d *db) error { return no(d.ListWaitingMessages(ctx, 5)) },
		"ListFailedMessages":  func(d *db) error { return no(d.ListFailedMessages(ctx, 5)) },
		"ListCodes":           func(d *db) error { return no(d.ListCodes(ctx, "x1")) },
		"AddToCounters": func(d *db) error {
			first, second := store.CounterKey{Counter: c, EndsAt: at(1)}, store.CounterKey{Counter: c, EndsAt: at(2)}
			return no(d.AddToCounters(ctx, store.CounterChange{CounterKey: first, Amount: 1}, store.CounterChange{CounterKey: second}))
		},
		"CountAudit": func(d *db) error { _, _, err := d.CountAudit(ctx, "x1", at(1), 9); return err },
		"CreateAuditEvent": func(d *db) error {
			return no(d.CreateAuditEvent(ctx, store.AuditEvent{Kind: "x1", ActorType: "x1", Browser: "x1"}, at(2000)))
		},
		"AddOccurrences":  func(d *db) error { return d.AddOccurrences(ctx, 1, 1) },
		"SetCounterEvent": func(d *db) error { return d.SetCounterEvent(ctx, "x1", at(1), 1) },
		"LoadGuessBudget": func(d *db) error {
			return no(d.LoadGuessBudget(ctx, "x1", time.Time{}, store.SiteSums{State: "x1"}))
		},
		"FindDeviceOfAny": func(d *db) error { return no(d.FindDeviceOfAny(ctx, x, time.Time{})) },
		"LoadGuessBudgetForCharge": func(d *db) error {
			return no(d.LoadGuessBudgetForCharge(ctx, "x1", time.Time{}, store.SiteSums{State: "x1", Counter: c}))
		},
		"LoadPendingFactor": func(d *db) error {
			_, _, _, _, err := d.LoadPendingFactor(ctx, "x1", "x1",
				time.Time{})
			return err
		},
		"LoadAttempt": func(d *db) error { _, _, _, err := d.LoadAttempt(ctx, x); return err },
		"ReissueChallenge": func(d *db) error {
			return d.ReissueChallenge(ctx, store.Challenge{ID: "x1", State: x, Version: 2})
		},
		"FindChallenge": func(d *db) error { return no(d.FindChallenge(ctx, "x1")) },
		"UpdateClient":  func(d *db) error { return d.UpdateClient(ctx, "x1", "x1", "y") },
		"UpdateTrustedNetwork": func(d *db) error {
			return d.UpdateTrustedNetwork(ctx, store.TrustedNetwork{ID: "x1",
				Body: x})
		},
		"GetConsent": func(d *db) error { return no(d.GetConsent(ctx, "x1", "x1")) },
		"AddClientRejection": func(d *db) error {
			return d.AddClientRejection(ctx, store.ClientRejection{ClientID: "x1", Reason: "x1"})
		},
		"ListClientRejections":  func(d *db) error { return no(d.ListClientRejections(ctx, "x1")) },
		"ListConsents":          func(d *db) error { return no(d.ListConsents(ctx, "x1")) },
		"CountAccounts":         func(d *db) error { return no(d.CountAccounts(ctx)) },
		"ListBudgetEntries":     func(d *db) error { return no(d.ListBudgetEntries(ctx, "x1", time.Time{})) },
		"GetTrustDecision":      func(d *db) error { return no(d.GetTrustDecision(ctx, "x1")) },
		"FindDeviceView":        func(d *db) error { return no(d.FindDeviceView(ctx, x, "x1", time.Time{})) },
		"DeletePendingFactor":   func(d *db) error { return d.DeletePendingFactor(ctx, "x1", "x1") },
		"RevokeShortCodes":      func(d *db) error { return d.RevokeShortCodes(ctx, "x1", at(1)) },
		"RevokeDevice":          func(d *db) error { return d.RevokeDevice(ctx, "x1", "y", at(1)) },
		"RevokeGrant":           func(d *db) error { return d.RevokeGrant(ctx, "x1", at(1)) },
		"RevokeClientGrants":    func(d *db) error { return d.RevokeClientGrants(ctx, "x1", "x1", at(1)) },
		"FinishMessage":         func(d *db) error { return d.FinishMessage(ctx, "x1", store.MessageSent, at(1)) },
		"DeleteSession":         func(d *db) error { return d.DeleteSession(ctx, "x1", "x1") },
		"RevokeTrust":           func(d *db) error { return d.RevokeTrust(ctx, "x1", "", "y", at(1)) },
		"RevokeDeviceTrust":     func(d *db) error { return d.RevokeDeviceTrust(ctx, "x1", "x1", "y", at(1)) },
		"ExpireMessages":        func(d *db) error { return no(d.ExpireMessages(ctx, at(1))) },
		"ListFactors":           func(d *db) error { return no(d.ListFactors(ctx, "x1")) },
		"FinishAttempt":         func(d *db) error { return d.FinishAttempt(ctx, "x1", at(1)) },
		"AdvanceSweepTime":      func(d *db) error { return no(d.AdvanceSweepTime(ctx, at(1), 1)) },
		"DeleteKnownDevice":     func(d *db) error { return d.DeleteKnownDevice(ctx, "x1", "x1") },
		"DeleteKnownDevices":    func(d *db) error { return d.DeleteKnownDevices(ctx, "x1") },
		"DeleteFailedPasswords": func(d *db) error { return d.DeleteFailedPasswords(ctx, "x1") },
		"FindGrantByCode":       func(d *db) error { return no(d.FindGrantByCode(ctx, x)) },
		"ListGrantedScopes":     func(d *db) error { return no(d.ListGrantedScopes(ctx, "x1", at(1))) },
		"LockGuessBudget":       func(d *db) error { return no(d.LockGuessBudget(ctx, "x1")) },
		"ClaimMessage": func(d *db) error {
			return errors.Join(no(d.ClaimMessage(ctx, true, at(50), at(60))), no(d.ClaimMessage(ctx, false, at(50), at(60))))
		},
		"RenewClaim":          func(d *db) error { return d.RenewClaim(ctx, store.Claim{ID: "x1"}) },
		"ListClaims":          func(d *db) error { return no(d.ListClaims(ctx)) },
		"ReleaseClaim":        func(d *db) error { return d.ReleaseClaim(ctx, store.Claim{ID: "x1", Beats: 1}, at(1)) },
		"RetryUrgentMessages": func(d *db) error { return d.RetryUrgentMessages(ctx, at(1)) },
		"SaveConsent": func(d *db) error {
			return d.SaveConsent(ctx, store.Consent{AccountID: "x1", ClientID: "x1"})
		},
		"PruneTrustDecisions": func(d *db) error { return d.PruneTrustDecisions(ctx, "x1", 1) },
		"PruneTrustedDevices": func(d *db) error { return d.PruneTrustedDevices(ctx, "x1", 1) },
		"GetOrSetState":       func(d *db) error { return no(d.GetOrSetState(ctx, "x1", "y")) },
		"PruneCodes":          func(d *db) error { return d.PruneCodes(ctx, "x1", 1, at(1)) },
		"PruneKnownDevices":   func(d *db) error { return d.PruneKnownDevices(ctx, "x1", 1) },
		"UpdateTrustEpoch":    func(d *db) error { return d.UpdateTrustEpoch(ctx, "x1", "x1", 1, 2) },
		"SaveProofEntry": func(d *db) error {
			return d.SaveProofEntry(ctx, store.BudgetEntry{ID: "y",
				Budget: "x1"})
		},
		"RecordDeliveryReceipt": func(d *db) error {
			return d.RecordDeliveryReceipt(ctx, "x1", store.MessageDelivered,
				at(1))
		},
		"AdvanceLatestTime":   func(d *db) error { return d.AdvanceLatestTime(ctx, at(1)) },
		"SaveKnownDevice":     func(d *db) error { return d.SaveKnownDevice(ctx, "x1", "x1", at(1)) },
		"FindKnownDevice":     func(d *db) error { return no(d.FindKnownDevice(ctx, x, "x1", at(1))) },
		"FindEmailLink":       func(d *db) error { return no(d.FindEmailLink(ctx, x, at(1))) },
		"FindLiveToken":       func(d *db) error { _, _, err := d.FindLiveToken(ctx, x, at(1)); return err },
		"GetState":            func(d *db) error { return no(d.GetState(ctx, "x1")) },
		"GetMessageState":     func(d *db) error { _, _, err := d.GetMessageState(ctx, "x1"); return err },
		"GetNextMessageTime":  func(d *db) error { return no(d.GetNextMessageTime(ctx, at(1))) },
		"ListDeviceAccounts":  func(d *db) error { return no(d.ListDeviceAccounts(ctx, "x1")) },
		"PassChallenge":       func(d *db) error { return d.PassChallenge(ctx, "x1", at(1)) },
		"Ping":                func(d *db) error { return d.Ping(ctx) },
		"ListTrustedNetworks": func(d *db) error { return no(d.ListTrustedNetworks(ctx, "x1")) },
		"ListLiveTrustedNetworks": func(d *db) error {
			return no(d.ListLiveTrustedNetworks(ctx, store.AccountRef{ID: "x1", Epoch: 1}))
		},
		"ListDeviceNetworks": func(d *db) error { return no(d.ListDeviceNetworks(ctx, "x1", "x1")) },
		"ReauthenticateSession": func(d *db) error {
			return d.ReauthenticateSession(ctx, &store.Session{ID: "x1", TokenHash: []byte("y"), AccountID: "x1",
				Epoch: 1}, time.Time{}, at(1))
		},
		"ListSecondStepDecisions":    func(d *db) error { return no(d.ListSecondStepDecisions(ctx, "x1", 1)) },
		"IncrementEpoch":             func(d *db) error { return d.IncrementEpoch(ctx, "x1", 1) },
		"RefundChallenge":            func(d *db) error { return no(d.RefundChallenge(ctx, "x1")) },
		"ReplacePasswordHash":        func(d *db) error { return d.ReplacePasswordHash(ctx, "x1", x, x) },
		"ReleaseClaimedMessages":     func(d *db) error { return d.ReleaseClaimedMessages(ctx, at(1)) },
		"DeleteClient":               func(d *db) error { return d.DeleteClient(ctx, "x1") },
		"DeleteConsent":              func(d *db) error { return d.DeleteConsent(ctx, "x1", "x1") },
		"DeleteFactor":               func(d *db) error { return d.DeleteFactor(ctx, "x1", "x1") },
		"DeleteTrustedNetwork":       func(d *db) error { return d.DeleteTrustedNetwork(ctx, "x1") },
		"DeleteAuthorizationRequest": func(d *db) error { return d.DeleteAuthorizationRequest(ctx, x) },
		"DeleteShareEntries":         func(d *db) error { return d.DeleteShareEntries(ctx, "x1") },
		"DeleteToken":                func(d *db) error { return d.DeleteToken(ctx, x) },
		"DeleteCounterWindows":       func(d *db) error { return d.DeleteCounterWindows(ctx, c, at(1)) },
		"RenewAllGuessBudgets":       func(d *db) error { return d.RenewAllGuessBudgets(ctx, at(1), at(2), 1, 1) },
		"ExtendAttempt":              func(d *db) error { return d.ExtendAttempt(ctx, "x1", at(2), at(1)) },
		"ExtendDevice":               func(d *db) error { return d.ExtendDevice(ctx, "x1", at(1)) },
		"RenewGuessBudget":           func(d *db) error { return d.RenewGuessBudget(ctx, "x1", at(1)) },
		"CreateRegistrationToken": func(d *db) error {
			return d.CreateRegistrationToken(ctx, store.RegistrationToken{Hash: []byte("y")})
		},
		"GetRegistrationToken":  func(d *db) error { return no(d.GetRegistrationToken(ctx, x, at(1))) },
		"UseRegistrationToken":  func(d *db) error { return d.UseRegistrationToken(ctx, x, at(1)) },
		"EndRegistrationTokens": func(d *db) error { return no(d.EndRegistrationTokens(ctx, at(1))) },
		"SaveClientDocument":    func(d *db) error { return d.SaveClientDocument(ctx, store.ClientDocument{ID: "y"}) },
		"GetClientDocument":     func(d *db) error { return no(d.GetClientDocument(ctx, "x1")) },
		"CreateDeviceAuthorization": func(d *db) error {
			return d.CreateDeviceAuthorization(ctx, store.DeviceAuthorization{ID: []byte("y"), UserCode: "y"})
		},
		"GetDeviceAuthorization":  func(d *db) error { return no(d.GetDeviceAuthorization(ctx, x, at(1))) },
		"FindDeviceAuthorization": func(d *db) error { return no(d.FindDeviceAuthorization(ctx, "x1", at(1))) },
		"PollDeviceAuthorization": func(d *db) error {
			return no(d.PollDeviceAuthorization(ctx, x, "x1", at(1), time.Second, time.Second))
		},
		"AnswerDeviceAuthorization": func(d *db) error {
			return d.AnswerDeviceAuthorization(ctx, x, store.DeviceDenied, at(1))
		},
		"DeleteDeviceAuthorization": func(d *db) error { return d.DeleteDeviceAuthorization(ctx, x) },
		"GetAuthorizationRequest":   func(d *db) error { return no(d.GetAuthorizationRequest(ctx, x, at(1))) },
		"RotateAttemptToken": func(d *db) error {
			s := attempt
			s.TokenHash = []byte("y")
			return d.RotateAttemptToken(ctx, x, s, at(1))
		},
		"RetryMessage":               func(d *db) error { return d.RetryMessage(ctx, store.Claim{ID: "x1"}, at(1), true) },
		"UpdateAuthorizationRequest": func(d *db) error { return d.UpdateAuthorizationRequest(ctx, x, "y") },
		"TouchSession":               func(d *db) error { return d.TouchSession(ctx, "x1", at(99)) },
		"SetOtherAddress":            func(d *db) error { return d.SetOtherAddress(ctx, "x1", "y") },
		"FindSession": func(d *db) error {
			_, _, err := d.FindSession(ctx, x, time.Time{},
				at(1))
			return err
		},
		"FindHostSession": func(d *db) error {
			_, _, _, err := d.FindHostSession(ctx, x, time.Time{}, at(1))
			if errors.Is(err, store.ErrNotFound) { // no token is of this kind
				return nil
			}
			return err
		},
		"GetSession": func(d *db) error {
			_, _, err := d.GetSession(ctx, "x1", time.Time{},
				at(1))
			return err
		},
		"ListSessions": func(d *db) error {
			return no(d.ListSessions(ctx, store.SessionFilter{Account: "x1", Expires: at(1), Limit: 5}))
		},
		"SetDisabled": func(d *db) error { return d.SetDisabled(ctx, "x1", 1, at(1)) },
		"SetEmailSecondStep": func(d *db) error {
			return d.SetEmailSecondStep(ctx, "x1", 1, store.EmailUntilAnother)
		},
		"SetEmail":             func(d *db) error { return d.SetEmail(ctx, "x1", 1, "y", at(1)) },
		"SetNames":             func(d *db) error { return d.SetNames(ctx, "x1", store.Names{Name: "y"}, at(1)) },
		"SetGroups":            func(d *db) error { return d.SetGroups(ctx, "x1", "y") },
		"SetRole":              func(d *db) error { return d.SetRole(ctx, "x1", "operator") },
		"SetState":             func(d *db) error { return d.SetState(ctx, "x1", "y") },
		"SetPassword":          func(d *db) error { return d.SetPassword(ctx, "x1", 1, x, at(1), at(1)) },
		"SetLatestTime":        func(d *db) error { return d.SetLatestTime(ctx, at(1)) },
		"CountWaitingMessages": func(d *db) error { return no(d.CountWaitingMessages(ctx)) },
		"GetLatestTime": func(d *db) error {
			if err := d.SetLatestTime(ctx, at(1)); err != nil {
				return err
			}
			return no(d.GetLatestTime(ctx))
		},
		"ListSigningKeys":   func(d *db) error { return no(d.ListSigningKeys(ctx)) },
		"SpendQuota":        func(d *db) error { return d.SpendQuota(ctx, c, at(1), 1, 9) },
		"DeleteExpired":     func(d *db) error { return no(d.DeleteExpired(ctx, store.Cutoffs{})) },
		"ResetSpentNotice":  func(d *db) error { return d.ResetSpentNotice(ctx, "x1") },
		"UsePushedRequest":  func(d *db) error { return d.UsePushedRequest(ctx, x, "x1", at(1)) },
		"ClaimLogout":       func(d *db) error { return d.ClaimLogout(ctx, "x1", "x1", at(1), at(2)) },
		"ClaimGuessNotice":  func(d *db) error { return d.ClaimGuessNotice(ctx, "x1", time.Time{}, at(1)) },
		"ClaimSpentNotice":  func(d *db) error { return d.ClaimSpentNotice(ctx, "x1", time.Time{}, at(1)) },
		"SetTrustRequested": func(d *db) error { return d.SetTrustRequested(ctx, "x1", true) },
		"FindToken":         func(d *db) error { _, _, err := d.FindToken(ctx, x); return err },
		"FinishLogout":      func(d *db) error { return d.FinishLogout(ctx, "x1", "x1", at(1)) },
		"SpendGuess": func(d *db) error {
			return d.SpendGuess(ctx, store.Challenge{ID: "x1"}, 5,
				at(1))
		},
		"RotateDeviceSecrets": func(d *db) error {
			v := store.Device{ID: "x1", Secret: x, NextSecret: x}
			return d.RotateDeviceSecrets(ctx, v, v)
		},
		"ListDueLogouts": func(d *db) error { return no(d.ListDueLogouts(ctx, at(1))) },
		"UseCode":        func(d *db) error { return d.UseCode(ctx, "x1", at(1)) },
		"UseFactor": func(d *db) error {
			return d.UseFactor(ctx, store.Factor{ID: "x1", AccountID: "x1", Version: 1, Body: x}, at(1))
		},
		"UseAuthorizationCode": func(d *db) error { return no(d.UseAuthorizationCode(ctx, x, "x1", at(1))) },
		"ListUndoLinks":        func(d *db) error { return no(d.ListUndoLinks(ctx, "x1", at(1))) },
		"ListDueUndos":         func(d *db) error { return no(d.ListDueUndos(ctx, at(1), 1)) },
		"RequestUndo": func(d *db) error {
			return d.RequestUndo(ctx, store.EmailLink{TokenHash: []byte("x2"), AccountID: "x2", DueAt: at(9)}, at(1))
		},
		"FinishUndo": func(d *db) error {
			return d.FinishUndo(ctx, store.EmailLink{TokenHash: x, AccountID: "x1"}, at(1))
		},
		"CancelUndos":  func(d *db) error { return d.CancelUndos(ctx, "x1", at(1)) },
		"UseEmailLink": func(d *db) error { return d.UseEmailLink(ctx, x, at(1)) },
		"CreateDeskCode": func(d *db) error {
			return errors.Join(d.EndDeskCode(ctx, "x1", "expired", at(1)),
				d.CreateDeskCode(ctx, store.DeskCode{ID: "y", AccountID: "x1"}))
		},
		"GetDeskCode":          func(d *db) error { return no(d.GetDeskCode(ctx, "x1")) },
		"FindDeskCode":         func(d *db) error { return no(d.FindDeskCode(ctx, "x1")) },
		"ListWaitingDeskCodes": func(d *db) error { return no(d.ListWaitingDeskCodes(ctx, at(1), 5)) },
		"ListExpiredDeskCodes": func(d *db) error { return no(d.ListExpiredDeskCodes(ctx, at(200000), 5)) },
		"ApproveDeskCode":      func(d *db) error { return d.ApproveDeskCode(ctx, "x1", "y", at(2), at(1)) },
		"ShowDeskCode":         func(d *db) error { return d.ShowDeskCode(ctx, "x2", x, at(2), at(1)) },
		"SpendDeskGuess":       func(d *db) error { return d.SpendDeskGuess(ctx, "x3", "x3", 5, at(1)) },
		"UseDeskCode":          func(d *db) error { return d.UseDeskCode(ctx, "x3", "x3", at(1)) },
		"EndDeskCode":          func(d *db) error { return d.EndDeskCode(ctx, "x1", "expired", at(1)) },
		"CancelDeskCode":       func(d *db) error { return no(d.CancelDeskCode(ctx, "x1", at(1))) },
		"UseTrustedNetwork": func(d *db) error {
			return d.UseTrustedNetwork(ctx, store.TrustedNetwork{ID: "x1", Epoch: 1, Body: x}, at(1))
		},
		"UseToken":           func(d *db) error { return d.UseToken(ctx, x, at(1)) },
		"RevokeAll":          func(d *db) error { return d.RevokeAll(ctx, "y", at(1)) },
		"GetFailedPasswords": func(d *db) error { return no(d.GetFailedPasswords(ctx, "x1")) },
		"ListCounterWindows": func(d *db) error { return no(d.ListCounterWindows(ctx, c, at(1))) },
	}
}

// Every statement finds its rows by an index, on both databases. None reads a whole table that grows. The test logs the
// index that each statement uses.
func TestPlans(t *testing.T) {
	used := map[string]bool{} // of fullReads
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		db := storetest.Open(t, url)
		raw := connect(t, url)
		fill(t, raw, url)
		explain, indexes := explainSQLite, `SELECT name || ' ' || tbl_name || ' ' || COALESCE(sql, '')
				FROM sqlite_master WHERE type = 'index'`
		if strings.HasPrefix(url, "postgres") {
			explain, indexes = explainPostgres, `SELECT indexname || ' ' || tablename || ' ' || indexdef
					FROM pg_indexes`
		}
		tables := map[string]string{} // by the name of an index
		for _, row := range texts(t, raw, indexes) {
			name, rest, _ := strings.Cut(row, " ")
			table, definition, _ := strings.Cut(rest, " ")
			if tables[name] = table; slices.Contains(smallIndexes, name) && !strings.Contains(definition, " WHERE ") {
				t.Errorf("%s is not partial", name)
			}
		}
		run, recorder, undo := calls(t.Context()), storetest.Record(t, db), errors.New("undo")
		methods := reflect.TypeFor[*store.DB]()
		for i := range methods.NumMethod() {
			name := methods.Method(i).Name
			if slices.Contains(withoutSQL, name) {
				continue
			}
			call := run[name]
			if call == nil {
				t.Errorf("%s is not run by this test: add it to calls", name)
				continue
			}
			recorder.Reset()
			err := db.Tx(t.Context(), func(tx *store.DB) error { return errors.Join(call(tx), undo) })
			if err.Error() != undo.Error() {
				t.Errorf("%s: %v", name, err)
			}
			statements := recorder.Statements()
			if len(statements) == 0 {
				t.Errorf("%s ran no statement: list it in withoutSQL", name)
			}
			for _, s := range statements {
				var by []string
				for _, step := range explain(t, raw, s) {
					step.table = cmp.Or(tables[step.index], step.table)
					by = append(by, step.String())
					if step.full && !slices.Contains(smallIndexes, step.index) {
						if fullReads[name+" "+step.table] == "" {
							t.Errorf("%s reads all of %s: %s", name, step.table, s.Query)
						}
						used[name+" "+step.table] = true
					}
				}
				t.Logf("%-16s %-60.60s %s", name, strings.Join(strings.Fields(s.Query), " "), strings.Join(by, ", "))
			}
		}
	})
	for name := range fullReads {
		if !used[name] {
			t.Errorf("%s reads no whole table: remove it from fullReads", name)
		}
	}
}

// Every foreign key has an index, by which deletes find the rows to cascade to.
func TestCascadesHaveIndexes(t *testing.T) {
	url := filepath.Join(t.TempDir(), "twostep.db")
	storetest.Open(t, url)
	raw := connect(t, url)
	rows := texts(t, raw, `SELECT t.name || '.' || f."from" FROM sqlite_master t, pragma_foreign_key_list(t.name) f
		WHERE t.type = 'table' AND NOT EXISTS (SELECT 1 FROM pragma_index_list(t.name) i, pragma_index_info(i.name) c
			WHERE c.seqno = 0 AND c.name = f."from" AND i.partial = 0)`)
	if len(rows) != 0 {
		t.Errorf("no index begins with %q", rows)
	}
}

// step is one table that a statement reads.
type step struct {
	table, index string
	full         bool // all rows of the table or the index
}

func (s step) String() string {
	text := cmp.Or(s.index, s.table)
	if s.full {
		text += " (all rows)"
	}
	return text
}

func connect(t *testing.T, url string) *sql.DB {
	t.Helper()
	driver := "sqlite"
	if strings.HasPrefix(url, "postgres") {
		driver = "pgx"
	}
	raw, err := sql.Open(driver, url)
	if err != nil {
		t.Fatal(err)
	}
	raw.SetMaxOpenConns(1) // settings are those of a connection
	t.Cleanup(func() { _ = raw.Close() })
	return raw
}

func texts(t *testing.T, raw *sql.DB, query string, args ...any) (list []string) {
	t.Helper()
	rows, err := raw.QueryContext(t.Context(), query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		list = append(list, text)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

// explainSQLite returns the tables that SQLite reads for a statement, without statistics, as in production.
func explainSQLite(t *testing.T, raw *sql.DB, s storetest.Statement) (steps []step) {
	t.Helper()
	rows, err := raw.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+s.Query, s.Args...)
	if err != nil {
		t.Fatalf("%s: %v", s.Query, err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		// "SCAN table" or "SEARCH table USING COVERING INDEX name (column=?)"; other lines name no table
		words := strings.Fields(detail)
		if len(words) < 2 || words[0] != "SCAN" && words[0] != "SEARCH" || slices.Contains(noTables,
			words[1]) || words[1][0] == '(' {
			continue
		}
		one := step{table: words[1], full: words[0] == "SCAN"}
		if i := slices.Index(words, "INDEX"); i > 0 && i+1 < len(words) {
			one.index = words[i+1]
		}
		steps = append(steps, one)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return steps
}

// explainPostgres returns the tables that PostgreSQL reads for a statement if it avoids sequential scans where
// possible. An index that is read without a condition counts as a full read.
func explainPostgres(t *testing.T, raw *sql.DB, s storetest.Statement) (steps []step) {
	t.Helper()
	plan := texts(t, raw, "EXPLAIN (FORMAT JSON) "+s.Query, s.Args...)
	var top []struct{ Plan map[string]any }
	if err := json.Unmarshal([]byte(strings.Join(plan, "\n")), &top); err != nil {
		t.Fatal(err)
	}
	var walk func(node map[string]any)
	walk = func(node map[string]any) {
		text := func(key string) string { s, _ := node[key].(string); return s }
		switch text("Node Type") {
		case "Seq Scan":
			steps = append(steps, step{table: text("Relation Name"), full: true})
		case "Index Scan", "Index Only Scan", "Bitmap Index Scan":
			steps = append(steps, step{text("Relation Name"), text("Index Name"), text("Index Cond") == ""})
		}
		children, _ := node["Plans"].([]any)
		for _, child := range children {
			walk(child.(map[string]any))
		}
	}
	for _, one := range top {
		walk(one.Plan)
	}
	return steps
}

// fill inserts a thousand rows into every table. In row n every text and hash is "x" and n. Numbers are n, or a value
// that makes the row live.
func fill(t *testing.T, raw *sql.DB, url string) {
	t.Helper()
	postgres := strings.HasPrefix(url, "postgres")
	tables := `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'
			AND name NOT LIKE 'goose%' ORDER BY rowid`
	columns := `SELECT name || ' ' || type FROM pragma_table_info($1)`
	numbers, blob := `WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1000)`,
		`CAST('x' || n AS BLOB)`
	if postgres {
		tables = `SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
				AND relname NOT LIKE 'goose%' ORDER BY oid`
		columns = `SELECT column_name || ' ' || data_type FROM information_schema.columns WHERE table_name = $1
				ORDER BY ordinal_position`
		numbers, blob = `WITH n (n) AS (SELECT generate_series(1, 1000))`, `convert_to('x' || n, 'UTF8')`
	}
	special := map[string]string{
		"epoch": "1", "version": "1", "guesses": "0", "open_attempts": "0", "send_attempts": "0", "used_at": "0",
		"finished_at": "0",
		"passed_at":   "0", "revoked_at": "0", "disabled_at": "0", "code_used_at": "0", "logout_due_at": "0",
		"logout_sent_at":    "0",
		"guess_notified_at": "0", "spent_notified_at": "0", "expires_at": "100000 + n",
		"session_expires_at": "100000 + n",
		"code_expires_at":    "100000 + n", "revoke_reason": "''", "state": "'waiting'", "pushed": "TRUE",
		"logout_pending": "n < 5", "urgent": "n % 2 = 0", "claim_beats": "CASE WHEN n < 5 THEN 1 ELSE 0 END",
		"accounts.role": "CASE WHEN n < 5 THEN 'operator' ELSE '' END", "email_links.role": "''",
		"needs_long_code": "FALSE", "trust_requested": "FALSE", "stay_signed_in": "FALSE",
		"persistent": "FALSE", "shown_only": "FALSE",
		"settings_shown":              "FALSE",
		"polls_early":                 "FALSE",
		"device_authorizations.state": "'pending'",
		"offline":                     "FALSE",
		"known_network":               "FALSE",
		"email_links.purpose":         "'undo'",
		"method_required":             "FALSE",
		"desk_codes.ended_at":         "0",
		"accounts.frozen_until":       "CASE WHEN n <= 3 THEN 0 ELSE 100000 + n END",
		"desk_codes.state":            "CASE n WHEN 2 THEN 'approved' WHEN 3 THEN 'valid' ELSE 'waiting' END",
		"email_links.due_at":          "CASE n WHEN 2 THEN 0 ELSE 100000 + n END",
		"guess_budget_entries.kind":   "CASE n % 3 WHEN 0 THEN 'send' WHEN 1 THEN 'guess' ELSE 'proof' END",
		"id_token_sent":               "FALSE",
		"failed":                      "FALSE",
		"gone":                        "FALSE",
		"audit_terms.id":              "1000 + n", // the migration has inserted others
		"audit_events.kind":           "1000 + n",
		"audit_events.actor_type":     "1000 + n",
	}
	for _, table := range texts(t, raw, tables) {
		var names, values []string
		for _, column := range texts(t, raw, columns, table) {
			name, kind, _ := strings.Cut(column, " ")
			value := cmp.Or(special[table+"."+name], special[name], "n")
			switch strings.ToLower(kind) {
			case "text":
				value = cmp.Or(special[table+"."+name], special[name], "'x' || n")
			case "blob", "bytea":
				value = blob
			}
			names, values = append(names, name), append(values, value)
		}
		if _, err := raw.ExecContext(t.Context(), fmt.Sprintf(`INSERT INTO %s (%s) %s SELECT %s FROM n`,
			table, strings.Join(names, ", "), numbers, strings.Join(values, ", "))); err != nil {
			t.Fatalf("%s: %v", table, err)
		}
	}
	settings := []string{`DELETE FROM challenges WHERE id = 'x1000'`} // an attempt that has none
	if postgres {
		settings = append(settings, `ANALYZE`, `SET enable_seqscan = off`)
	}
	for _, statement := range settings {
		if _, err := raw.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}
