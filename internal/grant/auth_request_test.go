package grant

import (
	"testing"
	"time"

	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/session"
)

// The order of the steps for all combinations of person, request and client.
func TestNextStepOrder(t *testing.T) {
	now := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	seconds := func(n int64) *int64 { return &n }
	in := func(authenticatedAt, trusted time.Time, amr ...string) *session.Session {
		return &session.Session{ID: "s", AuthenticatedAt: authenticatedAt, TrustVerifiedAt: trusted, AMR: amr, Account: session.Account{ID: "anna", Groups: []string{"staff"}}}
	}
	byMail := in(ago(time.Hour), time.Time{}, "pwd", "email")
	byTrust := in(time.Time{}, ago(10*24*time.Hour), "pwd")
	byApp := in(ago(time.Minute), time.Time{}, "pwd", "otp", "mfa")
	justNow := in(now, time.Time{}, "pwd", "email")
	selectAccount := []string{"select_account"}
	for _, c := range []struct {
		what  string
		r     AuthRequest
		p     AuthProgress
		step  AuthStep
		error string
	}{
		{"not signed in", AuthRequest{}, AuthProgress{}, StepSignIn, ""},
		{"not signed in, prompt=none", AuthRequest{Prompt: []string{"none"}}, AuthProgress{}, StepError, "login_required"},
		{"signed in", AuthRequest{}, AuthProgress{Session: byTrust}, StepIssueCode, ""},
		{"signed in, prompt=none", AuthRequest{Prompt: []string{"none"}}, AuthProgress{Session: byMail}, StepIssueCode, ""},
		{"id_token_hint of another person", AuthRequest{HintedSubject: "ben"}, AuthProgress{Session: byMail, Subject: "anna"}, StepError, "login_required"},
		{"id_token_hint of this person", AuthRequest{HintedSubject: "anna"}, AuthProgress{Session: byMail, Subject: "anna"}, StepIssueCode, ""},
		{"prompt=login", AuthRequest{Prompt: []string{"login"}}, AuthProgress{Session: byMail}, StepReauthenticate, ""},
		{"prompt=login, just authenticated", AuthRequest{Prompt: []string{"login"}}, AuthProgress{Session: justNow}, StepIssueCode, ""},
		{"max_age, recent enough", AuthRequest{MaxAge: seconds(3600)}, AuthProgress{Session: byMail}, StepIssueCode, ""},
		{"max_age, too old", AuthRequest{MaxAge: seconds(3599)}, AuthProgress{Session: byMail}, StepReauthenticate, ""},
		{"max_age, too old, prompt=none", AuthRequest{MaxAge: seconds(60), Prompt: []string{"none"}}, AuthProgress{Session: byMail}, StepError, "login_required"},
		{"max_age=0", AuthRequest{MaxAge: seconds(0)}, AuthProgress{Session: byApp}, StepReauthenticate, ""},
		{"max_age, trusted browser", AuthRequest{MaxAge: seconds(24 * 3600)}, AuthProgress{Session: byTrust}, StepReauthenticate, ""},
		{"long max_age, trusted browser", AuthRequest{MaxAge: seconds(11 * 24 * 3600)}, AuthProgress{Session: byTrust}, StepReauthenticate, ""},
		{"max_age=0, authenticated for this request", AuthRequest{MaxAge: seconds(0)}, AuthProgress{Session: justNow}, StepIssueCode, ""},
		{"max_age of the client, too old", AuthRequest{}, AuthProgress{Session: byMail, Client: client.Client{MaxAge: 60}}, StepReauthenticate, ""},
		{"higher level, reachable", AuthRequest{MinLevel: session.LevelEmail}, AuthProgress{Session: byTrust, ReachableLevel: session.LevelEmail}, StepReauthenticate, ""},
		{"higher level, not reachable", AuthRequest{MinLevel: session.LevelCode}, AuthProgress{Session: byMail, ReachableLevel: session.LevelEmail}, StepError, "unmet_authentication_requirements"},
		{"higher level, prompt=none", AuthRequest{MinLevel: session.LevelCode, Prompt: []string{"none"}}, AuthProgress{Session: byMail, ReachableLevel: session.LevelCode}, StepError, "login_required"},
		{"higher level of the client", AuthRequest{}, AuthProgress{Session: byMail, ReachableLevel: session.LevelCode, Client: client.Client{RequiredACR: "urn:twostep:acr:2"}}, StepReauthenticate, ""},
		{"level satisfied", AuthRequest{MinLevel: session.LevelCode}, AuthProgress{Session: byApp}, StepIssueCode, ""},
		{"not in the group", AuthRequest{}, AuthProgress{Session: byMail, Client: client.Client{RequiredGroups: []string{"board"}}}, StepError, "access_denied"},
		{"in the group", AuthRequest{}, AuthProgress{Session: byMail, Client: client.Client{RequiredGroups: []string{"board", "staff"}}}, StepIssueCode, ""},
		{"third-party client", AuthRequest{}, AuthProgress{Session: byMail, Client: client.Client{ThirdParty: true}}, StepConsent, ""},
		{"third-party client, prompt=none", AuthRequest{Prompt: []string{"none"}}, AuthProgress{Session: byMail, Client: client.Client{ThirdParty: true}}, StepError, "consent_required"},
		{"third-party client with consent", AuthRequest{}, AuthProgress{Session: byMail, Client: client.Client{ThirdParty: true}, Consented: true}, StepIssueCode, ""},
		{"an action", AuthRequest{Action: "app"}, AuthProgress{Session: byMail}, StepAction, ""},
		{"an action, prompt=none", AuthRequest{Action: "app", Prompt: []string{"none"}}, AuthProgress{Session: byMail}, StepError, "interaction_required"},
		{"an action, started", AuthRequest{Action: "app", actionStarted: true}, AuthProgress{Session: byMail}, StepIssueCode, ""},
		{"select_account, not signed in", AuthRequest{Prompt: selectAccount}, AuthProgress{}, StepSignIn, ""},
		{"select_account", AuthRequest{Prompt: selectAccount}, AuthProgress{Session: byMail}, StepSelectAccount, ""},
		{"select_account, selected", AuthRequest{Prompt: selectAccount, SelectedAccountID: "anna"}, AuthProgress{Session: byMail}, StepIssueCode, ""},
		{"select_account, another account selected", AuthRequest{Prompt: selectAccount, SelectedAccountID: "ben"}, AuthProgress{Session: byMail}, StepSelectAccount, ""},
		{"select_account, signed in for the request", AuthRequest{Prompt: selectAccount}, AuthProgress{Session: &session.Session{ID: "s", StartedAt: now, AuthenticatedAt: now, AMR: byMail.AMR}}, StepIssueCode, ""},
		{"select_account, id_token_hint of this person", AuthRequest{Prompt: selectAccount, HintedSubject: "anna"}, AuthProgress{Session: byMail, Subject: "anna"}, StepIssueCode, ""},
		{"select_account, not in the group", AuthRequest{Prompt: selectAccount}, AuthProgress{Session: byMail, Client: client.Client{RequiredGroups: []string{"board"}}}, StepSelectAccount, ""},
		{"select_account before login", AuthRequest{Prompt: append(selectAccount, "login")}, AuthProgress{Session: byMail}, StepSelectAccount, ""},
		{"select_account done, then login", AuthRequest{Prompt: append(selectAccount, "login"), SelectedAccountID: "anna"}, AuthProgress{Session: byMail}, StepReauthenticate, ""},
		{"higher level before consent", AuthRequest{MinLevel: session.LevelCode}, AuthProgress{Session: byMail, ReachableLevel: session.LevelCode, Client: client.Client{ThirdParty: true}}, StepReauthenticate, ""},
	} {
		c.r.RequestedAt, c.p.Now = now, now
		if step, code := c.r.NextStep(c.p); step != c.step || code != c.error {
			t.Errorf("%s: step %d %q, want %d %q", c.what, step, code, c.step, c.error)
		}
	}
	// An authentication for a request expires after reauthGrace.
	for age, want := range map[time.Duration]AuthStep{9 * time.Minute: StepIssueCode, 11 * time.Minute: StepReauthenticate} {
		r := AuthRequest{Prompt: []string{"login"}, RequestedAt: ago(time.Hour)}
		if step, _ := r.NextStep(AuthProgress{Session: in(ago(age), time.Time{}, "pwd", "email"), Now: now}); step != want {
			t.Errorf("prompt=login, authenticated %s ago: step %d, want %d", age, step, want)
		}
	}
}
