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
}
