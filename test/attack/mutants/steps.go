package main

// steps are the ways past the second step, or past the first.
var steps = []mutation{
	{test: "TestPendingTokenIsNoSession", what: "a pending sign-in is taken for a session", edits: halfIn},
	{test: "TestPasswordAloneOpensNoSettings", what: "a pending sign-in is taken for a session", edits: halfIn},
	{test: "TestTokenInURLOrFormIsIgnored", what: "a token in the address is believed", edits: []edit{
		{
			"internal/web/web.go",
			`s.Pages.Cookie(r, render.SessionCookie)`,
			`s.Pages.Cookie(r, render.SessionCookie) + r.URL.Query().Get("session")`,
		},
	}},
	{test: "TestPasswordAloneGivesNoCredential", what: "other bodies than forms are read", edits: []edit{
		{
			"internal/render/form.go",
			`err != nil || media != "application/x-www-form-urlencoded"`,
			`err != nil && media != ""`,
		},
	}},
	{test: "TestExpiredSignInLeadsNowhere", what: "a sign-in has no end", edits: []edit{
		{"internal/challenge/state.go", `s.Finished || now.After(s.ExpiresAt)`, `s.Finished`},
	}},
	{test: "TestUnknownMethodIsRefused", what: "a method that the account has not got is taken", edits: []edit{
		{"internal/challenge/attempt.go", `return ErrUnknownMethod`, `return nil`},
	}},
	{test: "TestEmptyAnswersAreRefused", what: "no code is the answer where there is none", edits: []edit{
		{"internal/challenge/prove.go", `return p.code != ""`, `return p.code != "" || len(codes) == 0`},
	}},
	{test: "TestCodeFromAnotherSignInIsRefused", what: "codes of other questions are looked at, and their hash is not bound to the question", edits: anyCode},
	{test: "TestProofsWorkForTheirPurposeOnly", what: "codes of other questions are looked at, and their hash is not bound to the question", edits: anyCode},
	{test: "TestStoreFailureGivesNoSession", what: "a fault tells its cause", edits: []edit{
		{"internal/render/errors.go", `number " + id, ID: id`, `number " + id, ID: id + err.Error()`},
	}},
	{test: "TestStoreFailureGivesNoSession", what: "a fault tells an app its cause", edits: []edit{
		{"internal/render/errors.go", `number " + id, ID: id`, `number " + id + err.Error(), ID: id`},
	}},
	{test: "TestPanicShowsAReferenceOnly", what: "a panic is nobody's business", edits: []edit{
		{
			"internal/render/middleware.go",
			`if recovered := recover(); recovered != nil`,
			`if recovered := any(nil); recovered != nil`,
		},
	}},
	{test: "TestNoDebugPagesOrDefaultAccounts", what: "anybody may sign up unless that is forbidden", edits: []edit{
		{"internal/account/account.go", `a.Settings.SignUp == "open"`, `a.Settings.SignUp != "closed"`},
	}},
	{test: "TestUnsafeOptionsAreRefused", what: "a public server may show everybody the mail", edits: []edit{
		{"options.go", `case o.Local != nil && !trust.IsLoopbackHost`, `case false && !trust.IsLoopbackHost`},
	}},
}

// halfIn lets somebody in who has given the password alone.
var halfIn = []edit{
	{"internal/web/web.go", `return signedIn{}, session.ErrNoSession`, `if p, err := s.requireAttempt(r); err == nil {
			return signedIn{session.Session{Account: session.Account{Email: p.Email}}}, nil
		}
		return signedIn{}, session.ErrNoSession`},
}

// anyCode takes both defences away that stand behind each other.
var anyCode = []edit{
	{
		"internal/store/attempts_load.go",
		`WHERE codes.challenge_id = $1`,
		`WHERE (codes.challenge_id = $1 OR codes.challenge_id <> '')`,
	},
	{"internal/challenge/attempt.go", `if code.Method == a.open.Method && code.UsedAt`, `if code.UsedAt`},
	{"internal/challenge/ask.go", `MAC("code", c.ID, c.Method, asked.Answer)`, `MAC("code", asked.Answer)`},
	{"internal/challenge/prove.go", `"code", a.open.ID, a.open.Method, candidate`, `"code", candidate`},
}
