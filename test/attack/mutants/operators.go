package main

// operators are who may open the operators' pages, and how they have signed in.
var operators = []mutation{
	{test: "TestOperatorsPagesNeedRoleAndProof", what: "any role opens every page of the operators", edits: []edit{
		{"internal/admin/admin.go", "if !who.may(roles) {", "if !who.may(anyRole) {"},
	}},
	{test: "TestOperatorsPagesNeedRoleAndProof", what: "an old proof opens the pages of the operators", edits: []edit{
		{
			"internal/session/session.go",
			"return !s.AuthenticatedAt.IsZero() && now.Sub(s.AuthenticatedAt) <= d && s.Level() >= level",
			"return !s.AuthenticatedAt.IsZero() && s.Level() >= level",
		},
	}},
	{test: "TestOperatorsPagesNeedRoleAndProof", what: "a code by email is enough beside an app", edits: []edit{
		{"internal/challenge/factors.go", "needed = max(needed, LevelBy(f.Method))", "needed = max(needed, session.LevelEmail)"},
	}},
	{test: "TestTrustOpensNoOperatorsPage", what: "trust opens the pages of the operators", edits: []edit{
		{
			"internal/session/session.go",
			"return !s.AuthenticatedAt.IsZero() && now.Sub(s.AuthenticatedAt) <= d && s.Level() >= level",
			"return now.Sub(s.AuthTime()) <= d && (s.Level() >= level || !s.TrustVerifiedAt.IsZero())",
		},
	}},
	{test: "TestLastOperatorKeepsTheRole", what: "the last operator loses the role", edits: []edit{
		{"internal/account/operator.go", "if err == nil && active < 2 {", "if err == nil && active < 0 {"},
	}},
	{test: "TestOperatorsAreTheActorsOfWhatTheyDo", what: "what an operator does is done by nobody", edits: []edit{
		{"internal/admin/admin.go", "return audit.Actor{Type: audit.TypeOperator, ID: o.Account.ID}", "return audit.System()"},
	}},
	{test: "TestOperatorsChangeApps", what: "operators are not told of what is done to apps", edits: []edit{
		{"internal/account/notice.go", "for _, n.To = range emails {", "for _, n.To = range emails[:0] {"},
	}},
	{test: "TestOperatorsChangeApps", what: "what somebody else has changed is overwritten", edits: []edit{
		{"internal/client/clients.go", `if was != "" && old.Version() != was {`, `if was == "" && old.Version() != was {`},
	}},
	{test: "TestOperatorsChangeApps", what: "an old secret is kept unasked", edits: []edit{
		{"internal/client/clients.go", "	if keep {", "	if keep || true {"},
	}},
	{test: "TestRolesLimitWhatIsDoneToApps", what: "an auditor changes apps", edits: []edit{
		{"internal/admin/apps.go", `"POST /admin/apps/{id}/edit", operatorsOnly`, `"POST /admin/apps/{id}/edit", exporters`},
	}},
	{test: "TestRolesLimitWhatIsDoneToApps", what: "the help desk sees apps", edits: []edit{
		{"internal/admin/apps.go", `"GET /admin/apps/{id}", exporters`, `"GET /admin/apps/{id}", anyRole`},
	}},
	{test: "TestAppPagesCheckWhatTheCommandChecks", what: "a page shows a private key again", edits: []edit{
		{"internal/admin/app_form.go", `form["keys"] = ""`, ""},
	}},
	{test: "TestAppPagesCheckWhatTheCommandChecks", what: "two apps have one host", edits: []edit{
		{"internal/client/clients.go", "if err := cl.CheckConflict(other); err != nil && other.ID != cl.ID {", "if err := cl.CheckConflict(other); err != nil && other.ID == \"\" {"},
	}},
	{test: "TestListOfApps", what: "the use of a host is not noted", edits: []edit{
		{"internal/forwardauth/decision.go", "		a.Grants.Clients.RecordUse(cl.ID)", "		//"},
		{"internal/grant/token.go", "	g.Clients.RecordUse(grant.ClientID)", "	//"},
	}},
}
