package main

// odds are what an attacker who knows the password may guess in a year.
var odds = []mutation{
	{test: "TestGuessesAreCountedPerAccountAndYear",
		what: "a right code gives back what others have guessed", edits: []edit{
			{
				"internal/store/guess_budgets.go",
				"WHERE challenge_id = $1 AND challenge_id <> ''",
				"WHERE (challenge_id = $1 OR cost > 0)",
			},
		}},
	{test: "TestGuessesAreCountedPerAccountAndYear",
		what: "what an owner's own mistakes cost is not given back", edits: []edit{
			{
				"internal/store/guess_budgets.go",
				"WHERE challenge_id = $1 AND challenge_id <> ''",
				"WHERE challenge_id = $1 AND cost < 0",
			},
		}},
	{test: "TestGuessesAreCountedPerAccountAndYear", what: "nothing counts what is compared", edits: []edit{
		{"internal/odds/budget.go", "return Allows(b.spent(), cost, b.year)", "return cost <= b.year"},
	}},
	{test: "TestAppGuessesAtOnceStayInBudgetAtTwoServers",
		what: "guesses that arrive together do not see each other", edits: []edit{
			{
				"internal/odds/budget.go",
				"if _, err := tx.LockGuessBudget(ctx, name); err != nil {\n\t\treturn Budget{}, fmt.Errorf(\"odds: lock: %w\", err)\n\t}\n\tnow := bs.Now()\n\tv, err := tx",
				"now := bs.Now()\n\tv, err := tx",
			},
		}},
	{test: "TestPasswordGuessesWaitByNameAndNetwork", what: "wrong passwords do not wait", edits: []edit{
		{
			"internal/ratelimit/password.go",
			"now.Add(-PasswordDelay(failures))",
			"now.Add(-0 * PasswordDelay(failures))",
		},
	}},
	{test: "TestPasswordGuessesWaitByNameAndNetwork", what: "all names of one network are free", edits: []edit{
		{"internal/ratelimit/password.go", "used[i] > w.limit(site) {", "used[i] > 100*w.limit(site) {"},
	}},
	{test: "TestPasswordGuessesWaitByNameAndNetwork", what: "a known browser waits with its network", edits: []edit{
		{
			"internal/ratelimit/password.go",
			"if source.Device != \"\" {\n\t\treturn \"password \"",
			"if source.Device == \"never\" {\n\t\treturn \"password \"",
		},
	}},
	{test: "TestNetworksOfOneCustomerShareALimit", what: "a customer has 65,536 networks", edits: []edit{
		{"internal/origin/origin.go", "larger(address, 48, 16)}", "larger(address, 64, 1)}"},
	}},
	{test: "TestTextBudgetKeepsAPart", what: "new accounts may have all the text messages", edits: []edit{
		{"internal/challenge/quota.go", "return ratelimit.Newcomer", "return ratelimit.Proven"},
	}},
	{test: "TestTextBudgetKeepsAPart", what: "unknown browsers may have all the text messages", edits: []edit{
		{"internal/challenge/quota.go", "return ratelimit.Stranger", "return ratelimit.Proven"},
	}},
	{test: "TestAnonymousAuthorizationRequestsAreBounded",
		what: "strangers may store any number of requests", edits: []edit{
			{"internal/grant/auth_request.go", "authRequestBudget.For(who, \"\", 1), ", ""},
		}},
	{test: "TestAnonymousAuthorizationRequestsAreBounded", what: "requests of any size count alike", edits: []edit{
		{"internal/grant/auth_request.go", "q.Amount = int64(size)", "q.Amount = 0"},
	}},
	{test: "TestAnonymousAuthorizationRequestsAreBounded", what: "a state is stored six times as long", edits: []edit{
		{"internal/grant/auth_request.go", "to.SetEscapeHTML(false)", "to.SetEscapeHTML(true)"},
	}},
	{test: "TestAnonymousAuthorizationRequestsAreBounded", what: "strangers keep known browsers out", edits: []edit{
		{"internal/grant/auth_request.go", "if known {", "if known && false {"},
	}},
	{test: "TestGuessesAtManyAccountsRaiseTheAlarm", what: "guesses at many accounts alarm nobody", edits: []edit{
		{"internal/odds/site.go", "if DayAlarm(hours, b.now) {", "if DayAlarm(nil, b.now) {"},
	}},
	{test: "TestOwnerIsToldOfGuesses", what: "the owner is not told that it is used up", edits: []edit{
		{
			"internal/odds/notify.go",
			"return tx.ClaimSpentNotice(",
			"return store.ErrNotFound\n\t\treturn tx.ClaimSpentNotice(",
		},
	}},
	{test: "TestOwnerIsToldOfGuesses",
		what: "the owner is told again with each guess that comes too late", edits: []edit{
			{"internal/store/guess_budgets.go", "(spent_notified_at <= $2 OR spent_notified_at > $3)", "$2 <> -1"},
		}},
	{test: "TestGuessesDoNotLockTheOwnerOut", what: "short codes live on beside the longer one", edits: []edit{
		{
			"factor/sentcode/sentcode.go",
			"if !longCode {\n\t\treturn ParseDigits",
			"if !longCode || len(form.Get(\"code\")) == 6 {\n\t\treturn ParseDigits",
		},
	}},
	{test: "TestGuessesDoNotLockTheOwnerOut", what: "a known browser has no tries of its own", edits: []edit{
		{"internal/odds/budget.go", "return device != \"\" && lastHour", "return device == \"never\" && lastHour"},
	}},
}
