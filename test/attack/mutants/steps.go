package main

// steps are the ways past the second step, or past the first.
var steps = []mutation{
	{test: "TestPendingTokenIsNoSession", what: "a pending sign-in is taken for a session", edits: halfIn},
	{test: "TestPasswordAloneOpensNoSettings", what: "a pending sign-in is taken for a session", edits: halfIn},
	{test: "TestTokenInURLOrFormIsIgnored", what: "a token in the address is believed", edits: []edit{
		{"internal/web/web.go", `s.Pages.Cookie(r, page.SessionCookie)`, `s.Pages.Cookie(r, page.SessionCookie) + r.URL.Query().Get("session")`},
	}},
	{test: "TestPasswordAloneGivesNoCredential", what: "a door takes other bodies than forms", edits: []edit{
		{"internal/page/form.go", `err != nil || media != "application/x-www-form-urlencoded"`, `err != nil && media != ""`},
	}},
	{test: "TestExpiredSignInLeadsNowhere", what: "a sign-in has no end", edits: []edit{
		{"internal/signin/signin.go", `p.Finished || now.After(p.Ends)`, `p.Finished`},
	}},
	{test: "TestUnknownMethodIsRefused", what: "a method that the account has not got is taken", edits: []edit{
		{"internal/signin/challenge.go", `return cmp.Or(err, ErrUnknownMethod)`, `return cmp.Or(err)`},
	}},
	{test: "TestEmptyAnswersAreRefused", what: "no code is the answer where there is none", edits: []edit{
		{"internal/signin/challenge.go", `return p.code != ""`, `return p.code != "" || len(codes) == 0`},
	}},
	{test: "TestCodeFromAnotherSignInIsRefused", what: "codes of other questions are looked at, and their hash is not bound to the question", edits: anyCode},
	{test: "TestProofsWorkForTheirPurposeOnly", what: "codes of other questions are looked at, and their hash is not bound to the question", edits: anyCode},
	{test: "TestStoreFailureGivesNoSession", what: "a fault tells its cause", edits: []edit{
		{"internal/page/errors.go", `number " + id, ID: id`, `number " + id, ID: id + err.Error()`},
	}},
	{test: "TestStoreFailureGivesNoSession", what: "a fault tells an app its cause", edits: []edit{
		{"internal/page/errors.go", `number " + id, ID: id`, `number " + id + err.Error(), ID: id`},
	}},
	{test: "TestPanicShowsAReferenceOnly", what: "a panic is nobody's business", edits: []edit{
		{"internal/page/headers.go", `if broke := recover(); broke != nil`, `if broke := any(nil); broke != nil`},
	}},
	{test: "TestNoDebugPagesOrDefaultAccounts", what: "anybody may sign up unless that is forbidden", edits: []edit{
		{"internal/account/account.go", `r.Settings.SignUp == "open"`, `r.Settings.SignUp != "closed"`},
	}},
	{test: "TestUnsafeOptionsAreRefused", what: "a public server may show everybody the mail", edits: []edit{
		{"options.go", `case o.Local != nil && !isLoopback`, `case false && !isLoopback`},
	}},
}

// halfIn lets somebody in who has given the password alone.
var halfIn = []edit{
	{"internal/web/web.go", `return person{}, session.ErrNoSession`, `if p, err := s.onTheWay(r); err == nil {
			return person{session.Session{Account: session.Account{Email: p.Email}}, p.token}, nil
		}
		return person{}, session.ErrNoSession`},
}

// anyCode takes both defences away that stand behind each other.
var anyCode = []edit{
	{"internal/store/challenges.go", `WHERE challenge_id = $1 AND method = $2 AND used_at = 0`, `WHERE (challenge_id = $1 OR challenge_id <> '') AND (method = $2 OR method <> '') AND used_at = 0`},
	{"internal/signin/guess.go", `MAC("code", c.ID, c.Method, answer)`, `MAC("code", answer)`},
	{"internal/signin/challenge.go", `"code", c.ID, c.Method, candidate`, `"code", candidate`},
}
