package main

// odds are what a stranger who knows the password may guess in a year.
var odds = []mutation{
	{test: "TestGuessesAreCountedPerAccountAndYear", what: "a right code gives back what others have guessed", edits: []edit{
		{"internal/store/debits.go", "`DELETE FROM guess_budget_entries WHERE challenge_id = $1 AND challenge_id <> ''`", "`DELETE FROM guess_budget_entries WHERE challenge_id = $1 OR cost > 0`"},
	}},
	{test: "TestGuessesAreCountedPerAccountAndYear", what: "what an owner's own mistakes cost is not given back", edits: []edit{
		{"internal/store/debits.go", "`DELETE FROM guess_budget_entries WHERE challenge_id = $1 AND challenge_id <> ''`", "`DELETE FROM guess_budget_entries WHERE challenge_id = $1 AND cost < 0`"},
	}},
	{test: "TestGuessesAreCountedPerAccountAndYear", what: "nothing counts what is compared", edits: []edit{
		{"internal/ledger/ledger.go", "if !limit.Allows(b.spent(), limit.Odds(d.Cost), l.PerYear) {", "if limit.Odds(d.Cost) > l.PerYear {"},
		{"internal/ledger/ledger.go", "if !limit.Allows(b.spent(), g.Cost, l.PerYear) {\n\t\treturn true, nil", "if g.Cost > l.PerYear {\n\t\treturn true, nil"},
	}},
	{test: "TestAppGuessesAtOnceStayInBudgetAtTwoServers", what: "guesses that arrive together do not see each other", edits: []edit{
		{"internal/store/debits.go", "ON CONFLICT (name) DO UPDATE SET version = guess_budgets.version + 1", "ON CONFLICT (name) DO NOTHING"},
	}},
	{test: "TestPasswordGuessesWaitByNameAndNetwork", what: "wrong passwords do not wait", edits: []edit{
		{"internal/account/guess.go", "last.Add(limit.PasswordWait(w.Wrong))", "last.Add(limit.PasswordWait(0))"},
	}},
	{test: "TestPasswordGuessesWaitByNameAndNetwork", what: "all names of one network are free", edits: []edit{
		{"internal/account/guess.go", "if used >= one.most {", "if used >= 100*one.most {"},
	}},
	{test: "TestPasswordGuessesWaitByNameAndNetwork", what: "a known browser waits with its network", edits: []edit{
		{"internal/account/guess.go", "if by.Device != \"\" {\n\t\treturn \"password \"", "if by.Device == \"never\" {\n\t\treturn \"password \""},
	}},
	{test: "TestGuessesAtManyAccountsRaiseTheAlarm", what: "guesses at many accounts alarm nobody", edits: []edit{
		{"internal/ledger/site.go", "if limit.DayTrips(hours, now) {", "if limit.DayTrips(nil, now) {"},
	}},
	{test: "TestOwnerIsToldOfGuesses", what: "the owner is not told that it is used up", edits: []edit{
		{"internal/ledger/owner.go", "return tx.TellLonger(", "return store.ErrNotFound\n\t\treturn tx.TellLonger("},
	}},
	{test: "TestOwnerIsToldOfGuesses", what: "the owner is told again with each guess that comes too late", edits: []edit{
		{"internal/store/debits.go", "(spent_notified_at <= $2 OR spent_notified_at > $3)", "$2 <> -1"},
	}},
	{test: "TestGuessesDoNotLockTheOwnerOut", what: "short codes live on beside the longer one", edits: []edit{
		{"factor/sentcode/sentcode.go", "if !hard {\n\t\treturn ReadDigits", "if !hard || len(form.Get(\"code\")) == 6 {\n\t\treturn ReadDigits"},
	}},
	{test: "TestGuessesDoNotLockTheOwnerOut", what: "a known browser has no tries of its own", edits: []edit{
		{"internal/ledger/ledger.go", "return device != \"\" && hour", "return device == \"never\" && hour"},
	}},
}
