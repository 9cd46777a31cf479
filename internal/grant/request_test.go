package grant

import (
	"testing"
	"time"

	"twostep.example/twostep/internal/session"
)

// The order of the steps, for everybody who may come with everything that may be asked.
func TestNext(t *testing.T) {
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
		r     Request
		s     Standing
		step  Step
		error string
	}{
		{"nobody", Request{}, Standing{}, StepSignIn, ""},
		{"nobody, silently", Request{Prompt: []string{"none"}}, Standing{}, StepRefused, "login_required"},
		{"anybody", Request{}, Standing{Who: byTrust}, StepAllowed, ""},
		{"silently", Request{Prompt: []string{"none"}}, Standing{Who: byMail}, StepAllowed, ""},
		{"another is meant", Request{Subject: "ben"}, Standing{Who: byMail, Subject: "anna"}, StepRefused, "login_required"},
		{"this one is meant", Request{Subject: "anna"}, Standing{Who: byMail, Subject: "anna"}, StepAllowed, ""},
		{"anew", Request{Prompt: []string{"login"}}, Standing{Who: byMail}, StepConfirm, ""},
		{"anew, and was", Request{Prompt: []string{"login"}}, Standing{Who: justNow}, StepAllowed, ""},
		{"young enough", Request{MaxAge: seconds(3600)}, Standing{Who: byMail}, StepAllowed, ""},
		{"too old", Request{MaxAge: seconds(3599)}, Standing{Who: byMail}, StepConfirm, ""},
		{"too old, silently", Request{MaxAge: seconds(60), Prompt: []string{"none"}}, Standing{Who: byMail}, StepRefused, "login_required"},
		{"of no age", Request{MaxAge: seconds(0)}, Standing{Who: byApp}, StepConfirm, ""},
		{"trust is no proof of any age", Request{MaxAge: seconds(24 * 3600)}, Standing{Who: byTrust}, StepConfirm, ""},
		{"not even of a long one", Request{MaxAge: seconds(11 * 24 * 3600)}, Standing{Who: byTrust}, StepConfirm, ""},
		{"given for this request", Request{MaxAge: seconds(0)}, Standing{Who: justNow}, StepAllowed, ""},
		{"too old for the app itself", Request{}, Standing{Who: byMail, App: App{MaxAge: 60}}, StepConfirm, ""},
		{"more, and can", Request{Level: session.LevelEmail}, Standing{Who: byTrust, Reach: session.LevelEmail}, StepConfirm, ""},
		{"more, and cannot", Request{Level: session.LevelCode}, Standing{Who: byMail, Reach: session.LevelEmail}, StepRefused, "unmet_authentication_requirements"},
		{"more, silently", Request{Level: session.LevelCode, Prompt: []string{"none"}}, Standing{Who: byMail, Reach: session.LevelCode}, StepRefused, "login_required"},
		{"more for the app itself", Request{}, Standing{Who: byMail, Reach: session.LevelCode, App: App{ACR: "urn:twostep:acr:2"}}, StepConfirm, ""},
		{"enough", Request{Level: session.LevelCode}, Standing{Who: byApp}, StepAllowed, ""},
		{"not in the group", Request{}, Standing{Who: byMail, App: App{Groups: []string{"board"}}}, StepRefused, "access_denied"},
		{"in the group", Request{}, Standing{Who: byMail, App: App{Groups: []string{"board", "staff"}}}, StepAllowed, ""},
		{"foreign", Request{}, Standing{Who: byMail, App: App{Foreign: true}}, StepConsent, ""},
		{"foreign, silently", Request{Prompt: []string{"none"}}, Standing{Who: byMail, App: App{Foreign: true}}, StepRefused, "consent_required"},
		{"foreign and allowed", Request{}, Standing{Who: byMail, App: App{Foreign: true}, Consented: true}, StepAllowed, ""},
		{"an action", Request{Action: "app"}, Standing{Who: byMail}, StepAct, ""},
		{"an action, silently", Request{Action: "app", Prompt: []string{"none"}}, Standing{Who: byMail}, StepRefused, "interaction_required"},
		{"an action, and was there", Request{Action: "app", acted: true}, Standing{Who: byMail}, StepAllowed, ""},
		{"nobody, and which account", Request{Prompt: which}, Standing{}, StepSignIn, ""},
		{"which account", Request{Prompt: which}, Standing{Who: byMail}, StepChoose, ""},
		{"which account, and has said", Request{Prompt: which, Chosen: "anna"}, Standing{Who: byMail}, StepAllowed, ""},
		{"which account, said somebody else", Request{Prompt: which, Chosen: "ben"}, Standing{Who: byMail}, StepChoose, ""},
		{"which account, and came in for it", Request{Prompt: which}, Standing{Who: &session.Session{ID: "s", StartedAt: now, AuthenticatedAt: now, AMR: byMail.AMR}}, StepAllowed, ""},
		{"which account, and this one is meant", Request{Prompt: which, Subject: "anna"}, Standing{Who: byMail, Subject: "anna"}, StepAllowed, ""},
		{"which account, and this one may not", Request{Prompt: which}, Standing{Who: byMail, App: App{Groups: []string{"board"}}}, StepChoose, ""},
		{"first the account, then the proof", Request{Prompt: append(which, "login")}, Standing{Who: byMail}, StepChoose, ""},
		{"the account, and then the proof", Request{Prompt: append(which, "login"), Chosen: "anna"}, Standing{Who: byMail}, StepConfirm, ""},
		{"first the proof, then the consent", Request{Level: session.LevelCode}, Standing{Who: byMail, Reach: session.LevelCode, App: App{Foreign: true}}, StepConfirm, ""},
	} {
		c.r.Asked, c.s.Now = now, now
		if step, code := c.r.Next(c.s); step != c.step || code != c.error {
			t.Errorf("%s: step %d %q, want %d %q", c.what, step, code, c.step, c.error)
		}
	}
	// A proof for a request that has waited long is old too.
	for age, want := range map[time.Duration]Step{9 * time.Minute: StepAllowed, 11 * time.Minute: StepConfirm} {
		r := Request{Prompt: []string{"login"}, Asked: ago(time.Hour)}
		if step, _ := r.Next(Standing{Who: in(ago(age), time.Time{}, "pwd", "email"), Now: now}); step != want {
			t.Errorf("anew, %s ago: step %d, want %d", age, step, want)
		}
	}
}
