package main

// tabs are the pages of several tabs of one browser.
var tabs = []mutation{
	{test: "TestTabLeadsToItsOwnApp", what: "the code page does not know where its tab leads", edits: []edit{
		{"internal/web/web.go", "p.target, p.LinkQuery = target, linkQuery(target)", "p.LinkQuery = linkQuery(target)"},
	}},
	{test: "TestTabLeadsToItsOwnApp", what: "a tab that is late leads to the settings", edits: []edit{
		{
			"internal/render/errors.go",
			`return signInURL(r.URL.Query()["return_to"]...)`,
			`return signInURL()`,
		},
	}},
	{test: "TestRequestBelongsToItsBrowser",
		what: "an authorization request may be finished in every browser", edits: []edit{
			{"internal/grant/auth_request.go", "err == nil && r.Browser != nil &&", "err == nil && len(r.Browser) == 1 &&"},
		}},
	{test: "TestRequestBelongsToItsBrowser", what: "a request that was posted belongs to every browser", edits: []edit{
		{
			"internal/oidc/continue.go",
			"err == nil && authReq.Browser == nil {",
			"err != nil && authReq.Browser == nil {",
		},
	}},
	{test: "TestTabsOpenedAtTheSameTimeKeepTheirRequests",
		what: "the cookie of a tab replaces that of another", edits: []edit{
			{
				"internal/render/cookies.go",
				"p.SetCookie(w, BrowserCookie+Cookie(id[:8]), id)",
				"p.SetCookie(w, BrowserCookie, id)",
			},
		}},
	{test: "TestTabsOpenedAtTheSameTimeKeepTheirRequests", what: "each request adds a cookie", edits: []edit{
		{
			"internal/render/cookies.go",
			"known := p.Browsers(r); len(known) > 0 {",
			"known := p.Browsers(r); len(known) > 9 {",
		},
	}},
	{test: "TestFormOfAnotherAccountIsNotUsed",
		what: "a form is used whose page is about another account", edits: []edit{
			{"internal/web/return_target.go", `if tag != "" && (err != nil ||`, `if tag == "-" && (err != nil ||`},
		}},
	{test: "TestFormOfAnotherAccountIsNotUsed",
		what: "a form of another account ends the sign-in of this one", edits: []edit{
			{
				"internal/web/signin.go",
				"case err == nil && s.checkAccountTag(form[accountTag], p.Account().ID) != nil:",
				"case err != nil && p.Attempt != nil:",
			},
		}},
	{test: "TestTabsShareOneAttempt", what: "the password of a step-up begins another attempt each time", edits: []edit{
		{
			"internal/web/stepup.go",
			"AttemptToken: s.Pages.Cookie(r, render.SignInCookie),",
			`AttemptToken: "",`,
		},
	}},
	{test: "TestNoPageOfASignInLeadsOffThisSite", what: "every return_to is carried on", edits: []edit{
		{"internal/web/return_target.go", "if !local {\n\t\t\ttarget.returnTo = \"\"\n\t\t}", "_ = local"},
		{
			"internal/web/return_target.go",
			"if !local && target.Origin == \"\" {",
			"if !local && target.Origin == \"-\" {",
		},
	}},
	{test: "TestAnotherTabIsNoFreshSignIn",
		what: "a sign-in in another tab is fresh enough for every app", edits: []edit{
			{"internal/grant/auth_request.go", "return r.authTooOld(p) || p.Session.Level() < r.requiredLevel(p.Client)",
				"return r.authTooOld(p) && p.Session.Level() < r.requiredLevel(p.Client)"},
		}},
	{test: "TestMailedLinkLeadsOnInItsBrowserOnly", what: "a mailed link has any text", edits: []edit{
		{
			"internal/web/return_target.go",
			"if target.RequestToken == \"\" {\n\t\treturn \"\"\n\t}\n\treturn returnTo(grant.ContinueURL(target.RequestToken)).At(\"\")",
			"return target.At(\"\")",
		},
	}},
	{test: "TestOnlyAppSignInsKeepTheirOpener", what: "every page with a return target keeps its opener", edits: []edit{
		{"internal/web/return_target.go", "if target.RequestToken != \"\" {", "if target.returnTo != \"\" {"},
	}},
	{test: "TestOnlyAppSignInsKeepTheirOpener", what: "the sign-in of an app cuts its opener off", edits: []edit{
		{"internal/oidc/oidc.go", "\t\trender.KeepOpener(w)\n", ""},
	}},
}
