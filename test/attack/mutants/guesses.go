package main

// guesses are what lets somebody guess more than was promised.
var guesses = []mutation{
	{test: "TestATT033_034", what: "a new code gives new tries", edits: []edit{
		{"internal/store/challenges.go", `sent_at = $5, version = $6`, `sent_at = $5, guesses = 0, version = $6`},
	}},
	{test: "TestATT035", what: "another method has tries of its own", edits: []edit{
		{"internal/store/challenges.go", `SET method = $2, state`, `SET guesses = CASE WHEN method = $2 THEN guesses ELSE 0 END, method = $2, state`},
	}},
	{test: "TestATT039_063", what: "a spent try does not stop the comparison", edits: []edit{
		{"internal/signin/challenge.go", `e.debit(ctx, v, c, g, from); err != nil`, `e.debit(ctx, v, c, g, from); err != nil && !errors.Is(err, ErrTooManyTries)`},
	}},
	{test: "TestATT044", what: "tries may go over the limit in the conditional UPDATE", edits: []edit{
		{"internal/store/challenges.go", `AND guesses < $2`, `AND guesses < $2 + 40`},
	}},
	{test: "TestATT049_064_268", what: "digits of any script are read", edits: []edit{
		{"factor/sentcode/sentcode.go", `'\u0660', `, `'\u0660', '\u07c0', `},
	}},
	{test: "TestATT056_170", what: "mails to a new address are not counted", edits: []edit{
		{"internal/limit/limit.go", `NewMailsPerAccount = 10, 20, 10`, `NewMailsPerAccount = 100, 100, 100`},
	}},
	{test: "TestATT057", what: "the secret of a link is short", edits: []edit{
		{"internal/seal/tokens.go", "return rand.Text()\n", "return rand.Text()[:20]\n"},
	}},
	{test: "TestATT080", what: "the end of a token does not count", edits: []edit{
		{"internal/seal/tokens.go", `[]byte(token))`, `[]byte(token[:min(len(token), 40)]))`},
	}},
	{test: "TestATT108", what: "a password is not sealed for its account", edits: []edit{
		{"internal/account/password.go", `Open("password "+a.ID`, `Open("password "`},
		{"internal/account/password.go", `Seal("password "+a.ID, []byte(hash)`, `Seal("password ", []byte(hash)`},
	}},
	{test: "TestATT252_267", what: "the end of a long password does not count", edits: []edit{
		{"internal/seal/passwords.go", `p.work([]byte(text)`, `p.work([]byte(text[:min(len(text), 72)])`},
	}},
	{test: "TestATT254", what: "nobody is told when to come back", edits: []edit{
		{"internal/page/errors.go", `page.Seconds = busySeconds`, `page.Seconds = 0`},
	}},
}

// codes are those that are good when they should not be.
var codes = []mutation{
	{test: "TestATT050_191", what: "a code of the next step is accepted", edits: []edit{
		{"factor/totp/secret.go", `return phone - 1, phone`, `return phone - 1, phone + 1`},
	}},
	{test: "TestATT050_191", what: "a guesser is told of steps to come", edits: []edit{
		{"factor/totp/secret.go", `step < first || s.unproven()`, `step < first || step > last || s.unproven()`},
	}},
	{test: "TestATT051_190_195", what: "a code lives a millisecond longer", edits: []edit{
		{"factor/sentcode/sentcode.go", `Valid = 15 * time.Minute`, `Valid = 15*time.Minute + time.Millisecond`},
	}},
	{test: "TestATT051_190_195", what: "the last millisecond of a code's 15 minutes is not accepted", edits: []edit{
		{"internal/store/challenges.go", `expires_at >= $3 ORDER`, `expires_at > $3 ORDER`},
	}},
	{test: "TestATT052_067", what: "four codes live at once", edits: []edit{
		{"internal/limit/limit.go", `LiveCodes = 3`, `LiveCodes = 4`},
	}},
	{test: "TestATT070_081", what: "neither the code, nor the challenge, nor the sign-in is marked as used", edits: everlasting},
	{test: "TestATT082", what: "neither the code, nor the challenge, nor the sign-in is marked as used", edits: everlasting},
	{test: "TestATT071_072", what: "a used step of the app is accepted again", edits: []edit{
		{"factor/totp/secret.go", `!same || step <= s.Last`, `!same`},
	}},
	{test: "TestATT071_twoServers", what: "the version of a factor may have moved on", edits: []edit{
		{"internal/store/factors.go", `AND version = $3`, `AND version >= $3`},
	}},
	{test: "TestATT098", what: "an answer after the end says that it is the end", edits: []edit{
		{"internal/signin/guess.go", `return factor.ErrIncorrect // the sign-in is over`, `return ErrNoSignIn`},
	}},
}

// everlasting takes away all three that say that something was used: each alone is enough.
var everlasting = []edit{
	{"internal/signin/challenge.go", `if p.code != "" {`, `if p.code == "-" {`},
	{"internal/signin/challenge.go", `return tx.PassChallenge(ctx, p.challenge, now)`, `return nil`},
	{"internal/signin/challenge.go", `err := tx.FinishSignIn(ctx, v.ID, now)`, `err := error(nil)`},
}

// recoveries are about the codes on paper, and about a mailbox that has lost its password.
var recoveries = []mutation{
	{test: "TestATT069_151_153_163", what: "an old set stays when a new one is made", edits: []edit{
		{"internal/signin/enroll.go", `	if about.Most == 1 {`, `	if about.Most == -1 {`},
		{"internal/signin/enroll.go", `Slot: slot,`, `Slot: slot + store.Millis(e.Now()),`},
	}},
	{test: "TestATT069_151_153_163", what: "nobody is told that a printed code was used", edits: []edit{
		{"internal/signin/factors.go", `if !about.Spare {`, `if about.Method != "" {`},
	}},
	{test: "TestATT076", what: "the version of a factor is not looked at", edits: []edit{
		{"internal/store/factors.go", `AND version = $3`, `AND version >= $3 - 100`},
	}},
	{test: "TestATT150_mailbox", what: "the mailbox that set the password does not rest", edits: []edit{
		{"internal/signin/factors.go", `>= mailboxRest`, `>= 0`},
	}},
}
