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
	in := func(proved, trusted time.Time, amr ...string) *session.Session {
		return &session.Session{ID: "s", AuthenticatedAt: proved, TrustVerifiedAt: trusted, AMR: amr, Account: session.Account{ID: "anna", Groups: []string{"staff"}}}
	}
	byMail := in(ago(time.Hour), time.Time{}, "pwd", "email")
	byTrust := in(time.Time{}, ago(10*24*time.Hour), "pwd")
	byApp := in(ago(time.Minute), time.Time{}, "pwd", "otp", "mfa")
	justNow := in(now, time.Time{}, "pwd", "email")
	which := []string{"select_account"}
	for _, c := range []struct {
		what  string
		r     AuthRequest
		s     AuthProgress
		step  AuthStep
		error string
	}{
		{"nobody", AuthRequest{}, AuthProgress{}, StepSignIn, ""},
		{"nobody, silently", AuthRequest{Prompt: []string{"none"}}, AuthProgress{}, StepError, "login_required"},
		{"anybody", AuthRequest{}, AuthProgress{Session: byTrust}, StepIssueCode, ""},
		{"silently", AuthRequest{Prompt: []string{"none"}}, AuthProgress{Session: byMail}, StepIssueCode, ""},
		{"another is meant", AuthRequest{HintedSubject: "ben"}, AuthProgress{Session: byMail, Subject: "anna"}, StepError, "login_required"},
		{"this one is meant", AuthRequest{HintedSubject: "anna"}, AuthProgress{Session: byMail, Subject: "anna"}, StepIssueCode, ""},
		{"anew", AuthRequest{Prompt: []string{"login"}}, AuthProgress{Session: byMail}, StepReauthenticate, ""},
		{"anew, and was", AuthRequest{Prompt: []string{"login"}}, AuthProgress{Session: justNow}, StepIssueCode, ""},
		{"young enough", AuthRequest{MaxAge: seconds(3600)}, AuthProgress{Session: byMail}, StepIssueCode, ""},
		{"too old", AuthRequest{MaxAge: seconds(3599)}, AuthProgress{Session: byMail}, StepReauthenticate, ""},
		{"too old, silently", AuthRequest{MaxAge: seconds(60), Prompt: []string{"none"}}, AuthProgress{Session: byMail}, StepError, "login_required"},
		{"of no age", AuthRequest{MaxAge: seconds(0)}, AuthProgress{Session: byApp}, StepReauthenticate, ""},
		{"trust is no proof of any age", AuthRequest{MaxAge: seconds(24 * 3600)}, AuthProgress{Session: byTrust}, StepReauthenticate, ""},
		{"not even of a long one", AuthRequest{MaxAge: seconds(11 * 24 * 3600)}, AuthProgress{Session: byTrust}, StepReauthenticate, ""},
		{"given for this request", AuthRequest{MaxAge: seconds(0)}, AuthProgress{Session: justNow}, StepIssueCode, ""},
		{"too old for the app itself", AuthRequest{}, AuthProgress{Session: byMail, Client: client.Client{MaxAge: 60}}, StepReauthenticate, ""},
		{"more, and can", AuthRequest{MinLevel: session.LevelEmail}, AuthProgress{Session: byTrust, ReachableLevel: session.LevelEmail}, StepReauthenticate, ""},
		{"more, and cannot", AuthRequest{MinLevel: session.LevelCode}, AuthProgress{Session: byMail, ReachableLevel: session.LevelEmail}, StepError, "unmet_authentication_requirements"},
		{"more, silently", AuthRequest{MinLevel: session.LevelCode, Prompt: []string{"none"}}, AuthProgress{Session: byMail, ReachableLevel: session.LevelCode}, StepError, "login_required"},
		{"more for the app itself", AuthRequest{}, AuthProgress{Session: byMail, ReachableLevel: session.LevelCode, Client: client.Client{RequiredACR: "urn:twostep:acr:2"}}, StepReauthenticate, ""},
		{"enough", AuthRequest{MinLevel: session.LevelCode}, AuthProgress{Session: byApp}, StepIssueCode, ""},
		{"not in the group", AuthRequest{}, AuthProgress{Session: byMail, Client: client.Client{RequiredGroups: []string{"board"}}}, StepError, "access_denied"},
		{"in the group", AuthRequest{}, AuthProgress{Session: byMail, Client: client.Client{RequiredGroups: []string{"board", "staff"}}}, StepIssueCode, ""},
		{"foreign", AuthRequest{}, AuthProgress{Session: byMail, Client: client.Client{ThirdParty: true}}, StepConsent, ""},
		{"foreign, silently", AuthRequest{Prompt: []string{"none"}}, AuthProgress{Session: byMail, Client: client.Client{ThirdParty: true}}, StepError, "consent_required"},
		{"foreign and allowed", AuthRequest{}, AuthProgress{Session: byMail, Client: client.Client{ThirdParty: true}, Consented: true}, StepIssueCode, ""},
		{"an action", AuthRequest{Action: "app"}, AuthProgress{Session: byMail}, StepAction, ""},
		{"an action, silently", AuthRequest{Action: "app", Prompt: []string{"none"}}, AuthProgress{Session: byMail}, StepError, "interaction_required"},
		{"an action, and was there", AuthRequest{Action: "app", actionStarted: true}, AuthProgress{Session: byMail}, StepIssueCode, ""},
		{"nobody, and which account", AuthRequest{Prompt: which}, AuthProgress{}, StepSignIn, ""},
		{"which account", AuthRequest{Prompt: which}, AuthProgress{Session: byMail}, StepSelectAccount, ""},
		{"which account, and has said", AuthRequest{Prompt: which, SelectedAccountID: "anna"}, AuthProgress{Session: byMail}, StepIssueCode, ""},
		{"which account, said somebody else", AuthRequest{Prompt: which, SelectedAccountID: "ben"}, AuthProgress{Session: byMail}, StepSelectAccount, ""},
		{"which account, and came in for it", AuthRequest{Prompt: which}, AuthProgress{Session: &session.Session{ID: "s", StartedAt: now, AuthenticatedAt: now, AMR: byMail.AMR}}, StepIssueCode, ""},
		{"which account, and this one is meant", AuthRequest{Prompt: which, HintedSubject: "anna"}, AuthProgress{Session: byMail, Subject: "anna"}, StepIssueCode, ""},
		{"which account, and this one may not", AuthRequest{Prompt: which}, AuthProgress{Session: byMail, Client: client.Client{RequiredGroups: []string{"board"}}}, StepSelectAccount, ""},
		{"first the account, then the proof", AuthRequest{Prompt: append(which, "login")}, AuthProgress{Session: byMail}, StepSelectAccount, ""},
		{"the account, and then the proof", AuthRequest{Prompt: append(which, "login"), SelectedAccountID: "anna"}, AuthProgress{Session: byMail}, StepReauthenticate, ""},
		{"first the proof, then the consent", AuthRequest{MinLevel: session.LevelCode}, AuthProgress{Session: byMail, ReachableLevel: session.LevelCode, Client: client.Client{ThirdParty: true}}, StepReauthenticate, ""},
	} {
		c.r.RequestedAt, c.s.Now = now, now
		if step, code := c.r.NextStep(c.s); step != c.step || code != c.error {
			t.Errorf("%s: step %d %q, want %d %q", c.what, step, code, c.step, c.error)
		}
	}
	// A proof for a request that has waited long is old too.
	for age, want := range map[time.Duration]AuthStep{9 * time.Minute: StepIssueCode, 11 * time.Minute: StepReauthenticate} {
		r := AuthRequest{Prompt: []string{"login"}, RequestedAt: ago(time.Hour)}
		if step, _ := r.NextStep(AuthProgress{Session: in(ago(age), time.Time{}, "pwd", "email"), Now: now}); step != want {
			t.Errorf("anew, %s ago: step %d, want %d", age, step, want)
		}
	}
}
