package main

// guesses are what lets somebody guess more than was promised.
var guesses = []mutation{
	{test: "TestNewCodeGivesNoNewAttempts", what: "a new code gives new tries", edits: []edit{
		{"internal/store/challenges.go", `sent_at = $5, version = $6`, `sent_at = $5, guesses = 0, version = $6`},
	}},
	{test: "TestAllMethodsShareFiveAttempts", what: "another method has tries of its own", edits: []edit{
		{"internal/store/challenges.go", `SET method = $2, state`, `SET guesses = CASE WHEN method = $2 THEN guesses ELSE 0 END, method = $2, state`},
	}},
	{test: "TestGuessesAtOnceAreCounted", what: "a spent try does not stop the comparison", edits: []edit{
		{"internal/signin/challenge.go", `e.debit(ctx, v, c, g, from); err != nil`, `e.debit(ctx, v, c, g, from); err != nil && !errors.Is(err, ErrTooManyTries)`},
	}},
	{test: "TestGuessesAtOnceAreCountedAtTwoServers", what: "tries may go over the limit in the conditional UPDATE", edits: []edit{
		{"internal/store/challenges.go", `AND guesses < $2`, `AND guesses < $2 + 40`},
	}},
	{test: "TestSpellingsOfACodeAreOneCode", what: "digits of any script are read", edits: []edit{
		{"factor/sentcode/sentcode.go", `'\u0660', `, `'\u0660', '\u07c0', `},
	}},
	{test: "TestAddressChangesAreLimited", what: "mails to a new address are not counted", edits: []edit{
		{"internal/limit/limit.go", `NewMailsPerAccount = 10, 20, 10`, `NewMailsPerAccount = 100, 100, 100`},
	}},
	{test: "TestResetTokenHas130Bits", what: "the secret of a link is short", edits: []edit{
		{"internal/seal/tokens.go", "return rand.Text()\n", "return rand.Text()[:20]\n"},
	}},
	{test: "TestAlteredTokensAreRefused", what: "the end of a token does not count", edits: []edit{
		{"internal/seal/tokens.go", `[]byte(token))`, `[]byte(token[:min(len(token), 40)]))`},
	}},
	{test: "TestSamePasswordIsStoredDifferently", what: "a password is not sealed for its account", edits: []edit{
		{"internal/account/password.go", `Open("password "+a.ID`, `Open("password "`},
		{"internal/account/password.go", `Seal("password "+a.ID, []byte(hash)`, `Seal("password ", []byte(hash)`},
	}},
	{test: "TestWholePasswordCounts", what: "the end of a long password does not count", edits: []edit{
		{"internal/seal/passwords.go", `p.work([]byte(text)`, `p.work([]byte(text[:min(len(text), 72)])`},
	}},
	{test: "TestBusyServerTurnsPasswordsAway", what: "nobody is told when to come back", edits: []edit{
		{"internal/page/errors.go", `page.Seconds = busySeconds`, `page.Seconds = 0`},
	}},
}

// codes are those that are good when they should not be.
var codes = []mutation{
	{test: "TestOnlyCurrentAndPreviousAppCodesAreAccepted", what: "a code of the next step is accepted", edits: []edit{
		{"factor/totp/secret.go", `return phone - 1, phone`, `return phone - 1, phone + 1`},
	}},
	{test: "TestOnlyCurrentAndPreviousAppCodesAreAccepted", what: "a guesser is told of steps to come", edits: []edit{
		{"factor/totp/secret.go", `step < first || s.unproven()`, `step < first || step > last || s.unproven()`},
	}},
	{test: "TestCodeExpiresAfterFifteenMinutes", what: "a code lives a millisecond longer", edits: []edit{
		{"factor/sentcode/sentcode.go", `Valid = 15 * time.Minute`, `Valid = 15*time.Minute + time.Millisecond`},
	}},
	{test: "TestCodeExpiresAfterFifteenMinutes", what: "the last millisecond of a code's 15 minutes is not accepted", edits: []edit{
		{"internal/store/challenges.go", `expires_at >= $3 ORDER`, `expires_at > $3 ORDER`},
	}},
	{test: "TestOnlyTheLastThreeCodesFit", what: "four codes live at once", edits: []edit{
		{"internal/limit/limit.go", `LiveCodes = 3`, `LiveCodes = 4`},
	}},
	{test: "TestCodeAtOnceGivesOneSession", what: "neither the code, nor the challenge, nor the sign-in is marked as used", edits: everlasting},
	{test: "TestDoubleClickGivesOneSession", what: "neither the code, nor the challenge, nor the sign-in is marked as used", edits: everlasting},
	{test: "TestUsedAppCodeIsRefused", what: "a used step of the app is accepted again", edits: []edit{
		{"factor/totp/secret.go", `!same || step <= s.Last`, `!same`},
	}},
	{test: "TestAppCodeAtOnceWorksOnceAtTwoServers", what: "the version of a factor may have moved on", edits: []edit{
		{"internal/store/factors.go", `AND version = $3`, `AND version >= $3`},
	}},
	{test: "TestRejectedCodesLookAlike", what: "an answer after the end says that it is the end", edits: []edit{
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
	{test: "TestRecoveryCodesBelongToAccountAndSet", what: "an old set stays when a new one is made", edits: []edit{
		{"internal/signin/enroll.go", `	if about.Most == 1 {`, `	if about.Most == -1 {`},
		{"internal/signin/enroll.go", `Slot: slot,`, `Slot: slot + store.Millis(e.Now()),`},
	}},
	{test: "TestRecoveryCodesBelongToAccountAndSet", what: "nobody is told that a printed code was used", edits: []edit{
		{"internal/signin/factors.go", `if !about.Spare {`, `if about.Method != "" {`},
	}},
	{test: "TestRecoveryCodeAtOnceWorksOnce", what: "the version of a factor is not looked at", edits: []edit{
		{"internal/store/factors.go", `AND version = $3`, `AND version >= $3 - 100`},
	}},
	{test: "TestResetMailboxIsNoSecondStep", what: "the mailbox that set the password does not rest", edits: []edit{
		{"internal/signin/factors.go", `>= mailboxRest`, `>= 0`},
	}},
}
