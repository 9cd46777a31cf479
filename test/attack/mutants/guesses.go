package main

// guesses are what lets somebody guess more than was promised.
var guesses = []mutation{
	{test: "TestLateCodesDoNotExtendAnAttemptForever",
		what: "every late code opens the time for the next", edits: []edit{
			{"internal/challenge/attempt.go", `windowEnd := a.row.StartedAt.Add(TTL)`, `windowEnd := a.row.ExpiresAt`},
		}},
	{test: "TestNameChangesAreLimited", what: "names change without end", edits: []edit{
		{"internal/ratelimit/limits.go", `NameChangesPerHour = 20`, `NameChangesPerHour = 2000`},
	}},
	{test: "TestPasswordGuessesAtOnceAreCounted", what: "the delay is not part of the count", edits: []edit{
		{"internal/store/failed_passwords.go", `WHERE failed_passwords.last_at > $3 OR`, `WHERE $3 > 0 OR`},
	}},
	{test: "TestHungUpPasswordGuessesAreCounted", what: "wrong passwords are not counted", edits: []edit{
		{"internal/ratelimit/password.go", `err := countFailure(ctx, tx, a.key, now); err`, `err := error(nil); err`},
	}},
	{test: "TestRefusedSignInsAreNotCompared", what: "sign-ins of a network are not counted before", edits: []edit{
		{"internal/ratelimit/limits.go", `SignInsPerNetworkHour = 60`, `SignInsPerNetworkHour = 6000`},
	}},
	{test: "TestNewCodeGivesNoNewAttempts", what: "a new code gives new tries", edits: []edit{
		{"internal/store/challenges.go", `sent_at = $5, version = $6`, `sent_at = $5, guesses = 0, version = $6`},
	}},
	{test: "TestAllMethodsShareFiveAttempts", what: "another method has tries of its own", edits: []edit{
		{
			"internal/store/challenges.go",
			`SET method = $2, state`,
			`SET guesses = CASE WHEN method = $2 THEN guesses ELSE 0 END, method = $2, state`,
		},
	}},
	{test: "TestGuessesAtOnceAreCounted", what: "a spent try does not stop the comparison", edits: []edit{
		{
			"internal/challenge/prove.go",
			`a.countGuess(ctx, g); err != nil`,
			`a.countGuess(ctx, g); err != nil && !errors.Is(err, ErrTooManyGuesses)`,
		},
	}},
	{test: "TestGuessesAtOnceAreCountedAtTwoServers",
		what: "tries may go over the limit in the conditional UPDATE", edits: []edit{
			{"internal/store/challenges.go", `AND guesses < $2`, `AND guesses < $2 + 40`},
		}},
	{test: "TestSpellingsOfACodeAreOneCode", what: "digits of any script are read", edits: []edit{
		{"factor/sentcode/sentcode.go", `'\u0660', `, `'\u0660', '\u07c0', `},
	}},
	{test: "TestAddressChangesAreLimited", what: "mails to a new address are not counted", edits: []edit{
		{
			"internal/ratelimit/limits.go",
			`NewAddressMailsPerAccountDay = 10, 20, 10`,
			`NewAddressMailsPerAccountDay = 100, 100, 100`,
		},
	}},
	{test: "TestResetTokenHas130Bits", what: "the secret of a link is short", edits: []edit{
		{"internal/seal/tokens.go", "return rand.Text()\n", "return rand.Text()[:20]\n"},
	}},
	{test: "TestAlteredTokensAreRefused", what: "the end of a token does not count", edits: []edit{
		{"internal/seal/tokens.go", `[]byte(token))`, `[]byte(token[:min(len(token), 40)]))`},
	}},
	{test: "TestSamePasswordIsStoredDifferently", what: "a password is not sealed for its account", edits: []edit{
		{"internal/account/password.go", `Open("password "+account.ID`, `Open("password "`},
		{"internal/account/password.go", `Seal("password "+account.ID, []byte(hash)`, `Seal("password ", []byte(hash)`},
	}},
	{test: "TestWholePasswordCounts", what: "the end of a long password does not count", edits: []edit{
		{"internal/seal/passwords.go", `p.hashFunc([]byte(text)`, `p.hashFunc([]byte(text[:min(len(text), 72)])`},
	}},
	{test: "TestBusyServerTurnsPasswordsAway", what: "nobody is told when to come back", edits: []edit{
		{"internal/render/errors.go", `SetRetryAfter(w, fault.RetrySeconds)`, ``},
	}},
}

