package main

// policies are the rules by group and by app.
var policies = []mutation{
	{test: "TestStrictAppGetsNoSessionOfAnotherApp", what: "an app takes any session", edits: []edit{
		{"internal/grant/auth_request.go", `(forRequest || p.Session.Fits(p.Limits, p.Now))`, `(forRequest || p.Session.Fits(p.Limits, p.Now) || true)`},
	}},
	{test: "TestStrictAppGetsNoSessionOfAnotherApp", what: "any use of a session makes up for the time without one", edits: []edit{
		{"internal/session/session.go", `row.LongestIdle = max(row.LongestIdle, now.Sub(row.LastSeenAt))
	found, limits`, `row.LongestIdle = now.Sub(row.LastSeenAt)
	found, limits`},
	}},
	{test: "TestStrictAppGetsNoSessionOfAnotherApp", what: "the app takes trust that it does not allow", edits: []edit{
		{"internal/session/session.go", `return !s.AuthenticatedAt.IsZero() || s`, `return true || s`},
	}},
	{test: "TestStrictAppGetsNoOtherMethod", what: "the app takes any method", edits: []edit{
		{"internal/grant/auth_request.go", `return p.Session.Allows(p.Limits) && (`, `return (`},
	}},
	{test: "TestOperatorsFollowThePolicy", what: "the operators' pages take any method", edits: []edit{
		{"internal/challenge/set_up.go", `case who.Allows(l):
		return nil`, `case who.Allows(l) || true:
		return nil`},
	}},
	{test: "TestOperatorsFollowThePolicy", what: "the operators' pages ask for no policy", edits: []edit{
		{"internal/admin/admin.go", `if rules := s.Sessions.Rules; rules.Requires() {`, `if rules := s.Sessions.Rules; rules.Requires() && false {`},
	}},
	{test: "TestTokensFollowThePolicy", what: "old tokens outlive new rules", edits: []edit{
		{"internal/grant/token.go", `limit = l.Refresh`, `limit = l.Absolute`},
	}},
	{test: "TestHostFollowsThePolicy", what: "remembered answers outlive the rules of the app", edits: []edit{
		{"internal/grant/basis.go", `who.EndsBy(who.Began(), p.Limits)`, `who.ExpiresAt`},
	}},
	{test: "TestHostFollowsThePolicy", what: "the rules of a group end no session", edits: []edit{
		{"internal/session/session.go", `if !s.live(found, limits, now) {`, `if !s.live(found, limits, now) && false {`},
	}},
}
