package main

// desks are codes that the help desk reads to people who are locked out.
var desks = []mutation{
	{test: "TestDeskCodeGuessesAreCounted", what: "a desk code has any number of guesses", edits: []edit{
		{"internal/store/desk_codes.go", " AND guesses < $3", " AND guesses < $3 + 1000"},
	}},
	{test: "TestDeskCodeGuessesAreCounted", what: "guesses at a desk code are not charged", edits: []edit{
		{"internal/odds/desk.go", "return tx.CreateBudgetEntry(ctx, e)", "_ = e\n\treturn nil"},
	}},
	{test: "TestDeskCodesHaveTheirPartOfTheBudget", what: "desk codes have no limit in a year", edits: []edit{
		{"internal/odds/desk.go", "if n+DeskGuessesPerCode > DeskGuessesPerYear {", "if n < 0 {"},
	}},
	{test: "TestDeskCodeWorksOnceInOneBrowser", what: "a desk code works in every browser", edits: []edit{
		{"internal/store/desk_codes.go", "AND (attempt_id = '' OR attempt_id = $2) AND", "AND"},
	}},
	{test: "TestDeskCodeEnds", what: "a cancelled desk code works", edits: []edit{
		{"internal/store/desk_codes.go", "SET state = 'cancelled', ended_at = $2", "SET used_at = used_at + 0 * $2"},
	}},
	{test: "TestDeskCodeEnds", what: "a desk code works after 15 minutes", edits: []edit{
		{"internal/deskcode/deskcode.go", "TTL = 15 * time.Minute", "TTL = 20 * time.Minute"},
	}},
	{test: "TestDeskCodeOpensOnlyTheSetup", what: "a desk code opens every page", edits: []edit{
		{"internal/session/session.go", "if err == nil && found.MethodRequired {", "if err != nil && found.MethodRequired {"},
	}},
	{test: "TestDeskCodeOpensOnlyTheSetup", what: "a desk code counts as both steps", edits: []edit{
		{
			"internal/challenge/desk.go", `row.AttemptID, row.AMR = a.row.ID, "pwd"`,
			`row.AttemptID, row.AuthenticatedAt, row.AMR = a.row.ID, now, "pwd"`,
		},
	}},
	{test: "TestDeskCodeOpensOnlyTheSetup", what: "trust survives a desk code", edits: []edit{
		{
			"internal/challenge/desk.go",
			`a.account.Ref(), trust.RevokedDeskCodeUsed, "")`,
			`store.AccountRef{ID: "nobody"}, trust.RevokedDeskCodeUsed, "")`,
		},
	}},
	{test: "TestCancelledDeskCodeEndsItsSession", what: "the session of a cancelled desk code goes on", edits: []edit{
		{"internal/deskcode/deskcode.go", "if err := d.removePassword(ctx, tx, a); err != nil {", "if err != nil {"},
	}},
	{test: "TestDeskCodesNeedAnotherOperator", what: "an operator approves their own desk code", edits: []edit{
		{"internal/deskcode/deskcode.go", "if parseActor(code.AskedBy) == by.Actor {", "if false {"},
		{"internal/store/desk_codes.go", " AND asked_by <> $2", ""},
	}},
	{test: "TestDeskCodesNeedAnotherOperator", what: "the help desk helps operators", edits: []edit{
		{"internal/deskcode/deskcode.go", `operator.Role == account.RoleHelpdesk && a.Role != "":`, `operator.Role == "":`},
	}},
}