// codes are those that are good when they should not be.
var codes = []mutation{
	{test: "TestOnlyCurrentAndPreviousAppCodesAreAccepted", what: "a code of the next step is accepted", edits: []edit{
		{"factor/totp/secret.go", `return phone - 1, phone`, `return phone - 1, phone + 1`},
	}},
	{test: "TestOnlyCurrentAndPreviousAppCodesAreAccepted", what: "a guesser is told of steps to come", edits: []edit{
		{"factor/totp/secret.go", `step < first || s.enrolling()`, `step < first || step > last || s.enrolling()`},
	}},
	{test: "TestCodeExpiresAfterFifteenMinutes", what: "a code lives a millisecond longer", edits: []edit{
		{"factor/sentcode/sentcode.go", `CodeTTL = 15 * time.Minute`, `CodeTTL = 15*time.Minute + time.Millisecond`},
	}},
	{test: "TestCodeExpiresAfterFifteenMinutes",
		what: "the last millisecond of a code's 15 minutes is not accepted", edits: []edit{
			{"internal/challenge/attempt.go", `!code.ExpiresAt.Before(now)`, `code.ExpiresAt.After(now)`},
		}},
	{test: "TestOnlyTheLastThreeCodesFit", what: "four codes live at once", edits: []edit{
		{"internal/challenge/challenge.go", `MaxLiveCodes = 3`, `MaxLiveCodes = 4`},
	}},
	{test: "TestCodeAtOnceGivesOneSession", what: "neither the code, nor the challenge, nor the sign-in is marked as used", edits: everlasting},
	{test: "TestDoubleClickGivesOneSession", what: "neither the code, nor the challenge, nor the sign-in is marked as used", edits: everlasting},
	{test: "TestUsedAppCodeIsRefused", what: "a used step of the app is accepted again", edits: []edit{
		{"factor/totp/secret.go", `!same || step <= s.LastUsedStep`, `!same`},
	}},
	{test: "TestAppCodeAtOnceWorksOnceAtTwoServers", what: "the version of a factor may have moved on", edits: []edit{
		{"internal/store/factors.go", `AND version = $3`, `AND version >= $3`},
	}},
	{test: "TestRejectedCodesLookAlike", what: "an answer after the end says that it is the end", edits: []edit{
		{"internal/challenge/prove.go", `return factor.ErrIncorrect // the attempt is over`, `return ErrNoAttempt`},
	}},
}

// everlasting takes away all three that say that something was used: each alone is enough.
var everlasting = []edit{
	{"internal/challenge/prove.go", `if p.code != "" {`, `if p.code == "-" {`},
	{"internal/challenge/prove.go", `err := tx.PassChallenge(ctx, p.challenge, now)`, `err := error(nil)`},
	{"internal/challenge/prove.go", `return tx.FinishAttempt(ctx, a.row.ID, now)`, `return nil`},
}

// recoveries are about the recovery codes, and about a mailbox that has set the password.
var recoveries = []mutation{
	{test: "TestRecoveryCodesBelongToAccountAndSet", what: "an old set stays when a new one is made", edits: []edit{
		{"internal/enroll/enroll.go", `	if about.MaxPerAccount == 1 {`, `	if about.MaxPerAccount == -1 {`},
		{"internal/enroll/enroll.go", `Slot: slot,`, `Slot: slot + e.Now().UnixMilli(),`},
	}},
	{test: "TestRecoveryCodesBelongToAccountAndSet",
		what: "nobody is told that a recovery code was used", edits: []edit{
			{"internal/challenge/prove.go", `if !by.Method.Info().Backup {`, `if by.Method.Info().Method != "" {`},
		}},
	{test: "TestRecoveryCodeAtOnceWorksOnce", what: "the version of a factor is not looked at", edits: []edit{
		{"internal/store/factors.go", `AND version = $3`, `AND version >= $3 - 100`},
	}},
	{test: "TestResetMailboxIsNoSecondStep",
		what: "the mailbox that set the password proves the second step too", edits: []edit{
			{"internal/challenge/factors.go", `< c.Email.PauseAfterReset`, `< 0`},
		}},
}
