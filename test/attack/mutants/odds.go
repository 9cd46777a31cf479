package main

// odds are what a stranger who knows the password may guess in a year.
var odds = []mutation{
	{test: "TestATT030_031_032_036_040_041_042", what: "a right code gives back what others have guessed", edits: []edit{
		{"internal/store/debits.go", "`DELETE FROM guess_budget_entries WHERE challenge_id = $1 AND challenge_id <> ''`", "`DELETE FROM guess_budget_entries WHERE challenge_id = $1 OR cost > 0`"},
	}},
	{test: "TestATT030_031_032_036_040_041_042", what: "what an owner's own mistakes cost is not given back", edits: []edit{
		{"internal/store/debits.go", "`DELETE FROM guess_budget_entries WHERE challenge_id = $1 AND challenge_id <> ''`", "`DELETE FROM guess_budget_entries WHERE challenge_id = $1 AND cost < 0`"},
	}},
	{test: "TestATT030_031_032_036_040_041_042", what: "nothing counts what is compared", edits: []edit{
		{"internal/ledger/ledger.go", "if !odds.Allows(b.spent(), odds.Chance(d.Cost), l.PerYear) {", "if odds.Chance(d.Cost) > l.PerYear {"},
		{"internal/ledger/ledger.go", "if !odds.Allows(b.spent(), g.Cost, l.PerYear) {\n\t\treturn true, nil", "if g.Cost > l.PerYear {\n\t\treturn true, nil"},
	}},
	{test: "TestATT044_ledger", what: "guesses that arrive together do not see each other", edits: []edit{
		{"internal/store/debits.go", "ON CONFLICT (name) DO UPDATE SET version = guess_budgets.version + 1", "ON CONFLICT (name) DO NOTHING"},
	}},
	{test: "TestATT053_062_181", what: "wrong passwords do not wait", edits: []edit{
		{"internal/account/guess.go", "last.Add(ratelimit.PasswordWait(w.Wrong))", "last.Add(ratelimit.PasswordWait(0))"},
	}},
	{test: "TestATT053_062_181", what: "all names of one network are free", edits: []edit{
		{"internal/account/guess.go", "if used >= one.most {", "if used >= 100*one.most {"},
	}},
	{test: "TestATT053_062_181", what: "a known browser waits with its network", edits: []edit{
		{"internal/account/guess.go", "if by.Device != \"\" {\n\t\treturn \"password \"", "if by.Device == \"never\" {\n\t\treturn \"password \""},
	}},
	{test: "TestATT054_189", what: "guesses at many accounts alarm nobody", edits: []edit{
		{"internal/ledger/site.go", "if ratelimit.DayTrips(hours, now) {", "if ratelimit.DayTrips(nil, now) {"},
	}},
	{test: "TestATT059", what: "the owner is not told that it is used up", edits: []edit{
		{"internal/ledger/owner.go", "return tx.TellLonger(", "return store.ErrNotFound\n\t\treturn tx.TellLonger("},
	}},
	{test: "TestATT059", what: "the owner is told again with each guess that comes too late", edits: []edit{
		{"internal/store/debits.go", "(spent_notified_at <= $2 OR spent_notified_at > $3)", "$2 <> -1"},
	}},
	{test: "TestATT060_180_188", what: "short codes live on beside the longer one", edits: []edit{
		{"factor/sentcode/sentcode.go", "if !hard {\n\t\treturn ReadDigits", "if !hard || len(form.Get(\"code\")) == 6 {\n\t\treturn ReadDigits"},
	}},
	{test: "TestATT060_180_188", what: "a known browser has no tries of its own", edits: []edit{
		{"internal/ledger/ledger.go", "return device != \"\" && hour", "return device == \"never\" && hour"},
	}},
}
